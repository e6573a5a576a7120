"""Array kernels for tinymeta: loops and fusions that NumPy cannot express, compiled by Numba.

Kernels know NumPy arrays, never gradients: arrays in, fresh arrays out. They take any leading axes (tasks), float32
and float64 in any memory layout, and never write into an input. Other dtypes, complex numbers among them, take the
NumPy form beside each loop. Importing this package compiles nothing and does not import Numba; :func:`warmup`
compiles everything at once.
"""

from typing import NoReturn

import numpy as np

from .conv import conv2d, conv2d_input, conv2d_weight
from .cross_entropy import softmax_cross_entropy, softmax_cross_entropy_grad
from .fused import linear_relu, relu_input
from .matmul import matmul
from .norm import normalize, normalize_input, normalize_input_grad
from .optim import adam_update, sgd_update
from .pool import avg_pool2d, avg_pool2d_input, max_pool2d_index, scatter_flat, take_flat
from .scatter import scatter_add
from .special import erf, erfc
from .threads import set_num_threads

__all__ = [
    "conv2d", "conv2d_input", "conv2d_weight", "softmax_cross_entropy", "softmax_cross_entropy_grad",
    "linear_relu", "relu_input", "matmul", "normalize", "normalize_input", "normalize_input_grad",
    "adam_update", "sgd_update",
    "avg_pool2d", "avg_pool2d_input", "max_pool2d_index", "scatter_flat", "take_flat", "scatter_add",
    "erf", "erfc", "set_num_threads", "warmup",
]  # fmt: skip


def warmup() -> None:
    """Run every kernel once in float32 and in float64, which compiles it or loads it from the cache on disk."""
    for dtype in (np.float32, np.float64):
        image, filters = np.ones((1, 2, 3, 3), dtype), np.ones((1, 2, 2, 2), dtype)
        y = conv2d(image, filters)
        conv2d_input(y, filters, (3, 3))
        conv2d_weight(image, y, (2, 2))

        index = max_pool2d_index(image, (2, 2), (1, 1))
        scatter_flat(take_flat(image, index), index, (3, 3))
        avg_pool2d_input(avg_pool2d(image, (2, 2), (1, 1)), (3, 3), (2, 2), (1, 1))

        table, row = np.ones((2, 3), dtype), np.ones(3, dtype)
        labels, losses = np.zeros(2, np.int64), np.ones(2, dtype)
        softmax_cross_entropy(table, labels)
        softmax_cross_entropy_grad(table, labels, losses)
        for axis in (-2, -1):
            y, s = normalize(table, (axis,), 1e-5)
            normalize_input(table, y, s, (axis,))
            normalize_input_grad(table, table, y, s, (axis,))

        scatter_add(table, labels, 1, axis=-2)
        linear_relu(table, np.ones((3, 3), dtype), row)
        relu_input(table, table)
        erf(row)
        erfc(row)
        sgd_update(row, row, row, lr=0.1)
        adam_update(row, row, row, row, step=1, lr=0.1)


_GONE = {
    "softmax": "tinymeta.nn.softmax",
    "log_softmax": "tinymeta.nn.log_softmax",
    "logsumexp": "tinymeta.logsumexp",
    "softmax_input": "y * (g - (g * y).sum(-1, keepdims=True))",
    "sum_to": "x.sum(axis, keepdims=True)",
    "im2col": "conv2d, or np.lib.stride_tricks.sliding_window_view,",
    "col2im": "conv2d_input",
    "on_compile": "warmup(), before others wait,",
}


def __getattr__(name: str) -> NoReturn:
    if name in _GONE:
        raise AttributeError(f"tinymeta_kernels.{name} had no caller and is gone: use {_GONE[name]} instead")
    raise AttributeError(f"module 'tinymeta_kernels' has no attribute {name!r}")
