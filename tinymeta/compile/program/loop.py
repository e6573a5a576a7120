"""`Loop`: a program that runs turn after turn on what it made in the turn before.

    carries, slices, the rest  →  body  →  carries, what the turn says

The operation's inputs are the carries that go in first, the slices of all turns, stacked along a first axis, and what
all turns share; its results are the last carries, and what the turns said, stacked. What was said of slice number t
stands at t, also where the loop goes from the last to the first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tinymeta.compile.key import frozen
from tinymeta.compile.program.calls import Untyped
from tinymeta.compile.program.operations import Constant, Input, Kind, Shape
from tinymeta.compile.program.program import Program
from tinymeta.compile.run.replay import Replay
from tinymeta.engine.tensor import Array

COSTLY, CALL = 1 << 28, 1 << 12  # bytes that NumPy moves meanwhile, and in the time of a call


def written_out(program: Program) -> list[object]:
    """All that two programs have to have in common to be the same, constants and all."""
    rows = [
        (frozen(node.value) if isinstance(node.op, Constant) else node.op, node.inputs, node.shape, node.dtype)
        for node in program.nodes
    ]
    return [*rows, program.results]


@dataclass(frozen=True, eq=False)
class Loop(Untyped):
    """`turns` runs of a program."""

    body: Program
    turns: int
    carries: int
    slices: int
    reverse: bool

    def __post_init__(self) -> None:
        ops = [node.op for node in self.body.nodes]
        object.__setattr__(self, "effect", any(op.effect for op in ops))
        object.__setattr__(self, "inputs", sum(isinstance(op, Input) for op in ops))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Loop) or self._form() != other._form():
            return False
        return written_out(self.body) == written_out(other.body)

    def __hash__(self) -> int:
        return hash(self._form())

    def _form(self) -> tuple[int, ...]:
        return (self.turns, self.carries, self.slices, self.reverse, len(self.body.nodes), *self.body.results)

    @property
    def is_costly(self) -> bool:
        """Whether its plain replay takes a good part of a second."""
        return self.bytes() + CALL * self.turns * self.steps() > COSTLY

    def order(self) -> range:
        """The turns, in the order in which they run."""
        return range(self.turns)[:: -1 if self.reverse else 1]

    def kinds(self) -> tuple[list[Kind], list[Kind]]:
        """The shapes and dtypes of inputs and results."""
        given, ends = {n.op.position: n for n in self.body.nodes if isinstance(n.op, Input)}, self.carries + self.slices
        inputs = [(self._stacked((n := given[k]).shape, self.carries <= k < ends), n.dtype) for k in range(len(given))]
        made = [self.body.nodes[i] for i in self.body.results]
        return inputs, [(self._stacked(n.shape, k >= self.carries), n.dtype) for k, n in enumerate(made)]

    def _stacked(self, shape: Shape, stacks: bool) -> Shape:
        return (self.turns, *shape) if stacks else shape

    def __call__(self, *xs: Array, run: Callable[[int, list[Array]], list[Array]] | None = None) -> tuple[Array, ...]:
        """All turns; `run` says what turn t makes, if not what the plain replay does."""
        last = self.carries + self.slices
        replay = Replay(self.body)
        carried, said = list(xs[: self.carries]), list[Array]()
        for t in self.order():
            given = [*carried, *(x[t, ...] for x in xs[self.carries : last]), *xs[last:]]
            made = run(t, given) if run else replay(given)
            carried = made[: self.carries]
            said = said or [np.empty((self.turns, *y.shape), y.dtype) for y in made[self.carries :]]
            for y, of_turn in zip(said, made[self.carries :]):
                y[t] = of_turn
        return (*carried, *said)

    def flops(self, shape: Shape, *shapes: Shape) -> int:
        return self.turns * self.body.flops()

    def bytes(self) -> int:
        return self.turns * self.body.bytes()

    def steps(self) -> int:
        return self.body.steps()
