"""Writing out what `factor.py` has decided: a node as a sum of contractions, each in its cheapest order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from tinymeta.compile.program.operations import Reduce, Shape, Ufunc
from tinymeta.compile.program.program import Builder, Node, Program, squeezed
from tinymeta.compile.program.views import Broadcast, Permute
from tinymeta.compile.record.products import contract
from tinymeta.compile.rewrite.contraction import Factor, Labels, Term
from tinymeta.ops.contraction_path import contraction_path

T = TypeVar("T")


class Writer:
    """Writes the nodes of one program into another, some of them as sums of contractions. `size` tells how long each
    label's axis is."""

    def __init__(self, nodes: list[Node], size: dict[int, int]) -> None:
        self._nodes, self._size = nodes, size
        self._b = Builder()
        self._image: dict[int, int] = {}

    def copy(self, i: int) -> None:
        """Node i as it is."""
        self._image[i] = self._b.copy(self._nodes[i], [self._image[x] for x in self._nodes[i].inputs])

    def write(self, i: int, terms: list[Term], result: Labels) -> None:
        """Node i as a sum of contractions, with these labels on its axes longer than 1."""
        shape = self._nodes[i].shape

        def term(weight: float, t: Term) -> int:
            return self._b.reshape(*self._product(t._replace(weight=weight), result, shape))

        self._image[i] = self._b.add(Broadcast(shape), self._sum([(t.weight, t) for t in terms], term))

    def finished(self, results: Sequence[int]) -> tuple[Program, dict[int, int]]:
        """The program of these nodes, and where in it the old program's nodes are."""
        program = self._b.finished([self._image[i] for i in results])
        image = self._b.image
        return program, {i: image[x] for i, x in self._image.items() if x in image}

    def _product(self, term: Term, result: Labels, shape: Shape) -> tuple[int, Shape]:
        """The contraction of a term, and the shape (1 where it lacks an axis) it is to take."""
        b = self._b
        left = [(self._factor(f), f.labels) for f in term.factors]
        pairs, _ = contraction_path([labels for _, labels in left], result, self._size)
        used = {k for _, labels in left for k in labels}
        alone = {k for k in range(len(shape)) if k in used}
        for done, (i, j) in enumerate(pairs, 1):
            (x, a), (y, c) = left[i], left[j]
            left = [f for k, f in enumerate(left) if k not in (i, j)]
            wanted = {k for _, labels in left for k in labels} | set(result)
            (x, a), (y, c) = self._presummed(x, a, wanted | set(c)), self._presummed(y, c, wanted | set(a))
            out = tuple(k for k in dict.fromkeys((*a, *c)) if k in wanted)
            if done == len(pairs):
                out = tuple(k for k in result if k in a or k in c)
                if b.nodes[x].size <= b.nodes[y].size:  # the number goes to the smaller factor
                    x = self._times(x, term.weight)
                else:
                    y = self._times(y, term.weight)
            letter = {k: chr(ord("a") + n) for n, k in enumerate(dict.fromkeys((*a, *c)))}
            spelled = ["".join(letter[k] for k in labels) for labels in (a, c, out)]
            left.append((contract(b, spelled[0], x, spelled[1], y, spelled[2]), out))
        x, labels = left[0]
        if not pairs:
            x, labels = self._presummed(x, labels, set(result))
            x = b.add(Permute(tuple(labels.index(k) for k in result if k in labels)), x)
            x = self._times(x, term.weight)
        for number in term.scalars:
            x = b.add(Ufunc(np.multiply), x, b.reshape(self._image[number], (1,) * len(b.nodes[x].shape)))
        return x, tuple(n if k in alone else 1 for k, n in enumerate(shape))

    def _factor(self, factor: Factor) -> int:
        """A factor without axes of size 1: a node, or a weighted sum of nodes."""

        def part(weight: float, node: int) -> int:
            x = self._b.reshape(self._image[node], squeezed(self._nodes[node].shape))
            return self._times(x, weight)

        return self._sum(factor.parts, part)

    def _sum(self, summands: Sequence[tuple[float, T]], written: Callable[[float, T], int]) -> int:
        """The sum of what is written for each weight, beginning with one that is not subtracted, if there is such."""
        first, *others = sorted(summands, key=lambda summand: summand[0] < 0)
        total = written(*first)
        for weight, x in others:
            total = self._b.add(Ufunc(np.add if weight > 0 else np.subtract), total, written(abs(weight), x))
        return total

    def _presummed(self, x: int, labels: Labels, wanted: set[int]) -> tuple[int, Labels]:
        """`x` summed over the labels that nothing else has."""
        axes = tuple(k for k, label in enumerate(labels) if label not in wanted)
        return (self._b.add(Reduce(np.add, axes), x) if axes else x), tuple(k for k in labels if k in wanted)

    def _times(self, x: int, weight: float) -> int:
        """x multiplied by a number."""
        if weight == 1:
            return x
        if weight == -1:
            return self._b.add(Ufunc(np.negative), x)
        return self._b.add(Ufunc(np.multiply), x, self._b.constant_like(weight, x))
