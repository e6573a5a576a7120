"""Arrays of any shape as blocks (tasks, m, channels), for loops that reduce or normalise some of the axes.

Axes before the first reduced one are tasks. The reduced axes are m. Kept axes after it are channels and move
to the end, so that the inner loop runs over neighbours in memory: for images (..., N, C, H, W) reduced over
(-4, -2, -1) that is the channels-last order in which convolutions leave them, and moving costs no copy.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from ._layout import Array, broadcast_to, c_order
from ._threads import run

__all__ = ["Axes", "Blocks"]

Axes: TypeAlias = tuple[int, ...]

BLOCK_SIZE = 1 << 18


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

    def empty(self, dtype: "np.dtype[Any]") -> Array:
        return np.empty((self.tasks, self.m, self.channels), dtype)

    def empty_statistic(self, dtype: "np.dtype[Any]") -> Array:
        return np.empty((self.tasks, self.channels), dtype)

    def run(self, work: Callable[[slice], None]) -> None:
        """Call ``work`` on ranges of tasks that hold about BLOCK_SIZE numbers, on all threads."""
        step = max(1, BLOCK_SIZE // max(1, self.m * self.channels))
        if step >= self.tasks:
            work(slice(0, self.tasks))
        else:
            run(work, [slice(t, t + step) for t in range(0, self.tasks, step)])
