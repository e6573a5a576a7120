"""Which operations run together: a program as a sequence of loops.

    tasks    once for each block of tasks; what a block computes stays in the cache, and blocks are shared between cores
    tiles    elementwise operations on long arrays, a tile of a few thousand elements at a time
    whole    once, on whole arrays
    python   a kernel that the machine can't call

A value is *local* if only its own loop reads it: then one block's worth of it is all that ever exists. A sum over
tasks is complete only after its loop, so its readers stand in a later one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tinymeta.compile.place.parallel import Axes
from tinymeta.compile.program.operations import Constant, Copy, Input
from tinymeta.compile.program.program import ELEMENTWISE, Program
from tinymeta.compile.program.views import Reshape

LONG = 1 << 13  # elementwise operations on as many elements are cut in tiles


@dataclass
class Loop:
    """Operations that run in one go, and over what."""

    kind: str
    count: int  # tasks, elements, or 1
    nodes: list[int] = field(default_factory=list)


def roots_of(program: Program) -> list[int]:
    """For every node, the node whose memory it is a view of."""
    roots: list[int] = []
    for i, node in enumerate(program.nodes):
        roots.append(roots[node.inputs[0]] if node.op.view else i)
    return roots


def schedule(program: Program, axes: Axes, callable_: list[bool]) -> list[Loop]:
    """The loops, in order. `callable_` tells what the machine can do."""
    roots = roots_of(program)
    loops: list[Loop] = []
    at: dict[int, int] = {}
    early = _early(program, callable_)
    for i in sorted(range(len(program.nodes)), key=lambda i: not early[i]):
        node = program.nodes[i]
        if node.op.view or isinstance(node.op, (Input, Constant)):
            continue
        kind, count = _kind(program, axes, callable_, i)
        first = 0
        for x in node.inputs:
            made = at.get(roots[x])
            if made is not None:
                together = loops[made].kind == kind and loops[made].count == count
                if kind == "tasks":
                    together = together and axes.cut[x] and not axes.sums[roots[x]]
                elif kind == "tiles":
                    together = together and program.nodes[x].size == count
                first = max(first, made if together else made + 1)
        place = next((k for k in range(first, len(loops)) if (loops[k].kind, loops[k].count) == (kind, count)), None)
        if place is None:
            place = len(loops)
            loops.append(Loop(kind, count))
        loops[place].nodes.append(i)
        at[i] = place
    return loops


def _early(program: Program, callable_: list[bool]) -> list[bool]:
    """Which nodes need nothing but arguments and Python's kernels: done first, they interrupt no loop."""
    early: list[bool] = []
    for i, node in enumerate(program.nodes):
        ready = node.op.view or not callable_[i] or isinstance(node.op, (Input, Constant))
        early.append(ready and all(early[x] for x in node.inputs))
    return early


def _kind(program: Program, axes: Axes, callable_: list[bool], i: int) -> tuple[str, int]:
    node = program.nodes[i]
    if not callable_[i]:
        return "python", 1
    if axes.along[i]:
        return "tasks", axes.tasks
    even = all(program.nodes[x].size in (1, node.size) and _in_order(program, x) for x in node.inputs)
    if isinstance(node.op, ELEMENTWISE) and not isinstance(node.op, Copy) and node.size >= LONG and even:
        return "tiles", node.size
    return "whole", 1


def _in_order(program: Program, x: int) -> bool:
    """Whether node x lies in memory in row-major order: it is no view, or a reshape of one that does."""
    while isinstance(program.nodes[x].op, Reshape):
        x = program.nodes[x].inputs[0]
    return not program.nodes[x].op.view
