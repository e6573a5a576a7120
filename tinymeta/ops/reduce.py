"""Reductions. Axes are normalised to negative numbers here, before anything is bound."""

from __future__ import annotations

import numpy as np

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.domain import reals
from tinymeta.engine.errors import ShapeError, user_site
from tinymeta.engine.primitive import Primitive, bind
from tinymeta.engine.structure import broadcast
from tinymeta.engine.tensor import ArrayLike, Tensor
from tinymeta.ops.elementwise import sqrt, square

Axis = int | tuple[int, ...] | None


def normalized(axis: Axis, ndim: int) -> tuple[int, ...]:
    """The axes as sorted negative numbers; None means all of them."""
    if axis is None:
        return tuple(range(-ndim, 0))
    axes = (axis,) if isinstance(axis, (int, np.integer)) else tuple(axis)
    found = tuple(sorted({int(a) - ndim if a >= 0 else int(a) for a in axes}))
    if len(found) != len(axes) or any(not -ndim <= a < 0 for a in found):
        raise ShapeError(f"axis {axis} does not name distinct axes of an array of {ndim} axes ({user_site()})")
    return found


def keep_axes(x: Tensor, axes: tuple[int, ...], ndim: int) -> Tensor:
    """`x` with size-1 axes put back where a reduction over `axes` of an `ndim`-dimensional array dropped them."""
    shape = list(x.shape)
    for a in axes:
        shape.insert(a + ndim, 1)
    return x.reshape(tuple(shape))  # type: ignore[no-any-return]


class sum_axes(Primitive):
    """y = Σ x over the axes,   dy = Σ dx."""

    kernel = reference = staticmethod(lambda x, axes: np.add.reduce(x, axis=axes))
    domain, kinks = (reals(-2, 2),), ()
    vjp = lambda g, y, x, axes: broadcast(keep_axes(g, axes, x.ndim), x.shape)


class argmax_axis(Primitive):
    """Index of the first maximum along one axis."""

    kernel = staticmethod(lambda x, axis: np.argmax(x, axis=axis))
    reference = staticmethod(lambda x, axis: np.argmax(np.real(x), axis=axis))
    domain, kinks, vjp = (reals(-2, 2),), (), None


def sum(x: ArrayLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Σ x over `axis` (all axes if None)."""
    x = as_tensor(x)
    axes = normalized(axis, x.ndim)
    if not axes:
        return x
    y: Tensor = bind(sum_axes, x, axes=axes)
    return keep_axes(y, axes, x.ndim) if keepdims else y


def mean(x: ArrayLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean over `axis` (all axes if None); NaN over no elements, as in NumPy."""
    x = as_tensor(x)
    count = int(np.prod([x.shape[a] for a in normalized(axis, x.ndim)], dtype=np.int64))
    return sum(x, axis, keepdims) * (1.0 / count if count else np.nan)


def var(x: ArrayLike, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Tensor:
    """The mean squared deviation from the mean, divided by `count − correction` in place of `count`."""
    x = as_tensor(x)
    count = int(np.prod([x.shape[a] for a in normalized(axis, x.ndim)], dtype=np.int64))
    return sum(square(x - mean(x, axis, keepdims=True)), axis, keepdims) * (1.0 / (count - correction))


def std(x: ArrayLike, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Tensor:
    """The square root of `var`."""
    return sqrt(var(x, axis, correction, keepdims))


def argmax(x: ArrayLike, axis: int | None = None) -> Tensor:
    """Index of the first maximum along `axis` (of the flattened array if None). No gradient."""
    x = as_tensor(x)
    if axis is None:
        return argmax(x.reshape((-1,)), 0)
    return bind(argmax_axis, x, axis=normalized(axis, x.ndim)[0])  # type: ignore[no-any-return]
