"""A part of a program's tasks, to check what is too large to be run twice.

Some arguments of a step have an axis of T tasks. If those of all tasks repeat those of the first few, each task's
numbers are known from these few, and a sum over the tasks is T / few times theirs. So the plain replay of a program for
the few, with its sums over tasks multiplied so, says what the whole program has to give on the arguments so repeated:
every instruction and every buffer of the whole one is checked, at a fraction of the operations.

That holds if every operation either knows nothing of the tasks, or does to each task by itself the same, or brings
them together in a sum or a largest number. `_by_tasks` looks at each one; where one does anything else, there is no
part. The program for the few is then looked at once more, as any program is (`well_formed.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tinymeta.compile.place.axes import Axes, axes_of
from tinymeta.compile.program import well_formed
from tinymeta.compile.program.calls import Call, Check
from tinymeta.compile.program.operations import Constant, Contract, Elementwise, Input, Operation, Reduce, Shape, Ufunc
from tinymeta.compile.program.program import Node, Program
from tinymeta.compile.program.views import Broadcast, Gather, Reshape, Scatter
from tinymeta.engine.tensor import Array

FEW = 16  # one of so many tasks is kept, at least two, and so many that their number divides that of all
OF_ALL = (np.maximum, np.minimum)  # reductions of the few that are those of all

Axis = int | None  # the tasks' axis of an array, if it has one


class FewTasks(NamedTuple):
    """A program for some of the tasks."""

    program: Program
    arguments: list[Array]  # for it
    repeated: list[Array]  # for the whole program: those of the tasks that were kept, again and again
    tasks: int
    axes: list[Axis]  # which axis of each result is the tasks'
    kept: int

    def seen(self, results: list[Array]) -> list[Array]:
        """The whole program's results, from those of the part."""
        return [y if k is None else _again(y, k, self.tasks, self.kept) for y, k in zip(results, self.axes)]


def _again(x: Array, axis: int, tasks: int, kept: int) -> Array:
    """The first tasks' numbers for all."""
    return np.take(x, np.arange(tasks) % kept, axis)


def part_of(program: Program, arguments: list[Array]) -> FewTasks | None:
    """The program for a few of its tasks; None if it has none, or something in it can't be cut."""
    axes = axes_of(program)
    if axes.tasks < 4:
        return None
    kept = next(n for n in range(max(2, axes.tasks // FEW), axes.tasks + 1) if axes.tasks % n == 0)
    part = None if 2 * kept > axes.tasks else _cut(program, axes, kept)
    if part is None or not well_formed.holds(part):
        return None
    given, repeated = list(arguments), list(arguments)
    for node, k in zip(program.nodes, axes.axis):
        if isinstance(node.op, Input) and k is not None:
            at = node.op.position
            given[at] = np.take(arguments[at], np.arange(kept), k)
            repeated[at] = _again(given[at], k, axes.tasks, kept)
    return FewTasks(part, given, repeated, axes.tasks, [axes.axis[i] for i in program.results], kept)


def _cut(program: Program, axes: Axes, kept: int) -> Program | None:
    """The program for the first `kept` tasks; its sums over tasks are multiplied by how many times they repeat."""
    nodes: list[Node] = []
    image: list[int] = []  # where each node is in the part
    for node, k in zip(program.nodes, axes.axis):
        shapes = [program.nodes[x].shape for x in node.inputs]
        cut = [axes.axis[x] for x in node.inputs]
        if not _by_tasks(node, k, shapes, cut):
            return None
        shape = node.shape if k is None else (*node.shape[:k], kept, *node.shape[k + 1 :])
        op, value = _to(node.op, shape), node.value
        if isinstance(op, Constant) and k is not None:
            op, value = Constant(("part", op.key)), np.take(value, np.arange(kept), k)
            if not np.array_equal(_again(value, k, axes.tasks, kept), node.value, equal_nan=value.dtype.kind in "fc"):
                return None  # tasks that the program itself tells apart
        nodes.append(Node(op, tuple(image[x] for x in node.inputs), shape, node.dtype, value))
        if k is None and any(x is not None for x in cut) and _adds(op):
            if node.dtype.kind not in "iufc":
                return None
            many = np.full((1,) * len(shape), axes.tasks // kept, node.dtype)
            nodes.append(Node(Constant(("tasks", node.dtype, len(shape))), (), many.shape, node.dtype, many))
            nodes.append(Node(Ufunc(np.multiply), (len(nodes) - 2, len(nodes) - 1), shape, node.dtype))
        image.append(len(nodes) - 1)
    return Program(nodes, tuple(image[i] for i in program.results))


def _adds(op: Operation) -> bool:
    return isinstance(op, Contract) or (isinstance(op, Reduce) and op.adds)


def _to(op: Operation, shape: Shape) -> Operation:
    """An operation that names its result's shape, for this one."""
    if isinstance(op, (Reshape, Broadcast)):
        return type(op)(shape)
    return Scatter(shape, op.views) if isinstance(op, Scatter) else op


def _by_tasks(node: Node, k: Axis, shapes: Sequence[Shape], cut: Sequence[Axis]) -> bool:
    """Whether the few tasks' result, its axis `k`, comes of theirs alone, the axes `cut` of inputs of these shapes; or
    whether that of all tasks is one of all of them."""
    op = node.op
    if not node.inputs or isinstance(op, Check):
        return True
    if isinstance(op, Elementwise) or (isinstance(op, Call) and k is not None and k < op.hidden):
        return all(x == k or (x is None and k is not None and _is_one(s, k)) for x, s in zip(cut, shapes))
    if isinstance(op, Contract):
        words = list(zip((op.a, op.b, op.out), (*cut, k)))
        letters = {word[x] for word, x in words if x is not None}
        return len(letters) < 2 and all((x is None) == letters.isdisjoint(word) for word, x in words)
    if all(x is None for x in cut):
        return k is None or (isinstance(op, Broadcast) and _is_one(shapes[0], k))
    if isinstance(op, Reduce) and cut[0] in op.axes:
        return k is None and (op.adds or op.ufunc in OF_ALL)
    if not (op.view or isinstance(op, (Reduce, Gather, Scatter))):
        return False  # a kernel that isn't mapped over the tasks
    return (k, cut[0]) in op.same_axes(shapes[0], node.shape)


def _is_one(shape: Shape, k: int) -> bool:
    """Whether an array is the same for all along axis `k`."""
    return k < len(shape) and shape[k] == 1
