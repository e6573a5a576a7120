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
    "init", "MultiHeadAttention", "attention", "Conv2d", "ConvNet4", "ResidualBlock",
    "load_torch", "save_torch", "MLP", "Dropout", "Embedding", "Linear", "Sequential",
    "accuracy", "bce_with_logits", "cross_entropy", "cross_entropy_each", "kl_div", "mse_loss",
    "Module", "constant", "BatchNorm", "FrozenBatchNorm", "GroupNorm", "LayerNorm",
    "GRU", "LSTM", "GRUCell", "LSTMCell", "conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d",
    "embedding", "one_hot", "log_sigmoid", "sigmoid", "softplus", "tanh",
    "batch_norm", "group_norm", "layer_norm",
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "avg_pool1d", "avg_pool2d", "global_avg_pool2d", "max_pool1d",
    "max_pool2d", "relu", "log_softmax", "softmax", "gelu", "silu",
]  # fmt: skip
