"""What a program's axes mean: which of them are the same, which one is the tasks', and their best order in memory.

Axes that must be cut together form a class: those that an elementwise operation lines up, those that a product
names with one letter. Among the classes the pass takes the one along which most of the program's operations run.
Whatever runs along it can be done a few tasks at a time, on any core, until a sum over the tasks brings the results
together. Nothing here knows of `vmap`: in a program without tasks the same pass finds, say, the examples of a batch.

Arrays that meet should lie in memory alike. The arguments' own axes say how: examples come before features, a
layer's inputs before its outputs; the patches of a convolution come first, with channels last. `Axes.rank` extends
this to one order of all classes, in which every intermediate result is laid out.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import NamedTuple

from tinymeta.compile.program.operations import Call, Contract, Copy, Input, Operation, Reduce, Shape
from tinymeta.compile.program.program import ELEMENTWISE, Builder, Node, Program
from tinymeta.compile.program.views import Broadcast, Gather, Permute, Reshape, Scatter, Slice, Views, Windows

THIN = 4  # a product cut along an inner axis becomes many thin ones: what runs so counts this much less


class Axes(NamedTuple):
    """The chosen class of axes, called the tasks, and the order of all."""

    tasks: int  # how many there are
    axis: list[int | None]  # which axis of each node is the tasks'
    along: list[bool]  # whether each operation runs along the tasks
    sums: list[bool]  # whether it sums over them
    cut: list[bool]  # whether a task's part of a node is a task's part of the memory that it is a view of
    rank: list[list[int]]  # for each node's axes, where they come in the common order


def axes_of(program: Program) -> Axes:
    """The classes of axes; the tasks are the one that most operations run along."""
    nodes = program.nodes
    classes = _Classes()
    spaces: list[list[tuple[int, int]]] = []  # for each node, one axis of each class that it runs along
    for i, node in enumerate(nodes):
        spaces.append(_joined(classes, nodes, i, node))
    work: dict[tuple[int, int], int] = defaultdict(int)
    for i, (node, space) in enumerate(zip(nodes, spaces)):
        for root in {classes.root(a) for a in space}:
            work[root] += program.cost(node)[0] // (1 if _outermost(classes, nodes, i, root) else THIN)
    own = [[classes.root((i, k)) for k in range(len(node.shape))] for i, node in enumerate(nodes)]
    for node, roots in zip(nodes, own):
        long = [root for root, n in zip(roots, node.shape) if n != 1]
        for root in long:
            if long.count(root) > 1:  # x xᵀ: cutting one axis would cut the other
                work.pop(root, None)
    best = max(work, key=lambda root: work[root], default=None)
    tasks = 1 if best is None else nodes[best[0]].shape[best[1]]
    axis: list[int | None] = []
    for node, roots in zip(nodes, own):
        axis.append(next((k for k, n in enumerate(node.shape) if n != 1 and roots[k] == best), None))
    along = [any(classes.root(a) == best for a in space) for space in spaces]
    sums = [runs and axis[i] is None and not nodes[i].op.view for i, runs in enumerate(along)]
    cut: list[bool] = []
    for i, node in enumerate(nodes):
        x = node.inputs[0] if node.op.view else i
        same = node.op.view and (axis[i], axis[x]) in same_axes(node.op, nodes[x].shape, node.shape)
        cut.append(x == i or (cut[x] and (same or (axis[x] is None and not along[x]))))
    long_axes = [[root for root, n in zip(roots, node.shape) if n != 1] for node, roots in zip(nodes, own)]
    arguments = [roots for node, roots in zip(nodes, long_axes) if isinstance(node.op, Input)]
    moved = ((i, node) for i, node in enumerate(nodes) if isinstance(node.op, (Gather, Scatter)))
    written = [long_axes[x] for i, node in moved for x in (*(node.inputs if _adds_windows(node.op) else ()), i)]
    arguments.sort(key=lambda roots: best not in roots)  # what is known of tasks and examples counts most
    order = {root: place for place, root in enumerate(_common_order(written, arguments))}
    rank = [[order.get(root, len(order)) for root in roots] for roots in own]
    return Axes(tasks, axis, along, sums, cut, rank)


def _adds_windows(op: Operation) -> bool:
    """Whether the operation is the adjoint of taking windows, whose input should lie as the windows did."""
    return isinstance(op, Scatter) and any(isinstance(view, Windows) for view in op.views)


def _outermost(classes: _Classes, nodes: list[Node], i: int, root: tuple[int, int]) -> bool:
    """Whether the operands and the result of node i, if it is a product, begin with the axis wherever they have it."""
    node = nodes[i]
    if not isinstance(node.op, Contract):
        return True
    own = ([classes.root((x, k)) for k, n in enumerate(nodes[x].shape) if n != 1] for x in (*node.inputs, i))
    return not any(root in roots[1:] for roots in own)


def arranged(program: Program) -> Program:
    """The program with each argument that lies in another order than the tasks' loop wants (the filters of a
    convolution) copied once, for that loop; what runs outside of it reads the argument itself."""
    if not any(isinstance(node.op, Gather) for node in program.nodes):
        return program
    axes = axes_of(program)
    b = Builder()
    outside: list[int] = []
    inside: list[int] = []
    for i, node in enumerate(program.nodes):
        if node.op.view:
            outside.append(b.copy(node, [outside[node.inputs[0]]]))
            inside.append(b.copy(node, [inside[node.inputs[0]]]))
            continue
        place = inside if axes.along[i] else outside
        outside.append(b.copy(node, [place[x] for x in node.inputs]))
        ranks = [r for r, n in zip(axes.rank[i], node.shape) if n != 1]
        moves = isinstance(node.op, Input) and axes.axis[i] is None and ranks != sorted(ranks)
        inside.append(b.add(Copy(), outside[i]) if moves else outside[i])
    return b.finished([outside[i] for i in program.results])


def _common_order(first: list[list[tuple[int, int]]], then: list[list[tuple[int, int]]]) -> list[tuple[int, int]]:
    """One order of all items that keeps the order within each sequence, as far as they don't contradict each other;
    else, items come as they appear. `first` takes precedence."""
    before: dict[tuple[int, int], set[tuple[int, int]]] = {}
    for sequence in first:
        for k, item in enumerate(sequence):
            before.setdefault(item, set()).update(other for other in sequence[:k] if other != item)
    settled = {item: _all_before(item, before) for item in before}
    for sequence in then:
        for k, item in enumerate(sequence):
            allowed = (other for other in sequence[:k] if item not in settled.get(other, ()))
            before.setdefault(item, set()).update(other for other in allowed if other != item)
    order: list[tuple[int, int]] = []
    while before:
        item = min(before, key=lambda item: len(before[item]))
        order.append(item)
        del before[item]
        for others in before.values():
            others.discard(item)
    return order


def _all_before(item: tuple[int, int], before: dict[tuple[int, int], set[tuple[int, int]]]) -> set[tuple[int, int]]:
    """What comes before an item, directly or not."""
    found: set[tuple[int, int]] = set()
    waiting = [item]
    while waiting:
        new = before[waiting.pop()] - found
        found |= new
        waiting += new
    return found


class _Classes:
    """Disjoint sets of axes (node, axis)."""

    def __init__(self) -> None:
        self._parent: dict[tuple[int, int], tuple[int, int]] = {}

    def root(self, a: tuple[int, int]) -> tuple[int, int]:
        while a in self._parent:
            a = self._parent[a]
        return a

    def join(self, a: tuple[int, int], b: tuple[int, int]) -> None:
        a, b = self.root(a), self.root(b)
        if a != b:
            self._parent[max(a, b)] = min(a, b)


def _joined(classes: _Classes, nodes: list[Node], i: int, node: Node) -> list[tuple[int, int]]:
    """Join the axes of a node with those of its inputs; the axes that it runs along."""
    op = node.op
    mine = [(i, k) for k, n in enumerate(node.shape) if n != 1]
    if isinstance(op, ELEMENTWISE):
        for x in node.inputs:
            for k, n in enumerate(node.shape):
                if n == nodes[x].shape[k] != 1:
                    classes.join((i, k), (x, k))
        return mine
    if isinstance(op, Contract):
        found: dict[str, tuple[int, int]] = {}
        for place, letters in zip((*node.inputs, i), (op.a, op.b, op.out)):
            for k, letter in enumerate(letters):
                if nodes[place].shape[k] != 1:
                    classes.join(found.setdefault(letter, (place, k)), (place, k))
        return list(found.values())
    if isinstance(op, Call):
        for x in node.inputs:
            for k in range(min(op.hidden, len(node.shape), len(nodes[x].shape))):
                if node.shape[k] == nodes[x].shape[k] != 1:
                    classes.join((i, k), (x, k))
        return []
    if not node.inputs or not (node.op.view or isinstance(op, (Reduce, Gather, Scatter))):
        return []
    x = node.inputs[0]
    same = same_axes(op, nodes[x].shape, node.shape)
    for k, j in same:
        classes.join((i, k), (x, j))
    if isinstance(op, (Gather, Scatter)):
        return [(i, k) for k, _ in same]
    if isinstance(op, Reduce):
        return [(x, j) for j, n in enumerate(nodes[x].shape) if n != 1 and (j not in op.axes or op.name == "add")]
    return []


def same_axes(op: Operation, before: Shape, after: Shape) -> list[tuple[int, int]]:
    """Which axes of a view's or a reduction's result are which of its input; those of size 1 don't count."""
    pairs: list[tuple[int, int]] = []
    if isinstance(op, Reduce):
        pairs = list(enumerate(k for k in range(len(before)) if k not in op.axes))
    elif isinstance(op, Permute):
        pairs = list(enumerate(op.axes))
    elif isinstance(op, Broadcast):
        pairs = [(k, k) for k, n in enumerate(before) if n == after[k]]
    elif isinstance(op, Slice):
        kept = [j for j, key in enumerate(op.key) if not isinstance(key, int)]
        pairs = [(k, j) for k, j in enumerate(kept) if op.key[j] == (None, None, None)]
    elif isinstance(op, Windows):
        pairs = [(k, k if k < op.axis else k - 1) for k in range(len(after)) if k not in (op.axis, op.axis + 1)]
    elif isinstance(op, Gather):
        pairs = _through(op.views, before)
    elif isinstance(op, Scatter):
        pairs = [(k, j) for j, k in _through(op.views, op.to)]
    elif isinstance(op, Reshape):
        places = {(math.prod(before[:j]), n): j for j, n in enumerate(before) if n != 1}
        found = [(k, places.get((math.prod(after[:k]), n))) for k, n in enumerate(after)]
        pairs = [(k, j) for k, j in found if j is not None]
    return [(k, j) for k, j in pairs if after[k] != 1]


def _through(views: Views, shape: Shape) -> list[tuple[int, int]]:
    """Which axes of what a chain of views shows are which of what it sees."""
    place = {k: k for k in range(len(shape))}
    for view in views:
        after = view.shape(shape)
        place = {k: place[j] for k, j in same_axes(view, shape, after) if j in place}
        shape = after
    return list(place.items())
