"""A program: a list of operations in an order in which they can run.

`Builder` writes one. It never writes the same operation on the same inputs twice (common subexpressions), runs at
once what depends on constants alone (constant folding), keeps views in a normal form so that equal ones meet, and
`finished` keeps only what the results need (dead code).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tinymeta.compile.program import writing
from tinymeta.compile.program.calls import Part
from tinymeta.compile.program.operations import Constant, Copy, Input, Operation, Shape
from tinymeta.compile.program.views import Broadcast, Permute, Reshape, Slice
from tinymeta.compile.verify import checking
from tinymeta.engine.tensor import Array
from tinymeta.engine.typing import DType

FOLDED = 1 << 16  # constants of more elements are not made ahead of time, unless from one as large


class Node(NamedTuple):
    """One operation of a program; its inputs are earlier nodes, by their index."""

    op: Operation
    inputs: tuple[int, ...]
    shape: Shape
    dtype: DType
    value: Any = None  # a constant's array

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass
class Program:
    """Operations in order, and the indices of the results."""

    nodes: list[Node]
    results: tuple[int, ...]

    def users(self) -> list[list[int]]:
        """For every node, the nodes that read it (once for every time they do)."""
        found: list[list[int]] = [[] for _ in self.nodes]
        for i, node in enumerate(self.nodes):
            for x in node.inputs:
                found[x].append(i)
        return found

    def last_read(self) -> list[list[int]]:
        """For every node, which nodes nobody reads after it; the results are read to the end."""
        ends = {x: i for i, node in enumerate(self.nodes) for x in node.inputs}
        found: list[list[int]] = [[] for _ in self.nodes]
        for x in ends.keys() - self.results:
            found[ends[x]].append(x)
        return found

    def steps(self) -> int:
        """Operations that do something, those of loops' bodies counted once."""
        return sum((self.moved(node) > 0) + node.op.steps() for node in self.nodes)

    def flops(self) -> int:
        """Floating-point operations of one run."""
        return sum(map(self.work, self.nodes))

    def bytes(self) -> int:
        """Bytes that operations read and write in one run, each counted alone."""
        return sum(map(self.moved, self.nodes))

    def work(self, node: Node) -> int:
        """Floating-point operations of one node."""
        return node.op.flops(node.shape, *[self.nodes[x].shape for x in node.inputs])

    def moved(self, node: Node) -> int:
        """Bytes that one node reads and writes; views are free."""
        if isinstance(node.op, (Input, Constant, Part)) or node.op.view:
            return 0
        arrays = (*(self.nodes[x] for x in node.inputs), node)
        return node.op.bytes() + sum(x.size * x.dtype.itemsize for x in arrays if x.dtype is not None)


class Builder:
    """Writes a program, one operation at a time; every method returns the index of a node. One that folds no constants
    is for who has to tell each operation from what it makes."""

    def __init__(self, folds: bool = True) -> None:
        self._folds = folds
        self.nodes: list[Node] = []
        self.image: dict[int, int] = {}  # once finished: the index in the program of each node that it kept
        self._known: dict[Any, int] = {}
        self._checks = checking()

    def input(self, position: int, shape: Shape, dtype: DType) -> int:
        return self._new(Node(Input(position), (), shape, dtype))

    def constant(self, value: Array) -> int:
        value = np.asarray(value)
        small = value.size <= 64
        key = (value.shape, value.dtype.str, value.tobytes()) if small else ("large", len(self.nodes))
        return self._new(Node(Constant(key), (), value.shape, value.dtype, value))

    def add(self, op: Operation, *inputs: int, shape: Shape | None = None, dtype: DType | None = None) -> int:
        """`op` on these inputs. A `Call` brings its result's shape and dtype."""
        normal = self._normal_view(op, inputs[0]) if op.view else None
        if normal is not None:
            if self._checks:
                writing.normal(self.nodes, op, inputs[0], normal)
            return normal
        given = [self.nodes[i] for i in inputs]
        if shape is None:
            shape = op.shape(*(x.shape for x in given))
        if dtype is None:
            dtype = op.dtype(*(x.dtype for x in given))
        node = Node(op, tuple(inputs), shape, dtype)
        foldable = self._folds and given and all(x.value is not None for x in given) and node.dtype is not None
        if foldable and node.size <= max(FOLDED, *(x.size for x in given)):
            with np.errstate(all="ignore"):
                value = np.asarray(op(*(x.value for x in given)))
            if self._checks:
                writing.folded(node, value)
            return self.constant(value)
        return self._new(node)

    def copy(self, node: Node, inputs: Sequence[int]) -> int:
        """The same operation in this program, on these inputs."""
        if isinstance(node.op, Constant):
            return self.constant(node.value)
        if isinstance(node.op, Input):
            return self._new(node)
        return self.add(node.op, *inputs, shape=node.shape, dtype=node.dtype)

    def again(self, x: int) -> int:
        """A copy of x in a node of its own, also if x is a constant, or if there is such a copy."""
        self.nodes.append(Node(Copy(), (x,), self.nodes[x].shape, self.nodes[x].dtype))
        return len(self.nodes) - 1

    def reshape(self, x: int, shape: Shape) -> int:
        return self.add(Reshape(shape), x)

    def constant_like(self, value: float, like: int, dtype: DType | None = None) -> int:
        """A constant in the rank and, unless another is given, the dtype of node `like`."""
        node = self.nodes[like]
        return self.constant(np.full((1,) * len(node.shape), value, dtype or node.dtype))

    def parts(self, bundle: int) -> list[int]:
        """All results of an operation that has several, and knows their shapes and dtypes."""
        kinds = self.nodes[bundle].op.kinds()[1]
        return [self.add(Part(k), bundle, shape=shape, dtype=dtype) for k, (shape, dtype) in enumerate(kinds)]

    def of_one_rank(self, *inputs: int) -> list[int]:
        """The inputs with leading axes of size 1, so that all have the same number of axes."""
        shapes = [self.nodes[i].shape for i in inputs]
        rank = max(map(len, shapes), default=0)
        return [self.reshape(i, (1,) * (rank - len(shape)) + shape) for i, shape in zip(inputs, shapes)]

    def finished(self, results: Sequence[int]) -> Program:
        """The program of these results, without what they don't need; inputs and checks stay."""
        needed = set(results) | {i for i, n in enumerate(self.nodes) if isinstance(n.op, Input) or n.op.effect}
        for i in range(len(self.nodes) - 1, -1, -1):
            if i in needed:
                needed.update(self.nodes[i].inputs)
        self.image = image = {old: new for new, old in enumerate(sorted(needed))}
        nodes = [self.nodes[i]._replace(inputs=tuple(image[x] for x in self.nodes[i].inputs)) for i in image]
        return Program(nodes, tuple(image[i] for i in results))

    def _new(self, node: Node) -> int:
        key = (node.op, node.inputs)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = len(self.nodes)
            self.nodes.append(node)
        elif self._checks:
            writing.met(self.nodes[found], node)
        return found

    def _normal_view(self, op: Operation, x: int) -> int | None:
        """Where a view is no view at all, or two in a row are one, or an axis of size 1 moves: the simpler form."""
        node = self.nodes[x]
        if isinstance(op, (Reshape, Broadcast)) and op.to == node.shape:
            return x
        if isinstance(op, Slice):
            whole = [k[0] in (0, None) and k[2] in (1, None) for k in op.key if not isinstance(k, int)]
            return x if len(whole) == len(node.shape) and all(whole) and op.shape(node.shape) == node.shape else None
        if isinstance(op, Permute):
            if op.axes == tuple(range(len(op.axes))):
                return x
            if isinstance(node.op, Permute):
                return self.add(Permute(tuple(node.op.axes[a] for a in op.axes)), node.inputs[0])
            kept = [a for a in op.axes if node.shape[a] != 1]
            if kept == sorted(kept):  # only axes of size 1 move
                return self.reshape(x, op.shape(node.shape))
        if isinstance(op, Reshape) and isinstance(node.op, Reshape):
            return self.reshape(node.inputs[0], op.to)
        return None


def squeezed(shape: Shape) -> Shape:
    """The shape without its axes of size 1."""
    return tuple(n for n in shape if n != 1)
