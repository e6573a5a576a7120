"""One loop's instructions, and where what lives within a block of its tasks lies."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tinymeta.compile.place import instructions
from tinymeta.compile.place.layout import PARTIAL, SCRATCH, Layout, Unplaceable
from tinymeta.compile.place.products import OUT, SLOW, Product
from tinymeta.compile.place.schedule import Loop, Schedule
from tinymeta.compile.place.scratch import Scratch
from tinymeta.compile.program.operations import Contract, Copy, Reduce, Scale, Shape, Special, Ufunc, Where
from tinymeta.compile.program.views import Gather, Scatter, Slice, packed


@dataclass
class LoopCode:
    """A loop ready to run: instructions before it, in it (for each block), and after it; or Python calls."""

    loop: Loop
    block: int = 1  # tasks (or elements) at a time
    before: list[int] = field(default_factory=list)  # by every core, for its own sums
    body: list[int] = field(default_factory=list)
    first: list[int] = field(default_factory=list)  # the first core's sums become the result's first part,
    rest: list[int] = field(default_factory=list)  # and the others' are added to it
    work: int = 0  # floating-point operations and elements moved: whether a second core pays


class LoopBody:
    """Writes the instructions of loop `k` for blocks of `size` tasks (or elements, or 1). `layouts` tells where
    everything lies that outlives its loop."""

    def __init__(self, schedule: Schedule, layouts: Mapping[int, Layout], k: int, size: int) -> None:
        self.schedule, self.nodes, self.layouts = schedule, schedule.nodes, layouts
        self.loop = schedule.loops[k]
        self.size = size
        self.code = LoopCode(self.loop, size)
        self.scratch = Scratch(16)  # offsets are per task
        self.partial = 0  # bytes of a core's share of the sums over tasks
        self.cut: dict[int, int] = {}  # in rows: the axes that they are
        self.local: dict[int, Layout] = {}
        self.taken: dict[int, tuple[int, int]] = {}  # node → its place in the scratch
        self.joined = self._joined()
        self.ends: dict[int, list[int]] = defaultdict(list)
        for i in self.loop.nodes:
            if i not in layouts:
                self.ends[max((self.joined.get(x, x) for x in schedule.readers[i]), default=i)].append(i)

    def _joined(self) -> dict[int, int]:
        """Which sums take the numbers of a `Scatter` that nothing else reads straight into their places, so that the
        zeros around them are neither written nor added: scatter → sum."""
        found: dict[int, int] = {}
        for i in self.loop.nodes if self.loop.kind != "tiles" else ():
            op, inputs = self.nodes[i].op, self.nodes[i].inputs
            if op == instructions.ADD:
                both = [x for x, other in (inputs, inputs[::-1]) if self._may_join(x, other, i)]
                found |= dict.fromkeys(both[-1:], i)
        return found

    def _may_join(self, x: int, other: int, i: int) -> bool:
        """Whether sum i may write over `other`, adding in places what `x` holds there."""
        op, shapes = self.nodes[x].op, {self.nodes[k].shape for k in (x, other, i)}
        if not isinstance(op, Scatter) or op.overlaps or not all(isinstance(view, Slice) for view in op.views):
            return False
        alone = self.schedule.readers[x] == [i] and x not in self.layouts
        roots = self.schedule.roots
        return alone and len(shapes) == 1 and roots[self.nodes[x].inputs[0]] != roots[other]

    def write(self) -> None:
        """All instructions of the loop."""
        for i in self.loop.nodes:
            if i in self.joined:
                continue
            node = self.nodes[i]
            if self.loop.kind == "rows":
                self.cut = self._rows(i)
            self.code.work += self.schedule.program.work(node) + node.size
            self.code.body += self._instructions(i, self._sum(i) if self.schedule.sums(i) else self._place(i))
            for j in self.ends.pop(i, ()):
                if j in self.taken:
                    self.scratch.give(*self.taken.pop(j))

    def _instructions(self, i: int, out: Layout) -> list[int]:
        node = self.nodes[i]
        for x, other in (node.inputs, node.inputs[::-1]) if len(node.inputs) == 2 else ():
            if self.joined.get(x) == i:
                before = self._operand(other)
                copied = [] if before == out else self._copied(i, before, out)
                return copied + self._scattered(x, out, onto=True)
        op, given = node.op, [self._operand(x) for x in node.inputs]
        if isinstance(op, Contract):
            return self._product(op, i, given, out)
        if isinstance(op, Reduce):
            begun = [] if self.schedule.sums(i) else self._begun(op, i, given[0], out)
            x = node.inputs[0]
            reduced = instructions.reduction(
                op, node.dtype, given[0], out, self.nodes[x].shape, self._axis(x), self.size
            )
            return begun + reduced
        if isinstance(op, Gather):
            view = given[0].seen_through(op.views, self.nodes[node.inputs[0]].shape)
            if view is None:
                raise Unplaceable(f"{op} reads an array that it can't see without a copy")
            return self._copied(i, view, out)
        if isinstance(op, Scatter):
            return self._scattered(i, out)
        if isinstance(op, Copy):
            return self._copied(i, given[0], out)
        dtypes = [*(self.nodes[x].dtype for x in node.inputs), node.dtype]
        return instructions.elementwise(op, dtypes, given, out, self._shape(i), self._axis(i), self.size)  # type: ignore[arg-type]

    def _begun(self, op: Reduce, i: int, x: Layout, out: Layout) -> list[int]:
        """Write what a reduction starts from: 0, or for a maximum the first entries."""
        if op.adds:
            return instructions.zeros(self.nodes[i].dtype, out, self.nodes[i].shape, self._axis(i), self.size)
        first = tuple(s for k, s in enumerate(x.strides) if k not in op.axes)
        return self._copied(i, x._replace(strides=first), out)

    def _scattered(self, i: int, out: Layout, onto: bool = False) -> list[int]:
        """Zeros (or what is there), and x added to them. Within one run of the innermost loop no two elements of x have
        one place."""
        node, given = self.nodes[i], self.nodes[i].inputs[0]
        op: Any = node.op
        code, shape = [], self.nodes[given].shape
        if not onto and not op.covers(shape):
            code = instructions.zeros(node.dtype, out, node.shape, self._axis(i), self.size)
        view = out.seen_through(op.views, op.to)
        if view is None:
            raise Unplaceable(f"{op} writes an array that it can't see without a copy")
        add = instructions.sum_of if onto or op.overlaps else instructions.copy
        return code + add(node.dtype, self._operand(given), view, shape, self._axis(given), self.size)

    def _product(self, op: Contract, i: int, given: list[Layout], out: Layout) -> list[int]:
        a, b = self.nodes[i].inputs
        size = dict(zip(op.a + op.b, self.nodes[a].shape + self.nodes[b].shape))
        axes = ((letters, self._axis(x)) for letters, x in ((op.a, a), (op.b, b)))
        tasks = next((letters[axis] for letters, axis in axes if axis is not None), None)
        if tasks is not None:
            size[tasks] = 1
        product = Product(op, self.nodes[i].dtype, [*given, out], size, tasks, self.schedule.sums(i))
        before, after, places = [], [], []
        effort, code = product.instruction()
        copies = product.copies() if effort > SLOW * product.least_effort() else {}
        for which, order in copies.items():
            x, letters, layouts = (a, b, i)[which], product.letters()[which], list(product.layouts)
            layouts[which], place = self._new(x, [letters.index(c) for c in order])
            if which == OUT:
                after = self._copied(i, layouts[which], out)
            else:
                before += self._copied(x, given[which], layouts[which])
            product = product._replace(layouts=layouts)
            places.append(place)
        if copies:
            _, code = product.instruction()
        if not code:
            raise Unplaceable(f"{op} has no form that the BLAS can multiply")
        for place in places:
            self.scratch.give(*place)
        return before + code + after

    def _copied(self, x: int, layout: Layout, to: Layout) -> list[int]:
        """Copy the values of node x from one place to another."""
        return instructions.copy(self.nodes[x].dtype, layout, to, self._shape(x), self._axis(x), self.size)

    # What lies where

    def _axis(self, x: int) -> int | None:
        """The axis of node x that this loop cuts."""
        if self.loop.kind == "tiles":
            return 0 if self.nodes[x].size > 1 else None
        if self.loop.kind == "rows":
            return self.cut.get(x)
        return None if self.loop.kind == "whole" else self.schedule.axes.axis[x]

    def _rows(self, i: int) -> dict[int, int]:
        """Which axes of product i and of its operands are the rows of its result."""
        node, k = self.nodes[i], self.schedule.rows(i)
        op: Any = node.op
        letter = op.out[k]
        found = {x: letters.index(letter) for x, letters in zip(node.inputs, (op.a, op.b)) if letter in letters}
        return {**found, i: op.out.index(letter)}

    def _shape(self, x: int) -> Shape:
        """The shape of node x as the loop sees it: in tiles, all axes are one."""
        return (self.nodes[x].size,) if self.loop.kind == "tiles" else self.nodes[x].shape

    def _sum(self, i: int) -> Layout:
        """Where a core adds up its part of a sum over tasks, with the instructions that begin and end it."""
        node, whole = self.nodes[i], self.layouts[i]
        strides = packed(node.shape, node.dtype.itemsize, self.schedule.axes.in_memory(i))
        part = Layout(PARTIAL, self.partial, 0, strides)
        self.partial += -(-node.size * node.dtype.itemsize // 64) * 64
        self.code.before += instructions.zeros(node.dtype, part, node.shape, None, 1)
        self.code.first += instructions.copy(node.dtype, part, whole, node.shape, None, 1)
        self.code.rest += instructions.sum_of(node.dtype, part, whole, node.shape, None, 1)
        return part

    def _place(self, i: int) -> Layout:
        """Where node i is written."""
        if i in self.layouts:
            return self._from_task_to_task(i, self._flat(i, self.layouts[i]))
        node = self.nodes[i]
        over = next((x for x in node.inputs if self._may_overwrite(x, i)), None)
        if over is None:
            self.local[i], self.taken[i] = self._new(i, self._memory_order(i))
            return self.local[i]
        self.taken[i] = self.taken.pop(over)
        self.local[i] = self.local[over]
        return self.local[i]

    def _may_overwrite(self, x: int, i: int) -> bool:
        """Whether elementwise node i may write over its input x: nobody reads x after it, and it reads x once."""
        node, given = self.nodes[i], self.nodes[x]
        once = [self.schedule.roots[y] for y in node.inputs].count(x) == 1
        last = x in self.taken and x in self.ends.get(i, ())
        alike = (given.shape, given.dtype) == (node.shape, node.dtype)
        ordered = i not in self.schedule.row_major or x in self.schedule.row_major
        return isinstance(node.op, (Ufunc, Special, Scale, Where)) and once and last and alike and ordered

    def _new(self, i: int, order: list[int]) -> tuple[Layout, tuple[int, int]]:
        """A place for the values of node i, with its axes in this order in memory, the tasks outermost; and what the
        scratch takes back."""
        itemsize, axis = self.nodes[i].dtype.itemsize, self._axis(i)
        shape = tuple(1 if k == axis else n for k, n in enumerate(self._shape(i)))
        each = math.prod(shape) * itemsize
        offset = self.scratch.take(each)
        strides = list(packed(shape, itemsize, tuple(order)))
        if axis is not None:
            strides[axis] = each
        return Layout(SCRATCH, offset * self.size, 0, tuple(strides)), (offset, each)

    def _memory_order(self, i: int) -> list[int]:
        """The order in memory of the axes of node i."""
        if i in self.schedule.row_major or self.loop.kind == "tiles":
            return list(range(len(self._shape(i))))
        return list(self.schedule.axes.in_memory(i))

    def _operand(self, x: int) -> Layout:
        """Where node x can be read, a view or not."""
        return self._from_task_to_task(x, self._seen(x))

    def _seen(self, x: int) -> Layout:
        views = []
        while x not in self.local and x not in self.layouts:
            views.append(self.nodes[x])
            x = self.nodes[x].inputs[0]
        found = self.local[x] if x in self.local else self._flat(x, self.layouts[x])
        if self.loop.kind == "tiles":
            return found
        for node in reversed(views):
            view = found.seen(node.op, self.nodes[node.inputs[0]].shape)
            if view is None:
                raise Unplaceable(f"{node.op} reads an array that doesn't lie in row-major order")
            found = view
        return found

    def _flat(self, x: int, layout: Layout) -> Layout:
        """The layout of a whole array as the loop sees it: in tiles, all axes are one."""
        node = self.nodes[x]
        if self.loop.kind != "tiles":
            return layout
        row_major = packed(node.shape, node.dtype.itemsize)
        if any(n > 1 and a != b for n, a, b in zip(node.shape, layout.strides, row_major)):
            raise Unplaceable(f"{node.op} doesn't lie in row-major order, from which tiles are cut")
        return layout._replace(strides=(node.dtype.itemsize if node.size > 1 else 0,))

    def _from_task_to_task(self, x: int, layout: Layout) -> Layout:
        """The layout with its stride from one task to the next, if it lies where all tasks do."""
        axis = self._axis(x)
        return layout if layout.slot == SCRATCH or axis is None else layout._replace(task_stride=layout.strides[axis])
