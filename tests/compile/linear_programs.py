"""Random programs of the operations that factoring knows, on small integers, so that every order of sums is exact."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinymeta.compile.program.operations import Cast, Contract, Reduce, Scale, Ufunc
from tinymeta.compile.program.program import Builder, Program
from tinymeta.compile.program.views import Broadcast, Permute, Slice

Choose = Callable[[int], Any]  # an integer below its argument

LARGEST = 2.0**18  # numbers of this size times sums of their lengths are exact in float32, 24 bits, in every order
SIZES = (1, 2, 3, 2, 4, 1, 3, 0)


class Bound(NamedTuple):
    """Every number of a node is an integer times 2**-halved, and not larger than `largest` such units."""

    largest: float
    halved: int


class Drawing:
    """A program while it is drawn: `choose` makes every decision."""

    def __init__(self, choose: Choose) -> None:
        self.b, self.choose = Builder(), lambda n: int(choose(n))
        self.bounds: dict[int, Bound] = {}
        self.open: list[int] = []  # what may be read

    def keep(self, place: int, largest: float, halved: int = 0) -> None:
        node = self.b.nodes[place]
        if largest <= LARGEST and node.size <= 600 and len(node.shape) < 6:
            self.bounds.setdefault(place, Bound(largest, halved))
            self.open.append(place)

    def pick(self) -> int:
        """A node, the late ones more often."""
        late = self.open[-3:]
        return late[self.choose(len(late))] if self.choose(2) else self.open[self.choose(len(self.open))]

    def shape(self) -> tuple[int, ...]:
        return tuple(SIZES[self.choose(len(SIZES))] for _ in range(self.choose(4)))

    def fitting(self, x: int) -> int | None:
        """A node that broadcasts against x, with as many axes; made from any other."""
        shape, y = self.b.nodes[x].shape, self.pick()
        given = self.b.nodes[y].shape
        if len(given) == len(shape) and all(m in (1, n) for m, n in zip(given, shape)):
            return y
        if self.b.nodes[y].size == 1:
            place = self.b.reshape(y, (1,) * len(shape))
            self.bounds.setdefault(place, self.bounds[y])
            return place
        axes = tuple(k for k, n in enumerate(given) if k >= len(shape) or n != shape[k])
        total = self.b.add(Reduce(np.add, axes), y)
        bound = self.bounds[y]
        length = self.b.nodes[y].size // max(1, self.b.nodes[total].size)
        if bound.largest * max(1, length) > LARGEST:
            return None
        kept = [1 if k in axes or k >= len(given) else given[k] for k in range(len(shape))]
        place = self.b.reshape(total, tuple(kept))
        self.bounds.setdefault(place, Bound(bound.largest * max(1, length), bound.halved))
        return place

    # The steps: each adds a node, or none where its numbers would become too large.

    def contract(self) -> None:
        x, y = self.pick(), self.pick()
        sx, sy = self.b.nodes[x].shape, self.b.nodes[y].shape
        a = "".join(chr(ord("a") + k) for k in range(len(sx)))
        c, out, length = "", list(a), 1
        for k, n in enumerate(sy):
            alike = [i for i, m in zip(a, sx) if m == n and i not in c]
            if alike and self.choose(4):
                letter = alike[self.choose(len(alike))]
                if self.choose(3):
                    out.remove(letter)
                    length *= n
            else:
                letter = chr(ord("m") + k)
                out.append(letter)
            c += letter
        order = sorted(out, key=lambda _: self.choose(8))
        if np.prod([dict(zip(a + c, sx + sy))[i] for i in order]) > 600:
            return
        (u, h), (v, k) = self.bounds[x], self.bounds[y]
        if u * v * max(1, length) <= LARGEST:
            self.keep(self.b.add(Contract(a, c, "".join(order)), x, y), u * v * max(1, length), h + k)

    def add(self) -> None:
        x = self.pick()
        y = self.fitting(x)
        if y is None:
            return
        if self.choose(2):
            x, y = y, x
        (u, h), (v, k) = self.bounds[x], self.bounds[y]
        finer = max(h, k)
        largest = u * 2.0 ** (finer - h) + v * 2.0 ** (finer - k)
        self.keep(self.b.add(Ufunc((np.add, np.subtract)[self.choose(2)]), x, y), largest, finer)

    def times(self) -> None:
        """By an array, by a number that only the run knows, or by a constant."""
        x, kind = self.pick(), self.choose(4)
        node, bound = self.b.nodes[x], self.bounds[x]
        if kind == 0:
            y = self.fitting(x)
            if y is not None:
                op = (Ufunc(np.multiply), Scale())[self.choose(2)]
                bounds = self.bounds[y]
                self.keep(self.b.add(op, x, y), bound.largest * bounds.largest, bound.halved + bounds.halved)
            return
        value = (2.0, -1.0, 0.5, -2.0, 0.25, 3.0, 0.0, 1.0)[self.choose(8)]
        number = self.b.constant(np.full((1,) * len(node.shape), value, node.dtype))
        given = (x, number) if kind > 1 else (number, x)
        if kind == 2 and value not in (0.0, 3.0):
            number = self.b.constant(np.full((1,) * len(node.shape), 1 / value, node.dtype))
            place = self.b.add(Ufunc(np.divide), x, number)
        else:
            place = self.b.add(Ufunc(np.multiply), *given)
        self.keep(place, bound.largest * max(4.0, 4 * abs(value)), bound.halved + 2)

    def view(self) -> None:
        x, kind = self.pick(), self.choose(4)
        shape = self.b.nodes[x].shape
        if kind == 0:
            place = self.b.add(Permute(tuple(sorted(range(len(shape)), key=lambda _: self.choose(8)))), x)
        elif kind == 1:
            place = self.b.add(Broadcast(tuple(n if n != 1 else SIZES[self.choose(7)] for n in shape)), x)
        elif kind == 2:
            kept = [n for n in shape if n != 1 or self.choose(2)]
            for _ in range(self.choose(3)):
                kept.insert(self.choose(len(kept) + 1), 1)
            place = self.b.reshape(x, tuple(kept) if self.choose(4) else (self.b.nodes[x].size,))
        else:
            keys = [
                self.choose(n) if n and self.choose(4) == 0 else (None, None, (1, -1, 2)[self.choose(3)]) for n in shape
            ]
            place = self.b.add(Slice(tuple(keys)), x)
        self.keep(place, *self.bounds[x])

    def reduce(self) -> None:
        x = self.pick()
        shape = self.b.nodes[x].shape
        axes = tuple(k for k in range(len(shape)) if self.choose(2))
        ufunc = np.add if self.choose(6) or any(shape[k] == 0 for k in axes) else np.maximum
        length = max(1, int(np.prod([shape[k] for k in axes])))
        if self.bounds[x].largest * length <= LARGEST:
            self.keep(self.b.add(Reduce(ufunc, axes), x), self.bounds[x].largest * length, self.bounds[x].halved)

    def alone(self) -> None:
        """Of one array."""
        x, kind = self.pick(), self.choose(6)
        dtype = self.b.nodes[x].dtype
        other = np.dtype(np.float32 if dtype == np.float64 else np.float64)
        op = Cast(other) if kind == 0 else Ufunc(np.absolute if kind == 1 else np.negative)
        self.keep(self.b.add(op, x), *self.bounds[x])


def linear_program(choose: Choose, steps: int) -> Program:
    """A random program of sums, products, multiples and views."""
    drawing = Drawing(choose)
    for position in range(2 + choose(4)):
        dtype = np.dtype(np.float32 if choose(6) == 0 else np.float64)
        drawing.keep(drawing.b.input(position, drawing.shape(), dtype), 2.0)
    kinds = [
        drawing.contract,
        drawing.add,
        drawing.contract,
        drawing.times,
        drawing.reduce,
        drawing.view,
        drawing.alone,
    ]
    for _ in range(steps):
        kinds[choose(len(kinds))]()
    last = drawing.open[-1 - choose(min(2, len(drawing.open)))]
    drawing.open.append(last)
    drawing.reduce()
    return drawing.b.finished([drawing.open[-1], *(drawing.pick() for _ in range(choose(2)))])


def integers(program: Program, seed: int) -> list[Any]:
    """Arguments for it: 1 and 2 of both signs, as a sum of zeros would hide much."""
    rng = np.random.default_rng(seed)
    kinds = {n.op.position: n for n in program.nodes if hasattr(n.op, "position")}
    return [rng.choice([-2, -1, 1, 2], kinds[k].shape).astype(kinds[k].dtype) for k in range(len(kinds))]
