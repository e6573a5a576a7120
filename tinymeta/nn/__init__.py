"""Layers, losses, and the functions beside them. Read module.py, then layers.py."""

from tinymeta.nn import init
from tinymeta.nn.layers import MLP, BatchNorm, Linear, Sequential
from tinymeta.nn.losses import accuracy, bce_with_logits, cross_entropy, cross_entropy_each, kl_div, mse_loss
from tinymeta.nn.module import Module
from tinymeta.ops.elementwise import sigmoid, softplus
from tinymeta.ops.norm import batch_norm
from tinymeta.ops.select import relu
from tinymeta.ops.softmax import log_softmax, softmax
from tinymeta.ops.trigonometry import tanh

__all__ = [
    "MLP",
    "BatchNorm",
    "Linear",
    "Module",
    "Sequential",
    "accuracy",
    "batch_norm",
    "bce_with_logits",
    "cross_entropy",
    "cross_entropy_each",
    "init",
    "kl_div",
    "log_softmax",
    "mse_loss",
    "relu",
    "sigmoid",
    "softmax",
    "softplus",
    "tanh",
]
