"""Circular and hyperbolic functions and their inverses; `tanh` is in `logistic.py`.

Slopes are written in factors, as in (1 − x)(1 + x): near a zero of 1 − x² each of them is exact. Near 0 their own
slopes cancel, and the square is exact.
"""

from __future__ import annotations

import numpy as np

from tinymeta.engine.domain import reals
from tinymeta.engine.primitive import Primitive
from tinymeta.engine.tensor import Array, Tensor
from tinymeta.ops.elementwise import scale, sqrt, square
from tinymeta.ops.select import where


class sin(Primitive):
    """y = sin x,   dy = cos x dx. Angles are in radians.

    Shapes: any → the same.

    >>> tm.sin([0.0, np.pi / 2])
    tensor([0., 1.])
    """

    kernel = reference = np.sin
    domain, kinks = (reals(-4, 4),), ()
    vjp = lambda g, y, x: scale(g, cos(x))


class cos(Primitive):
    """y = cos x,   dy = −sin x dx. Angles are in radians.

    Shapes: any → the same.

    >>> tm.cos([0.0, np.pi])
    tensor([ 1., -1.])
    """

    kernel = reference = np.cos
    domain, kinks = (reals(-4, 4),), ()
    vjp = lambda g, y, x: scale(g, -sin(x))


class tan(Primitive):
    """y = tan x,   dy = (1 + y²) dx. Angles are in radians.

    Shapes: any → the same.

    >>> tm.tan([0.0, np.pi / 4])
    tensor([0., 1.])
    """

    kernel = reference = np.tan
    domain, kinks = (reals(-1.2, 1.2),), ()
    vjp = lambda g, y, x: scale(g, 1 + square(y))


class asin(Primitive):
    """y = arcsin x,   dy = dx/√(1 − x²): radians from −π/2 to π/2, NaN for |x| > 1.

    Shapes: any → the same.

    >>> tm.asin([0.0, 1.0])
    tensor([0.    , 1.5708])
    """

    kernel = reference = np.arcsin
    domain, kinks = (reals(-0.9, 0.9),), ()
    vjp = lambda g, y, x: scale(g, 1 / sqrt(_one_less_square(x)))


class acos(Primitive):
    """y = arccos x,   dy = −dx/√(1 − x²): radians from 0 to π, NaN for |x| > 1.

    Shapes: any → the same.

    >>> tm.acos([1.0, 0.0])
    tensor([0.    , 1.5708])
    """

    kernel = reference = np.arccos
    domain, kinks = (reals(-0.9, 0.9),), ()
    vjp = lambda g, y, x: scale(g, -1 / sqrt(_one_less_square(x)))


class atan(Primitive):
    """y = arctan x,   dy = dx/(1 + x²): radians from −π/2 to π/2.

    Shapes: any → the same.

    >>> tm.atan([0.0, 1.0])
    tensor([0.    , 0.7854])
    """

    kernel = reference = np.arctan
    domain, kinks = (reals(-4, 4),), ()
    vjp = lambda g, y, x: scale(g, 1 / (1 + square(x)))


class atan2(Primitive):
    """θ = the angle of the point (b, a), with tan θ = a/b;   dθ = (b da − a db)/(a² + b²): radians from −π to π.

    Shapes: a, b → what they broadcast to.
    Raises: ShapeError where they don't broadcast: `tm.atan2([1, 2], [1, 2, 3])`.

    >>> tm.atan2([1.0, 0.0], [1.0, -1.0])
    tensor([0.7854, 3.1416])
    """

    kernel = np.arctan2

    @staticmethod
    def reference(a: Array, b: Array) -> Array:
        if not np.iscomplexobj(a) and not np.iscomplexobj(b):
            return np.arctan2(a, b)
        y: Array = 2 * np.arctan(a / (np.sqrt(a * a + b * b) + b))  # half the angle, for b > 0
        return y

    domain, kinks = (reals(-2, 2), reals(0.5, 2)), ()
    vjp = lambda g, y, a, b: (
        lambda: scale(g, b / hypot(a, b) / hypot(a, b)),
        lambda: scale(g, -a / hypot(a, b) / hypot(a, b)),
    )


class hypot(Primitive):
    """r = √(a² + b²), whose squares neither overflow nor vanish,   dr = (a da + b db)/r;   at r = 0 taken as 0.

    Shapes: a, b → what they broadcast to.
    Raises: ShapeError where they don't broadcast: `tm.hypot([1, 2], [1, 2, 3])`.

    >>> tm.hypot(3e200, 4e200)
    tensor(5.e+200)
    """

    kernel = np.hypot
    reference = staticmethod(lambda a, b: np.sqrt(a * a + b * b))
    domain, kinks = (reals(-2, 2), reals(0.5, 2)), ()
    vjp = lambda g, y, a, b: (lambda: scale(g, _cosine(a, y)), lambda: scale(g, _cosine(b, y)))


def _cosine(a: Tensor, r: Tensor) -> Tensor:
    return where(r == 0, 0, a / where(r == 0, 1, r))


def _one_less_square(x: Tensor) -> Tensor:
    """1 − x² in the form that is exact with its derivatives, near ±1 and near 0."""
    squares = square(x)
    return where(squares < 0.25, 1 - squares, (1 - x) * (1 + x))


class sinh(Primitive):
    """y = sinh x,   dy = cosh x dx.

    Shapes: any → the same.

    >>> tm.sinh([0.0, 1.0])
    tensor([0.    , 1.1752])
    """

    kernel = reference = np.sinh
    domain, kinks = (reals(-2, 2),), ()
    vjp = lambda g, y, x: scale(g, cosh(x))


class cosh(Primitive):
    """y = cosh x,   dy = sinh x dx.

    Shapes: any → the same.

    >>> tm.cosh([0.0, 1.0])
    tensor([1.    , 1.5431])
    """

    kernel = reference = np.cosh
    domain, kinks = (reals(-2, 2),), ()
    vjp = lambda g, y, x: scale(g, sinh(x))


class asinh(Primitive):
    """y = arsinh x,   dy = dx/√(x² + 1).

    Shapes: any → the same.

    >>> tm.asinh([0.0, 1.0])
    tensor([0.    , 0.8814])
    """

    kernel = reference = np.arcsinh
    domain, kinks = (reals(-4, 4),), ()
    vjp = lambda g, y, x: scale(g, 1 / hypot(x, 1))


class acosh(Primitive):
    """y = arcosh x,   dy = dx/√(x² − 1): NaN for x < 1.

    Shapes: any → the same.

    >>> tm.acosh([1.0, 2.0])
    tensor([0.   , 1.317])
    """

    kernel = reference = np.arccosh
    domain, kinks = (reals(1.2, 4),), ()
    vjp = lambda g, y, x: scale(g, 1 / (sqrt(x - 1) * sqrt(x + 1)))


class atanh(Primitive):
    """y = artanh x,   dy = dx/(1 − x²): NaN for |x| > 1.

    Shapes: any → the same.

    >>> tm.atanh([0.0, 0.5])
    tensor([0.    , 0.5493])
    """

    kernel = reference = np.arctanh
    domain, kinks = (reals(-0.8, 0.8),), ()
    vjp = lambda g, y, x: scale(g, 1 / _one_less_square(x))
