"""The softmax family, stable because the maximum is subtracted first, and exact however sure it is.

Where one probability is nearly 1, its distance from 1 is the sum of the others, and not a difference: the logarithm
of the sum of exponentials is log1p of those below the maximum, and slopes, which add up to 0 along the axis, take
the one of a probability above ½ from the rest.
"""

from __future__ import annotations

import numpy as np

from tinymeta.engine.domain import Sample, reals
from tinymeta.engine.primitive import Primitive, bind
from tinymeta.engine.tensor import Array, ArrayLike, Tensor
from tinymeta.engine.typing import Axis
from tinymeta.ops.elementwise import exp, log1p, scale
from tinymeta.ops.extrema import max
from tinymeta.ops.reduce import keep_axes, normalized, repeat_axes, sum
from tinymeta.ops.select import abs, where
from tinymeta.ops.shape import permute_dims, reshape
from tinymeta.ops.widen import floating

_samples = (Sample(((2, 3),), {"axis": -1}), Sample(((3, 2),), {"axis": -2}))


def _shifted(x: Array, axis: int) -> Array:
    """x less its maximum, which is taken as 0 where it is infinite or there is none."""
    top = np.max(np.real(x), axis=axis, keepdims=True, initial=-np.inf)
    shifted: Array = x - np.where(np.isfinite(top), top, 0).astype(top.dtype)
    return shifted


def _log_sum(shifted: Array, axes: int | tuple[int, ...]) -> Array:
    """log Σ e^shifted, in which each 0 counts as a 1 and log1p takes the first of them: −∞ if there is nothing."""
    tops = shifted == 0
    others = np.sum(np.where(tops, 0, np.exp(shifted)), axis=axes, keepdims=True)
    with np.errstate(divide="ignore"):  # log 0 = −∞ is meant
        total: Array = np.log1p(others + (np.sum(tops, axis=axes, keepdims=True) - 1).astype(others.dtype))
    return total


def _less_its_top(x: Tensor, axis: int) -> Tensor:
    """`_shifted` in operations."""
    top = max(x, axis, keepdims=True)
    return x - where(abs(top) < np.inf, top, 0)


def balanced(slopes: Tensor, p: Tensor, axis: int) -> Tensor:
    """`slopes`, which add up to 0 along the axis, with that of a probability above ½ taken from the others."""
    sure = p > 0.5
    return where(sure, -sum(where(sure, 0, slopes), axis, keepdims=True), slopes)


class softmax_axis(Primitive):
    """y = eˣ / Σ eˣ,   dy = y (dx − Σ y dx)."""

    @staticmethod
    def kernel(x: Array, axis: int) -> Array:
        e = np.exp(_shifted(x, axis))
        y: Array = e / np.sum(e, axis=axis, keepdims=True)
        return y

    @staticmethod
    def plain(x: Tensor, axis: int) -> Tensor:
        e = exp(_less_its_top(x, axis))
        return e / sum(e, axis, keepdims=True)

    domain, kinks = (reals(-3, 3),), ()
    samples = _samples

    @staticmethod
    def vjp(g: Tensor, y: Tensor, x: Tensor, axis: int) -> Tensor:
        weighted = scale(g, y)
        return balanced(weighted - y * sum(weighted, axis, keepdims=True), y, axis)


class log_softmax_axis(Primitive):
    """y = x − log Σ eˣ,   dy = dx − Σ softmax(x) dx."""

    @staticmethod
    def kernel(x: Array, axis: int) -> Array:
        shifted = _shifted(x, axis)
        y: Array = shifted - _log_sum(shifted, axis)
        return y

    @staticmethod
    def plain(x: Tensor, axis: int) -> Tensor:
        shifted = _less_its_top(x, axis)
        tops = shifted == 0
        others = sum(where(tops, 0, exp(shifted)), axis, keepdims=True)
        ones = sum(where(tops, np.ones((), x.dtype), 0), axis, keepdims=True)
        return shifted - log1p(others + (ones - 1))

    domain, kinks = (reals(-3, 3),), ()
    samples = _samples

    @staticmethod
    def vjp(g: Tensor, y: Tensor, x: Tensor, axis: int) -> Tensor:
        p = exp(y)
        return balanced(g - p * sum(g, axis, keepdims=True), p, axis)


class logsumexp_axes(Primitive):
    """y = log Σ eˣ over the axes,   dy = Σ e^(x−y) dx;   where all x are −∞, so is y, and the derivative is 0."""

    @staticmethod
    def kernel(x: Array, axes: tuple[int, ...]) -> Array:
        top = np.max(np.real(x), axis=axes, keepdims=True, initial=-np.inf)
        top = np.where(np.isfinite(top), top, 0).astype(top.dtype)
        y: Array = np.squeeze(top + _log_sum(x - top, axes), axes)
        return y

    reference = staticmethod(lambda x, axes: np.log(np.sum(np.exp(x), axis=axes)))
    domain, kinks = (reals(-3, 3),), ()
    samples = (Sample(((2, 3, 2),), {"axes": (-3, -1)}), Sample(((3,),), {"axes": (-1,)}))

    @staticmethod
    def vjp(g: Tensor, y: Tensor, x: Tensor, axes: tuple[int, ...]) -> Tensor:
        def repeated(t: Tensor) -> Tensor:
            return bind(repeat_axes, t, axes=axes, shape=x.shape, keepdims=False, count=1)

        nothing = repeated(y == -np.inf)
        p = _softmax_over(where(nothing, 0, x), axes)
        return scale(repeated(g), where(nothing, 0, p))


def _softmax_over(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """eˣ / Σ eˣ over several axes, as over one that holds them all."""
    if len(axes) == 1:
        return bind(softmax_axis, x, axis=axes[0])
    order = [*(a for a in range(-x.ndim, 0) if a not in axes), *axes]
    rows = permute_dims(x, order)
    y = bind(softmax_axis, reshape(rows, (*rows.shape[: -len(axes)], -1)), axis=-1)
    return permute_dims(reshape(y, rows.shape), [order.index(a) for a in range(-x.ndim, 0)])


def softmax(x: ArrayLike, axis: int = -1) -> Tensor:
    """Positive numbers that add to 1 along `axis`: eˣ / Σ eˣ.

    Shapes: (…, n, …) → the same; integers give float64.
    Raises: ShapeError for an axis that x lacks: `tm.softmax(1.0)`.

    >>> tm.softmax([0.0, 1.0, 1000.0])
    tensor([0., 0., 1.])
    """
    x = floating(x)
    return bind(softmax_axis, x, axis=normalized(axis, x.ndim)[0])


def log_softmax(x: ArrayLike, axis: int = -1) -> Tensor:
    """The logarithm of `softmax`, without its underflow: x − log Σ eˣ.

    Shapes: (…, n, …) → the same; integers give float64.
    Raises: ShapeError for an axis that x lacks: `tm.log_softmax(1.0)`.

    >>> tm.log_softmax([0.0, 1.0, 1000.0])
    tensor([-1000.,  -999.,     0.])
    """
    x = floating(x)
    return bind(log_softmax_axis, x, axis=normalized(axis, x.ndim)[0])


def logsumexp(x: ArrayLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """log Σ eˣ over `axis` (all axes if None), without overflow; −∞ over no elements or where all are −∞.

    Shapes: (…) → (…) without the axes, or with size 1 in their place if `keepdims`.
    Raises: ShapeError for an axis that x lacks: `tm.logsumexp(1.0, axis=0)`.

    >>> tm.logsumexp([1000.0, 1000.0])
    tensor(1000.6931)
    """
    x = floating(x)
    axes = normalized(axis, x.ndim)
    y = bind(logsumexp_axes, x, axes=axes) if axes else x
    return keep_axes(y, axes, x.ndim) if keepdims else y
