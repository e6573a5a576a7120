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

from collections import defaultdict
from typing import NamedTuple, TypeAlias

from tinymeta.compile.program.calls import Call, Part
from tinymeta.compile.program.loop import Loop
from tinymeta.compile.program.operations import Contract, Elementwise, Input, Operation, Reduce
from tinymeta.compile.program.program import Node, Program
from tinymeta.compile.program.views import Gather, Scatter, Windows

Axis: TypeAlias = tuple[int, int]  # a node, and which of its axes

THIN = 4  # a product cut along an inner axis becomes many thin ones: what runs so counts this much less


class Axes(NamedTuple):
    """The chosen class of axes, called the tasks, and the order of all."""

    tasks: int  # how many there are
    axis: list[int | None]  # which axis of each node is the tasks'
    along: list[bool]  # whether each operation runs along the tasks
    sums: list[bool]  # whether it sums over them
    cut: list[bool]  # whether a task's part of a node is a task's part of the memory that it is a view of
    rank: list[list[int]]  # for each node's axes, where they come in the common order

    def in_memory(self, i: int) -> tuple[int, ...]:
        """The axes of node i in the common order, so that arrays that meet lie alike."""
        return tuple(sorted(range(len(self.rank[i])), key=lambda k: self.rank[i][k]))


def axes_of(program: Program) -> Axes:
    """The classes of axes; the tasks are the one that most operations run along."""
    nodes = program.nodes
    classes = _Classes()
    spaces = [_joined(classes, nodes, i, node) for i, node in enumerate(nodes)]
    own = [[classes.root((i, k)) for k in range(len(node.shape))] for i, node in enumerate(nodes)]
    best = _most_work(program, classes, spaces, own)
    tasks = 1 if best is None else nodes[best[0]].shape[best[1]]
    axis: list[int | None] = []
    for node, roots in zip(nodes, own):
        axis.append(next((k for k, n in enumerate(node.shape) if n != 1 and roots[k] == best), None))
    along = [any(classes.root(a) == best for a in space) for space in spaces]
    sums = [runs and axis[i] is None and not nodes[i].op.view for i, runs in enumerate(along)]
    cut: list[bool] = []
    for i, node in enumerate(nodes):
        x = node.inputs[0] if node.op.view else i
        same = node.op.view and (axis[i], axis[x]) in node.op.same_axes(nodes[x].shape, node.shape)
        cut.append(x == i or (cut[x] and (same or (axis[x] is None and not along[x]))))
    return Axes(tasks, axis, along, sums, cut, _ranks(nodes, own, best))


def _most_work(program: Program, classes: _Classes, spaces: list[list[Axis]], own: list[list[Axis]]) -> Axis | None:
    """The class that most operations run along, if there is one that can be cut."""
    nodes = program.nodes
    work: dict[Axis, int] = defaultdict(int)
    for i, (node, space) in enumerate(zip(nodes, spaces)):
        for root in {classes.root(a) for a in space}:
            work[root] += program.work(node) // (1 if _outermost(nodes, own, i, root) else THIN)
    for node, roots in zip(nodes, own):
        long = _long(node, roots)
        for root in long:
            if long.count(root) > 1:  # x xᵀ: cutting one axis would cut the other
                work.pop(root, None)
    return max(work, key=lambda root: work[root], default=None)


def _ranks(nodes: list[Node], own: list[list[Axis]], best: Axis | None) -> list[list[int]]:
    """For each node's axes, where they come in the common order."""
    long = [_long(node, roots) for node, roots in zip(nodes, own)]
    arguments = [roots for node, roots in zip(nodes, long) if isinstance(node.op, Input)]
    moved = ((i, node) for i, node in enumerate(nodes) if _of_windows(node.op))
    written = [long[x] for i, node in moved for x in (*(node.inputs if isinstance(node.op, Scatter) else ()), i)]
    arguments.sort(key=lambda roots: best not in roots)  # what is known of tasks and examples counts most
    made = [long[i] for i in sorted(range(len(nodes)), key=lambda i: -nodes[i].size) if not nodes[i].op.view]
    order = {root: rank for rank, root in enumerate(_common_order(written, arguments, made))}
    return [[order.get(root, len(order)) for root in roots] for roots in own]


def _long(node: Node, roots: list[Axis]) -> list[Axis]:
    """The classes of a node's axes that are longer than 1."""
    return [root for root, n in zip(roots, node.shape) if n != 1]


def _of_windows(op: Operation) -> bool:
    """Whether the operation takes windows, or is the adjoint of that, whose input should lie as the windows did."""
    return isinstance(op, (Gather, Scatter)) and any(isinstance(view, Windows) for view in op.views)


def _outermost(nodes: list[Node], own: list[list[Axis]], i: int, root: Axis) -> bool:
    """Whether the operands and the result of node i, if it is a product, begin with the axis wherever they have it."""
    if not isinstance(nodes[i].op, Contract):
        return True
    return not any(root in _long(nodes[x], own[x])[1:] for x in (*nodes[i].inputs, i))


def _common_order(first: list[list[Axis]], then: list[list[Axis]], last: list[list[Axis]]) -> list[Axis]:
    """One order of all items that keeps the order within each sequence, as far as they don't contradict each other;
    else, items come as they appear. `first` takes precedence over `then`; of `last`, a sequence places those items that
    no sequence before it has: so the largest array decides for axes that no argument has, as an attention's heads."""
    before: dict[Axis, set[Axis]] = {}
    for sequence in first:
        for k, item in enumerate(sequence):
            before.setdefault(item, set()).update(other for other in sequence[:k] if other != item)
    settled = {item: _all_before(item, before) for item in before}
    for sequence in then:
        for k, item in enumerate(sequence):
            allowed = (other for other in sequence[:k] if item not in settled.get(other, ()))
            before.setdefault(item, set()).update(other for other in allowed if other != item)
    for sequence in last:
        new = {item for item in sequence if item not in before}
        for k, item in enumerate(sequence) if new else ():
            own = before.setdefault(item, set())
            own.update(x for x in sequence[:k] if x != item and {x, item} & new and item not in _all_before(x, before))
    order: list[Axis] = []
    while before:
        item = min(before, key=lambda item: len(before[item]))
        order.append(item)
        del before[item]
        for others in before.values():
            others.discard(item)
    return order


def _all_before(item: Axis, before: dict[Axis, set[Axis]]) -> set[Axis]:
    """What comes before an item, directly or not."""
    found: set[Axis] = set()
    waiting = [item]
    while waiting:
        new = before[waiting.pop()] - found
        found |= new
        waiting += new
    return found


class _Classes:
    """Disjoint sets of axes (node, axis)."""

    def __init__(self) -> None:
        self._parent: dict[Axis, Axis] = {}

    def root(self, a: Axis) -> Axis:
        while a in self._parent:
            a = self._parent[a]
        return a

    def join(self, a: Axis, b: Axis) -> None:
        a, b = self.root(a), self.root(b)
        if a != b:
            self._parent[max(a, b)] = min(a, b)


def _joined(classes: _Classes, nodes: list[Node], i: int, node: Node) -> list[Axis]:
    """Join the axes of a node with those of its inputs; the axes that it runs along."""
    op = node.op
    if isinstance(op, (Elementwise, Call)):
        lined_up = op.hidden if isinstance(op, Call) else len(node.shape)
        for x in node.inputs:
            for k, (n, m) in enumerate(zip(node.shape[:lined_up], nodes[x].shape)):
                if n == m != 1:
                    classes.join((i, k), (x, k))
        return [] if isinstance(op, Call) else [(i, k) for k, n in enumerate(node.shape) if n != 1]
    if isinstance(op, Contract):
        found: dict[str, Axis] = {}
        for x, letters in zip((*node.inputs, i), (op.a, op.b, op.out)):
            for k, letter in enumerate(letters):
                if nodes[x].shape[k] != 1:
                    classes.join(found.setdefault(letter, (x, k)), (x, k))
        return list(found.values())
    if not node.inputs:
        return []
    if isinstance(op, (Loop, Part)):
        _join_turns(classes, nodes, i, op)
        return []
    x = node.inputs[0]
    same = op.same_axes(nodes[x].shape, node.shape)
    for k, j in same:
        classes.join((i, k), (x, j))
    if isinstance(op, (Gather, Scatter)):
        return [(i, k) for k, _ in same]
    if isinstance(op, Reduce):
        return [(x, j) for j, n in enumerate(nodes[x].shape) if n != 1 and (j not in op.axes or op.adds)]
    return []


def _join_turns(classes: _Classes, nodes: list[Node], i: int, op: Operation) -> None:
    """The turns of a loop are one axis of all that it takes and gives slice by slice."""
    of = nodes[i].inputs[0] if isinstance(op, Part) else i
    loop = nodes[of].op
    if not isinstance(loop, Loop) or loop.turns == 1:
        return
    stacks = nodes[of].inputs[loop.carries : loop.carries + loop.slices]
    stacks += (i,) * (isinstance(op, Part) and op.index >= loop.carries)
    for x in stacks[1:]:
        classes.join((stacks[0], 0), (x, 0))
