"""Normalisation of a batch or of a layer, its adjoint, and the adjoint of that.

With means over the normalised axes, and s the inverse standard deviation 1 / sqrt(var x + eps):

    normalize             y   =  (x - mean x) s
    normalize_input       gx  =  s (g - mean g - y mean(g y))
    normalize_input_grad  gy  =  -s (h mean(g y) + g mean(h y))
                          gs  =  sum(h g) - sum(h) mean(g) - sum(h y) mean(g y)

``normalize_input`` is the adjoint of x -> y, written with the two outputs y and s of the forward pass and
exact with eps. It is symmetric, so it is its own adjoint with respect to g; ``normalize_input_grad`` is its
adjoint with respect to y and s, at the cotangent h. Where s itself is used, its cotangent adds
``-gs s² y / m`` to gx, for m normalised entries.

Loops run over blocks (tasks, m, channels): axes before the first normalised one are tasks, the normalised axes are m,
and kept axes after it are channels, which move to the end, so that the inner loop runs over neighbours in memory. For
images (..., N, C, H, W) normalised over (-4, -2, -1) that is the channels-last order in which convolutions leave them,
and moving costs no copy. With one channel (a layer norm) the loops of ``norm_rows.py`` run along the row.
Sums are kept in float64, and the variance is taken of centred values, so that a large mean costs no digits.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from ._jit import has_kernel, jit
from ._layout import Array, DType, broadcast_shapes, broadcast_to, c_order, common
from .norm_rows import _normalize_input_grad_rows, _normalize_input_rows, _normalize_rows
from .threads import run

__all__ = ["normalize", "normalize_input", "normalize_input_grad"]

Axes: TypeAlias = tuple[int, ...]

BLOCK_SIZE = 1 << 18


def normalize(x: Array, axes: Axes, eps: float) -> tuple[Array, Array]:
    """Take the mean away and divide by the standard deviation; also the inverse of the latter, s.

    Shapes: (…) → y of the same, and s with 1 in ``axes``.

    Parameters
    ----------
    axes
        What to take statistics over: (-4, -2, -1) is the batch norm of images (..., N, C, H, W), (-2,) that of
        vectors (..., N, C), (-1,) a layer norm.
    eps
        Added to the variance.

    Examples
    --------
    >>> kernels.normalize(np.array([[1.0, 3.0]]), (-1,), 0.0)
    (array([[-1.,  1.]]), array([[1.]]))
    """
    (x,) = common(x)
    if not has_kernel(x.dtype):
        centred = x - x.mean(axis=axes, keepdims=True)
        s = 1 / np.sqrt((centred * centred).mean(axis=axes, keepdims=True) + eps)
        return centred * s, s
    blocks = Blocks(x.shape, axes)
    x_block, y, s = blocks.pack(x), blocks.empty(x.dtype), blocks.empty_statistic(x.dtype)
    kernel = _normalize_rows if blocks.channels == 1 else _normalize_columns
    blocks.run(lambda t: kernel(x_block[t], float(eps), y[t], s[t]))
    return blocks.unpack(y), blocks.unpack_statistic(s)


def normalize_input(g: Array, y: Array, s: Array, axes: Axes) -> Array:
    """Adjoint of x -> y of :func:`normalize`: ``s (g - mean g - y mean(g y))``.

    Shapes: g and y (…), s with 1 in ``axes`` → (…).

    >>> kernels.normalize_input(np.array([[1.0, 0.0, 0.0]]), np.zeros((1, 3)), np.ones((1, 1)), (-1,))
    array([[ 0.6667, -0.3333, -0.3333]])
    """
    g, y, s = common(g, y, s)
    if not has_kernel(y.dtype):
        mean_g, mean_gy = (v.mean(axis=axes, keepdims=True) for v in (g, g * y))
        gx: Array = s * (g - mean_g - y * mean_gy)
        return gx
    blocks = Blocks(broadcast_shapes(g.shape, y.shape, s.shape), axes)
    g_block, y_block, s_block = blocks.pack(g), blocks.pack(y), blocks.pack_statistic(s)
    block = blocks.empty(y.dtype)
    kernel = _normalize_input_rows if blocks.channels == 1 else _normalize_input_columns
    blocks.run(lambda t: kernel(g_block[t], y_block[t], s_block[t], block[t]))
    return blocks.unpack(block)


def normalize_input_grad(h: Array, g: Array, y: Array, s: Array, axes: Axes) -> tuple[Array, Array]:
    """Adjoint of (y, s) -> :func:`normalize_input` at the cotangent h: (gy, gs).

    Shapes: h, g and y (…), s with 1 in ``axes`` → those of y and of s.

    >>> g, y = np.array([[1.0, 0.0]]), np.array([[1.0, -1.0]])
    >>> kernels.normalize_input_grad(np.ones((1, 2)), g, y, np.ones((1, 1)), (-1,))
    (array([[-0.5, -0.5]]), array([[0.]]))
    """
    h, g, y, s = common(h, g, y, s)
    if not has_kernel(y.dtype):
        sum_h, sum_hy, sum_hg = (v.sum(axis=axes, keepdims=True) for v in (h, h * y, h * g))
        mean_g, mean_gy, mean_hy = (v.mean(axis=axes, keepdims=True) for v in (g, g * y, h * y))
        return -s * (h * mean_gy + g * mean_hy), sum_hg - sum_h * mean_g - sum_hy * mean_gy
    blocks = Blocks(broadcast_shapes(h.shape, g.shape, y.shape, s.shape), axes)
    h_block, g_block, y_block = blocks.pack(h), blocks.pack(g), blocks.pack(y)
    s_block = blocks.pack_statistic(s)
    gy, gs = blocks.empty(y.dtype), blocks.empty_statistic(y.dtype)
    kernel = _normalize_input_grad_rows if blocks.channels == 1 else _normalize_input_grad_columns
    blocks.run(lambda t: kernel(h_block[t], g_block[t], y_block[t], s_block[t], gy[t], gs[t]))
    return blocks.unpack(gy), blocks.unpack_statistic(gs)


@lru_cache(maxsize=1024)  # a run meets few shapes, and working one out takes longer than a small loop
class Blocks:
    """The way from arrays of ``shape`` to blocks reduced over ``axes``, and back.

    A statistic is an array of ``shape`` with length 1 in ``axes``; its block is (tasks, channels).
    """

    def __init__(self, shape: tuple[int, ...], axes: Axes) -> None:
        reduced = sorted(axis % len(shape) for axis in axes)
        tasks = list(range(reduced[0]))
        channels = [axis for axis in range(reduced[0], len(shape)) if axis not in reduced]
        self.shape = shape
        self.order = (*tasks, *reduced, *channels)
        self.back = tuple(sorted(range(len(shape)), key=self.order.__getitem__))
        self.ordered = tuple(shape[axis] for axis in self.order)
        self.ordered_statistic = tuple(1 if axis in reduced else shape[axis] for axis in self.order)
        self.tasks, self.m, self.channels = (
            math.prod(shape[axis] for axis in group) for group in (tasks, reduced, channels)
        )

    def pack(self, x: Array) -> Array:
        x = broadcast_to(x, self.shape).transpose(self.order)
        return c_order(x).reshape(self.tasks, self.m, self.channels)

    def pack_statistic(self, s: Array) -> Array:
        s = s.reshape((1,) * (len(self.shape) - s.ndim) + s.shape).transpose(self.order)
        return c_order(broadcast_to(s, self.ordered_statistic)).reshape(self.tasks, self.channels)

    def unpack(self, y: Array) -> Array:
        return y.reshape(self.ordered).transpose(self.back)

    def unpack_statistic(self, s: Array) -> Array:
        return s.reshape(self.ordered_statistic).transpose(self.back)

    def empty(self, dtype: DType) -> Array:
        return np.empty((self.tasks, self.m, self.channels), dtype)

    def empty_statistic(self, dtype: DType) -> Array:
        return np.empty((self.tasks, self.channels), dtype)

    def run(self, work: Callable[[slice], None]) -> None:
        """Call ``work`` on ranges of tasks that hold about BLOCK_SIZE numbers, on all threads."""
        step = max(1, BLOCK_SIZE // max(1, self.m * self.channels))
        if step >= self.tasks:
            work(slice(0, self.tasks))
        else:
            run(work, [slice(t, t + step) for t in range(0, self.tasks, step)])


@jit
def _normalize_columns(x: Array, eps: float, out: Array, out_s: Array) -> None:
    tasks, m, channels = x.shape
    mean, s = np.empty(channels), np.empty(channels)
    for t in range(tasks):
        mean[:] = 0
        s[:] = 0
        for i in range(m):
            for c in range(channels):
                mean[c] += x[t, i, c]
        for c in range(channels):
            mean[c] /= m
        for i in range(m):
            for c in range(channels):
                s[c] += (x[t, i, c] - mean[c]) * (x[t, i, c] - mean[c])
        for c in range(channels):
            s[c] = 1 / np.sqrt(s[c] / m + eps)
            out_s[t, c] = s[c]
        for i in range(m):
            for c in range(channels):
                out[t, i, c] = (x[t, i, c] - mean[c]) * s[c]


@jit
def _normalize_input_columns(g: Array, y: Array, s: Array, out: Array) -> None:
    tasks, m, channels = y.shape
    mean_g, mean_gy = np.empty(channels), np.empty(channels)
    for t in range(tasks):
        mean_g[:] = 0
        mean_gy[:] = 0
        for i in range(m):
            for c in range(channels):
                mean_g[c] += g[t, i, c]
                mean_gy[c] += np.float64(g[t, i, c]) * y[t, i, c]
        for c in range(channels):
            mean_g[c] /= m
            mean_gy[c] /= m
        for i in range(m):
            for c in range(channels):
                out[t, i, c] = s[t, c] * (g[t, i, c] - mean_g[c] - y[t, i, c] * mean_gy[c])


@jit
def _normalize_input_grad_columns(h: Array, g: Array, y: Array, s: Array, out: Array, out_s: Array) -> None:
    tasks, m, channels = y.shape
    sum_h, sum_hy, sum_hg = np.empty(channels), np.empty(channels), np.empty(channels)
    sum_g, sum_gy = np.empty(channels), np.empty(channels)
    for t in range(tasks):
        sum_h[:] = 0
        sum_hy[:] = 0
        sum_hg[:] = 0
        sum_g[:] = 0
        sum_gy[:] = 0
        for i in range(m):
            for c in range(channels):
                sum_h[c] += h[t, i, c]
                sum_hy[c] += np.float64(h[t, i, c]) * y[t, i, c]
                sum_hg[c] += np.float64(h[t, i, c]) * g[t, i, c]
                sum_g[c] += g[t, i, c]
                sum_gy[c] += np.float64(g[t, i, c]) * y[t, i, c]
        for c in range(channels):
            out_s[t, c] = sum_hg[c] - sum_h[c] * (sum_g[c] / m) - sum_hy[c] * (sum_gy[c] / m)
        for i in range(m):
            for c in range(channels):
                out[t, i, c] = -s[t, c] * (h[t, i, c] * (sum_gy[c] / m) + g[t, i, c] * (sum_hy[c] / m))
