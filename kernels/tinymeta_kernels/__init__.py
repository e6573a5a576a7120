"""Array kernels for tinymeta: loops and fusions that NumPy cannot express, compiled by Numba.

Kernels know NumPy arrays, never gradients: arrays in, array out, written into ``out`` where one is given.
They take any leading axes (tasks), float32 and float64 in any memory layout, and never write into an input.
Other dtypes, complex numbers among them, take the NumPy form beside each loop. Importing this package
compiles nothing and does not import Numba; :func:`warmup` compiles everything at once.
"""

from ._jit import on_compile
from ._threads import set_num_threads
from .conv import conv2d, conv2d_input, conv2d_weight
from .fused import linear_relu, relu_input
from .im2col import col2im, im2col
from .matmul import matmul
from .norm import normalize, normalize_input, normalize_input_grad
from .optim import adam_update, sgd_update
from .pool import avg_pool2d, avg_pool2d_input, max_pool2d_index, scatter_flat, take_flat
from .reduce import sum_to
from .scatter import scatter_add
from .softmax import (
    log_softmax,
    logsumexp,
    softmax,
    softmax_cross_entropy,
    softmax_cross_entropy_grad,
    softmax_input,
)
from .special import erf, erfc
from .warmup import warmup

__all__ = [
    "adam_update",
    "avg_pool2d",
    "avg_pool2d_input",
    "col2im",
    "conv2d",
    "conv2d_input",
    "conv2d_weight",
    "erf",
    "erfc",
    "im2col",
    "linear_relu",
    "log_softmax",
    "logsumexp",
    "matmul",
    "max_pool2d_index",
    "normalize",
    "normalize_input",
    "normalize_input_grad",
    "on_compile",
    "relu_input",
    "scatter_add",
    "scatter_flat",
    "set_num_threads",
    "sgd_update",
    "softmax",
    "softmax_cross_entropy",
    "softmax_cross_entropy_grad",
    "softmax_input",
    "sum_to",
    "take_flat",
    "warmup",
]
