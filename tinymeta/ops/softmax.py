"""The softmax family, stable because the maximum is subtracted first."""

from __future__ import annotations

import numpy as np

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.domain import Sample, reals
from tinymeta.engine.primitive import Primitive, bind
from tinymeta.engine.tensor import Array, ArrayLike, Tensor
from tinymeta.ops.elementwise import exp, scale
from tinymeta.ops.reduce import Axis, keep_axes, normalized, repeat_axes, sum
from tinymeta.ops.select import where

_samples = (Sample(((2, 3),), {"axis": -1}), Sample(((3, 2),), {"axis": -2}))


def _shifted(x: Array, axis: int) -> Array:
    """x less its maximum, which is taken as 0 where it is infinite or there is none."""
    top = np.max(np.real(x), axis=axis, keepdims=True, initial=-np.inf)
    shifted: Array = x - np.where(np.isfinite(top), top, 0).astype(top.dtype)
    return shifted


class softmax_axis(Primitive):
    """y = eˣ / Σ eˣ,   dy = y (dx − Σ y dx)."""

    @staticmethod
    def kernel(x: Array, axis: int) -> Array:
        e = np.exp(_shifted(x, axis))
        y: Array = e / np.sum(e, axis=axis, keepdims=True)
        return y

    @staticmethod
    def reference(x: Array, axis: int) -> Array:
        differences = np.expand_dims(np.moveaxis(x, axis, -1), -2) - np.expand_dims(np.moveaxis(x, axis, -1), -1)
        return np.moveaxis(1 / np.sum(np.exp(differences), -1), -1, axis)

    domain, kinks = (reals(-3, 3),), ()
    samples = _samples

    @staticmethod
    def vjp(g: Tensor, y: Tensor, x: Tensor, axis: int) -> Tensor:
        weighted = scale(g, y)
        return weighted - y * sum(weighted, axis, keepdims=True)


class log_softmax_axis(Primitive):
    """y = x − log Σ eˣ,   dy = dx − Σ softmax(x) dx."""

    @staticmethod
    def kernel(x: Array, axis: int) -> Array:
        shifted = _shifted(x, axis)
        y: Array = shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))
        return y

    reference = staticmethod(lambda x, axis: np.log(softmax_axis.reference(x, axis)))
    domain, kinks = (reals(-3, 3),), ()
    samples = _samples
    vjp = lambda g, y, x, axis: g - exp(y) * sum(g, axis, keepdims=True)


class logsumexp_axes(Primitive):
    """y = log Σ eˣ over the axes,   dy = Σ e^(x−y) dx;   where all x are −∞, so is y, and the derivative is 0."""

    @staticmethod
    def kernel(x: Array, axes: tuple[int, ...]) -> Array:
        top = np.max(np.real(x), axis=axes, keepdims=True, initial=-np.inf)
        top = np.where(np.isfinite(top), top, 0).astype(top.dtype)
        with np.errstate(divide="ignore"):  # log 0 = −∞ is meant
            y: Array = np.log(np.sum(np.exp(x - top), axis=axes)) + np.squeeze(top, axes)
        return y

    reference = staticmethod(lambda x, axes: np.log(np.sum(np.exp(x), axis=axes)))
    domain, kinks = (reals(-3, 3),), ()
    samples = (Sample(((2, 3, 2),), {"axes": (-3, -1)}), Sample(((3,),), {"axes": (-1,)}))

    @staticmethod
    def vjp(g: Tensor, y: Tensor, x: Tensor, axes: tuple[int, ...]) -> Tensor:
        def repeated(t: Tensor) -> Tensor:
            return bind(repeat_axes, t, axes=axes, shape=x.shape, keepdims=False, count=1)  # type: ignore[no-any-return]

        return scale(repeated(g), exp(x - repeated(where(y == -np.inf, 0, y))))


def softmax(x: ArrayLike, axis: int = -1) -> Tensor:
    """Positive numbers that add to 1 along `axis`: eˣ / Σ eˣ."""
    x = as_tensor(x)
    return bind(softmax_axis, x, axis=normalized(axis, x.ndim)[0])  # type: ignore[no-any-return]


def log_softmax(x: ArrayLike, axis: int = -1) -> Tensor:
    """The logarithm of `softmax`, without its underflow."""
    x = as_tensor(x)
    return bind(log_softmax_axis, x, axis=normalized(axis, x.ndim)[0])  # type: ignore[no-any-return]


def logsumexp(x: ArrayLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """log Σ eˣ over `axis` (all axes if None), without overflow; −∞ over no elements or where all are −∞."""
    x = as_tensor(x)
    axes = normalized(axis, x.ndim)
    y: Tensor = bind(logsumexp_axes, x, axes=axes) if axes else x
    return keep_axes(y, axes, x.ndim) if keepdims else y
