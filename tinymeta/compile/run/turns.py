"""The turns of a `Loop` on the machine: one call for all of them.

The body's arguments and results are slots of its program. From turn to turn the slots of stacked arrays move on by one
slice, and each carry changes places between two: what a turn has written is what the next one reads. So a block of
tasks goes through all turns while it lies in a core's cache, and no core waits for another.

    arguments    carries      slices       what all turns share
    results      carries      what the turn says
    address      there and    + slice      stays
                 back         (− slice, from the last to the first)

That takes tasks which read of the carries only what they have written themselves (`own_parts.py`). Bodies of other
tasks, and those that are several loops of the machine, run on one core and in one block, one loop after the other
within a turn; those with operations that are left to Python, and large ones, are called turn after turn.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from tinymeta_kernels import machine
from tinymeta_kernels.located import locate

from tinymeta.compile.program.loop import Loop
from tinymeta.compile.program.operations import Constant, Input
from tinymeta.compile.program.program import Builder, Program
from tinymeta.compile.verify import Broken
from tinymeta.engine.tensor import Array

if TYPE_CHECKING:
    from tinymeta.compile.run.machine import Machine

SMALL = 2_000_000  # operations of a turn of several loops that one core does sooner than Python calls them


def distinct(body: Program) -> Program:
    """The body with a node of its own for each result, which the machine can write in any place."""
    b = Builder()
    image: list[int] = []
    for node in body.nodes:
        image.append(b.copy(node, [image[x] for x in node.inputs]))
    results: list[int] = []
    for i in (image[i] for i in body.results):
        own = i not in results and not b.nodes[i].op.view and not isinstance(b.nodes[i].op, (Input, Constant))
        results.append(i if own else b.again(i))
    return b.finished(results)


class Turns:
    """A loop ready to run on arrays."""

    def __init__(self, op: Loop, body: Machine) -> None:
        self._op, self._body = op, body
        self._ready = body.joined(SMALL, op.carries)
        if self._ready is None:
            return
        inputs, results = op.kinds()
        two = [((2, *shape), dtype) for shape, dtype in inputs[: op.carries]]
        self._recycled = body.recycled([*two, *results[op.carries :]])
        columns = body.columns.tolist()
        table = [(slot, *move) for slot, move in zip(columns, _moves(op)) if move[0]]
        check(op, columns, table)  # in use, too: the self-check looks at a few turns of long loops
        header = [machine.TURNS, 6 + 3 * len(table), op.turns, len(table), 0, 0, *(n for row in table for n in row)]
        self._ready.body = np.concatenate([np.array(header, np.int64), self._ready.body])
        self._ready.work *= op.turns

    def __call__(self, *xs: Array) -> tuple[Array, ...]:
        op = self._op
        if self._ready is None:
            return op(*xs, run=lambda t, given: self._body(given))
        last, first = op.carries + op.slices, op.order()[0]
        xs = tuple([np.ascontiguousarray(x).reshape(x.shape) for x in xs])
        memory = self._recycled.take()
        places, said = memory[: op.carries], memory[op.carries :]
        for place, x in zip(places, xs):
            place[0] = x
        given = [*(place[:1] for place in places), *(x[first : first + 1] for x in xs[op.carries : last]), *xs[last:]]
        given += [*(place[1:] for place in places), *(y[first : first + 1] for y in said)]
        space = self._body.workspace()
        locate(given, self._body.columns, space.base)
        self._body.run(self._ready, space)
        self._body.idle.append(space)
        return (*(np.array(place[op.turns % 2]) for place in places), *said)


def _moves(op: Loop) -> list[tuple[int, int]]:
    """For each argument and result of the body: by how many bytes it moves after a turn, and whether there and back."""
    inputs, results = op.kinds()
    back, last = -1 if op.reverse else 1, op.carries + op.slices
    carried = [math.prod(shape) * dtype.itemsize for shape, dtype in inputs[: op.carries]]
    stacked = [back * math.prod(s[1:]) * d.itemsize for s, d in (*inputs[op.carries : last], *results[op.carries :])]
    of_inputs = [*((n, 1) for n in carried), *((n, 0) for n in stacked[: op.slices]), *((0, 0) for _ in inputs[last:])]
    return [*of_inputs, *((-n, 1) for n in carried), *((n, 0) for n in stacked[op.slices :])]


def check(op: Loop, columns: list[int], table: list[tuple[int, int, int]]) -> None:
    """Each turn reads the carries that the one before has written, and not where it writes; and its own slices."""
    (inputs, results), last = op.kinds(), op.carries + op.slices
    n = len(inputs)
    stacks = [*inputs[op.carries : last], *results[op.carries :]]
    at = dict.fromkeys(columns, 0)  # bytes from where it is in turn 0: there, a carry comes out behind where it goes in
    width = [math.prod(shape) * dtype.itemsize for shape, dtype in inputs[: op.carries]]
    read = [0] * op.carries
    for turn, t in enumerate(op.order()):
        now = [at[slot] for slot in columns]
        written = [offset + size for offset, size in zip(now[n : n + op.carries], width)]
        places = [(t - op.order()[0]) * math.prod(shape[1:]) * dtype.itemsize for shape, dtype in stacks]
        right = now[: op.carries] == read and all(a != b or not size for a, b, size in zip(written, read, width))
        if not right or [*now[op.carries : last], *now[n + op.carries :]] != places or any(now[last:n]):
            raise Broken("turns of a loop", f"turn {turn}", "an argument or a result isn't at its place")
        read = written
        for slot, step, alternates in table:
            at[slot] += -step if alternates and turn % 2 else step
    if read != [size * (op.turns % 2) for size in width]:
        raise Broken("turns of a loop", "the last turn", "the carries don't lie where they are read")
