"""Operations that move numbers and compute none: the same array seen in another way.

A view is free: its result shares the memory of its input. `Gather` copies what is seen through a chain of views, and
`Scatter` is its adjoint: it adds an array into a larger one, in the places that the chain shows. With `Windows` in
the chain they are what turns a convolution into a product of matrices (`convolution.py`); with `Slice` they pad.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from tinymeta.compile.program.operations import Operation, Shape
from tinymeta.engine.tensor import Array

Views: TypeAlias = "tuple[Reshape | Permute | Broadcast | Slice | Windows, ...]"


@dataclass(frozen=True)
class Reshape(Operation):
    """The same numbers in row-major order."""

    to: Shape
    view = True

    def __call__(self, x: Array) -> Array:
        return x.reshape(self.to)

    def shape(self, *shapes: Shape) -> Shape:
        return self.to


@dataclass(frozen=True)
class Permute(Operation):
    """Axis i of the result is axis `axes[i]`."""

    axes: tuple[int, ...]
    view = True

    def __call__(self, x: Array) -> Array:
        return np.transpose(x, self.axes)

    def shape(self, *shapes: Shape) -> Shape:
        return tuple(shapes[0][a] for a in self.axes)


@dataclass(frozen=True)
class Broadcast(Operation):
    """Axes of size 1 repeated; as many axes as before."""

    to: Shape
    view = True

    def __call__(self, x: Array) -> Array:
        return np.broadcast_to(x, self.to)

    def shape(self, *shapes: Shape) -> Shape:
        return self.to


@dataclass(frozen=True)
class Slice(Operation):
    """x[key]: an integer, or (start, stop, step), for every axis."""

    key: tuple[Any, ...]
    view = True

    def __call__(self, x: Array) -> Array:
        y: Array = x[(*(k if isinstance(k, int) else slice(*k) for k in self.key), ...)]
        return y

    def shape(self, *shapes: Shape) -> Shape:
        return tuple(len(range(n)[slice(*k)]) for n, k in zip(shapes[0], self.key) if not isinstance(k, int))


@dataclass(frozen=True)
class Windows(Operation):
    """One axis as two, y[…, a, i, …] = x[…, a·stride + i·dilation, …]: `count` windows of `width` elements, which
    may overlap."""

    axis: int
    count: int
    width: int
    stride: int
    dilation: int
    view = True

    def __call__(self, x: Array) -> Array:
        k, step = self.axis, x.strides[self.axis]
        strides = (*x.strides[:k], step * self.stride, step * self.dilation, *x.strides[k + 1 :])
        return np.lib.stride_tricks.as_strided(x, self.shape(x.shape), strides)

    def shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        return (*x[: self.axis], self.count, self.width, *x[self.axis + 1 :])


@dataclass(frozen=True)
class Gather(Operation):
    """What is seen through the views, in memory of its own."""

    views: Views

    def __call__(self, x: Array) -> Array:
        return np.array(_seen(self.views, x), order="C")

    def shape(self, *shapes: Shape) -> Shape:
        return _shape(self.views, shapes[0])


@dataclass(frozen=True)
class Scatter(Operation):
    """Zeros of shape `to`, to which x is added in the places seen through the views: the adjoint of `Gather`."""

    to: Shape
    views: Views

    def __call__(self, x: Array) -> Array:
        y = np.zeros(self.to, x.dtype)
        places = _seen(self.views, np.arange(y.size).reshape(self.to))
        np.add.at(y.reshape(-1), places.reshape(-1), x.reshape(-1))
        return y

    @property
    def overlaps(self) -> bool:
        """Whether several elements of x may belong to one place."""
        views = (view for view in self.views if isinstance(view, Windows))
        return any(view.stride <= (view.width - 1) * view.dilation for view in views)

    def covers(self, shape: Shape) -> bool:
        """Whether x, of this shape, fills the whole array."""
        return not self.overlaps and math.prod(shape) == math.prod(self.to)

    def shape(self, *shapes: Shape) -> Shape:
        return self.to

    def flops(self, shape: Shape, *shapes: Shape) -> int:
        return math.prod(shapes[0]) if self.overlaps else 0


def _seen(views: Views, x: Array) -> Array:
    for view in views:
        x = view(x)
    return x


def _shape(views: Views, shape: Shape) -> Shape:
    for view in views:
        shape = view.shape(shape)
    return shape
