"""Products of matrices: one call of the BLAS (or of ours, which takes the same), in loops, and which matrices to copy
first.

A product over several axes, as a convolution's, is one call only if the axes it joins are neighbours in memory. In
another order it falls apart into many thin products, which move far more numbers than a copy would. Then an operand is
copied before the product, or the result after it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations, product
from typing import NamedTuple

from tinymeta_kernels import contract, machine
from tinymeta_kernels.machine import ORDINARY, TRANSPOSED

from tinymeta.compile.place.instructions import written
from tinymeta.compile.place.layout import SCRATCH, Dim, Layout, nested
from tinymeta.compile.program.operations import Contract
from tinymeta.engine.typing import DType

TYPICAL = 8  # tasks in a block
TRAFFIC, CALL = 8, 200  # multiplications in the time of moving a number, and of calling the BLAS
SLOW = 2  # a product that takes this many times the least effort may be worth copies
A, B, OUT = range(3)


class Product(NamedTuple):
    """`out = a b` (`out += a b` with `accumulate`), with its matrices in the order A, B, OUT."""

    op: Contract
    dtype: DType
    layouts: Sequence[Layout]
    size: dict[str, int]  # of each letter, 1 for the tasks'
    tasks: str | None
    accumulate: bool

    def letters(self) -> tuple[str, str, str]:
        return self.op.a, self.op.b, self.op.out

    def instruction(self) -> tuple[float, list[int]]:
        """What it takes, see `effort`, infinite where the BLAS can't read or write the matrices as they lie; and the
        instruction."""
        item, address = self.dtype.itemsize, contract.gemm(self.dtype)
        _, m, n, k = map(self._picked, self.op.groups())
        for choice in sorted(product(m, n, k), key=_inside, reverse=True):
            (m_dim, more_m), (n_dim, more_n), (k_dim, more_k) = choice
            a_form, b_form = _form(m_dim, k_dim, A, item), _form(k_dim, n_dim, B, item)
            out_form = _form(m_dim, n_dim, OUT, item)
            if a_form and b_form and out_form and (self.accumulate or not more_k) and address is not None:
                break
        else:
            return math.inf, []
        loops = self._dims(self.op.groups()[0]) + more_m + more_n + more_k
        order, sizes = (A, B, OUT), [m_dim, n_dim, k_dim]
        if out_form[0] == TRANSPOSED:  # outᵀ = bᵀ aᵀ
            swap = {ORDINARY: TRANSPOSED, TRANSPOSED: ORDINARY}
            a_form, b_form = (swap[b_form[0]], b_form[1]), (swap[a_form[0]], a_form[1])
            order, sizes = (B, A, OUT), [n_dim, m_dim, k_dim]
        loops = [*(d._replace(strides=tuple(d.strides[x] for x in order)) for d in loops), Dim(1, False, (0, 0, 0))]
        more = [a_form[0], b_form[0], *(d.signed for d in sizes), a_form[1], b_form[1], out_form[1]]
        more += [1, int(self.accumulate)]
        code = written(machine.GEMM, address, item, [self.layouts[x] for x in order], loops, more)
        return effort(_length(loops), *(_length([d]) for d in (m_dim, n_dim, k_dim))), code

    def copies(self) -> dict[int, str]:
        """Which matrices to copy, and the order of the axes in the copy, so that all takes least."""
        some = (which for count in range(4) for which in combinations((A, B, OUT), count))
        kept = (which for which in some if not (self.accumulate and OUT in which))
        return min(map(self.orders, kept), key=self._with_copies)

    def least_effort(self) -> float:
        """What it would take if its matrices lay as the BLAS likes them best."""
        return effort(*(math.prod(map(self._count, letters)) for letters in self.op.groups()))

    def orders(self, copied: Sequence[int]) -> dict[int, str]:
        """The axes' order in each copy: that of what stays where it is, so that they join alike."""
        batch, m, n, k = self.op.groups()

        def like(letters: str, *matrices: int) -> str:
            stays = next((x for x in matrices if x not in copied), None)
            if stays is None:
                return letters
            strides = dict(zip(self.letters()[stays], self.layouts[stays].strides))
            return "".join(sorted(letters, key=lambda c: -abs(strides[c])))

        m, n, k = like(m, OUT, A), like(n, OUT, B), like(k, A, B)
        orders = {A: batch + m + k, B: batch + k + n, OUT: batch + m + n}
        return {which: orders[which] for which in copied}

    def _with_copies(self, orders: dict[int, str]) -> float:
        """What the copies and the product take."""
        layouts, copied = list(self.layouts), 0
        for which, order in orders.items():
            stride, strides = self.dtype.itemsize, {}
            for c in sorted(order, key=lambda c: c != self.tasks)[::-1]:  # the tasks outermost
                strides[c] = stride
                stride *= max(self.size[c], 1)
            layouts[which] = Layout(SCRATCH, 0, 0, tuple(strides[c] for c in self.letters()[which]))
            copied += math.prod(map(self._count, order))
        return self._replace(layouts=layouts).instruction()[0] + 2 * TRAFFIC * copied

    def _count(self, letter: str) -> int:
        return TYPICAL if letter == self.tasks else self.size[letter]

    def _dims(self, letters: str) -> list[Dim]:
        """The loops over some of the letters, with each matrix's strides."""
        own = [dict(zip(*pair)) for pair in zip(self.letters(), (x.strides for x in self.layouts))]
        table = [tuple(strides.get(c, 0) for c in letters) for strides in own]
        tasks = letters.index(self.tasks) if self.tasks and self.tasks in letters else None
        summed = letters and letters[0] not in self.op.out
        return nested(tuple(self.size[c] for c in letters), table, tasks, lead=A if summed else OUT)

    def _picked(self, letters: str) -> list[tuple[Dim, list[Dim]]]:
        """Each way to leave one loop to the BLAS, or none, with the loops that remain around it."""
        dims = self._dims(letters)
        none: tuple[Dim, list[Dim]] = (Dim(1, False, (0, 0, 0)), dims)
        return [*((d, dims[:i] + dims[i + 1 :]) for i, d in enumerate(dims)), none]


def effort(calls: int, m: int, n: int, k: int) -> float:
    """What products (m, k) @ (k, n) take, in multiplications: long vectors are moved, not multiplied."""
    return calls * (m * n * k + TRAFFIC * (m * k + k * n + m * n) + CALL)


def _length(dims: list[Dim]) -> int:
    return math.prod(TYPICAL if d.tasks else d.size for d in dims)


def _inside(choice: tuple[tuple[Dim, list[Dim]], ...]) -> int:
    """How much work one call of the BLAS does."""
    return _length([d for d, _ in choice])


def _form(rows: Dim, columns: Dim, which: int, item: int) -> tuple[int, int] | None:
    """How a matrix lies: (ordinary or transposed, distance between its rows), or None if neither way."""
    r, c = rows.strides[which], columns.strides[which]
    for form, inner, outer, width, height in ((ORDINARY, c, r, columns, rows), (TRANSPOSED, r, c, rows, columns)):
        if inner != item and not width.single:
            continue
        if height.single:  # the distance between rows doesn't matter, but the BLAS wants it to be long enough
            return form, 1 << 40 if width.tasks else max(1, width.size)
        if outer % item == 0 and outer >= width.size * item:
            return form, outer // item
    return None
