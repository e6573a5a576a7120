"""From a schedule to the machine's instructions, with every buffer's place planned.

Memory comes in pieces, called slots: ARENA holds what outlives its loop, SCRATCH (one for each core) what a block of
tasks needs, PARTIAL (one for each core) its share of the sums over tasks; each argument, constant and result is a slot
of its own. Within ARENA and SCRATCH a buffer's place is free again after its last reader.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from tinymeta_kernels import contract

from tinymeta.compile.place.instructions import copying
from tinymeta.compile.place.layout import ARENA, FIRST, Layout, packed
from tinymeta.compile.place.loop_body import Block
from tinymeta.compile.place.parallel import arranged, axes_of
from tinymeta.compile.place.schedule import Loop, roots_of, schedule
from tinymeta.compile.place.scratch import Room
from tinymeta.compile.program.operations import Cast, Constant, Contract, Copy, Erf, Input, Reduce, Scale, Ufunc, Where
from tinymeta.compile.program.program import Node, Program, with_copies
from tinymeta.compile.program.views import Gather, Scatter

CACHE = 1 << 21  # bytes that the buffers of a block may take: with more tasks in a block, its products are larger
TILE = 1 << 12  # elements of a tile


@dataclass
class Step:
    """A loop ready to run: instructions before it, in it (for each block), and after it; or a Python call."""

    loop: Loop
    before: list[int] = field(default_factory=list)  # by every core, for its own sums
    body: list[int] = field(default_factory=list)
    first: list[int] = field(default_factory=list)  # the first core's sums become the result's first part,
    rest: list[int] = field(default_factory=list)  # and the others' are added to it
    block: int = 1
    work: int = 0  # floating-point operations and elements moved: whether a second core pays


@dataclass
class Assembly:
    """What the machine needs to run a program."""

    program: Program
    steps: list[Step]
    layouts: dict[int, Layout]  # of all nodes that outlive their loop
    slots: dict[int, int]  # node → slot, for arguments, constants, results, and what Python makes
    fresh: list[int]  # nodes that are written straight into the arrays that the user gets
    sizes: tuple[int, int, int]  # bytes of ARENA, SCRATCH, PARTIAL


def can_call(program: Program, node: Node) -> bool:
    """Whether the machine has an instruction for the node."""
    dtypes = [program.nodes[x].dtype for x in node.inputs]
    op = node.op
    if node.dtype is None or any(0 in each.shape for each in (node, *(program.nodes[x] for x in node.inputs))):
        return False
    if isinstance(op, (Copy, Gather)):
        return contract.loop(*copying(node.dtype)) is not None
    if isinstance(op, Ufunc):
        return contract.loop(op.name, (*dtypes, node.dtype)) is not None
    if node.dtype.char not in "fd":
        return False
    if isinstance(op, Cast):
        return dtypes[0].char in "fd" and dtypes[0] != node.dtype
    if isinstance(op, Scatter):
        return contract.loop("add", (node.dtype,) * 3) is not None
    if isinstance(op, Reduce):
        return contract.loop(op.name, (node.dtype,) * 3) is not None
    if isinstance(op, Where) and dtypes.pop(0).kind != "b":
        return False
    same = all(d == node.dtype for d in dtypes)
    if isinstance(op, Contract):
        return same and contract.gemm(node.dtype) is not None
    return same and isinstance(op, (Scale, Where, Erf))


class Assembler:
    """Assembles one program for a number of cores."""

    def __init__(self, program: Program, cores: int) -> None:
        program, self.row_major = with_copies(arranged(program))
        self.program = program
        self.nodes = program.nodes
        self.cores = cores
        self.roots = roots_of(program)
        self.axes = axes_of(program)
        self.loops = schedule(program, self.axes, [can_call(program, node) for node in program.nodes])
        self.home = {i: k for k, loop in enumerate(self.loops) for i in loop.nodes}
        self.fresh = [i for i in dict.fromkeys(program.results) if i in self.home and not self._by_python(i)]
        self.layouts: dict[int, Layout] = {}
        self.slots: dict[int, int] = {}
        self.partial = 0
        self.scratch = 0
        self.readers: dict[int, list[int]] = defaultdict(list)  # memory → the nodes that read it
        for i, node in enumerate(self.nodes):
            for x in node.inputs:
                if not node.op.view:
                    self.readers[self.roots[x]].append(i)

    def assemble(self) -> Assembly:
        self._place_globals()
        steps = [self._step(k, loop) for k, loop in enumerate(self.loops)]
        sizes = self.arena, self.scratch, self.partial
        return Assembly(self.program, steps, self.layouts, self.slots, self.fresh, sizes)

    # Where everything lies

    def _place_globals(self) -> None:
        """Places for what is read outside of the loop that makes it."""
        room = Room()
        ends: dict[int, list[tuple[int, int]]] = defaultdict(list)
        fresh = set(self.fresh)
        for i, node in enumerate(self.nodes):
            if isinstance(node.op, (Input, Constant)) or i in fresh or (i in self.home and self._by_python(i)):
                self.slots[i] = FIRST + len(self.slots)
                self.layouts[i] = self._global(i, self.slots[i], 0)
        results = {self.roots[i] for i in self.program.results}
        for k, loop in enumerate(self.loops):
            for i in loop.nodes:
                if i in self.slots:
                    continue
                homes = [self.home[r] for r in self.readers[i]]
                sums = loop.kind == "tasks" and self.axes.sums[i]
                if i in results or sums or any(h != k for h in homes):
                    size = self.nodes[i].size * self.nodes[i].dtype.itemsize
                    offset = room.take(size)
                    self.layouts[i] = self._global(i, ARENA, offset)
                    last = len(self.loops) if i in results else max(homes, default=k)
                    ends[last].append((offset, size))
            for offset, size in ends.pop(k, ()):
                room.give(offset, size)
        self.arena = room.size

    def _by_python(self, i: int) -> bool:
        return self.loops[self.home[i]].kind == "python"

    def _global(self, i: int, slot: int, offset: int) -> Layout:
        node = self.nodes[i]
        if node.dtype is None:
            return Layout(slot, offset, 0, ())
        free = isinstance(node.op, Copy) and slot == ARENA and i not in self.row_major  # what others see is row-major
        order = self.common_order(i) if free else None
        return Layout(slot, offset, 0, packed(node.shape, node.dtype.itemsize, order))

    def common_order(self, i: int) -> tuple[int, ...]:
        """The axes of node i in the common order, so that arrays that meet lie alike."""
        rank = self.axes.rank[i]
        return tuple(sorted(range(len(rank)), key=lambda k: rank[k]))

    def _step(self, k: int, loop: Loop) -> Step:
        """A loop's instructions: written once to see how much room a task takes, and again for blocks that fit."""
        if loop.kind == "python":
            return Step(loop)
        block = 1
        if loop.kind != "whole":
            trial = Block(self, k, 1)
            trial.write(Step(loop))
            block = TILE if loop.kind == "tiles" else max(1, min(loop.count, CACHE // max(1, trial.room.size)))
        step = Step(loop, block=block)
        written = Block(self, k, block)
        written.write(step)
        self.scratch = max(self.scratch, written.room.size * block)
        return step
