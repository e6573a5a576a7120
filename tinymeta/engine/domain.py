"""Where a primitive is defined, and where its derivative jumps: what the property tests draw from and check."""

from __future__ import annotations

from typing import NamedTuple


class Domain(NamedTuple):
    """Where an input may lie: real numbers in `[low, high]`, or booleans, or indices."""

    low: float
    high: float
    kind: str = "real"


def reals(low: float, high: float) -> Domain:
    """Real numbers from `low` to `high`."""
    return Domain(low, high)


class Kink(NamedTuple):
    """A point where the one-sided derivatives differ, and the derivative that the primitive takes there."""

    at: tuple[float, ...]  # one number per input
    takes: tuple[float, ...]  # d/d(input), one per input, of every order's chosen branch
    side: str  # which branch that is, in words
