"""How far rounding can move a number: the same program again, with every result a little off (Parker 1997).

A bound for the error of one gradient's component has to know what was added up and cancelled on the way to it.
Instead of following that, each kernel's result y becomes y(1 + δ), |δ| some units in the last place, and what
comes out is looked at: a component moves by as much as it depends on roundings, and stands still where it is
exact. δ is a function of y, so that numbers that are equal stay equal: a tie is not broken by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinymeta.engine.primitive import Primitive, part
from tinymeta.engine.typing import Array, DTypeLike, Function
from tinymeta.testing.oracle import exchanged

# Units in the last place: of the noise, and of the error that it stands for. An operation is right to 4 of them;
# random signs add up as a root of their number where errors of one sign add up as the number, so take 16 times that.
WIDE, NARROW, ERROR = 1024, 32, 64


def amount(dtype: DTypeLike) -> int:
    """The noise of this dtype in units in the last place: float16 has no room for more than a few."""
    return NARROW if np.dtype(dtype).itemsize < 4 else WIDE


@contextmanager
def noisy(seed: int, share: float = 1.0) -> Iterator[None]:
    """Every kernel's results are off by up to `share` of the noise; of the opposite sign where `share` is."""

    def change(primitive: type[Primitive]) -> Function:
        kernel = primitive.kernel

        def off(*arrays: Array, **static: Any) -> Any:
            result = kernel(*arrays, **static)
            if type(result) is tuple:
                return tuple(moved(np.asarray(y), seed, share) for y in result)
            y = np.asarray(result)
            if primitive is part or any(np.may_share_memory(y, x) for x in arrays):
                return y  # a view computes nothing
            return moved(y, seed, share)

        return off

    with exchanged(change):
        yield


def moved(x: Array, seed: int, share: float) -> Array:
    """x(1 + δ), δ of random sign and of half to the whole noise; 0, ∞, integers and booleans stay."""
    if x.dtype.kind not in "fc":
        return x
    key = np.uint64(0x9E3779B97F4A7C15 * seed % 2**64)
    bits = np.atleast_1d(np.ascontiguousarray(np.real(x), np.float64)).view(np.uint64) ^ key
    for shift, factor in ((33, 0xFF51AFD7ED558CCD), (29, 0xC4CEB9FE1A85EC53)):  # so that each bit turns all others
        bits = (bits ^ (bits >> np.uint64(shift))) * np.uint64(factor)
    r = (bits >> np.uint64(11)).reshape(x.shape) * 2.0**-52 - 1
    delta = share * amount(x.dtype) * float(np.finfo(x.dtype).eps) * np.where(r < 0, r - 1, r + 1) / 2
    with np.errstate(all="ignore"):
        off: Array = (x * (1 + delta)).astype(x.dtype)
    return off


def wobble(f: Callable[[list[Array]], list[Array]], points: list[Array], straight: bool = True) -> list[Array]:
    """How far roundings may move each number in `f(points)`, a program of primitives.

    Where the answer to a sixteenth of the noise is not much smaller than that to the whole, rounding decides
    on which side of a kink the program runs: there it is 0 if `straight`, and the other oracles have to say.
    """
    clean = f(points)
    dtypes = [x.dtype for x in points]
    error = ERROR / min(amount(dtype) for dtype in dtypes)

    def distance(seed: int, share: float) -> list[Array]:
        with noisy(seed, share):
            found = f([moved(x, seed, share) for x in points])
        return [np.abs(np.subtract(a, b, dtype=float)) for a, b in zip(found, clean)]

    with np.errstate(all="ignore"):
        whole = [np.max(column, axis=0) for column in zip(*(distance(s, w) for s in (1, 2) for w in (1.0, -1.0)))]
        if not straight:
            return [error * spread for spread in whole]
        less = [np.max(column, axis=0) for column in zip(*(distance(1, w) for w in (1 / 16, -1 / 16)))]
    return [np.where(small <= big / 4, error * big, 0.0) for big, small in zip(whole, less)]
