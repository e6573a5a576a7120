"""A scan as one operation, for recorders that hold the body of a loop once.

    cₜ₊₁, yₜ = f(cₜ, xₜ)                                   the loop gives the last c, all y, and all c that came in
    λₜ, x̄ₜ, w̄ₜ = (∂f at cₜ, xₜ)ᵀ (λₜ₊₁, ȳₜ)               its derivative is a loop the other way round, with λ as carry

where w are the Tensors that f reaches by itself: their cotangent is the sum of what all turns say. The rule runs f
again on each turn's own carry and slice, as a checkpoint does, and is a loop like any other: any order follows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np

from tinymeta.engine.primitive import Primitive, bind, outputs_of
from tinymeta.engine.state import setting, state
from tinymeta.engine.structure import spread, zeros_like
from tinymeta.engine.tensor import Array, Tensor
from tinymeta.engine.typing import Function, Tree
from tinymeta.ops.arrange import unstack
from tinymeta.ops.checkpoint import constant, copied, now, recomputing
from tinymeta.ops.reduce import sum as total
from tinymeta.ops.shape import concat, reshape, stack

Tensors: TypeAlias = list[Tensor]
Turn: TypeAlias = Callable[[Tensors, Tensors], tuple[Tensors, Tensors]]  # carries, slices → carries, what it says


def rolled(
    f: Turn, carries: Tensors, xs: Tensors, turns: int, reverse: bool, every: int, own: object
) -> tuple[Tensors, Tensors]:
    """`turns_of`, of which every so many turns are one turn of a loop around them, whose carries alone are kept."""
    if not 1 < every < turns:
        return turns_of(f, carries, xs, turns, reverse, own)
    left = turns % every
    first, rest = (left, slice(None, left)) if reverse else (0, slice(turns - left, None))
    blocks = [reshape(x[first : first + turns - left], (turns // every, every, *x.shape[1:])) for x in xs]
    several = lambda carries, xs: turns_of(f, carries, xs, every, reverse, own)
    carries, said = turns_of(several, carries, blocks, turns // every, reverse, own)
    said = [reshape(y, (turns - left, *y.shape[2:])) for y in said]
    if left:
        carries, more = turns_of(f, carries, [x[rest] for x in xs], left, reverse, own)
        said = [concat([y, last][:: -1 if reverse else 1]) for y, last in zip(said, more)]
    return carries, said


def turns_of(f: Turn, carries: Tensors, xs: Tensors, turns: int, reverse: bool, own: object) -> tuple[Tensors, Tensors]:
    """`f` for each slice of `xs` along their first axes: the last carries, and what the turns say, stacked."""
    found = looped(f, carries, xs, turns, reverse, own)
    if found is not None:
        return found
    slices = [_under([x], unstack, x) for x in xs]
    said: list[Tensors] = [[]] * turns
    for t in reversed(range(turns)) if reverse else range(turns):
        carries, said[t] = f(carries, [s[t] for s in slices])
    return carries, [_under(ys, stack, ys) for ys in zip(*said)]


def looped(
    f: Turn, carries: Tensors, xs: Tensors, turns: int, reverse: bool, own: object
) -> tuple[Tensors, Tensors] | None:
    """The same as one operation, if somebody looks on who wants one; `own` is the user's part of `f`."""
    recorder = next((watcher for watcher in state.watchers if watcher.rolls), None)
    if recorder is None or turns < 2:
        return None
    if not carries:
        found = looped(lambda c, xs: (c, f([], xs)[1]), [Tensor(np.zeros(()))], xs, turns, reverse, own)
        return found and ([], found[1])
    birth, n, last = now(), len(carries), len(carries) + len(xs)
    like = max([*carries, *xs], key=lambda x: x.batch)

    def run(leaves: Sequence[Tensor]) -> Tensors:
        made, said = f(list(leaves[:n]), list(leaves[n:last]))
        ys = [*made, *said, *leaves[:n]]
        like = max([*ys, *leaves[:last]], key=lambda y: y.batch)
        ys = [_lifted(y, like) for y in ys]
        return [*(_spread(y, x) for y, x in zip(ys, leaves[:n])), *ys[n:]]

    while True:  # until a carry goes in with the hidden axes that it comes out with
        carries = [_lifted(c, like) for c in carries]
        first = [*map(constant, carries), *(_slice(x, turns - 1 if reverse else 0) for x in xs)]
        body = recorder.body(own, run, first)
        before, like = like, max(body.results, key=lambda y: y.batch)
        same = like.batch == before.batch and all(_hidden(y) == _hidden(c) for y, c in zip(body.results, carries))
        if same:
            break
        carries = [_spread(_lifted(c, like), y) for c, y in zip(carries, body.results)]
    back = recomputing(run, body.captured, birth, lambda again: None)
    made = Looped(body, turns, reverse, n, last - n, like.batch, tuple(x.batch for x in xs), back, own)
    ys = outputs_of(bind(loop, *carries, *xs, *body.captured, made=made))
    return list(ys[:n]), list(ys[n : len(ys) - n])


class Body(Protocol):
    """A recorded turn: the Tensors from outside that it reads, and what the first turn gave."""

    captured: Tensors
    results: Tensors

    def __call__(self, *arrays: Array, made: Looped) -> tuple[Array, ...]:
        """All turns."""


@dataclass(eq=False)
class Looped:
    """What a loop does: a recorded body, called on arrays; how often; and its derivative."""

    body: Body
    turns: int
    reverse: bool
    carries: int
    slices: int
    batch: int  # hidden axes of the results, in front of the axis that counts the turns,
    batches: tuple[int, ...]  # and of the slices
    back: Function  # cotangents of what a turn gives, and all that it reads, to cotangents of the latter
    own: object

    def pull(
        self, gs: Sequence[Tensor | None], ys: Sequence[Tensor], inputs: Sequence[Tensor]
    ) -> tuple[Tensor | None, ...]:
        """The loop the other way round."""
        n, last = self.carries, self.carries + self.slices
        real = [k for k in range(n) if inputs[k].dtype.kind in "fc"]
        said = [k for k in range(n, len(ys)) if gs[k] is not None]
        found: list[int] = []  # which slices, and which of the rest, have a cotangent

        def turn(carried: Tensors, slices: Tensors) -> tuple[Tensors, Tensors]:
            cs, xs, hs = slices[:n], slices[n:last], slices[last:]
            given: list[Tensor | None] = [None] * len(ys)
            for k, g in zip([*real, *said], [*carried, *hs]):
                given[k] = g
            entries = self.back(given, *cs, *xs, *self.body.captured)
            found[:] = [k for k in range(n, len(inputs)) if entries[k] is not None and inputs[k].tracked]
            before = [_zeros(cs[k]) if entries[k] is None else entries[k] for k in real]
            return before, [entries[k] for k in found]

        start = [_zeros(ys[k]) if (g := gs[k]) is None else g for k in real]
        stacked = [*ys[len(ys) - n :], *inputs[n:last], *(g for k in said if (g := gs[k]) is not None)]
        first, rest = turns_of(turn, start, stacked, self.turns, not self.reverse, self.own)
        result: list[Tensor | None] = [None] * len(inputs)
        for k, g in zip(real, first):
            result[k] = g
        for k, g in zip(found, rest):
            result[k] = g if k < last else _under([g], total, g, 0)
        return tuple(result)


class loop(Primitive):
    """The last carries, what all turns say, and the carries that came in, of carries, stacked slices, and the rest."""

    @staticmethod
    def kernel(*arrays: Array, made: Looped) -> tuple[Array, ...]:
        last = made.carries + made.slices
        moved = [np.moveaxis(x, at, 0) for x, at in zip(arrays[made.carries : last], made.batches)]
        ys = made.body(*arrays[: made.carries], *moved, *arrays[last:], made=made)
        return (*ys[: made.carries], *(np.moveaxis(y, 0, made.batch) for y in ys[made.carries :]))

    reference = kernel
    domain, kinks, broadcasts, aligns, raw = (), (), False, False, True
    vjp = lambda g, y, *inputs, made: made.pull(g, y, inputs)


def _slice(x: Tensor, t: int) -> Tensor:
    """Slice t of x, without a past, and seen by nobody."""
    with setting(watchers=(), opened=x.opened):
        return Tensor(x.array[(slice(None),) * x.batch + (t,)], x.batch)


def _under(xs: Sequence[Tensor], f: Function, *arguments: object) -> Tree:
    """What `f` gives under the `vmap`s that the Tensors' hidden axes are of."""
    with setting(opened=max(xs, key=lambda x: x.batch).opened):
        return f(*arguments)


def _zeros(x: Tensor) -> Tensor:
    y: Tensor = _under([x], zeros_like, x)
    return y


def _hidden(x: Tensor) -> tuple[int, ...]:
    return x.array.shape[: x.batch]


def _lifted(x: Tensor, like: Tensor) -> Tensor:
    """x with as many hidden axes as `like`."""
    return x if x.batch >= like.batch else copied(x, like)


def _spread(x: Tensor, like: Tensor) -> Tensor:
    """x repeated along the hidden axes of `like`."""
    if _hidden(x) == np.broadcast_shapes(_hidden(x), _hidden(like)):
        return x
    with setting(opened=x.opened):
        return bind(spread, x, at=x.batch, sizes=_hidden(like), rise=0)
