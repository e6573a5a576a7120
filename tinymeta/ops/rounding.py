"""Rounding and remainders. A step function is constant between its jumps, so it has no gradient."""

from __future__ import annotations

import numpy as np

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.domain import reals
from tinymeta.engine.primitive import Primitive, bind
from tinymeta.engine.tensor import ArrayLike, Tensor
from tinymeta.ops.elementwise import scale


def _step(name: str, ufunc: np.ufunc, meaning: str) -> type[Primitive]:
    """A step function of one number. Of a complex number the real part counts."""
    body = {
        "kernel": ufunc,
        "reference": staticmethod(lambda x: ufunc(np.real(x))),
        "domain": (reals(-4, 4),),
        "kinks": (),
        "vjp": None,
        "__doc__": f"y = {meaning}.",
        "__module__": __name__,
    }
    return type(name, (Primitive,), body)


_floor = _step("floor", np.floor, "the largest integer ≤ x")
_ceil = _step("ceil", np.ceil, "the smallest integer ≥ x")
_trunc = _step("trunc", np.trunc, "the integer part of x, towards 0")
_round = _step("round", np.rint, "the integer nearest to x, the even one of two as near")


def _whole(primitive: type[Primitive], x: ArrayLike) -> Tensor:
    """Integers and booleans are whole already, and stay in their dtype: a float can't hold all of them."""
    x = as_tensor(x)
    return bind(primitive, x) if x.dtype.kind in "fc" else x


def floor(x: ArrayLike) -> Tensor:
    """The largest integer ≤ x. No gradient.

    Shapes: any → the same, in its dtype.

    >>> tm.floor([-1.5, 1.5])
    tensor([-2.,  1.])
    """
    return _whole(_floor, x)


def ceil(x: ArrayLike) -> Tensor:
    """The smallest integer ≥ x. No gradient.

    Shapes: any → the same, in its dtype.

    >>> tm.ceil([-1.5, 1.5])
    tensor([-1.,  2.])
    """
    return _whole(_ceil, x)


def trunc(x: ArrayLike) -> Tensor:
    """The integer part of x, towards 0. No gradient.

    Shapes: any → the same, in its dtype.

    >>> tm.trunc([-1.5, 1.5])
    tensor([-1.,  1.])
    """
    return _whole(_trunc, x)


def round(x: ArrayLike) -> Tensor:
    """The integer nearest to x, the even one of two as near. No gradient.

    Shapes: any → the same, in its dtype.

    >>> tm.round([0.5, 1.4, 1.5])
    tensor([0., 1., 2.])
    """
    return _whole(_round, x)


class floor_divide(Primitive):
    """y = ⌊a/b⌋. It is constant between its jumps, so it has no gradient.

    Shapes: a, b → what they broadcast to.
    Raises: ShapeError where they don't broadcast: `tm.floor_divide([1, 2], [1, 2, 3])`.

    >>> tm.floor_divide([7, -7], 2)
    tensor([ 3, -4])
    """

    kernel = np.floor_divide
    reference = staticmethod(lambda a, b: np.floor_divide(np.real(a), np.real(b)))
    domain, kinks, vjp = (reals(-4, 4), reals(0.5, 2)), (), None


class remainder(Primitive):
    """y = a − b⌊a/b⌋, with the sign of b,   dy = da − ⌊a/b⌋ db. At its jumps, the side of rising a counts.

    Shapes: a, b → what they broadcast to.
    Raises: ShapeError where they don't broadcast: `tm.remainder([1, 2], [1, 2, 3])`.

    >>> tm.remainder([7, -7], 4)
    tensor([3, 1])
    """

    kernel = np.remainder
    reference = staticmethod(lambda a, b: a - b * np.floor_divide(np.real(a), np.real(b)))
    domain, kinks = (reals(-4, 4), reals(0.5, 2)), ()
    vjp = lambda g, y, a, b: (g, lambda: scale(g, -floor_divide(a, b)))
