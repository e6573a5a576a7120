"""Random loops: carries that change places, slices, what all turns share; in both dtypes, forward and reverse."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from tinymeta_kernels import threads

from tests.compile.in_turn import InTurn
from tests.compile.margins import MARGINS
from tinymeta.compile.place import assemble, schedule
from tinymeta.compile.program.loop import Loop
from tinymeta.compile.program.operations import Contract, Reduce, Ufunc
from tinymeta.compile.program.program import Builder, Program
from tinymeta.compile.program.views import Broadcast, Permute, Reshape, Slice
from tinymeta.compile.rewrite import rewritten
from tinymeta.compile.run import machine
from tinymeta.compile.run.replay import Replay

WHOLE = (np.add, np.subtract, np.multiply, np.maximum)  # of small integers, exact in any order


def loops(rng: np.random.Generator) -> Program:
    """A program with a loop, on integers: its last carries and what its turns say, some of it summed over them."""
    dtype, n = np.dtype(rng.choice(["f4", "f8"])), int(rng.integers(1, 5))
    shape = [(), (n,), (3, n), (n, n)][rng.integers(4)]
    body, position = Builder(), 0
    groups: list[list[int]] = []
    for count in (rng.integers(1, 4), rng.integers(0, 3), rng.integers(0, 3)):
        groups.append([body.input(position + k, shape, dtype) for k in range(count)])
        position += int(count)
    nodes = [i for group in groups for i in group]
    if rng.random() < 0.3:
        nodes.append(body.constant(rng.integers(-1, 2, shape).astype(dtype)))
    for _ in range(rng.integers(1, 9)):
        nodes.append(_any(body, rng, nodes, shape))
    bounded = [body.add(Ufunc(np.sign), i) for i in rng.choice(nodes, len(groups[0]))]  # numbers don't grow
    carries = [i if rng.random() < 0.7 else int(rng.choice(groups[0])) for i in bounded]
    said = [int(i) for i in rng.choice(nodes, rng.integers(0, 4))]
    if len(shape) == 2 and rng.random() < 0.7:
        said.append(body.add(Contract("ab", "ac", "bc"), *(int(i) for i in rng.choice(nodes, 2))))
        said.append(body.add(Reduce(np.add, (0,)), int(rng.choice(nodes))))
    program = body.finished([*carries, *said])
    op = Loop(program, int(rng.integers(1, 6)), len(groups[0]), len(groups[1]), bool(rng.integers(2)))
    b = Builder()
    inputs = [b.input(k, *kind) for k, kind in enumerate(op.kinds()[0])]
    parts = b.parts(b.add(op, *inputs, shape=()))
    sums = [b.add(Reduce(np.add, (0,)), x) for x in parts[op.carries :] if rng.random() < 0.5]
    return b.finished([int(i) for i in rng.permutation([*parts, *sums])])


def _any(b: Builder, rng: np.random.Generator, nodes: list[int], shape: tuple[int, ...]) -> int:
    """One more node of this shape."""
    x, y = (int(i) for i in rng.choice(nodes, 2))
    if shape and rng.random() < 0.1:
        return b.add(Ufunc(np.add), b.add(Slice(((None, None, -1), *((None, None, None),) * (len(shape) - 1))), x), y)
    if shape == shape[::-1] and rng.random() < 0.2:
        return b.add(Ufunc(np.add), b.add(Permute(tuple(range(len(shape)))[::-1]), x), y)
    kind = rng.integers(4) if len(shape) == 2 else 0
    if kind == 1:
        turned = b.add(Permute((1, 0)), x)
        return b.reshape(b.add(Contract("ab", "bc", "ac"), b.add(Contract("ab", "bc", "ac"), y, turned), x), shape)
    if kind == 2:
        return b.add(Broadcast(shape), b.reshape(b.add(Reduce(np.add, (0,)), x), (1, shape[1])))
    if kind == 3:
        return b.add(Ufunc(np.add), b.add(Reshape(shape), b.add(Permute((1, 0)), x)), y)
    return b.add(Ufunc(WHOLE[rng.integers(len(WHOLE))]), x, y)


SMALL = [  # what sizes make the machine do: large sums in rows, a task in each block, cores one after the other
    {},
    {(schedule, "LONG"): 2, (threads, "count"): 2, (machine, "crew"): InTurn(True), **MARGINS},
    {(schedule, "LONG"): 2, (threads, "count"): 2, (machine, "crew"): InTurn(False)},
    {(assemble, "CACHE"): 1, (threads, "count"): 1},
]


def same(program: Program) -> None:
    """The program, and its rewritten form, on one core and on two, against its plain replay."""
    rng = np.random.default_rng(0)
    kinds = {n.op.position: (n.shape, n.dtype) for n in program.nodes if type(n.op).__name__ == "Input"}  # type: ignore[attr-defined]
    arguments: list[Any] = [rng.integers(-1, 2, kinds[k][0]).astype(kinds[k][1]) for k in range(len(kinds))]
    expected = Replay(program)(arguments)
    for form, patches in itertools.product((program, rewritten(program)), SMALL):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(machine, "WORTH_SHARING", 0)
            for (where, name), value in patches.items():
                patch.setattr(where, name, value)
            run = machine.Machine(form)
            found = [run(arguments), run(arguments)]
        for results in found:
            for a, b in zip(results, expected, strict=True):
                assert (a.shape, a.dtype) == (b.shape, b.dtype)
                np.testing.assert_array_equal(a, b)
