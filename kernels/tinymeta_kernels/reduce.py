"""Sums over broadcast axes: the adjoint of broadcasting.

    broadcast_to    y[..., i, ...]  =  x[..., 0, ...]
    sum_to          x[..., 0, ...]  =  sum over i of y[..., i, ...]

NumPy sums long rows at the speed of memory, pair by pair, and such sums are left to it. Over middle axes it
adds row to row in the arrays' own precision; the loop here does so in float64, with the sums of a run of
channels in the first cache, and is faster as well. For short rows it saves NumPy's cost per row.
"""

import numpy as np

from ._blocks import Blocks
from ._jit import has_kernel, jit
from ._layout import Array, common, deliver

__all__ = ["sum_to"]

LONG_ROW = 128


def sum_to(x: Array, shape: tuple[int, ...], out: Array | None = None) -> Array:
    """Sum ``x`` down to ``shape``, from which it could have been broadcast.

    Axes in which ``shape`` has length 1 (and x has not) are summed and kept; leading axes that ``shape`` lacks
    are summed and dropped.
    """
    (x,) = common(x)
    dropped = x.ndim - len(shape)
    axes = tuple(
        axis for axis in range(x.ndim) if axis < dropped or (shape[axis - dropped] == 1 and x.shape[axis] != 1)
    )
    if not axes:
        return deliver(x, out) if out is not None else x.copy()
    if has_kernel(x.dtype):
        blocks = Blocks(x.shape, axes)
        if blocks.channels != 1 or blocks.m <= LONG_ROW:
            x_block, sums = blocks.pack(x), blocks.empty_statistic(x.dtype)
            kernel = _sum_rows if blocks.channels == 1 else _sum_columns
            blocks.run(lambda t: kernel(x_block[t], sums[t]))
            return deliver(blocks.unpack_statistic(sums).reshape(shape), out)
    return deliver(x.sum(axis=axes, keepdims=True).reshape(shape), out)


@jit
def _sum_columns(x: Array, out: Array) -> None:
    tasks, m, channels = x.shape
    sums = np.empty(512)
    for t in range(tasks):
        for start in range(0, channels, 512):
            length = min(512, channels - start)
            sums[:] = 0
            for i in range(m):
                run = x[t, i, start : start + length]
                for c in range(length):
                    sums[c] += run[c]
            for c in range(length):
                out[t, start + c] = sums[c]


@jit
def _sum_rows(x: Array, out: Array) -> None:
    tasks, m, _ = x.shape
    by_four = m - m % 4
    for t in range(tasks):
        s0 = s1 = s2 = s3 = np.float64(0)
        for i in range(0, by_four, 4):
            s0 += x[t, i, 0]
            s1 += x[t, i + 1, 0]
            s2 += x[t, i + 2, 0]
            s3 += x[t, i + 3, 0]
        for i in range(by_four, m):
            s0 += x[t, i, 0]
        out[t, 0] = (s0 + s1) + (s2 + s3)
