"""Products stay factored: the pass that knows that a few-shot update has low rank.

With n examples, one inner step changes the weights of a linear layer by a product of rank n,

    W' = W − α aᵀ d        a: the layer's input (n × in),   d: the cotangent of its output (n × out)

and there is one W' for every task. But nobody needs W' itself, only products with it:

    x W'  =  x W − α (x aᵀ) d              one product with the shared W over all tasks, and two small ones
    Σ_tasks xᵀ g                            one product with the tasks folded into the sum, instead of a matrix per task
    d (xᵀ g)ᵀ = (d gᵀ) x                    and so on through the second derivative, whose cotangents are products again

A product larger than its factors is *virtual*: not computed; its readers are given the sum of products that it stands
for. Linear operations on virtual nodes are virtual too. What reads one is a sum of networks (`contraction.py`), each
multiplied in its cheapest order, equal parts joined. A virtual node that is cheaper as a real one stays real (after
many inner steps), and the result is kept only if the program takes no more operations than before.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import count
from operator import le
from typing import NamedTuple

import numpy as np

from tinymeta.compile.program.operations import Contract, Operation, Reduce, Scale, Shape, Ufunc
from tinymeta.compile.program.program import Program, squeezed
from tinymeta.compile.program.views import Broadcast, Permute, Reshape
from tinymeta.compile.program.well_formed import recorded
from tinymeta.compile.rewrite.contraction import MOVED, Factor, Labels, Term, merged, order
from tinymeta.compile.rewrite.equation import rewritten
from tinymeta.compile.rewrite.sums import Writer
from tinymeta.compile.verify import checking

TERMS = 40  # a sum of more products than this is not considered,
CHAIN = 16  # nor a virtual node that stands for more: a recurrence's weights after an inner step have one for each time
FACTORS = 8  # (or for products of more arrays,
DEPTH = 100  # or that has more virtual nodes behind it, one after the other)
EFFORT = 12_000  # sums whose cost is found out, a few seconds' worth: after that, what is virtual stays so


def factored(program: Program) -> Program:
    """The same results with fewer operations, or the program as it is."""
    pass_ = Factoring(program)
    if not pass_.virtual:
        return program
    pass_.search()
    found = pass_.rewritten()
    return found if found.flops() <= program.flops() else program


class Extent(NamedTuple):
    """How much a virtual node stands for."""

    terms: int = 1  # products in the sum,
    factors: int = 1  # arrays in each of them,
    depth: int = 0  # virtual nodes behind one another,
    exponent: float = 0.0  # and the size of their weights, |log₂ weight|


class Factoring:
    """One program, and the set of its nodes that are virtual."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.nodes = program.nodes
        self.users = program.users()
        self.labels = count(-1, -1)
        self.size: dict[int, int] = {}
        linear = [self._is_linear(i) for i in range(len(self.nodes))]
        absorbed = [
            linear[i]
            and i not in program.results
            and bool(self.users[i])
            and all(linear[u] and not self._is_number(i, u) for u in self.users[i])
            for i in range(len(self.nodes))
        ]
        summed = [False] * len(self.nodes)  # whether only sums read it: they can be part of the product
        for i in range(len(self.nodes) - 1, -1, -1):
            readers = [(summed[u], self.nodes[u].op) for u in self.users[i]]
            ends = [isinstance(op, Reduce) or (so and not isinstance(op, Contract)) for so, op in readers]
            summed[i] = absorbed[i] and all(ends)
        self.virtual: set[int] = set()
        extents: dict[int, Extent] = {}
        for i, node in enumerate(self.nodes):
            if not absorbed[i] or isinstance(node.op, Reduce):
                continue
            if isinstance(node.op, Contract):
                outer = summed[i] or node.size > max(self.nodes[x].size for x in node.inputs)
            else:
                outer = any(x in self.virtual for x in node.inputs)
            if not outer:
                continue
            extent = self._extent(i, extents)
            # A product of two such weights, summed over an axis, is still a number of this dtype.
            bound = np.finfo(node.dtype).maxexp / 3
            if all(map(le, extent, (CHAIN, FACTORS, DEPTH, bound))):
                self.virtual.add(i)
                extents[i] = extent

    def _extent(self, i: int, extents: dict[int, Extent]) -> Extent:
        """What node i would stand for as a virtual one, where those before it are known."""
        node = self.nodes[i]
        given = [extents.get(x, Extent()) for x in node.inputs]
        terms, factors, depth, exponent = (max(each) for each in zip(*given))
        if isinstance(node.op, Contract):
            terms, factors = math.prod(g.terms for g in given), sum(g.factors for g in given)
            exponent = sum(g.exponent for g in given) + math.log2(self.program.cost(node)[0] / 2 / node.size)
        elif isinstance(node.op, Ufunc) and node.op.name in ("add", "subtract"):
            terms = sum(g.terms for g in given)
        elif multiple := self._number(i):
            exponent += abs(math.log2(abs(multiple[2]))) if multiple[2] else 0
        return Extent(terms, factors, depth + 1, exponent)

    def search(self) -> None:
        """Make virtual nodes real wherever that costs less."""
        known: dict[int, float] = {}  # costs of real nodes as things stand
        effort = 0
        for _ in range(3):
            changed = False
            for i in sorted(self.virtual, reverse=True):
                readers = self._readers(i)
                effort += len(readers)
                if effort > EFFORT:
                    return
                known.update((r, self.cost(r)) for r in readers if r not in known)
                left = sum(known[r] for r in readers)
                self.virtual.discard(i)
                found: dict[int, float] = {}
                for r in (i, *readers):
                    found[r] = self.cost(r)
                    left -= found[r]
                    if left <= 0:
                        self.virtual.add(i)
                        break
                else:
                    known.update(found)
                    changed = True
            if not changed:
                return

    def rewritten(self) -> Program:
        """The program without its virtual nodes."""
        writer = Writer(self.nodes, self.size)
        for i, node in enumerate(self.nodes):
            if i not in self.virtual:
                expanded = any(x in self.virtual for x in node.inputs)
                writer.write(i, *self._sum(i)) if expanded else writer.copy(i)
        program, image = writer.finished(self.program.results)
        if checking():
            recorded(program, "factored program")
            rewritten(self.program, program, image, "factored program")
        return program

    def cost(self, i: int) -> float:
        """What a real node costs with the virtual ones in front of it expanded."""
        node = self.nodes[i]
        if not any(x in self.virtual for x in node.inputs):
            flops, _ = self.program.cost(node)
            moved = 0 if node.op.view else node.size + sum(self.nodes[x].size for x in node.inputs)
            return flops + MOVED * moved
        terms, result = self._sum(i)
        total = 0.0
        for term in terms:
            inner = tuple(f.labels for f in term.factors)
            total += order(inner, result, self.size)[1]
            for f in term.factors:  # one addition for each part beyond the first
                total += (1 + 3 * MOVED) * (len(f.parts) - 1) * math.prod(self.size[k] for k in f.labels)
        total += (1 + 3 * MOVED) * (len(terms) - 1) * node.size
        return total if len(terms) <= TERMS else total + 1e12 * len(terms)

    def _readers(self, i: int) -> list[int]:
        """The real nodes that read node i, directly or through virtual ones."""
        found, stack = set(), [i]
        while stack:
            for user in self.users[stack.pop()]:
                if user in self.virtual:
                    stack.append(user)
                else:
                    found.add(user)
        return sorted(found)

    def _is_linear(self, i: int) -> bool:
        """Whether `_expanded` knows the operation: a product, or linear in its inputs, all in one dtype."""
        node, given = self.nodes[i], [self.nodes[x] for x in self.nodes[i].inputs]
        if node.dtype is None or node.dtype.char not in "fd" or any(x.dtype != node.dtype for x in given):
            return False
        if any(0 in x.shape for x in (node, *given)):  # nothing to save
            return False
        op = node.op
        if isinstance(op, Reshape):
            return squeezed(op.to) == squeezed(self.nodes[node.inputs[0]].shape)
        if isinstance(op, (Contract, Permute, Broadcast)):
            return True
        if isinstance(op, Reduce):
            return op.name == "add"
        if isinstance(op, Ufunc) and op.name in ("add", "subtract", "negative"):
            return True
        return self._number(i) is not None

    def _number(self, i: int) -> tuple[int, int, float | None] | None:
        """For a multiple by one number: (what is multiplied, the number's node, its weight if it is a constant)."""
        node = self.nodes[i]
        times = isinstance(node.op, Scale) or node.op == Ufunc("multiply")
        if not times and node.op != Ufunc("divide"):
            return None
        for k in (1, 0) if times else (1,):
            value = self.nodes[node.inputs[k]].value
            if self.nodes[node.inputs[k]].size == 1 and node.shape == self.nodes[node.inputs[1 - k]].shape:
                number = None if value is None else abs(float(value.reshape(())))
                if number is None and (isinstance(node.op, Scale) or not times):
                    continue  # a number that only the run knows may be 0 or infinite
                if number is None:
                    return node.inputs[1 - k], node.inputs[k], None
                if not 0 < number < math.inf or abs(math.log2(number)) > np.finfo(node.dtype).maxexp / 3:
                    return None  # 0·∞ is not 0, and weights are multiplied with one another
                weight = float(value.reshape(()))
                return node.inputs[1 - k], node.inputs[k], weight if times else 1 / weight
        return None

    def _is_number(self, i: int, user: int) -> bool:
        """Whether `user` is a multiple by node i, a number that only the run knows: a term names its place."""
        multiple = self._number(user)
        return multiple is not None and multiple[1] == i and multiple[2] is None

    def _sum(self, i: int) -> tuple[list[Term], Labels]:
        """Node i as a sum of networks over real nodes, and the labels of its axes."""
        node = self.nodes[i]
        axes = tuple(range(len(node.shape)))
        self.size.update(zip(axes, node.shape))
        terms = merged(self._expanded(i, axes, top=True), self.size)
        return terms, tuple(k for k in axes if node.shape[k] != 1)

    def _expanded(self, i: int, labels: Labels, top: bool = False) -> list[Term]:
        """Node i, with these labels on its axes, as a sum of networks."""
        node = self.nodes[i]
        if not top and i not in self.virtual:
            own = tuple(k for k, n in zip(labels, node.shape) if n != 1)
            return [Term(1.0, (Factor(((1.0, i),), own),))]
        op, inputs = node.op, node.inputs
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
        if isinstance(op, Ufunc) and op.name in ("add", "subtract"):
            sign = 1.0 if op.name == "add" else -1.0
            second = [t._replace(weight=sign * t.weight) for t in self._expanded(inputs[1], labels)]
            return self._expanded(inputs[0], labels) + second
        if isinstance(op, Ufunc) and op.name == "negative":
            return [t._replace(weight=-t.weight) for t in self._expanded(inputs[0], labels)]
        multiple = self._number(i)
        if multiple is not None:
            inner, number, weight = multiple
            terms = self._expanded(inner, labels)
            if weight is None:
                return [t._replace(scalars=(*t.scalars, number)) for t in terms]
            return [t._replace(weight=weight * t.weight) for t in terms]
        before = self._through(op, labels, node.shape, shapes[0])
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
        label = next(self.labels)
        self.size[label] = n
        return label
