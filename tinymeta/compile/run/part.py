"""A part of a program's tasks, to check what is too large to be run twice.

Some arguments of a step have an axis of T tasks. If those of all tasks repeat those of the first few, each task's
numbers are known from these few, and a sum over the tasks is T / few times theirs. So the plain replay of a program for
the few, with its sums over tasks multiplied so, says what the whole program has to give on the arguments so repeated:
every instruction and every buffer of the whole one is checked, at a fraction of the operations.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from tinymeta.compile.place.parallel import axes_of
from tinymeta.compile.program.operations import Call, Check, Constant, Input, Operation, Part, Reduce, Shape, Ufunc
from tinymeta.compile.program.program import Node, Program
from tinymeta.compile.program.views import Broadcast, Gather, Reshape, Scatter
from tinymeta.engine.tensor import Array

FEW = 16  # one of so many tasks is kept, at least two, and so many that their number divides that of all


class FewTasks(NamedTuple):
    """A program for some of the tasks."""

    program: Program
    arguments: list[Array]  # for it
    repeated: list[Array]  # for the whole program: those of the tasks that were kept, again and again
    tasks: int
    axes: list[int | None]  # which axis of each result is the tasks'
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
    if 2 * kept > axes.tasks:
        return None
    nodes: list[Node] = []
    place: list[int] = []
    given, repeated = list(arguments), list(arguments)
    for i, node in enumerate(program.nodes):
        k = axes.axis[i]
        shape = node.shape if k is None else (*node.shape[:k], kept, *node.shape[k + 1 :])
        inputs = tuple(place[x] for x in node.inputs)
        op, value = node.op, node.value
        if isinstance(op, Input) and k is not None:
            given[op.position] = np.take(arguments[op.position], np.arange(kept), k)
            repeated[op.position] = _again(given[op.position], k, axes.tasks, kept)
        elif isinstance(op, Constant) and k is not None:
            value = np.take(value, np.arange(kept), k)
            if not np.array_equal(_again(value, k, axes.tasks, kept), node.value, equal_nan=value.dtype.kind in "fc"):
                return None  # tasks that the program itself tells apart
            op = Constant(("part", op.key))
        elif node.inputs:
            cut = _cut(op, shape, [program.nodes[x].shape for x in node.inputs], [nodes[x].shape for x in inputs])
            if cut is None:
                return None
            op = cut
        nodes.append(Node(op, inputs, shape, node.dtype, value))
        place.append(len(nodes) - 1)
        if axes.sums[i] and node.inputs:
            if isinstance(op, Reduce) and op.name != "add":
                continue  # the largest of a few is the largest of all
            if node.dtype is None or node.dtype.kind not in "fc":
                return None
            many = np.full((1,) * len(shape), axes.tasks / kept, node.dtype)
            nodes.append(Node(Constant(("tasks", node.dtype, len(shape))), (), many.shape, node.dtype, many))
            nodes.append(Node(Ufunc("multiply"), (place[i], len(nodes) - 1), shape, node.dtype))
            place[i] = len(nodes) - 1
    results = tuple(place[i] for i in program.results)
    return FewTasks(Program(nodes, results), given, repeated, axes.tasks, [axes.axis[i] for i in program.results], kept)


def _cut(op: Operation, shape: Shape, before: list[Shape], given: list[Shape]) -> Operation | None:
    """The operation that makes `shape` of `given`, where the whole one has inputs of shapes `before`."""
    if isinstance(op, Call):
        return op if op.hidden or before == given else None
    if isinstance(op, (Part, Check)):
        return op
    if isinstance(op, Scatter):
        return Scatter(shape, op.views) if Gather(op.views).shape(shape) == given[0] else None
    if isinstance(op, Reshape):
        return Reshape(shape) if math.prod(shape) == math.prod(given[0]) else None
    if isinstance(op, Broadcast):
        return Broadcast(shape) if all(n in (1, m) for n, m in zip(given[0], shape)) else None
    try:
        return op if op.shape(*given) == shape else None
    except ValueError:  # shapes that don't broadcast
        return None
