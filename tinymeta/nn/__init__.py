"""Layers, losses, and the functions beside them. Read module.py, then layers.py."""

from tinymeta.nn import init
from tinymeta.nn.attention import MultiHeadAttention, attention
from tinymeta.nn.convolution import Conv2d, ConvNet4, ResidualBlock
from tinymeta.nn.exchange import load_torch, save_torch
from tinymeta.nn.layers import MLP, Dropout, Embedding, Linear, Sequential
from tinymeta.nn.losses import accuracy, bce_with_logits, cross_entropy, cross_entropy_each, kl_div, mse_loss
from tinymeta.nn.module import Module, constant
from tinymeta.nn.normalization import BatchNorm, FrozenBatchNorm, GroupNorm, LayerNorm
from tinymeta.nn.recurrent import GRU, LSTM, GRUCell, LSTMCell
from tinymeta.ops.conv import conv1d, conv2d, conv_transpose1d, conv_transpose2d
from tinymeta.ops.embedding import embedding, one_hot
from tinymeta.ops.logistic import log_sigmoid, sigmoid, softplus, tanh
from tinymeta.ops.norm import batch_norm, group_norm, layer_norm
from tinymeta.ops.pool import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    avg_pool1d,
    avg_pool2d,
    global_avg_pool2d,
    max_pool1d,
    max_pool2d,
)
from tinymeta.ops.select import relu
from tinymeta.ops.softmax import log_softmax, softmax
from tinymeta.ops.special import gelu, silu

__all__ = [
    "GRU",
    "LSTM",
    "MLP",
    "BatchNorm",
    "Conv2d",
    "ConvNet4",
    "Dropout",
    "Embedding",
    "FrozenBatchNorm",
    "GRUCell",
    "GroupNorm",
    "LSTMCell",
    "LayerNorm",
    "Linear",
    "Module",
    "MultiHeadAttention",
    "ResidualBlock",
    "Sequential",
    "accuracy",
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "attention",
    "avg_pool1d",
    "avg_pool2d",
    "batch_norm",
    "bce_with_logits",
    "constant",
    "conv1d",
    "conv2d",
    "conv_transpose1d",
    "conv_transpose2d",
    "cross_entropy",
    "cross_entropy_each",
    "embedding",
    "gelu",
    "global_avg_pool2d",
    "group_norm",
    "init",
    "kl_div",
    "layer_norm",
    "load_torch",
    "log_sigmoid",
    "log_softmax",
    "max_pool1d",
    "max_pool2d",
    "mse_loss",
    "one_hot",
    "relu",
    "save_torch",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
]
