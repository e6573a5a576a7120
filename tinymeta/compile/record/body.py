"""The body of a loop: one turn of a scan, recorded once for all of them.

Each turn is the same program only if Python does the same in each. So whatever a turn changes in Python that it can
also see (a counter, a list, a generator), and whatever value it asks for, makes the scan one to be written out turn
after turn, as eager code runs it: then the function is recorded anew, without loops.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tinymeta.compile.program.loop import Loop
from tinymeta.compile.program.program import Builder, Program
from tinymeta.compile.program.views import Permute
from tinymeta.compile.record.captured import Captured
from tinymeta.engine.errors import UserError, user_site
from tinymeta.engine.tensor import Array, Tensor
from tinymeta.ops.generators import state_of

if TYPE_CHECKING:
    from tinymeta.compile.record.recording import Transcriber
    from tinymeta.ops.loop import Looped


class Unrolled(BaseException):
    """A scan's turns may be different programs: no error of the user's, so `except Exception` doesn't see it."""


class Body:
    """A turn's program, the Tensors from outside that it reads, and what the first turn gave."""

    def __init__(self, outer: Transcriber, program: Program, captured: list[Tensor], results: list[Tensor]) -> None:
        self.outer, self.program, self.captured, self.results = outer, program, captured, results

    def __call__(self, *arrays: Array, made: Looped) -> tuple[Array, ...]:
        """All turns, one after the other; of a loop that takes long, the first turn stands for all."""
        op = loop_of(made)
        if not (self.outer.lean and op.is_costly):
            return op(*arrays)
        self.outer.let_go = True
        first = [y.array for y in self.results]
        said = (np.broadcast_to(y, (op.turns, *y.shape)) for y in first[op.carries :])
        return (*first[: op.carries], *said)


def recorded(outer: Transcriber, f: object, run: Callable[[list[Tensor]], list[Tensor]], leaves: list[Tensor]) -> Body:
    """What `run` makes of a turn's `leaves`, where `f` is the user's part of it."""
    site = user_site()
    before = Captured([("f", f)])
    drawn = [*map(state_of, before.generators)]
    inner = type(outer)(lean=False, outer=outer)
    inner.made.update(inner.take(x).id for x in leaves)
    try:
        results = inner.listening(lambda: run(leaves))
    except UserError:
        if inner.undecided is None:
            raise
    if inner.undecided is not None:
        raise Unrolled(f"the scan at {site} takes a value of one turn as a Python number")
    after = Captured([("f", f)])
    same = before.signature == after.signature and drawn == [*map(state_of, before.generators)]
    if before.iterators or not same:
        raise Unrolled(f"the scan at {site} changes what its Python code can see from turn to turn")
    program = inner.builder.finished([inner.node(y) for y in results])
    outer.met(inner)
    return Body(outer, program, inner.captured, results)


def loop_of(made: Looped) -> Loop:
    """The operation in the compiler's vocabulary."""
    assert isinstance(made.body, Body)
    return Loop(made.body.program, made.turns, made.carries, made.slices, made.reverse)


def translated(b: Builder, *inputs: int, made: Looped) -> tuple[int, ...]:
    """A loop's node and its results': the axis that counts the turns, behind `vmap`'s in the record, comes first."""
    given, n = list(inputs), made.carries
    for k, at in enumerate(made.batches, n):
        given[k] = _moved(b, inputs[k], at, 0)
    parts = b.parts(b.add(loop_of(made), *given, shape=()))
    return (*parts[:n], *(_moved(b, y, 0, made.batch) for y in parts[n:]))


def _moved(b: Builder, x: int, source: int, to: int) -> int:
    order = list(range(len(b.nodes[x].shape)))
    order.insert(to, order.pop(source))
    return b.add(Permute(tuple(order)), x)
