"""Where a function is infinite: what stays so however an argument moves has no part in that argument's derivative."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tinymeta.engine.tensor import Array
from tinymeta.testing.oracle import Function


class Infinite(NamedTuple):
    """Of a function's numbers at a point that are not finite: those that aren't on either side of it along a
    direction, either (`still`, a mask for each array), and whether there are others: they have no derivative."""

    still: list[Array]
    moves: bool


def infinite(f: Function, points: Sequence[Array], directions: Sequence[Array]) -> Infinite:
    """Which numbers of `f` are infinite at `points`, and which of them along `directions`."""
    here = not_finite(f, points)
    size = max([1.0, *(float(np.abs(x[v != 0]).max(initial=0.0)) for x, v in zip(points, directions))])
    still = here
    for step in (-size / 1024, size / 1024):
        beside = not_finite(f, [x + step * v for x, v in zip(points, directions)])
        still = [a & b for a, b in zip(still, beside)]
    return Infinite(still, any(bool((a & ~b).any()) for a, b in zip(here, still)))


def not_finite(f: Function, points: Sequence[Array]) -> list[Array]:
    """Where the numbers of `f` are infinite or NaN."""
    with np.errstate(all="ignore"):
        return [~np.isfinite(y) for y in f(list(points))]
