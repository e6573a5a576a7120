"""Compile every kernel now, rather than each at its first call."""

import numpy as np

from .conv import conv2d, conv2d_input, conv2d_weight
from .fused import linear_relu, relu_input
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

__all__ = ["warmup"]


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
        softmax_input(table, softmax(table))
        log_softmax(table)
        logsumexp(table)
        softmax_cross_entropy(table, labels)
        softmax_cross_entropy_grad(table, labels, losses)

        for axis in (-2, -1):
            y, s = normalize(table, (axis,), 1e-5)
            normalize_input(table, y, s, (axis,))
            normalize_input_grad(table, table, y, s, (axis,))
        sum_to(table, (1, 3))
        sum_to(table, (2, 1))

        scatter_add(table, labels, 1, axis=-2)
        linear_relu(table, np.ones((3, 3), dtype), row)
        relu_input(table, table)
        erf(row)
        erfc(row)
        sgd_update(row, row, row, lr=0.1)
        adam_update(row, row, row, row, step=1, lr=0.1)
