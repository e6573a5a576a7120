"""Which operations run together: a program as a sequence of loops.

    tasks    once for each block of tasks; what a block computes stays in the cache, and blocks are shared between cores
    rows     a product that sums over tasks into a matrix that is large beside what it multiplies (the gradient of a
             layer's weights): in rows of its result, shared between cores, where blocks would add up to it one by one
    tiles    elementwise operations on long arrays, a tile of a few thousand elements at a time
    whole    once, on whole arrays
    python   a kernel that the machine can't call

A value is *local* if only its own loop reads it: then one block's worth of it is all that ever exists. A sum over
tasks is complete only after its loop, so its readers stand in a later one.
"""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from dataclasses import dataclass, field

from tinymeta.compile.place.axes import axes_of
from tinymeta.compile.place.copies import with_copies
from tinymeta.compile.place.instructions import callable_
from tinymeta.compile.program.operations import Constant, Contract, Copy, Elementwise, Input
from tinymeta.compile.program.program import Program
from tinymeta.compile.program.views import Reshape, Scatter

# A sum over tasks is read and written some five times, in blocks and by cores; in rows once, but what it multiplies has
# to be kept, written and read. So rows move less up to this many times the numbers of the sum.
HEAVY = 2
LONG = 1 << 13  # elementwise operations on as many elements are cut in tiles


@dataclass
class Loop:
    """Operations that run in one go, and over what."""

    kind: str
    count: int  # tasks, elements, or 1
    nodes: list[int] = field(default_factory=list)


class Schedule:
    """A program's loops, in order, and what its nodes are to them."""

    def __init__(self, program: Program) -> None:
        self.program, self.row_major = with_copies(program)
        self.nodes = self.program.nodes
        for i, node in reversed(list(enumerate(self.nodes))):
            if i in self.row_major and any(isinstance(self.nodes[x].op, Scatter) for x in node.inputs):
                self.row_major.update(node.inputs)  # a sum of scatters is made in one place, part by part
        self.axes = axes_of(self.program)
        self.roots: list[int] = []  # for every node, the node whose memory it is a view of
        self.readers: dict[int, list[int]] = defaultdict(list)  # and for such a one, the nodes that read it
        for i, node in enumerate(self.nodes):
            self.roots.append(self.roots[node.inputs[0]] if node.op.view else i)
            for x in node.inputs:
                if not node.op.view:
                    self.readers[self.roots[x]].append(i)
        self._callable = [callable_(node, [self.nodes[x] for x in node.inputs]) for node in self.nodes]
        self.loops: list[Loop] = []
        self.home: dict[int, int] = {}  # the loop of each node that isn't a view
        early = self._early()
        for i in sorted(range(len(self.nodes)), key=lambda i: not early[i]):
            if not self._is_given(i):
                self.home[i] = self._loop(i)
                insort(self.loops[self.home[i]].nodes, i)  # in the program's order, which tells the last reader
        others = [i for loop in self.loops if loop.kind in ("tiles", "python") for i in loop.nodes]
        self.row_major.update(self.roots[x] for i in others for x in (i, *self.nodes[i].inputs))  # tiles are of rows
        self.row_major.update(self.roots[x] for x in self.program.results)

    def by_python(self, i: int) -> bool:
        """Whether node i runs in Python."""
        return i in self.home and self.loops[self.home[i]].kind == "python"

    def sums(self, i: int) -> bool:
        """Whether node i is a sum over the tasks of its loop."""
        return self.loops[self.home[i]].kind == "tasks" and self.axes.sums[i]

    def _is_given(self, i: int) -> bool:
        """Whether node i needs no loop."""
        return self.nodes[i].op.view or isinstance(self.nodes[i].op, (Input, Constant))

    def _loop(self, i: int) -> int:
        """The first loop of node i's kind that may run after all that it reads; a new one, if there is none."""
        kind, count = self._kind(i)
        first = 0
        for x in self.nodes[i].inputs:
            made = self.home.get(self.roots[x])
            if made is not None:
                together = self.loops[made].kind == kind and self.loops[made].count == count
                if kind == "tasks":
                    together = together and self.axes.cut[x] and not self.axes.sums[self.roots[x]]
                elif kind == "tiles":
                    together = together and self.nodes[x].size == count
                first = max(first, made if together else made + 1)
        for k in range(first, len(self.loops)):
            if (self.loops[k].kind, self.loops[k].count) == (kind, count):
                return k
        self.loops.append(Loop(kind, count))
        return len(self.loops) - 1

    def _early(self) -> list[bool]:
        """Which kernels of Python's, and small operations, need nothing but arguments and each other: done first, they
        interrupt no loop."""
        early: list[bool] = []
        for i, node in enumerate(self.nodes):
            ready = (
                self._is_given(i) or self._kind(i)[0] == "python" or self._kind(i) == ("whole", 1) and node.size < LONG
            )
            early.append(ready and all(early[x] for x in node.inputs))
        return early

    def _kind(self, i: int) -> tuple[str, int]:
        node = self.nodes[i]
        if not self._callable[i]:
            return "python", 1
        if self.axes.along[i]:
            rows = self.rows(i)
            return ("tasks", self.axes.tasks) if rows is None else ("rows", node.shape[rows])
        even = all(self.nodes[x].size in (1, node.size) and self._in_order(x) for x in node.inputs)
        if isinstance(node.op, Elementwise) and not isinstance(node.op, Copy) and node.size >= LONG and even:
            return "tiles", node.size
        return "whole", 1

    def rows(self, i: int) -> int | None:
        """The longest axis of a sum over tasks, if it is to be cut along that: where that moves less."""
        node, inputs = self.nodes[i], {self.roots[x] for x in self.nodes[i].inputs}
        if not isinstance(node.op, Contract) or not self.axes.sums[i] or node.size < LONG or len(inputs) < 2:
            return None
        kept = sum(self.nodes[x].size for x in inputs if not self._is_given(x))
        return node.shape.index(max(node.shape)) if kept <= HEAVY * node.size else None

    def _in_order(self, x: int) -> bool:
        """Whether node x lies in memory in row-major order: it is no view, or a reshape of one that does."""
        while isinstance(self.nodes[x].op, Reshape):
            x = self.nodes[x].inputs[0]
        return not self.nodes[x].op.view
