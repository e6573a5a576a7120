"""Products stay factored: the rule that knows that a few-shot update has low rank.

With n examples, one inner step changes the weights of a linear layer by a product of rank n,

    W' = W − α aᵀ d        a: the layer's input (n × in),   d: the cotangent of its output (n × out)

and there is one W' for every task. But nobody needs W' itself, only products with it:

    x W'  =  x W − α (x aᵀ) d              one product with the shared W over all tasks, and two small ones
    Σ_tasks xᵀ g                            one product with the tasks folded into the sum, instead of a matrix per task
    d (xᵀ g)ᵀ = (d gᵀ) x                    and so on through the second derivative, whose cotangents are products again

A product larger than its factors is *virtual*: not computed; its readers are given the sum of products that it stands
for. Linear operations on virtual nodes are virtual too. What reads one is a sum of contractions (`expansion.py`,
`contraction.py`), each multiplied in its cheapest order, equal parts joined (`sums.py`). A virtual node that is cheaper
as a real one stays real (after many inner steps), and the result is kept only if the program takes no more operations
than before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import le
from typing import NamedTuple

import numpy as np

from tinymeta.compile.program.operations import Contract, Reduce, Ufunc
from tinymeta.compile.program.program import Builder, Program
from tinymeta.compile.rewrite.expansion import Expansion
from tinymeta.compile.rewrite.rule import Image, Rule
from tinymeta.compile.rewrite.sums import Writer
from tinymeta.ops.contraction_path import MOVED, contraction_path

TERMS = 40  # a sum of more products than this is not considered,
CHAIN = 16  # nor a virtual node that stands for more: a recurrence's weights after an inner step have one for each time
FACTORS = 8  # (or for products of more arrays,
DEPTH = 100  # or that has more virtual nodes behind it, one after the other)
EFFORT = 12_000  # sums whose cost is found out, a few seconds' worth: after that, what is virtual stays so


class Factored(Rule):
    """x (w − α aᵀ d)  =  x w − α (x aᵀ) d, and so on: sums of contractions, each in its cheapest order."""

    faults = (("writer.write(i, *self.terms(i))", "writer.write(i, self.terms(i)[0][:1], self.terms(i)[1])"),)

    @staticmethod
    def example(b: Builder, rng: np.random.Generator) -> Sequence[int]:
        """x (w − 2 aᵀ d) for each task."""
        tasks, (n, wide, long) = int(rng.integers(1, 4)), (int(k) for k in rng.integers((1, 4, 4), (3, 8, 8)))
        shapes = (tasks, n, wide), (tasks, n, long), (1, wide, long), (tasks, n, wide)
        a, d, w, x = (b.input(k, shape, np.dtype(float)) for k, shape in enumerate(shapes))
        step = b.add(
            Ufunc(np.multiply), b.add(Contract("tni", "tno", "tio"), a, d), b.constant(np.full((1, 1, 1), 2.0))
        )
        return [b.add(Contract("tni", "tio", "tno"), x, b.add(Ufunc(np.subtract), w, step))]

    @classmethod
    def applied(cls, program: Program) -> tuple[Program, Image]:
        same = program, {i: i for i in range(len(program.nodes))}
        factoring = Factoring(program)
        if not factoring.virtual:
            return same
        factoring.search()
        found, image = factoring.written()
        return (found, image) if found.flops() <= program.flops() else same


class Extent(NamedTuple):
    """How much a virtual node stands for."""

    terms: int = 1  # products in the sum,
    factors: int = 1  # arrays in each of them,
    depth: int = 0  # virtual nodes behind one another,
    exponent: float = 0.0  # and the size of their weights, |log₂ weight|


class Factoring(Expansion):
    """One program, and the set of its nodes that are virtual."""

    def __init__(self, program: Program) -> None:
        super().__init__(program.nodes)
        self.program = program
        self.users = program.users()
        absorbed = self._absorbed()
        summed = self._summed_by_readers(absorbed)
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

    def _absorbed(self) -> list[bool]:
        """Which nodes are linear, and read by linear ones alone, to which they are more than a number."""
        linear = [self.is_linear(i) for i in range(len(self.nodes))]
        return [
            linear[i]
            and i not in self.program.results
            and bool(self.users[i])
            and all(linear[u] and not self.is_number(i, u) for u in self.users[i])
            for i in range(len(self.nodes))
        ]

    def _summed_by_readers(self, absorbed: list[bool]) -> list[bool]:
        """Which of them only sums read: they can be part of the product."""
        summed = [False] * len(self.nodes)
        for i in range(len(self.nodes) - 1, -1, -1):
            readers = [(summed[u], self.nodes[u].op) for u in self.users[i]]
            ends = [isinstance(op, Reduce) or (so and not isinstance(op, Contract)) for so, op in readers]
            summed[i] = absorbed[i] and all(ends)
        return summed

    def _extent(self, i: int, extents: dict[int, Extent]) -> Extent:
        """What node i would stand for as a virtual one, where those before it are known."""
        node = self.nodes[i]
        given = [extents.get(x, Extent()) for x in node.inputs]
        terms, factors, depth, exponent = (max(each) for each in zip(*given))
        if isinstance(node.op, Contract):
            terms, factors = math.prod(g.terms for g in given), sum(g.factors for g in given)
            exponent = sum(g.exponent for g in given) + math.log2(self.program.work(node) / 2 / node.size)
        elif isinstance(node.op, Ufunc) and node.op.signs:
            terms = sum(g.terms for g in given)
        elif multiple := self.multiple(i):
            exponent += abs(math.log2(abs(multiple.weight))) if multiple.weight else 0
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

    def written(self) -> tuple[Program, Image]:
        """The program without its virtual nodes, and where its nodes are now."""
        writer = Writer(self.nodes, self.size)
        for i in range(len(self.nodes)):
            if i not in self.virtual:
                writer.write(i, *self.terms(i)) if self._expands(i) else writer.copy(i)
        return writer.finished(self.program.results)

    def cost(self, i: int) -> float:
        """What a real node costs with the virtual ones in front of it expanded."""
        node = self.nodes[i]
        if not self._expands(i):
            flops = self.program.work(node)
            moved = 0 if node.op.view else node.size + sum(self.nodes[x].size for x in node.inputs)
            return flops + MOVED * moved
        terms, result = self.terms(i)
        total = 0.0
        for term in terms:
            total += contraction_path([f.labels for f in term.factors], result, self.size)[1]
            for f in term.factors:  # one addition for each part beyond the first
                total += (1 + 3 * MOVED) * (len(f.parts) - 1) * math.prod(self.size[k] for k in f.labels)
        total += (1 + 3 * MOVED) * (len(terms) - 1) * node.size
        return total if len(terms) <= TERMS else total + 1e12 * len(terms)

    def _expands(self, i: int) -> bool:
        """Whether node i reads a virtual one."""
        return any(x in self.virtual for x in self.nodes[i].inputs)

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
