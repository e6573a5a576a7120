"""The logistic function and its relatives, each exact in its tails: the relative error stays that of the dtype.

    σ(x) = 1/(1 + e⁻ˣ)                       d σ      = s dx
    s(x) = σ(x) σ(−x), the logistic density  d s      = −s tanh(x/2) dx
    tanh x = 2σ(2x) − 1                      d tanh   = dx/cosh² x
    log(1 + eˣ)                              d        = σ(x) dx

Written as y(1 − y) or 1 − y², a slope far out would be a difference of nearly equal numbers, and from x = 20 on a
zero. With e = e^−|x|, which overflows nowhere, all of them are sums and quotients of positive numbers. (Plain forms
take −1·x for −x: NumPy's loop of products begins sooner than that of negatives, which short rows feel.)
"""

from __future__ import annotations

import numpy as np

from tinymeta.engine.domain import reals
from tinymeta.engine.primitive import Primitive
from tinymeta.engine.tensor import Array, ArrayLike, Tensor
from tinymeta.ops.elementwise import exp, negative, scale, square
from tinymeta.ops.select import where
from tinymeta.ops.trigonometry import cosh
from tinymeta.ops.widen import floating


def _floating(x: Array) -> Array:
    return x.astype(np.float64) if x.dtype.kind in "iub" else x


def _decay(x: Array) -> Array:
    """e^−|x|, of integers and booleans in float64; of a complex number with the sign of its real part."""
    x = _floating(x)
    decay: Array = np.exp(-np.abs(x) if x.dtype.kind != "c" else np.where(np.real(x) < 0, x, -x))
    return decay


class sigmoid(Primitive):
    """y = 1/(1 + e⁻ˣ),   dy = y (1 − y) dx, in which 1 − y = σ(−x).

    Shapes: any → the same; integers give float64.

    >>> tm.sigmoid([-2.0, 0.0, 2.0])
    tensor([0.1192, 0.5   , 0.8808])
    """

    @staticmethod
    def kernel(x: Array) -> Array:
        e = _decay(x)
        y: Array = np.where(np.real(x) < 0, e, np.ones((), e.dtype)) / (1 + e)
        return y

    plain = lambda x: 1 / (1 + exp(-1 * x))  # 0 where only numbers below the normal ones would be nearer
    domain, kinks = (reals(-6, 6),), ()
    vjp = lambda g, y, x: scale(g, logistic_density(x))


class logistic_density(Primitive):
    """y = σ(x) σ(−x) = 1/(2 + eˣ + e⁻ˣ),   dy = −y tanh(x/2) dx."""

    @staticmethod
    def kernel(x: Array) -> Array:
        e = _decay(x)
        y: Array = e / np.square(1 + e)
        return y

    plain = lambda x: scale(exp(-1 * x), sigmoid(x)) * sigmoid(x)  # ∞ · 0 = 0
    domain, kinks = (reals(-6, 6),), ()
    vjp = lambda g, y, x: scale(g, -y * tanh(0.5 * x))


class tanh(Primitive):
    """y = tanh x,   dy = (1 − y²) dx = dx/cosh² x.

    Shapes: any → the same.

    >>> tm.tanh([0.0, 1.0])
    tensor([0.    , 0.7616])
    """

    kernel = reference = np.tanh
    domain, kinks = (reals(-4, 4),), ()
    vjp = lambda g, y, x: scale(g, tanh_slope(x))


class tanh_slope(Primitive):
    """y = 1/cosh² x = 1 − tanh² x,   dy = −2 y tanh x dx."""

    @staticmethod
    def kernel(x: Array) -> Array:
        with np.errstate(over="ignore"):  # then it is 0
            y: Array = np.square(1 / np.cosh(x))
        return y

    plain = lambda x: square(1 / cosh(x))
    domain, kinks = (reals(-4, 4),), ()
    vjp = lambda g, y, x: scale(g, -(2 * y * tanh(x)))


class softplus(Primitive):
    """y = log(1 + eˣ) = max(x, 0) + log1p(e^−|x|),   dy = sigmoid(x) dx. One smooth rule: no kink at 0.

    Shapes: any → the same; integers give float64.

    >>> tm.softplus([-1000.0, 0.0, 1000.0])
    tensor([   0.    ,    0.6931, 1000.    ])
    """

    @staticmethod
    def kernel(x: Array) -> Array:
        x = _floating(x)
        return np.logaddexp(x, np.zeros((), x.dtype))

    plain = lambda x: logaddexp(x, 0)
    domain, kinks = (reals(-6, 6),), ()
    vjp = lambda g, y, x: scale(g, sigmoid(x))


class logaddexp(Primitive):
    """y = log(eᵃ + eᵇ),   dy = s da + (1 − s) db with s = sigmoid(a − b);   where both are −∞, the derivative is 0.

    Shapes: a, b → what they broadcast to.
    Raises: ShapeError where they don't broadcast: `tm.logaddexp([1, 2], [1, 2, 3])`.

    >>> tm.logaddexp(1000.0, 1000.0)
    tensor(1000.6931)
    """

    kernel = np.logaddexp
    reference = staticmethod(lambda a, b: np.log(np.exp(a) + np.exp(b)))
    domain, kinks = (reals(-2, 2), reals(-2, 2)), ()
    vjp = lambda g, y, a, b: (lambda: scale(g, _share(y, a, b)), lambda: scale(g, _share(y, b, a)))


def _share(y: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """eᵃ/(eᵃ + eᵇ), and 0 where both are 0."""
    return where(y == -np.inf, 0, sigmoid(a - b))


def log_sigmoid(x: ArrayLike) -> Tensor:
    """log σ(x) = −log(1 + e⁻ˣ), where log(sigmoid(x)) would be −∞.

    Shapes: any → the same; integers give float64.

    >>> tm.log_sigmoid([-1000.0, 0.0])
    tensor([-1000.    ,    -0.6931])
    """
    return -softplus(negative(floating(x)))
