"""Products stay factored: the pass that knows that a few-shot update has low rank.

With n examples, one inner step changes the weights of a linear layer by a product of rank n,

    W' = W − α aᵀ d        a: the layer's input (n × in),   d: the cotangent of its output (n × out)

and there is one W' for every task. But nobody needs W' itself, only products with it:

    x W'  =  x W − α (x aᵀ) d              one product with the shared W over all tasks, and two small ones
    Σ_tasks xᵀ g                            one product with the tasks folded into the sum, instead of a matrix per task
    d (xᵀ g)ᵀ = (d gᵀ) x                    and so on through the second derivative, whose cotangents are products again

A product larger than its factors is *virtual*: not computed; its readers are given the sum of products that it stands
for. Linear operations on virtual nodes are virtual too. What reads one is a sum of networks (`network.py`), each
multiplied in its cheapest order, equal parts joined. A virtual node that is cheaper as a real one stays real (after
many inner steps), and the result is kept only if the program takes no more operations than before.
"""

from __future__ import annotations

import math
from itertools import count

from tinymeta.engine.compile.network import FREE, MOVED, Factor, Labels, Term, merged, order
from tinymeta.engine.compile.operations import Contract, Operation, Reduce, Scale, Shape, Ufunc
from tinymeta.engine.compile.program import Program, squeezed
from tinymeta.engine.compile.sums import Writer
from tinymeta.engine.compile.views import Broadcast, Permute, Reshape

TERMS = 40  # a sum of more products than this is not considered,
CHAIN = 16  # nor a virtual node that stands for more: a recurrence's weights after an inner step have one for each time
EFFORT = 12_000  # sums whose cost is found out, a few seconds' worth: after that, what is virtual stays so


def factored(program: Program) -> Program:
    """The same results with fewer operations, or the program as it is."""
    pass_ = _Factoring(program)
    if not pass_.virtual:
        return program
    pass_.search()
    found = pass_.rewritten()
    return found if found.flops() <= program.flops() else program


class _Factoring:
    """One program, and the set of its nodes that are virtual."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.nodes = program.nodes
        self.users = program.users()
        self.labels = count(FREE)
        self.size: dict[int, int] = {}
        linear = [self._is_linear(i) for i in range(len(self.nodes))]
        absorbed = [
            linear[i] and i not in program.results and bool(self.users[i]) and all(linear[u] for u in self.users[i])
            for i in range(len(self.nodes))
        ]
        summed = [False] * len(self.nodes)  # whether only sums read it: they can be part of the product
        for i in range(len(self.nodes) - 1, -1, -1):
            readers = [(summed[u], self.nodes[u].op) for u in self.users[i]]
            ends = [isinstance(op, Reduce) or (so and not isinstance(op, Contract)) for so, op in readers]
            summed[i] = absorbed[i] and all(ends)
        self.virtual: set[int] = set()
        terms: dict[int, int] = {}
        for i, node in enumerate(self.nodes):
            if not absorbed[i] or isinstance(node.op, Reduce):
                continue
            if isinstance(node.op, Contract):
                outer = summed[i] or node.size > max(self.nodes[x].size for x in node.inputs)
            else:
                outer = any(x in self.virtual for x in node.inputs)
            if outer and (many := self._count(i, terms)) <= CHAIN:
                self.virtual.add(i)
                terms[i] = many

    def _count(self, i: int, terms: dict[int, int]) -> int:
        """Of how many products node i is the sum, where those of virtual nodes are known."""
        op, given = self.nodes[i].op, [terms.get(x, 1) for x in self.nodes[i].inputs]
        if isinstance(op, Contract):
            return math.prod(given)
        return sum(given) if isinstance(op, Ufunc) and op.name in ("add", "subtract") else max(given)

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
        return writer.finished(self.program.results)

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
        """Whether `_expanded` knows the operation: a product, or linear in its inputs."""
        node = self.nodes[i]
        if node.dtype is None or node.dtype.kind != "f":
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
                number = None if value is None else float(value.reshape(()))
                if number is not None and not math.isfinite(number if times else 1 / number if number else math.inf):
                    return None
                if number is None and (isinstance(node.op, Scale) or not times):
                    continue  # a number that only the run knows may be 0 or infinite
                weight = number if times or number is None else 1 / number
                return node.inputs[1 - k], node.inputs[k], weight
        return None

    def _sum(self, i: int) -> tuple[list[Term], Labels]:
        """Node i as a sum of networks over real nodes, and the labels of its axes."""
        node = self.nodes[i]
        axes = tuple(range(len(node.shape)))
        self.size.update(zip(axes, node.shape))
        terms = merged(self._expanded(i, axes, top=True))
        for term in terms:  # summed labels were renamed
            for f in term.factors:
                self.size.update(zip(f.labels, squeezed(self.nodes[f.parts[0][1]].shape)))
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
            left, right = (self._expanded(x, tuple(named[k] for k in ks), False) for x, ks in zip(inputs, (op.a, op.b)))
            return [
                Term(s.weight * t.weight, s.factors + t.factors, s.scalars + t.scalars) for s in left for t in right
            ]
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
        return self._expanded(inputs[0], self._through(op, labels, node.shape, shapes[0]))

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
