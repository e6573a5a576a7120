"""Elementwise arithmetic, exponentials and logarithms, each a few lines of mathematics.

In a VJP a cotangent is multiplied with `scale`, for which 0 times anything is 0, also where the
other factor is infinite or NaN. That is how `where` keeps its promise that the branch not taken
can't poison a gradient, at any order, without a second `where` around the argument.
"""

from __future__ import annotations

import math

import numpy as np

from tinymeta.engine.domain import reals
from tinymeta.engine.primitive import Primitive
from tinymeta.engine.structure import add as add
from tinymeta.engine.tensor import Array, Tensor
from tinymeta.ops.select import where

_any = (reals(-2, 2),)
_two = (reals(-2, 2), reals(-2, 2))


class scale(Primitive):
    """y = g·d,   except that 0 times anything is 0, on either side. Equal to the product where both are finite.

    Both sides, for from the third order on the NaN that a zero must stop can come as the cotangent.

    Shapes: g, d → what they broadcast to.
    Raises: ShapeError where they don't broadcast: `tm.scale([1, 2], [1, 2, 3])`.

    >>> tm.scale([0.0, 2.0], [np.inf, 3.0])
    tensor([0., 6.])
    """

    @staticmethod
    def kernel(g: Array, d: Array) -> Array:
        y = np.asarray(np.multiply(g, d))
        flat = y.ravel()
        total = flat.dot(flat)
        if total != total:  # a NaN anywhere, found by one call of BLAS instead of a pass that allocates
            np.copyto(y, 0, where=(g == 0) | (d == 0))
        return y

    @staticmethod
    def reference(g: Array, d: Array) -> Array:
        g, d = np.broadcast_arrays(g, d)
        products = [0 * np.nan_to_num(a * b) if 0 in (a, b) else a * b for a, b in zip(g.flat, d.flat)]
        return np.array(products, np.result_type(g, d)).reshape(g.shape)

    domain, kinks = _two, ()
    vjp = lambda h, y, g, d: (lambda: scale(h, d), lambda: scale(h, g))


class negative(Primitive):
    """y = −x,   dy = −dx.

    Shapes: any → the same.

    >>> tm.negative([1.0, -2.0])
    tensor([-1.,  2.])
    """

    kernel = reference = np.negative
    domain, kinks = _any, ()
    vjp = lambda g, y, x: -g


class subtract(Primitive):
    """y = a − b,   dy = da − db.

    Shapes: a, b → what they broadcast to.
    Raises: ShapeError where they don't broadcast: `tm.subtract([1, 2], [1, 2, 3])`.

    >>> tm.subtract([[1.0], [2.0]], [1.0, 2.0])
    tensor([[ 0., -1.],
            [ 1.,  0.]])
    """

    kernel = reference = np.subtract
    domain, kinks = _two, ()
    vjp = lambda g, y, a, b: (g, lambda: -g)


class multiply(Primitive):
    """y = a·b,   dy = b da + a db.

    Shapes: a, b → what they broadcast to.
    Raises: ShapeError where they don't broadcast: `tm.multiply([1, 2], [1, 2, 3])`.

    >>> tm.multiply([1.0, 2.0], 3.0)
    tensor([3., 6.])
    """

    kernel = reference = np.multiply
    domain, kinks = _two, ()
    vjp = lambda g, y, a, b: (lambda: scale(g, b), lambda: scale(g, a))


class divide(Primitive):
    """y = a/b,   dy = da/b − (y/b) db. Integers give floats, and a number over 0 is ±∞.

    Shapes: a, b → what they broadcast to.
    Raises: ShapeError where they don't broadcast: `tm.divide([1, 2], [1, 2, 3])`.

    >>> tm.divide([1, 2], 4)
    tensor([0.25, 0.5 ])
    """

    kernel = reference = np.true_divide
    domain, kinks = (reals(-2, 2), reals(0.5, 2)), ()
    vjp = lambda g, y, a, b: (lambda: scale(g, 1 / b), lambda: scale(g, -y / b))


class reciprocal(Primitive):
    """y = 1/x,   dy = −y² dx.

    Shapes: any → the same.

    >>> tm.reciprocal([2.0, -4.0])
    tensor([ 0.5 , -0.25])
    """

    kernel = staticmethod(lambda x: 1 / x)
    plain = lambda x: 1 / x
    domain, kinks = (reals(0.5, 2),), ()
    vjp = lambda g, y, x: scale(g, -square(y))


class pow(Primitive):
    """y = a^b,   dy = b a^(b−1) da + y log(a) db. A zero exponent and a zero base each give a zero term, 0⁰ = 1 two.

    Shapes: a, b → what they broadcast to.
    Raises: ShapeError where they don't broadcast, or an integer has a negative exponent: `tm.pow([2], [-1])`.

    >>> tm.pow([2.0, 3.0], 3)
    tensor([ 8., 27.])
    """

    kernel = reference = np.power
    raises = True  # for integers with a negative exponent
    domain, kinks = (reals(0.5, 2), reals(-2, 2)), ()
    vjp = lambda g, y, a, b: (lambda: scale(g, scale(b, a ** (b - 1))), lambda: scale(g, scale(y, log(_base(a, b)))))


def _base(a: Tensor, b: Tensor) -> Tensor:
    """a, but 1 for 0⁰: as a power of 0 it is 0 to the right of b = 0 and ∞ to the left, so its slope is taken as 0."""
    return where((a == 0) & (b == 0), 1, a)


class square(Primitive):
    """y = x²,   dy = 2x dx.

    Shapes: any → the same.

    >>> tm.square([3.0, -2.0])
    tensor([9., 4.])
    """

    kernel = reference = np.square
    domain, kinks = _any, ()
    vjp = lambda g, y, x: scale(g, 2 * x)


class exp(Primitive):
    """y = eˣ,   dy = y dx.

    Shapes: any → the same.

    >>> tm.exp([0.0, 1.0])
    tensor([1.    , 2.7183])
    """

    kernel = reference = np.exp
    domain, kinks = _any, ()
    vjp = lambda g, y, x: scale(g, y)


class expm1(Primitive):
    """y = eˣ − 1, exact near 0,   dy = eˣ dx.

    Shapes: any → the same.

    >>> tm.expm1(1e-3) - 1e-3 > 0.5e-6
    tensor(True)
    """

    kernel = reference = np.expm1
    domain, kinks = _any, ()
    vjp = lambda g, y, x: scale(g, exp(x))


class log(Primitive):
    """y = log x,   dy = dx/x.

    Shapes: any → the same. The logarithm of 0 is −∞, of less NaN.

    >>> tm.log([1.0, 10.0])
    tensor([0.    , 2.3026])
    """

    kernel = reference = np.log
    domain, kinks = (reals(0.3, 3),), ()
    vjp = lambda g, y, x: scale(g, 1 / x)


class log2(Primitive):
    """y = log x / log 2,   dy = dx/(x log 2).

    Shapes: any → the same.

    >>> tm.log2([1.0, 8.0])
    tensor([0., 3.])
    """

    kernel = reference = np.log2
    domain, kinks = (reals(0.3, 3),), ()
    vjp = lambda g, y, x: scale(g, 1 / (x * math.log(2)))


class log10(Primitive):
    """y = log x / log 10,   dy = dx/(x log 10).

    Shapes: any → the same.

    >>> tm.log10([1.0, 1000.0])
    tensor([0., 3.])
    """

    kernel = reference = np.log10
    domain, kinks = (reals(0.3, 3),), ()
    vjp = lambda g, y, x: scale(g, 1 / (x * math.log(10)))


class log1p(Primitive):
    """y = log(1 + x), exact near 0,   dy = dx/(1 + x).

    Shapes: any → the same.

    >>> tm.log1p([0.0, 1.0])
    tensor([0.    , 0.6931])
    """

    kernel = reference = np.log1p
    domain, kinks = (reals(-0.6, 2),), ()
    vjp = lambda g, y, x: scale(g, 1 / (1 + x))


class sqrt(Primitive):
    """y = √x,   dy = dx/(2y). At 0 the derivative is infinite, except where the cotangent is 0: there it is 0.

    Shapes: any → the same. The root of less than 0 is NaN.

    >>> tm.sqrt([4.0, 9.0])
    tensor([2., 3.])
    """

    kernel = reference = np.sqrt
    domain, kinks = (reals(0.3, 3),), ()
    vjp = lambda g, y, x: scale(g, 0.5 / y)
