"""Which matrices of a product to copy first, where the BLAS could not read or write them well as they lie.

A product over several axes, as a convolution's, is one call only if the axes it joins are neighbours in memory. In
another order it falls apart into many thin products, which move far more numbers than a copy would. An operand is
copied before the product, the result after it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

from tinymeta.compile.place import instructions
from tinymeta.compile.place.instructions import TRAFFIC, TYPICAL
from tinymeta.compile.place.layout import SCRATCH, Layout, Strides
from tinymeta.compile.program.operations import Contract

SLOW = 2  # a product that takes this many times the least effort is worth looking into
A, B, OUT = range(3)


class Matrices(NamedTuple):
    """A product's two operands and its result, in the order A, B, OUT."""

    op: Contract
    dtype: Any
    layouts: list[Layout]
    size: dict[str, int]  # of each letter, 1 for the tasks'
    tasks: str | None
    accumulate: bool

    def product(self) -> tuple[float, list[int]]:
        return instructions.product(*self)

    def least_effort(self) -> float:
        return instructions.least_effort(self.op, self.size, self.tasks)

    def letters(self) -> tuple[str, str, str]:
        return self.op.a, self.op.b, self.op.out


def moves(given: Matrices) -> dict[int, str]:
    """Which of the three to copy, and the order of its axes in the copy."""
    choices = [
        moved
        for count in range(4)
        for moved in combinations((A, B, OUT), count)
        if not (given.accumulate and OUT in moved)
    ]
    return min((orders(given, moved) for moved in choices), key=lambda found: _effort(given, found))


def _effort(given: Matrices, found: dict[int, str]) -> float:
    """What the copies and the product take."""
    layouts, copied = list(given.layouts), 0
    for place, order in found.items():
        layouts[place] = Layout(SCRATCH, 0, 0, _strides(given, given.letters()[place], order))
        copied += math.prod(TYPICAL if c == given.tasks else given.size[c] for c in order)
    return given._replace(layouts=layouts).product()[0] + 2 * TRAFFIC * copied


def orders(given: Matrices, moved: Sequence[int]) -> dict[int, str]:
    """The axes' order in each copy: that of what stays where it is, so that they join alike."""
    batch, m, n, k = given.op.groups()

    def like(letters: str, *places: int) -> str:
        stays = next((p for p in places if p not in moved), None)
        if stays is None:
            return letters
        steps = dict(zip(given.letters()[stays], given.layouts[stays].strides))
        return "".join(sorted(letters, key=lambda c: -abs(steps[c])))

    m, n, k = like(m, OUT, A), like(n, OUT, B), like(k, A, B)
    all_orders = {A: batch + m + k, B: batch + k + n, OUT: batch + m + n}
    return {place: all_orders[place] for place in moved}


def _strides(given: Matrices, letters: str, order: str) -> Strides:
    """The copy's: packed, the tasks outermost."""
    step, steps = given.dtype.itemsize, {}
    inwards = sorted(order, key=lambda c: c != given.tasks)
    for c in inwards[::-1]:
        steps[c] = step
        step *= max(given.size[c], 1)
    return tuple(steps[c] for c in letters)
