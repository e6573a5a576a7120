"""Reductions by summing. Axes are normalised to negative numbers here, before anything is bound."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.domain import Sample, reals
from tinymeta.engine.errors import ShapeError, user_site
from tinymeta.engine.long_sums import is_long
from tinymeta.engine.options import wholes
from tinymeta.engine.primitive import Primitive, bind
from tinymeta.engine.structure import astype, reshape
from tinymeta.engine.tensor import Array, ArrayLike, Tensor
from tinymeta.engine.typing import Axis, Function, Shape
from tinymeta.ops.elementwise import square
from tinymeta.ops.select import abs, where
from tinymeta.ops.widen import squarable

_add_up: Function = np.add.reduce


def normalized(axis: Axis, ndim: int) -> tuple[int, ...]:
    """The axes as sorted negative numbers; None means all of them."""
    return _normalized(axis if axis is None or type(axis) is int else wholes(axis, "axis"), ndim)


@lru_cache(maxsize=4096)
def _normalized(axis: int | tuple[int, ...] | None, ndim: int) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(-ndim, 0))
    axes = (axis,) if isinstance(axis, int) else axis
    found = tuple(sorted({a - ndim if a >= 0 else a for a in axes}))
    if len(found) != len(axes) or any(not -ndim <= a < 0 for a in found):
        raise ShapeError(f"axis {axis} does not name distinct axes of an array of {ndim} axes ({user_site()})")
    return found


def with_axes(shape: Shape, axes: tuple[int, ...], ndim: int) -> Shape:
    """`shape` with size-1 axes put back where a reduction over `axes` of `ndim` axes dropped them."""
    rest = iter(shape)
    return tuple([1 if a in axes else next(rest) for a in range(-ndim, 0)])


def keep_axes(x: Tensor, axes: tuple[int, ...], ndim: int) -> Tensor:
    """`x` with the size-1 axes of `with_axes`."""
    return bind(reshape, x, shape=with_axes(x.shape, axes, ndim), ndim=x.ndim)


def _kept(x: Array, axes: tuple[int, ...]) -> list[int]:
    """The sizes of the other axes."""
    return [n for i, n in enumerate(x.shape) if i - x.ndim not in axes]


class sum_axes(Primitive):
    """y = Σ x / count over the axes (`count` makes it a mean),   dy = Σ dx / count."""

    @staticmethod
    def kernel(x: Array, axes: tuple[int, ...], keepdims: bool, count: float) -> Array:
        total: Array = _add_up(x, axis=axes, keepdims=keepdims)
        return total if count == 1 else total / count

    @staticmethod
    def reference(x: Array, axes: tuple[int, ...], keepdims: bool, count: float) -> Array:
        rows = np.moveaxis(x, axes, range(-len(axes), 0)).reshape(*_kept(x, axes), math.prod(x.shape[a] for a in axes))
        total = np.einsum("...i->...", rows) / count
        return np.expand_dims(total, axes) if keepdims else np.asarray(total)

    domain, kinks = (reals(-2, 2),), ()
    samples = (
        Sample(((2, 3, 2),), {"axes": (-3, -1), "keepdims": False, "count": 1}),
        Sample(((2, 3),), {"axes": (-1,), "keepdims": True, "count": 3}),
        Sample(((3,),), {"axes": (-1,), "keepdims": False, "count": 2.5}),
    )
    vjp = lambda g, y, x, axes, keepdims, count: bind(
        repeat_axes, g, axes=axes, shape=x.shape, keepdims=keepdims, count=count
    )


class repeat_axes(Primitive):
    """y = x / count, the same all along the axes, for a result of `shape`: the adjoint of `sum_axes`."""

    @staticmethod
    def kernel(x: Array, axes: tuple[int, ...], shape: tuple[int, ...], keepdims: bool, count: float) -> Array:
        visible = len(shape) if keepdims else len(shape) - len(axes)
        hidden = x.shape[: x.ndim - visible]
        x = x if count == 1 else x / count
        if not keepdims:
            x = x.reshape(hidden + with_axes(x.shape[len(hidden) :], axes, len(shape)))
        return np.broadcast_to(x, hidden + shape)

    @staticmethod
    def reference(x: Array, axes: tuple[int, ...], shape: tuple[int, ...], keepdims: bool, count: float) -> Array:
        x = x if keepdims else np.expand_dims(x, axes)
        for axis in axes:
            x = np.repeat(x, shape[axis], axis)
        return x / count

    domain, kinks = (reals(-2, 2),), ()
    samples = (
        Sample(((3,),), {"axes": (-3, -1), "shape": (2, 3, 2), "keepdims": False, "count": 1}),
        Sample(((2, 1),), {"axes": (-1,), "shape": (2, 3), "keepdims": True, "count": 3}),
    )
    vjp = lambda g, y, x, axes, shape, keepdims, count: _along(sum_axes, g, axes, keepdims=keepdims, count=count)


class norm_axes(Primitive):
    """y = √(Σ |x|²) over the axes,   dy = Σ x dx / y;   at y = 0 all derivatives are taken as 0."""

    @staticmethod
    def kernel(x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
        x = np.abs(x) if x.dtype.kind in "fc" else np.abs(x.astype(float))
        with np.errstate(over="ignore"):
            total = _add_up(x * x, axis=axes, keepdims=True)
        info = np.finfo(x.dtype)
        exact = not total.size or (info.tiny / info.eps < total.min() and total.max() < np.inf)
        length = np.sqrt(total) if exact else _scaled_length(x, axes)
        return length if keepdims else length.reshape(_kept(x, axes))

    @staticmethod
    def reference(x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
        rows = np.moveaxis(x, axes, range(-len(axes), 0)).reshape(*_kept(x, axes), math.prod(x.shape[a] for a in axes))
        length = np.sqrt(np.einsum("...i,...i", rows, rows))
        return np.expand_dims(length, axes) if keepdims else np.asarray(length)

    domain, kinks = (reals(-2, 2),), ()
    samples = (
        Sample(((2, 3, 2),), {"axes": (-3, -1), "keepdims": False}),
        Sample(((2, 3),), {"axes": (-1,), "keepdims": True}),
    )

    @staticmethod
    def vjp(g: Tensor, y: Tensor, x: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
        slope = where(y == 0, 0, g / where(y == 0, 1, y))
        return x * bind(repeat_axes, slope, axes=axes, shape=x.shape, keepdims=keepdims, count=1)


def _scaled_length(x: Array, axes: tuple[int, ...]) -> Array:
    """√Σ x² of x ≥ 0 where the squares overflow or vanish: m √Σ (x/m)² with m the largest x."""
    largest = np.max(x, axis=axes, keepdims=True, initial=0)
    m = np.where((largest > 0) & np.isfinite(largest), largest, np.ones((), x.dtype))
    length: Array = m * np.sqrt(_add_up(np.square(x / m), axis=axes, keepdims=True))
    return length


def sum(x: ArrayLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Σ x over `axis` (an int, a tuple of ints, or all axes if None); booleans and small integers add up as int64.

    Shapes: (…) → (…) without the axes, or with size 1 in their place if `keepdims`.
    Raises: ShapeError for an axis that x lacks, or one named twice: `tm.sum([1, 2], axis=1)`.

    >>> tm.sum([[1.0, 2.0], [3.0, 4.0]], axis=0)
    tensor([4., 6.])
    """
    return _summed(x, axis, keepdims, False)


def mean(x: ArrayLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean over `axis` (all axes if None); NaN over no elements, as in NumPy.

    Shapes: (…) → (…) without the axes, or with size 1 in their place if `keepdims`.
    Raises: ShapeError for an axis that x lacks, or one named twice: `tm.mean([1, 2], axis=1)`.

    >>> tm.mean([[1.0, 2.0], [3.0, 4.0]], axis=-1, keepdims=True)
    tensor([[1.5],
            [3.5]])
    """
    return _summed(x, axis, keepdims, True)


def _summed(x: ArrayLike, axis: Axis, keepdims: bool, divided: bool) -> Tensor:
    if type(x) is not Tensor:
        x = as_tensor(x)
    shape = x.shape
    axes = normalized(axis, len(shape))
    count = (math.prod([shape[a] for a in axes]) or math.nan) if divided else 1
    whole = x.array.dtype.kind in "biu"
    if whole and divided:  # a sum of large integers would wrap around
        x = astype(x, dtype=np.dtype(float))
    if divided and x.dtype == np.float16:  # likewise: 65504 is its largest number
        return astype(_summed(astype(x, dtype=np.dtype(np.float32)), axis, keepdims, True), dtype=np.dtype(np.float16))
    if not axes and not divided and not whole:
        return x
    return _along(sum_axes, x, axes, keepdims=keepdims, count=count)


def _along(primitive: type[Primitive], x: Tensor, axes: tuple[int, ...], **static: object) -> Tensor:
    """A sum or a norm over the axes, of many numbers in float64."""
    if is_long(x, axes):
        return astype(_along(primitive, astype(x, dtype=np.dtype(float)), axes, **static), dtype=x.dtype)
    return bind(primitive, x, axes=axes, **static)


def norm(x: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    """√(Σ |x|²) over the axes."""
    return _along(norm_axes, x, axes, keepdims=keepdims)


def var(x: ArrayLike, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Tensor:
    """The mean of |x − m|² for the mean m, divided by `count − correction` in place of `count`.

    NaN where that is not positive; of complex numbers a real one.

    Shapes: (…) → (…) without the axes, or with size 1 in their place if `keepdims`.
    Raises: ShapeError for an axis that x lacks, or one named twice: `tm.var([1, 2], axis=1)`.

    >>> tm.var([1.0, 2.0, 3.0]), tm.var([1.0, 2.0, 3.0], correction=1)
    (tensor(0.6667), tensor(1.))
    """
    x, axes, count = _deviations(x, axis, correction)
    if x.dtype.kind == "c":
        x = abs(x)
    y = _along(sum_axes, square(squarable(x)), axes, keepdims=keepdims, count=count)
    return astype(y, dtype=x.dtype) if y.dtype != x.dtype else y


def std(x: ArrayLike, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Tensor:
    """The square root of `var`. Where that is 0 all derivatives are taken as 0, as for a norm.

    Shapes: (…) → (…) without the axes, or with size 1 in their place if `keepdims`.
    Raises: ShapeError for an axis that x lacks, or one named twice: `tm.std([1, 2], axis=1)`.

    >>> tm.std([1.0, 2.0, 3.0], correction=1)
    tensor(1.)
    """
    x, axes, count = _deviations(x, axis, correction)
    return norm(x, axes, keepdims) * (1 / math.sqrt(count))


def _deviations(x: ArrayLike, axis: Axis, correction: float) -> tuple[Tensor, tuple[int, ...], float]:
    x = as_tensor(x)
    axes = normalized(axis, x.ndim)
    count = math.prod([x.shape[a] for a in axes]) - correction
    return x - mean(x, axes, True), axes, count if count > 0 else math.nan
