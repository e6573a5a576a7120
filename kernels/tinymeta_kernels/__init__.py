"""Array kernels for tinymeta: loops and fusions that NumPy cannot express, compiled by Numba.

Kernels know NumPy arrays, never gradients: arrays in, array out, written into ``out`` where one is given.
They take any leading axes (tasks), float32 and float64 in any memory layout, and never write into an input.
Other dtypes, complex numbers among them, take the NumPy form beside each loop. Importing this package
compiles nothing and does not import Numba; :func:`warmup` compiles everything at once.
"""

from ._jit import on_compile
from ._threads import set_num_threads
from .conv import conv2d, conv2d_input, conv2d_weight
from .im2col import col2im, im2col
from .matmul import matmul
from .norm import normalize, normalize_input, normalize_input_grad
from .scatter import scatter_add
from .softmax import (
    log_softmax,
    logsumexp,
    softmax,
    softmax_cross_entropy,
    softmax_cross_entropy_grad,
    softmax_input,
)

__all__ = [
    "col2im",
    "conv2d",
    "conv2d_input",
    "conv2d_weight",
    "im2col",
    "log_softmax",
    "logsumexp",
    "matmul",
    "normalize",
    "normalize_input",
    "normalize_input_grad",
    "on_compile",
    "scatter_add",
    "set_num_threads",
    "softmax",
    "softmax_cross_entropy",
    "softmax_cross_entropy_grad",
    "softmax_input",
]
