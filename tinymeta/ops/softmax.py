"""The softmax family, stable by subtracting the maximum."""

from __future__ import annotations

import numpy as np

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.domain import reals
from tinymeta.engine.primitive import Primitive, bind
from tinymeta.engine.tensor import Array, ArrayLike, Tensor
from tinymeta.ops.elementwise import exp, scale
from tinymeta.ops.reduce import normalized, sum


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

    reference = kernel
    domain, kinks = (reals(-3, 3),), ()

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

    reference = kernel
    domain, kinks = (reals(-3, 3),), ()
    vjp = lambda g, y, x, axis: g - exp(y) * sum(g, axis, keepdims=True)


def softmax(x: ArrayLike, axis: int = -1) -> Tensor:
    """Positive numbers that add to 1 along `axis`: eˣ / Σ eˣ."""
    x = as_tensor(x)
    return bind(softmax_axis, x, axis=normalized(axis, x.ndim)[0])  # type: ignore[no-any-return]


def log_softmax(x: ArrayLike, axis: int = -1) -> Tensor:
    """The logarithm of `softmax`, without its underflow."""
    x = as_tensor(x)
    return bind(log_softmax_axis, x, axis=normalized(axis, x.ndim)[0])  # type: ignore[no-any-return]
