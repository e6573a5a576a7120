"""Largest and smallest elements. Of equal ones the first counts, in row-major order, at every order of derivative."""

from __future__ import annotations

import math

import numpy as np

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.domain import Kink, Sample, reals
from tinymeta.engine.primitive import Primitive, bind
from tinymeta.engine.tensor import Array, ArrayLike, Tensor
from tinymeta.engine.typing import Axis, Function
from tinymeta.ops.reduce import keep_axes, normalized, repeat_axes
from tinymeta.ops.select import where
from tinymeta.ops.shape import reshape

Axes = tuple[int, ...]

_any = (reals(-2, 2),)
_samples = (Sample(((2, 3, 2),), {"axes": (-3, -1)}), Sample(((4,),), {"axes": (-1,)}))


def _first(x: Array, axes: Axes, arg: Function) -> Array:
    """True at the first extremum over the axes, False elsewhere; of complex numbers the real parts count."""
    n = len(axes)
    rows = np.moveaxis(np.real(x), axes, range(-n, 0))
    flat = rows.reshape(*rows.shape[: rows.ndim - n], math.prod(rows.shape[rows.ndim - n :]))
    mask: Array = np.arange(flat.shape[-1]) == np.expand_dims(arg(flat, axis=-1), -1)
    return np.moveaxis(mask.reshape(rows.shape), range(-n, 0), axes)


def _value(x: Array, axes: Axes, arg: Function) -> Array:
    """The first extremum, picked by its place: unlike a comparison, this follows a complex step."""
    y: Array = np.sum(np.where(_first(x, axes, arg), x, 0), axis=axes)
    return y


def _found(x: Array, axes: Axes, best: Function) -> Array:
    """The same by comparison, for the oracle: True where the extremum (or a NaN) is, and none was before."""
    n = len(axes)
    rows = np.moveaxis(np.real(x), axes, range(-n, 0))
    flat = rows.reshape(*rows.shape[: rows.ndim - n], -1)
    top = best(flat, axis=-1, keepdims=True)
    hits = (flat == top) | (np.isnan(top) & np.isnan(flat))
    return np.moveaxis((hits & (np.cumsum(hits, -1) == 1)).reshape(rows.shape), range(-n, 0), axes)


def _place(x: Array, axis: int, best: Function) -> Array:
    """The position of the one True along the axis."""
    places: Array = np.moveaxis(_found(x, (axis,), best), axis, -1) @ np.arange(x.shape[axis])
    return places


class first_max(Primitive):
    """Where the first maximum over the axes is: a boolean array like x. A NaN counts as the maximum."""

    kernel = staticmethod(lambda x, axes: _first(x, axes, np.argmax))
    reference = staticmethod(lambda x, axes: _found(x, axes, np.max))
    domain, kinks, samples, vjp = _any, (), _samples, None


class first_min(Primitive):
    """Where the first minimum over the axes is: a boolean array like x. A NaN counts as the minimum."""

    kernel = staticmethod(lambda x, axes: _first(x, axes, np.argmin))
    reference = staticmethod(lambda x, axes: _found(x, axes, np.min))
    domain, kinks, samples, vjp = _any, (), _samples, None


class max_axes(Primitive):
    """y = max x over the axes,   dy = dx at the first maximum."""

    kernel = staticmethod(lambda x, axes: np.maximum.reduce(x, axis=axes))
    reference = staticmethod(lambda x, axes: _value(x, axes, np.argmax))
    domain, samples = _any, _samples
    kinks = (Kink(((1.0, 1.0, 0.0),), ((1.0, 0.0, 0.0),), "the first maximum", {"axes": (-1,)}),)
    vjp = lambda g, y, x, axes: where(bind(first_max, x, axes=axes), _repeated(g, x, axes), 0)


class min_axes(Primitive):
    """y = min x over the axes,   dy = dx at the first minimum."""

    kernel = staticmethod(lambda x, axes: np.minimum.reduce(x, axis=axes))
    reference = staticmethod(lambda x, axes: _value(x, axes, np.argmin))
    domain, samples = _any, _samples
    kinks = (Kink(((0.0, 0.0, 1.0),), ((1.0, 0.0, 0.0),), "the first minimum", {"axes": (-1,)}),)
    vjp = lambda g, y, x, axes: where(bind(first_min, x, axes=axes), _repeated(g, x, axes), 0)


class argmax_axis(Primitive):
    """Index of the first maximum along one axis."""

    kernel = staticmethod(lambda x, axis: np.argmax(x, axis=axis))
    reference = staticmethod(lambda x, axis: _place(x, axis, np.max))
    domain, kinks, vjp = _any, (), None
    samples = (Sample(((2, 3),), {"axis": -2}),)


class argmin_axis(Primitive):
    """Index of the first minimum along one axis."""

    kernel = staticmethod(lambda x, axis: np.argmin(x, axis=axis))
    reference = staticmethod(lambda x, axis: _place(x, axis, np.min))
    domain, kinks, vjp = _any, (), None
    samples = (Sample(((2, 3),), {"axis": -2}),)


def max(x: ArrayLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest element over `axis` (an int, a tuple of ints, or all axes if None); NaN if there is one.

    Of several largest the first, in row-major order, has the gradient.

    Shapes: (…) → (…) without the axes, or with size 1 in their place if `keepdims`.
    Raises: ShapeError for an axis that x lacks, and over no elements: `tm.max([])`.

    >>> tm.max([[1.0, 5.0], [4.0, 2.0]], axis=1)
    tensor([5., 4.])
    """
    return _extremum(max_axes, x, axis, keepdims)


def min(x: ArrayLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The smallest element over `axis` (an int, a tuple of ints, or all axes if None); NaN if there is one.

    Of several smallest the first, in row-major order, has the gradient.

    Shapes: (…) → (…) without the axes, or with size 1 in their place if `keepdims`.
    Raises: ShapeError for an axis that x lacks, and over no elements: `tm.min([])`.

    >>> tm.min([[1.0, 5.0], [4.0, 2.0]], axis=1)
    tensor([1., 2.])
    """
    return _extremum(min_axes, x, axis, keepdims)


def argmax(x: ArrayLike, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Index of the first maximum along `axis` (of the flattened array if None). It has no gradient.

    Shapes: (…) → (…) without the axis, or with size 1 in its place if `keepdims`; int64.
    Raises: ShapeError for an axis that x lacks, and over no elements: `tm.argmax([])`.

    >>> tm.argmax([[1.0, 5.0], [4.0, 2.0]], axis=1)
    tensor([1, 0])
    """
    return _index(argmax_axis, x, axis, keepdims)


def argmin(x: ArrayLike, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Index of the first minimum along `axis` (of the flattened array if None). It has no gradient.

    Shapes: (…) → (…) without the axis, or with size 1 in its place if `keepdims`; int64.
    Raises: ShapeError for an axis that x lacks, and over no elements: `tm.argmin([])`.

    >>> tm.argmin([[1.0, 5.0], [4.0, 2.0]], axis=1)
    tensor([0, 1])
    """
    return _index(argmin_axis, x, axis, keepdims)


def _extremum(primitive: type[Primitive], x: ArrayLike, axis: Axis, keepdims: bool) -> Tensor:
    x = as_tensor(x)
    axes = normalized(axis, x.ndim)
    y = bind(primitive, x, axes=axes) if axes else x
    return keep_axes(y, axes, x.ndim) if keepdims else y


def _index(primitive: type[Primitive], x: ArrayLike, axis: int | None, keepdims: bool) -> Tensor:
    x = as_tensor(x)
    axes = normalized(axis, x.ndim)
    flat = reshape(x, (x.size,)) if axis is None else x
    y = bind(primitive, flat, axis=-1 if axis is None else axes[0])
    return keep_axes(y, axes, x.ndim) if keepdims else y


def _repeated(g: Tensor, x: Tensor, axes: Axes) -> Tensor:
    return bind(repeat_axes, g, axes=axes, shape=x.shape, keepdims=False, count=1)
