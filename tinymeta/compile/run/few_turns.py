"""A program of a few turns: what checks one whose loops are too long to be run twice.

Each turn is the same instructions at other addresses. The addresses of all turns are looked at one by one (`turns.py`),
so the numbers of the first few tell whether the instructions are right. A loop takes the first slices alone, and says 0
in the places of all others: the rest of the program is as it was.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tinymeta.compile.program.calls import Part
from tinymeta.compile.program.loop import Loop
from tinymeta.compile.program.program import Builder, Program
from tinymeta.compile.program.views import Scatter, Slice

FEW = 6


def shortened(program: Program) -> Program | None:
    """The program with loops of a few turns; None if no loop of it is costly."""
    return _cut(program) if any(isinstance(n.op, Loop) and n.op.is_costly for n in program.nodes) else None


def _cut(program: Program) -> Program:
    b, image = Builder(), list[int]()
    for node in program.nodes:
        op: Any = node.op
        inputs, before = [image[x] for x in node.inputs], program.nodes[node.inputs[0]].op if node.inputs else None
        if isinstance(op, Loop):
            turns = min(op.turns, FEW)
            for k in range(op.carries, op.carries + op.slices):
                inputs[k] = b.add(_first(turns, len(b.nodes[inputs[k]].shape)), inputs[k])
            image.append(b.add(replace(op, body=_cut(op.body), turns=turns), *inputs, shape=()))
        elif isinstance(op, Part) and isinstance(before, Loop) and op.index >= before.carries:
            turns = min(before.turns, FEW)
            said = b.add(op, *inputs, shape=(turns, *node.shape[1:]), dtype=node.dtype)
            image.append(b.add(Scatter(node.shape, (_first(turns, len(node.shape)),)), said))
        else:
            image.append(b.copy(node, inputs))
    return b.finished([image[i] for i in program.results])


def _first(turns: int, rank: int) -> Slice:
    return Slice(((0, turns, None), *((None, None, None),) * (rank - 1)))
