"""What a node stands for as a sum of contractions, if it is a product, or linear in its inputs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import count
from typing import NamedTuple

import numpy as np

from tinymeta.compile.program.operations import Contract, Operation, Reduce, Scale, Shape, Ufunc
from tinymeta.compile.program.program import Node, squeezed
from tinymeta.compile.program.views import Broadcast, Permute, Reshape
from tinymeta.compile.rewrite.contraction import Factor, Labels, Term, merged


class Multiple(NamedTuple):
    """Node `inner` times a number, that of a node: `weight`, if it is a constant."""

    inner: int
    number: int
    weight: float | None


# NumPy adds up in pairs, whose rounding grows as the logarithm of the length; a product adds one after the other in a
# few lanes, and terms of one sign are all rounded in one direction. A longer sum of float32 (2¹⁶ ε is 0.4 %) stays one.
LONG = 1 << 16


class Expansion:
    """The nodes of a program, of which those in `virtual` are written in others. `size` tells how long the axis of each
    label is."""

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = nodes
        self.virtual: set[int] = set()
        self.size: dict[int, int] = {}
        self._labels = count(-1, -1)

    def is_linear(self, i: int) -> bool:
        """Whether node i can be written in its inputs: a product, or linear in them, all in one dtype."""
        node, given = self.nodes[i], [self.nodes[x] for x in self.nodes[i].inputs]
        if node.dtype is None or node.dtype.char not in "fd" or any(x.dtype != node.dtype for x in given):
            return False
        if any(0 in x.shape for x in (node, *given)):  # nothing to save
            return False
        op = node.op
        if isinstance(op, Reshape):
            return squeezed(op.to) == squeezed(given[0].shape)
        if isinstance(op, Reduce) and op.adds:
            return given[0].size <= LONG * node.size or node.dtype.itemsize > 4
        if isinstance(op, (Contract, Permute, Broadcast)):
            return True
        return (isinstance(op, Ufunc) and bool(op.signs)) or self.multiple(i) is not None

    def multiple(self, i: int) -> Multiple | None:
        """Node i as a multiple by one number, if it is one."""
        node = self.nodes[i]
        times = node.op in (Scale(), Ufunc(np.multiply))
        for k in (1, 0) if times else (1,) if node.op == Ufunc(np.divide) else ():
            inner, number = node.inputs[1 - k], node.inputs[k]
            value = self.nodes[number].value
            if self.nodes[number].size != 1 or node.shape != self.nodes[inner].shape:
                continue
            if value is None:
                if node.op == Ufunc(np.multiply):
                    return Multiple(inner, number, None)
                continue  # a number that only the run knows may be 0 or infinite
            weight = float(value.reshape(()))
            if not 0 < abs(weight) < math.inf or abs(math.log2(abs(weight))) > np.finfo(node.dtype).maxexp / 3:
                return None  # 0·∞ is not 0, and weights are multiplied with one another
            return Multiple(inner, number, weight if times else 1 / weight)
        return None

    def is_number(self, i: int, user: int) -> bool:
        """Whether `user` is a multiple by node i, a number that only the run knows: a term names its node."""
        multiple = self.multiple(user)
        return multiple is not None and multiple.number == i and multiple.weight is None

    def terms(self, i: int) -> tuple[list[Term], Labels]:
        """Node i as a sum of contractions of nodes that aren't virtual, and the labels of its axes longer than 1."""
        shape = self.nodes[i].shape
        self.size.update(enumerate(shape))
        terms = merged(self._written(i, tuple(range(len(shape)))), self.size)
        return terms, tuple(k for k, n in enumerate(shape) if n != 1)

    def _expanded(self, i: int, labels: Labels) -> list[Term]:
        """Node i, with these labels on its axes: itself, or if it is virtual, as it is written in others."""
        if i in self.virtual:
            return self._written(i, labels)
        own = tuple(k for k, n in zip(labels, self.nodes[i].shape) if n != 1)
        return [Term(1.0, (Factor(((1.0, i),), own),))]

    def _written(self, i: int, labels: Labels) -> list[Term]:
        op, inputs = self.nodes[i].op, self.nodes[i].inputs
        shapes = [self.nodes[x].shape for x in inputs]
        if isinstance(op, Contract):
            named = dict(zip(op.out, labels))
            for letter, n in zip(op.a + op.b, shapes[0] + shapes[1]):
                named.setdefault(letter, self._fresh(n))
            left, right = (self._expanded(x, tuple(named[k] for k in ks)) for x, ks in zip(inputs, (op.a, op.b)))
            terms = [
                Term(s.weight * t.weight, s.factors + t.factors, s.scalars + t.scalars) for s in left for t in right
            ]
            return self._summed(terms, set(named.values()) - set(labels))
        if isinstance(op, Ufunc) and op.signs:
            added = ((sign, self._expanded(x, labels)) for sign, x in zip(op.signs, inputs))
            return [t._replace(weight=sign * t.weight) for sign, terms in added for t in terms]
        multiple = self.multiple(i)
        if multiple is not None:
            terms = self._expanded(multiple.inner, labels)
            if multiple.weight is None:
                return [t._replace(scalars=(*t.scalars, multiple.number)) for t in terms]
            return [t._replace(weight=multiple.weight * t.weight) for t in terms]
        before = self._through(op, labels, self.nodes[i].shape, shapes[0])
        return self._summed(self._expanded(inputs[0], before), set(before) - set(labels))

    def _summed(self, terms: list[Term], labels: Iterable[int]) -> list[Term]:
        """The terms as sums over these labels: Σₖ t = n t where no factor of t has an axis k, of length n."""
        found = []
        for term in terms:
            carried = {k for f in term.factors for k in f.labels}
            times = math.prod(self.size[k] for k in labels if k not in carried)
            found.append(term._replace(weight=times * term.weight))
        return found

    def _through(self, op: Operation, labels: Labels, shape: Shape, before: Shape) -> Labels:
        """The labels on the input's axes of a view or a sum."""
        if isinstance(op, Permute):
            return tuple(labels[op.axes.index(k)] for k in range(len(labels)))
        if isinstance(op, Reduce):
            rest = iter(labels)
            return tuple(self._fresh(n) if k in op.axes else next(rest) for k, n in enumerate(before))
        if isinstance(op, Reshape):
            rest = iter([k for k, n in zip(labels, shape) if n != 1])
            return tuple(next(rest) if n != 1 else self._fresh(1) for n in before)
        return labels  # a broadcast: axes of size 1 have no label

    def _fresh(self, n: int) -> int:
        label = next(self._labels)
        self.size[label] = n
        return label
