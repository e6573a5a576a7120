"""What no turn of a loop has to wait for is done for all turns at once, before the loop or behind it.

    before    what all turns share, once; and a product of a slice with a matrix that all turns share is one product of
              all slices, which reads the matrix once
    behind    sums and products that no later turn reads: the gradient of a shared weight, Σₜ hₜᵀ gₜ, is one product of
              stacked turns, once `factor.py` has put the sum over t into it
    never     what nobody reads: results, and carries that serve themselves alone

What leaves a loop takes memory for all turns: it does if its stack is small, or no larger than what it replaces.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from tinymeta.compile.program.calls import Part
from tinymeta.compile.program.for_all import for_all, maps
from tinymeta.compile.program.loop import Loop
from tinymeta.compile.program.operations import Constant, Contract, Input, Reduce, Ufunc
from tinymeta.compile.program.program import Builder, Program
from tinymeta.compile.program.views import Broadcast
from tinymeta.compile.rewrite import turn_by_turn
from tinymeta.compile.rewrite.rule import Image, Rule

STACK = 1 << 22  # elements of a stack that is small
SHARED, SLICED, CARRIED = range(3)  # what a node of a body depends on, at most


class AllTurns(Rule):
    """loop (…, op(aₜ, bₜ)) = op for all t (loop (…, aₜ, bₜ)), and loop (…, op(aₜ, b)) is one with slices op(a, b)."""

    faults = (
        ("slices, self.op.reverse)", "slices, not self.op.reverse)"),
        ("key=lambda i: -self.depends[i]", "key=lambda i: self.depends[i]"),
        ("zip(self.carries, parts)", "zip(self.carries, parts[1:])"),
    )
    compared = staticmethod(turn_by_turn.check)

    @staticmethod
    def example(b: Builder, rng: np.random.Generator) -> Sequence[int]:
        """hₜ₊₁ = tanh(hₜ u + xₜ w), which says hₜᵀ xₜ, and twice hₜ₊₁."""
        n, turns = (int(k) for k in rng.integers(2, 6, 2))
        real, body = np.dtype(float), Builder()
        h, x = body.input(0, (2, n), real), body.input(1, (2, n), real)
        u, w = (body.input(k, (n, n), real) for k in (2, 3))
        pull, drive = (body.add(Contract("ab", "bc", "ac"), *xs) for xs in ((h, u), (x, w)))
        new = body.add(Ufunc(np.tanh), body.add(Ufunc(np.add), pull, drive))
        said = body.add(Contract("ab", "ac", "bc"), h, x)
        op = Loop(body.finished([new, said, body.add(Ufunc(np.add), new, new)]), turns, 1, 1, bool(rng.integers(2)))
        given = [b.input(k, *kind) for k, kind in enumerate(op.kinds()[0])]
        return b.parts(b.add(op, *given, shape=()))

    @classmethod
    def applied(cls, program: Program) -> tuple[Program, Image]:
        """The program rewritten, and where its nodes are now."""
        if not any(isinstance(node.op, Loop) for node in program.nodes):
            return program, {}
        b, image, users = Builder(folds=False), list[int](), program.users()
        loops: dict[int, dict[int, int]] = {}  # a loop → its results that are read, and where these are
        for i, node in enumerate(program.nodes):
            op, inputs = node.op, [image[x] for x in node.inputs]
            if isinstance(op, Loop):
                reads = (program.nodes[u].op for u in users[i])
                loops[i] = _Split(b, op, inputs, {part.index for part in reads if isinstance(part, Part)}).written()
                image.append(-1)
            elif isinstance(op, Part) and node.inputs[0] in loops:
                image.append(loops[node.inputs[0]][op.index])
            else:
                image.append(b.copy(node, inputs))
        after = b.finished([image[i] for i in program.results])
        return after, {i: b.image[x] for i, x in enumerate(image) if x in b.image}

    @classmethod
    def rewritten(cls, program: Program) -> Program:
        """The program rewritten, compared, and only then folded: of constants, a symbol isn't what it is made of."""
        after = super().rewritten(program)
        return after if after is program else Rule.applied(after)[0]


class _Split:
    """One loop, its inputs in the new program `b`, and which of its results are `read`."""

    def __init__(self, b: Builder, op: Loop, inputs: Sequence[int], read: set[int]) -> None:
        self.b, self.op, self.nodes, self.results = b, op, op.body.nodes, op.body.results
        places = {n.op.position: i for i, n in enumerate(self.nodes) if isinstance(n.op, Input)}
        self.inputs = [places[k] for k in range(len(places))]
        self.depends = self._depends()
        self.said = sorted(k for k in read if k >= op.carries)
        self.effects = [i for i, n in enumerate(self.nodes) if n.op.effect]
        self.carries = self._carries(read)
        self.kept = self._behind([self.results[k] for k in self.carries])  # what later turns wait for
        self.outside = {i: x for i, x in zip(self.inputs, inputs) if self.depends[i] != CARRIED}  # for all turns
        self.first = inputs

    def _depends(self) -> list[int]:
        """What each node depends on; what can't be done for all turns at once counts as carried."""
        kinds = dict(zip(self.inputs, [CARRIED] * self.op.carries + [SLICED] * self.op.slices))
        found: list[int] = []
        for i, node in enumerate(self.nodes):
            most = max([kinds.get(i, SHARED), *(found[x] for x in node.inputs)])
            found.append(CARRIED if most == SLICED and node.inputs and not maps(node.op) else most)
        return found

    def _carries(self, read: set[int]) -> list[int]:
        """The carries that somebody reads, be it by way of others."""
        carries = {k for k in read if k < self.op.carries}
        roots = [*(self.results[k] for k in read), *self.effects]
        while True:
            behind = self._behind(roots)
            more = [k for k in range(self.op.carries) if self.inputs[k] in behind and k not in carries]
            if not more:
                return sorted(carries)
            carries.update(more)
            roots += [self.results[k] for k in carries]

    def _behind(self, roots: Iterable[int], stop: Iterable[int] = ()) -> list[int]:
        """What the roots are made of, and these, in order; `stop` are made of nothing."""
        found: set[int] = set()
        stack = list(roots)
        while stack:
            i = stack.pop()
            if i not in found:
                found.add(i)
                stack += () if i in stop else self.nodes[i].inputs
        return sorted(found)

    def _goes_before(self, i: int) -> bool:
        """Whether the loop finds node i as an argument: what all turns share, and products with a shared matrix."""
        node = self.nodes[i]
        if isinstance(node.op, (Input, Constant)) or node.op.view or node.dtype is None or self.depends[i] == CARRIED:
            return False
        if self.depends[i] == SHARED or not isinstance(node.op, Contract):
            return self.depends[i] == SHARED
        size = {self.depends[x]: self.nodes[x].size for x in node.inputs}
        return size.get(SHARED, 0) >= size[SLICED] and node.size * self.op.turns <= STACK

    def _leaves(self, i: int) -> set[int]:
        """What the turns say so that their result, node i, is made behind the loop; node i itself if it isn't."""
        found: set[int] = set()
        stack, sums = [i], False
        while stack:
            k = stack.pop()
            op = self.nodes[k].op
            adds = isinstance(op, Contract) or (isinstance(op, Reduce) and op.adds)
            if maps(op) and k not in self.kept and (adds or op.view or isinstance(op, Ufunc) and op.signs):
                sums = sums or adds
                stack += self.nodes[k].inputs
            else:
                found.add(k)
        said = sum(self.nodes[k].size for k in found if self.depends[k] == CARRIED)
        pays = said * self.op.turns <= STACK or said <= self.nodes[i].size
        return found if sums and pays else {i}

    def written(self) -> dict[int, int]:
        """Write the loop, and what stands around it; where its results are."""
        before = {i for i in range(len(self.nodes)) if self._goes_before(i)}
        leaves = set().union(*(self._leaves(self.results[k]) for k in self.said))
        at_hand = {i for i in leaves if self.depends[i] == SHARED or i in before or i in self.outside}
        checks = [i for i in self.effects if self.depends[i] != SHARED]
        for i in self.effects:
            if i not in checks:
                self._for_all(i)
        roots = [self.results[k] for k in self.carries] + sorted(leaves - at_hand)
        within = self._behind([*roots, *checks], before)
        given = [i for i in within if i in before or i in self.outside]
        order = [self.inputs[k] for k in self.carries] + sorted(given, key=lambda i: -self.depends[i])
        body = Builder()
        inside = {i: body.input(k, self.nodes[i].shape, self.nodes[i].dtype) for k, i in enumerate(order)}
        for i in within:
            if i not in inside:
                inside[i] = body.copy(self.nodes[i], [inside[x] for x in self.nodes[i].inputs])
        slices = sum(self.depends[i] == SLICED for i in given)
        op = Loop(body.finished([inside[i] for i in roots]), self.op.turns, len(self.carries), slices, self.op.reverse)
        arguments = [self.first[k] for k in self.carries] + [self._for_all(i) for i in order[len(self.carries) :]]
        parts = self.b.parts(self.b.add(op, *arguments, shape=())) if within else []
        self.outside |= dict(zip(roots[len(self.carries) :], parts[len(self.carries) :]))
        found = dict(zip(self.carries, parts))
        return found | {k: self._stacked(self.results[k]) for k in self.said}

    def _for_all(self, i: int) -> int:
        """Node i outside of the loop: once, if all turns share it, and else stacked."""
        for k in self._behind([i], self.outside):
            if k not in self.outside:
                node = self.nodes[k]
                given = [self.outside[x] for x in node.inputs]
                if self.depends[k] == SHARED:
                    self.outside[k] = self.b.copy(node, given)
                else:
                    stacked = [self.depends[x] != SHARED for x in node.inputs]
                    self.outside[k] = for_all(self.b, node.op, given, stacked, self.op.turns)
        return self.outside[i]

    def _stacked(self, i: int) -> int:
        """Node i, which the turns said, for each of them."""
        x, shape = self._for_all(i), self.nodes[i].shape
        if self.depends[i] != SHARED:
            return x
        return self.b.add(Broadcast((self.op.turns, *shape)), self.b.reshape(x, (1, *shape)))
