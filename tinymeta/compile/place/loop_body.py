"""One loop's instructions, and the places of what lives within a block of its tasks."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from tinymeta.compile.place import instructions
from tinymeta.compile.place.copies import OUT, SLOW, Matrices, moves
from tinymeta.compile.place.layout import PARTIAL, SCRATCH, ZERO, Layout, Unplaceable, packed, seen, seen_through
from tinymeta.compile.place.scratch import Room
from tinymeta.compile.program.operations import Contract, Copy, Reduce, Scale, Shape, Ufunc, Where
from tinymeta.compile.program.views import Gather, Scatter, Slice

if TYPE_CHECKING:
    from tinymeta.compile.place.assemble import Assembler, Step


class Block:
    """Writes the instructions of one loop for blocks of `size` tasks (or elements, or 1)."""

    def __init__(self, whole: Assembler, number: int, size: int) -> None:
        self.program, self.nodes, self.roots = whole.program, whole.nodes, whole.roots
        self.loop = whole.loops[number]
        self.whole = whole
        self.size = size
        self.room = Room(16)  # offsets are per task
        self.local: dict[int, Layout] = {}
        self.taken: dict[int, tuple[int, int]] = {}  # node → its place in the room
        self.partial = 0
        self.joined = self._joined()
        self.ends: dict[int, list[int]] = defaultdict(list)
        for i in self.loop.nodes:
            if i not in whole.layouts:
                self.ends[max((self.joined.get(x, x) for x in whole.readers[i]), default=i)].append(i)

    def _joined(self) -> dict[int, int]:
        """Which sums take the numbers of a `Scatter` that nothing else reads straight into their places, so that the
        zeros around them are neither written nor added: scatter → sum."""
        found: dict[int, int] = {}
        for i in self.loop.nodes if self.loop.kind != "tiles" else ():
            op, inputs = self.nodes[i].op, self.nodes[i].inputs
            if isinstance(op, Ufunc) and op.name == "add":
                both = [x for x, other in (inputs, inputs[::-1]) if self._may_join(x, other, i)]
                found |= dict.fromkeys(both[-1:], i)
        return found

    def _may_join(self, x: int, other: int, i: int) -> bool:
        """Whether sum i may write over `other`, adding in places what `x` holds there."""
        op, shapes = self.nodes[x].op, {self.nodes[k].shape for k in (x, other, i)}
        if not isinstance(op, Scatter) or op.overlaps or not all(isinstance(view, Slice) for view in op.views):
            return False
        alone = self.whole.readers[x] == [i] and x not in self.whole.layouts
        return alone and len(shapes) == 1 and self.roots[self.nodes[x].inputs[0]] != self.roots[other]

    def write(self, step: Step) -> None:
        """All instructions of the loop."""
        for i in self.loop.nodes:
            if i in self.joined:
                continue
            node = self.nodes[i]
            step.work += self.program.cost(node)[0] + node.size
            out = self._sum(step, i) if self._sums(i) else self._place(i)
            self._write(step, i, out)
            for j in self.ends.pop(i, ()):
                if j in self.taken:
                    self.room.give(*self.taken.pop(j))
        self.whole.partial = max(self.whole.partial, self.partial)

    def _write(self, step: Step, i: int, out: Layout) -> None:
        node = self.nodes[i]
        op, dtype = node.op, node.dtype
        for x, other in (node.inputs, node.inputs[::-1]) if len(node.inputs) == 2 else ():
            if self.joined.get(x) == i:
                before = self._operand(other)
                step.body += [] if before == out else self._copied(i, before, out)
                step.body += self._scattered(x, out, onto=True)
                return
        given = [self._operand(x) for x in node.inputs]
        if isinstance(op, Contract):
            self._product(step, op, i, given, out)
        elif isinstance(op, Reduce):
            x = node.inputs[0]
            shape, tasks = self.nodes[x].shape, self._axis(x)
            if not self._sums(i):  # the first entries begin the reduction, where adding nothing doesn't
                step.body += self._begun(op, i, given[0], out)
            step.body += instructions.reduction(op, dtype, given[0], out, shape, tasks, self.size)
        elif isinstance(op, Gather):
            view = seen_through(op.views, given[0], self.nodes[node.inputs[0]].shape)
            if view is None:
                raise Unplaceable(f"{op} reads an array that it can't see without a copy")
            step.body += instructions.copy(dtype, view, out, self._shape(i), self._axis(i), self.size)
        elif isinstance(op, Scatter):
            step.body += self._scattered(i, out)
        elif isinstance(op, Copy):
            step.body += instructions.copy(dtype, given[0], out, self._shape(i), self._axis(i), self.size)
        else:
            shape = self._shape(i)
            dtypes = [self.nodes[x].dtype for x in node.inputs] + [dtype]
            step.body += instructions.elementwise(op, dtypes, given, out, shape, self._axis(i), self.size)

    def _begun(self, op: Reduce, i: int, x: Layout, out: Layout) -> list[int]:
        """Write what a reduction starts from: 0, or for a maximum the first entries."""
        node = self.nodes[i]
        if op.name == "add":
            start = Layout(ZERO, 0, 0, (0,) * len(node.shape))
        else:
            kept = tuple(s for k, s in enumerate(x.strides) if k not in op.axes)
            start = x._replace(strides=kept)
        return instructions.copy(node.dtype, start, out, node.shape, self._axis(i), self.size)

    def _scattered(self, i: int, out: Layout, onto: bool = False) -> list[int]:
        """Zeros (or what is there), and x added to them. Within one run of the innermost loop no two elements of x have
        one place."""
        node, given = self.nodes[i], self.nodes[i].inputs[0]
        op: Any = node.op
        x, shape, tasks = self._operand(given), self.nodes[given].shape, self._axis(given)
        zero, code = Layout(ZERO, 0, 0, (0,) * len(node.shape)), []
        if not onto and not op.covers(shape):
            code = self._copied(i, zero, out)
        view = seen_through(op.views, out, op.to)
        if view is None:
            raise Unplaceable(f"{op} writes an array that it can't see without a copy")
        if not onto and not op.overlaps:
            return code + instructions.copy(node.dtype, x, view, shape, tasks, self.size)
        add, dtypes = Ufunc("add"), [node.dtype] * 3
        return code + instructions.elementwise(add, dtypes, [view, x], view, shape, tasks, self.size)

    def _product(self, step: Step, op: Contract, i: int, given: list[Layout], out: Layout) -> None:
        node = self.nodes[i]
        a, b = node.inputs
        size = dict(zip(op.a + op.b, self.nodes[a].shape + self.nodes[b].shape))
        letter = next((k for k in size if self._letter_is_tasks(op, i, k)), None)
        if letter is not None:
            size[letter] = 1
        matrices = Matrices(op, node.dtype, [*given, out], size, letter, self._sums(i))
        effort, code = matrices.product()
        before, after, places = [], [], []
        if effort > SLOW * matrices.least_effort():
            for which, order in moves(matrices).items():
                x, letters = (a, b, i)[which], matrices.letters()[which]
                copy, place = self._new(x, [letters.index(c) for c in order])
                if which == OUT:
                    after = self._copied(i, copy, out)
                else:
                    before += self._copied(x, given[which], copy)
                matrices.layouts[which] = copy
                places.append(place)
            _, code = matrices.product()
        if not code:
            raise Unplaceable(f"{op} has no form that the BLAS can multiply")
        step.body += before + code + after
        for place in places:
            self.room.give(*place)

    def _letter_is_tasks(self, op: Contract, i: int, letter: str) -> bool:
        a, b = self.nodes[i].inputs
        for letters, x in ((op.a, a), (op.b, b)):
            axis = self._axis(x)
            if axis is not None and letters[axis] == letter:
                return True
        return False

    # What lies where

    def _axis(self, x: int) -> int | None:
        """The axis of node x that this loop cuts."""
        if self.loop.kind == "tiles":
            return 0 if self.nodes[x].size > 1 else None
        if self.loop.kind == "whole":
            return None
        return self.whole.axes.axis[x]

    def _sums(self, i: int) -> bool:
        return self.loop.kind == "tasks" and self.whole.axes.sums[i]

    def _shape(self, x: int) -> Shape:
        """The shape of node x as the loop sees it: in tiles, all axes are one."""
        return (self.nodes[x].size,) if self.loop.kind == "tiles" else self.nodes[x].shape

    def _sum(self, step: Step, i: int) -> Layout:
        """Where a core adds up its part of a sum over tasks, with the instructions that begin and end it."""
        node, whole = self.nodes[i], self.whole.layouts[i]
        zero = Layout(ZERO, 0, 0, (0,) * len(node.shape))
        strides = packed(node.shape, node.dtype.itemsize, self.whole.common_order(i))
        part = Layout(PARTIAL, self.partial, 0, strides)
        self.partial += -(-node.size * node.dtype.itemsize // 64) * 64
        step.before += instructions.copy(node.dtype, zero, part, node.shape, None, 1)
        step.first += instructions.copy(node.dtype, part, whole, node.shape, None, 1)
        add, dtypes = Ufunc("add"), [node.dtype] * 3
        step.rest += instructions.elementwise(add, dtypes, [whole, part], whole, node.shape, None, 1)
        return part

    def _place(self, i: int) -> Layout:
        """Where node i is written."""
        if i in self.whole.layouts:
            return self._stepping(i, self._flat(i, self.whole.layouts[i]))
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
        once = [self.roots[y] for y in node.inputs].count(x) == 1
        last = x in self.taken and x in self.ends.get(i, ())
        alike = (given.shape, given.dtype) == (node.shape, node.dtype)
        ordered = i not in self.whole.row_major or x in self.whole.row_major
        return isinstance(node.op, (Ufunc, Scale, Where)) and once and last and alike and ordered

    def _new(self, i: int, order: list[int]) -> tuple[Layout, tuple[int, int]]:
        """A place for the values of node i, with its axes in this order in memory, the tasks outermost; and what the
        room takes back."""
        node = self.nodes[i]
        shape, axis = list(self._shape(i)), self._axis(i)
        if axis is not None:
            shape[axis] = 1
        each = node.dtype.itemsize
        for n in shape:
            each *= n
        place = self.room.take(each)
        strides = list(packed(tuple(shape), node.dtype.itemsize, tuple(order)))
        if axis is not None:
            strides[axis] = each
        return Layout(SCRATCH, place * self.size, 0, tuple(strides)), (place, each)

    def _memory_order(self, i: int) -> list[int]:
        """The order in memory of the axes of node i."""
        if i in self.whole.row_major:
            return list(range(len(self._shape(i))))
        return [0] if self.loop.kind == "tiles" else list(self.whole.common_order(i))

    def _operand(self, x: int) -> Layout:
        """Where node x can be read, a view or not."""
        return self._stepping(x, self._seen(x))

    def _seen(self, x: int) -> Layout:
        views = []
        while x not in self.local and x not in self.whole.layouts:
            views.append(self.nodes[x])
            x = self.nodes[x].inputs[0]
        found = self.local[x] if x in self.local else self._flat(x, self.whole.layouts[x])
        if self.loop.kind == "tiles":
            return found
        for node in reversed(views):
            view = seen(node.op, found, self.nodes[node.inputs[0]].shape, node.shape)
            if view is None:
                raise Unplaceable(f"{node.op} reads an array that doesn't lie in row-major order")
            found = view
        return found

    def _copied(self, x: int, layout: Layout, to: Layout) -> list[int]:
        """Copy the values of node x from one place to another."""
        return instructions.copy(self.nodes[x].dtype, layout, to, self.nodes[x].shape, self._axis(x), self.size)

    def _flat(self, x: int, layout: Layout) -> Layout:
        """The layout of a whole array as the loop sees it: in tiles, all axes are one."""
        if self.loop.kind != "tiles":
            return layout
        return layout._replace(strides=(self.nodes[x].dtype.itemsize if self.nodes[x].size > 1 else 0,))

    def _stepping(self, x: int, layout: Layout) -> Layout:
        """The layout with its step from one task to the next, if it lies where all tasks do."""
        axis = self._axis(x)
        return layout if layout.slot == SCRATCH or axis is None else layout._replace(step=layout.strides[axis])
