"""Rounding and remainders. A step function is constant between its jumps, so it has no gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinymeta.engine.domain import reals
from tinymeta.engine.primitive import Primitive
from tinymeta.ops.elementwise import scale


def _step(name: str, ufunc: Any, meaning: str) -> type[Primitive]:
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


floor = _step("floor", np.floor, "the largest integer ≤ x")
ceil = _step("ceil", np.ceil, "the smallest integer ≥ x")
trunc = _step("trunc", np.trunc, "the integer part of x, towards 0")
round = _step("round", np.rint, "the integer nearest to x, the even one of two as near")


class floor_divide(Primitive):
    """y = ⌊a/b⌋. It is constant between its jumps, so it has no gradient."""

    kernel = np.floor_divide
    reference = staticmethod(lambda a, b: np.floor_divide(np.real(a), np.real(b)))
    domain, kinks, vjp = (reals(-4, 4), reals(0.5, 2)), (), None


class remainder(Primitive):
    """y = a − b⌊a/b⌋, with the sign of b,   dy = da − ⌊a/b⌋ db. At its jumps, the side of rising a counts."""

    kernel = np.remainder
    reference = staticmethod(lambda a, b: a - b * np.floor_divide(np.real(a), np.real(b)))
    domain, kinks = (reals(-4, 4), reals(0.5, 2)), ()
    vjp = lambda g, y, a, b: (g, lambda: scale(g, -floor_divide(a, b)))
