"""First axes that a reshape has made one stay apart: (texts, positions, width), not (texts · positions, width).

A product with one matrix for all rows is written with all rows in one axis. What surrounds it, attention say, knows
of texts and positions. An axis that is now one and then two is in no class with itself (`place/axes.py`), so nothing
could be cut along it: no blocks that stay in the cache, no second core. So the reshape moves behind what reads it,

    f(reshape x)  =  reshape f(x),        Σ over rows of reshape x  =  Σ over texts and positions of x

until it meets the reshape that takes the rows apart again, and both are gone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tinymeta.compile.program.operations import Contract, Elementwise, Reduce, Shape, Ufunc
from tinymeta.compile.program.program import Builder, Node, squeezed
from tinymeta.compile.program.views import Broadcast, Reshape
from tinymeta.compile.record.products import contract
from tinymeta.compile.rewrite.rule import Rule


class Unmerged(Rule):
    """f(reshape x) = reshape f(x), where the reshape makes one axis of the first ones."""

    faults = (
        ("reduced = [*range(apart), *reduced] if whole else reduced", "reduced = [0, *reduced] if whole else reduced"),
        ("[k + apart - 1 for k in op.axes if k]", "[k for k in op.axes if k]"),
    )

    @staticmethod
    def example(b: Builder, rng: np.random.Generator) -> Sequence[int]:
        """A layer on all rows of all texts, the texts' parts of what it gives, and its gradient."""
        texts, rows, wide, out = (int(n) for n in rng.integers(2, 6, 4))
        x, w, v = (b.input(k, s, np.dtype(float)) for k, s in enumerate([(texts, rows, wide), (wide, out), (1, out)]))
        flat = b.reshape(x, (texts * rows, wide))
        y = b.add(Ufunc(np.add), b.add(Contract("ab", "bc", "ac"), flat, w), v)
        total, top = b.add(Reduce(np.add, (0,)), y), b.add(Reduce(np.maximum, (1,)), y)
        return [b.reshape(y, (texts, rows, out)), total, top, b.add(Contract("ab", "ac", "bc"), flat, y)]

    @staticmethod
    def node(b: Builder, node: Node, inputs: Sequence[int]) -> int | None:
        for which, x in enumerate(inputs):
            if (first := _merged(b, x)) is not None:
                found = _apart(b, node, inputs, which, first)
                return None if found is None else b.reshape(found, node.shape)
        return None


def _merged(b: Builder, x: int) -> Shape | None:
    """The axes of which a reshape has made the first one of node x, if that is what it is."""
    node = b.nodes[x]
    if not isinstance(node.op, Reshape) or not node.shape or not node.size:
        return None
    before = b.nodes[node.inputs[0]].shape
    for k in range(len(before) + 1):
        if math.prod(before[:k]) == node.shape[0] and len(squeezed(before[:k])) > 1:
            return before[:k]
    return None


def _apart(b: Builder, node: Node, inputs: Sequence[int], which: int, first: Shape) -> int | None:
    """What a node is with the axes `first` in place of the first one of input `which`."""
    op, apart = node.op, len(first)
    shapes = [b.nodes[x].shape for x in inputs]
    if isinstance(op, Contract):
        letters_of = op.a, op.b, op.out
        new = [chr(ord("a") + k) for k in range(52, 52 + apart)]
        words = [letters.replace(letters_of[which][0], "".join(new)) for letters in letters_of]
        size = dict(zip(op.a + op.b, (*shapes[0], *shapes[1]))) | dict(zip(new, first))
        left, right = (b.reshape(x, tuple(size[i] for i in word)) for x, word in zip(inputs, words))
        found = contract(b, words[0], left, words[1], right, words[2])
        again = Unmerged.node(b, b.nodes[found], b.nodes[found].inputs)
        return found if again is None else again
    if not isinstance(op, (Elementwise, Broadcast, Reduce)):
        return None
    fine = [b.reshape(x, (first if s[0] != 1 else (1,) * apart) + s[1:]) for x, s in zip(inputs, shapes) if s]
    if isinstance(op, Elementwise):
        return b.add(op, *fine)
    if isinstance(op, Broadcast):
        return b.add(Broadcast(first + op.to[1:]), *fine)
    whole, reduced = 0 in op.axes, [k + apart - 1 for k in op.axes if k]
    reduced = [*range(apart), *reduced] if whole else reduced
    return b.add(Reduce(op.ufunc, tuple(reduced)), *fine)
