"""Operations that move numbers and compute none: the same array seen in another way.

A view is free: its result shares the memory of its input, and `strided` says where in it. `Gather` copies what is seen
through a chain of views, and `Scatter` is its adjoint: it adds an array into a larger one, in the places that the chain
shows. With `Windows` in the chain they are what turns a convolution into a product of matrices (`convolution.py`); with
`Slice` they pad.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tinymeta.compile.program.operations import Operation, Shape
from tinymeta.engine.tensor import Array

Strides: TypeAlias = tuple[int, ...]
Views: TypeAlias = "tuple[View, ...]"


class View(Operation):
    """An operation whose result shares its numbers with the input."""

    view = True

    def strided(self, strides: Strides, before: Shape) -> tuple[int, Strides] | None:
        """For an input of shape `before` with these strides: where after its first element the result's lies, and the
        result's strides (0 along axes of size 1). None where the numbers would have to be copied."""
        x = as_strided(np.empty(1, np.uint8), before, strides)  # whose numbers nobody reads
        y = self(x)
        offset = y.__array_interface__["data"][0] - x.__array_interface__["data"][0]
        return offset, tuple(s if n != 1 else 0 for n, s in zip(y.shape, y.strides))

    def _axes(self, before: Shape, after: Shape) -> Iterable[tuple[int, int]]:
        own = packed(before, 1)  # in row-major order no two axes have one stride
        _, found = self.strided(own, before) or (0, ())
        known = {(n, s): j for j, (n, s) in enumerate(zip(before, own)) if n != 1}
        return ((k, known[axis]) for k, axis in enumerate(zip(after, found)) if axis in known)


def packed(shape: Shape, itemsize: int, order: Sequence[int] | None = None) -> Strides:
    """Strides without gaps, with the axes in memory as in `order` (the first is the outermost); 0 along axes of size 1,
    which may be repeated."""
    strides = [0] * len(shape)
    stride = itemsize
    for k in reversed(order if order is not None else range(len(shape))):
        strides[k] = stride if shape[k] != 1 else 0
        stride *= max(shape[k], 1)  # an empty array's strides are those of a matrix, too
    return tuple(strides)


@dataclass(frozen=True)
class Reshape(View):
    """The same numbers in row-major order."""

    to: Shape

    def __call__(self, x: Array) -> Array:
        return x.reshape(self.to)

    def misfit(self, *shapes: Shape) -> str | None:
        same = math.prod(shapes[0]) == math.prod(self.to) and all(n >= 0 for n in self.to)
        return None if same else "it changes the size"

    def shape(self, *shapes: Shape) -> Shape:
        return self.to

    def strided(self, strides: Strides, before: Shape) -> tuple[int, Strides] | None:
        if 0 in self.to:  # nothing is there: any strides do
            return 0, (0,) * len(self.to)
        old = [(n, s) for n, s in zip(before, strides) if n != 1]
        found: list[int] = []
        size = apart = 1  # what is left of the old axes taken so far, and the stride of its last element
        for n in reversed(self.to):
            if n == 1:
                found.append(0)
                continue
            while size % n:
                if not old:
                    return None
                m, s = old.pop()
                if size == 1:
                    size, apart = m, s
                elif s == size * apart:
                    size *= m
                else:
                    return None
            found.append(apart)
            size, apart = size // n, apart * n
        return 0, tuple(reversed(found))


@dataclass(frozen=True)
class Permute(View):
    """Axis i of the result is axis `axes[i]`."""

    axes: tuple[int, ...]

    def __call__(self, x: Array) -> Array:
        return np.transpose(x, self.axes)

    def misfit(self, *shapes: Shape) -> str | None:
        return None if sorted(self.axes) == list(range(len(shapes[0]))) else "it isn't a permutation of the axes"

    def shape(self, *shapes: Shape) -> Shape:
        return tuple(shapes[0][a] for a in self.axes)


@dataclass(frozen=True)
class Broadcast(View):
    """Axes of size 1 repeated; as many axes as before."""

    to: Shape

    def __call__(self, x: Array) -> Array:
        return np.broadcast_to(x, self.to)

    def misfit(self, *shapes: Shape) -> str | None:
        (x,) = shapes
        fit = len(x) == len(self.to) and all(m in (1, n) for m, n in zip(x, self.to))
        return None if fit else "it repeats more than axes of size 1"

    def shape(self, *shapes: Shape) -> Shape:
        return self.to


@dataclass(frozen=True)
class Slice(View):
    """x[key]: an integer, or (start, stop, step), for every axis."""

    key: tuple[Any, ...]

    def __call__(self, x: Array) -> Array:
        y: Array = x[(*(k if isinstance(k, int) else slice(*k) for k in self.key), ...)]
        return y

    def misfit(self, *shapes: Shape) -> str | None:
        if len(self.key) != len(shapes[0]):
            return "it has a key for another number of axes"
        outside = any(isinstance(k, int) and not -n <= k < n for k, n in zip(self.key, shapes[0]))
        return "an index lies outside" if outside else None

    def shape(self, *shapes: Shape) -> Shape:
        return tuple(len(range(n)[slice(*k)]) for n, k in zip(shapes[0], self.key) if not isinstance(k, int))


@dataclass(frozen=True)
class Windows(View):
    """One axis as two, y[…, a, i, …] = x[…, a·stride + i·dilation, …]: `count` windows of `width` elements, which
    may overlap."""

    axis: int
    count: int
    width: int
    stride: int
    dilation: int

    def __call__(self, x: Array) -> Array:
        k, apart = self.axis, x.strides[self.axis]
        strides = (*x.strides[:k], apart * self.stride, apart * self.dilation, *x.strides[k + 1 :])
        return as_strided(x, self.shape(x.shape), strides)

    def misfit(self, *shapes: Shape) -> str | None:
        (x,) = shapes
        last = (self.count - 1) * self.stride + (self.width - 1) * self.dilation
        fit = 0 <= self.axis < len(x) and self.count > 0 and self.width > 0 and 0 <= last < x[self.axis]
        return None if fit else "a window reaches outside"

    def shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        return (*x[: self.axis], self.count, self.width, *x[self.axis + 1 :])


@dataclass(frozen=True)
class Gather(Operation):
    """What is seen through the views, in memory of its own."""

    views: Views

    def __call__(self, x: Array) -> Array:
        return np.array(_seen(self.views, x), order="C")

    def misfit(self, *shapes: Shape) -> str | None:
        return _through(self.views, shapes[0])[0]

    def shape(self, *shapes: Shape) -> Shape:
        return _through(self.views, shapes[0])[1]

    def _axes(self, before: Shape, after: Shape) -> Iterable[tuple[int, int]]:
        return _axes_through(self.views, before)


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

    def misfit(self, *shapes: Shape) -> str | None:
        wrong, seen = _through(self.views, self.to)
        return wrong or (None if seen == shapes[0] else f"its places are {seen}")

    def shape(self, *shapes: Shape) -> Shape:
        return self.to

    def flops(self, shape: Shape, *shapes: Shape) -> int:
        return math.prod(shapes[0]) if self.overlaps else 0

    def _axes(self, before: Shape, after: Shape) -> Iterable[tuple[int, int]]:
        return ((k, j) for j, k in _axes_through(self.views, self.to))


def _seen(views: Views, x: Array) -> Array:
    for view in views:
        x = view(x)
    return x


def _through(views: Views, shape: Shape) -> tuple[str | None, Shape]:
    """What the views have against such an array, if something; else, the shape that they show of it."""
    for view in views:
        if wrong := view.misfit(shape):
            return wrong, shape
        shape = view.shape(shape)
    return None, shape


def _axes_through(views: Views, shape: Shape) -> Iterable[tuple[int, int]]:
    """Which axes of what the views show are which of what they see."""
    known = {k: k for k in range(len(shape))}
    for view in views:
        after = view.shape(shape)
        known = {k: known[j] for k, j in view.same_axes(shape, after) if j in known}
        shape = after
    return known.items()
