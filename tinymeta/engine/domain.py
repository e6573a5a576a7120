"""Where a primitive is defined, and where its derivative jumps: what the property tests draw from and check."""

from __future__ import annotations

from typing import NamedTuple

from tinymeta.engine.typing import Static

Values = float | tuple[float, ...]


class Domain(NamedTuple):
    """What an input may be.

    `kind` says what `low` and `high` bound: "real" numbers; "bool" (0 or 1); "index", integers, both ends
    included; the eigenvalues of symmetric positive definite matrices ("spd") or the singular values of
    square ones ("invertible"), over the last two axes.

    Shapes: any; of matrices (…, n, n).

    >>> tm.testing.Domain(0, 4, "index")
    Domain(low=0, high=4, kind='index')
    """

    low: float
    high: float
    kind: str = "real"


def reals(low: float, high: float) -> Domain:
    """Real numbers from `low` to `high`.

    Shapes: any.

    >>> tm.testing.reals(-2, 2)
    Domain(low=-2, high=2, kind='real')
    """
    return Domain(low, high)


class Sample(NamedTuple):
    """Arguments to try a primitive with: its inputs are drawn from its domain in these shapes.

    A primitive without samples takes inputs of any shapes that broadcast. One with more inputs than entries
    in its domain repeats the last entry.

    Shapes: one per input, with the hidden axes (`batch` of them) in front.

    >>> tm.testing.Sample(((2, 3),), {"axis": -1})
    Sample(shapes=((2, 3),), static={'axis': -1}, batch=0)
    """

    shapes: tuple[tuple[int, ...], ...]  # one per input
    static: Static
    batch: int = 0  # how many leading axes of each shape are hidden ones


class Kink(NamedTuple):
    """A point where the one-sided derivatives differ, and the derivative that the primitive takes there.

    Numbers stand for scalar inputs. For a primitive that reduces an axis they are tuples: the values along
    that axis, and the derivative of the (lone) output with respect to each.

    Shapes: () or (n,) per input.

    >>> tm.relu.kinks[0].takes, tm.relu.kinks[0].side
    ((0.0,), 'left, the constant branch')
    """

    at: tuple[Values, ...]  # one entry per input
    takes: tuple[Values, ...]  # d/d(input), one entry per input, of every order's chosen branch
    side: str  # which branch that is, in words
    static: Static = {}
