"""From a program to the machine's instructions, with every buffer's place planned.

Memory comes in pieces, called slots: ARENA holds what outlives its loop, SCRATCH (one for each core) what a block of
tasks needs, PARTIAL (one for each core) its share of the sums over tasks, ZERO and ONES what their names say; each
argument, constant and result is a slot of its own. Within ARENA and SCRATCH a buffer's place is free again after its
last reader.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from tinymeta.compile.place.layout import ARENA, FIRST, Layout
from tinymeta.compile.place.loop_body import LoopBody, LoopCode
from tinymeta.compile.place.schedule import Schedule
from tinymeta.compile.place.scratch import Scratch
from tinymeta.compile.program.operations import Constant, Input
from tinymeta.compile.program.program import Program
from tinymeta.compile.program.views import packed

CACHE = 1 << 21  # bytes that the buffers of a block may take: with more tasks in a block, its products are larger
TILE = 1 << 12  # elements of a tile


@dataclass
class Assembly:
    """What the machine needs to run a program."""

    program: Program
    loops: list[LoopCode]
    layouts: dict[int, Layout]  # of all nodes that outlive their loop
    slots: dict[int, int]  # node → slot, for arguments, constants, results, and what Python makes
    fresh: list[int]  # nodes that are written straight into the arrays that the user gets
    sizes: tuple[int, int, int]  # bytes of ARENA, SCRATCH, PARTIAL


def assembled(program: Program) -> Assembly:
    """Place a program. Raises `Unplaceable` where the machine can't run it."""
    schedule = Schedule(program)
    results = dict.fromkeys(schedule.program.results)
    fresh = [i for i in results if i in schedule.home and not schedule.by_python(i)]
    layouts, slots, arena = _outliving(schedule, fresh)
    bodies = [_body(schedule, layouts, k) for k in range(len(schedule.loops))]
    scratch = max((body.scratch.size * body.size for body in bodies), default=0)
    partial = max((body.partial for body in bodies), default=0)
    codes = [body.code for body in bodies]
    return Assembly(schedule.program, codes, layouts, slots, fresh, (arena, scratch, partial))


def _outliving(schedule: Schedule, fresh: list[int]) -> tuple[dict[int, Layout], dict[int, int], int]:
    """Where everything lies that is read outside of the loop that makes it, its slot if that is its own, and the bytes
    of the arena."""
    nodes, program, arena = schedule.nodes, schedule.program, Scratch()
    layouts: dict[int, Layout] = {}
    slots: dict[int, int] = {}
    for i, node in enumerate(nodes):
        if isinstance(node.op, (Input, Constant)) or i in fresh or schedule.by_python(i):
            slots[i] = FIRST + len(slots)
            layouts[i] = _layout(schedule, i, slots[i], 0)
    ends: dict[int, list[tuple[int, int]]] = defaultdict(list)
    results = {schedule.roots[i] for i in program.results}
    for k, loop in enumerate(schedule.loops):
        for i in loop.nodes:
            if i in slots:
                continue
            homes = [schedule.home[r] for r in schedule.readers[i]]
            if i in results or schedule.sums(i) or any(h != k for h in homes):
                size = nodes[i].size * nodes[i].dtype.itemsize
                offset = arena.take(size)
                layouts[i] = _layout(schedule, i, ARENA, offset)
                last = len(schedule.loops) if i in results else max(homes, default=k)
                ends[last].append((offset, size))
        for offset, size in ends.pop(k, ()):
            arena.give(offset, size)
    return layouts, slots, arena.size


def _layout(schedule: Schedule, i: int, slot: int, offset: int) -> Layout:
    node = schedule.nodes[i]
    if node.dtype is None:
        return Layout(slot, offset, 0, ())
    free = slot == ARENA and i not in schedule.row_major  # what others see is row-major
    order = schedule.axes.in_memory(i) if free else None
    return Layout(slot, offset, 0, packed(node.shape, node.dtype.itemsize, order))


def _body(schedule: Schedule, layouts: dict[int, Layout], k: int) -> LoopBody:
    """A loop's instructions: written once to see how much scratch a task takes, and again for blocks that fit."""
    loop = schedule.loops[k]
    body = LoopBody(schedule, layouts, k, 1)
    if loop.kind != "python":
        body.write()
    if loop.kind not in ("tasks", "rows", "tiles"):
        return body
    block = TILE if loop.kind == "tiles" else max(1, min(loop.count, CACHE // max(1, body.scratch.size)))
    body = LoopBody(schedule, layouts, k, block)
    body.write()
    return body
