"""A compiled function checks itself: on the first call of each recording, what the machine gave is compared.

The right numbers are those of the eager run, which recording is anyway. If it let go of them (`recording.py`) they are
those of the plain replay of the recorded program, for some of its tasks if it has any (`part.py`). A difference within
the rounding of plain sums is none. Rounding has to explain any other, too (`rounding.py`); and where it may have turned
a comparison, both sides run once more in float64: a kink that rounding moved is no fault, a wrong stride is.

If there is a fault, the runs between say which stage made it:

    translate   eager run           ≠  plain replay of the recorded program
    rewrite     … of the recorded   ≠  plain replay of the program as it runs
    machine     … as it runs        ≠  what the machine gave
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from tinymeta.compile.program.calls import is_by_value
from tinymeta.compile.program.program import Program
from tinymeta.compile.run.few_turns import shortened
from tinymeta.compile.run.part import FewTasks, part_of
from tinymeta.compile.run.replay import Replay
from tinymeta.compile.run.rounding import Rounding, apart, unit, wide, widened
from tinymeta.engine.tensor import Array

Run = Callable[[list[Array]], list[Array]]
LARGE = 1 << 31  # bytes that a plain replay may move, where neither the eager results nor a part will do
COSTLY = 1 << 28  # bytes that it moves where the samples of its rounding take longer than one run in float64


class Verdict(NamedTuple):
    """What the check of a recording found."""

    stage: str | None  # that is at fault, if one is
    said: str  # a few words for `report`


class Case(NamedTuple):
    """A recorded program, what is to run in its place, and arguments."""

    recorded: Program
    program: Program
    executor: Callable[[Program], Run]
    arguments: list[Array]
    eager: list[Array] | None
    rewriting: Callable[[Program], Program] = lambda program: program
    part: FewTasks | None = None

    def replayed(self) -> list[Array]:
        """The plain replay of the recorded program (of a part of it, seen as the whole)."""
        if self.part is None:
            return _run(Replay, self.recorded, self.arguments, False)
        return self.part.seen(_run(Replay, self.part.program, self.part.arguments, False))

    def rewritten(self, exact: bool = False) -> list[Array]:
        """The plain replay of the program as it runs."""
        return _run(Replay, self.program, self._given, exact)

    def executed(self) -> list[Array]:
        """What the machine gives in float64."""
        return _run(self.executor, self.program, self._given, True)

    @property
    def is_costly(self) -> bool:
        """Whether a plain run takes seconds."""
        return (self.recorded if self.part is None else self.part.program).bytes() > COSTLY

    @property
    def _given(self) -> list[Array]:
        return self.arguments if self.part is None else self.part.repeated

    def rounding(self) -> Rounding:
        """That of the recorded program."""
        if self.part is None:
            return Rounding(self.recorded, self.arguments, lambda results: results, 1)
        part = self.part
        return Rounding(part.program, part.arguments, part.seen, part.tasks / part.kept)

    def rounding_rewritten(self) -> Rounding:
        """That of the program as it runs, whose sums may be others."""
        return Rounding(self.program, self._given, lambda results: results, 1)


def _run(executor: Callable[[Program], Run], program: Program, arguments: Sequence[Array], exact: bool) -> list[Array]:
    if exact:
        program, arguments = widened(program), [x.astype(wide(x.dtype)) for x in arguments]
    return executor(program)(list(arguments))


def compared(case: Case, run: Run, got: list[Array]) -> Verdict:
    """Whether `got`, which `run` made of the arguments, is right."""
    short = shortened(case.recorded)
    if short is None:
        return _compared(case, run, got)
    program = case.rewriting(short)
    case, run = case._replace(recorded=short, program=program, eager=None), case.executor(program)
    verdict = _compared(case, run, run(case.arguments))
    return verdict._replace(said=f"{verdict.said}, for a few turns of its loops")


def _compared(case: Case, run: Run, got: list[Array]) -> Verdict:
    if case.eager is not None:
        return _judged(case, got, case.eager, "agrees with the eager run")
    part = part_of(case.recorded, case.arguments)
    if part is not None:
        try:
            few = case._replace(part=part)
            said = f"agrees with the plain replay, for {part.kept} of {part.tasks} tasks"
            return _judged(few, run(part.repeated), few.replayed(), said)
        except Exception as error:
            if not is_by_value(error):
                raise  # else it is these values: a matrix of few examples is singular where that of all is not
    if case.recorded.bytes() <= LARGE:
        return _judged(case, got, case.replayed(), "agrees with the plain replay")
    return Verdict(None, "is not checked: too large to be run twice, and without tasks of which to check a few")


def _judged(case: Case, got: list[Array], right: list[Array], said: str) -> Verdict:
    """Whether `got` is `right`, and the stage at fault if not; `said` if it is."""
    judge = _Judge(case)
    eps = unit(case.recorded)
    if judge.rounding.plain(got, right, eps):
        return Verdict(None, said)
    stage = _fault(case, judge, got, right, eps)
    return Verdict(stage, f"differs: {stage}") if stage else Verdict(None, f"{said}, as far as rounding lets it")


class _Judge:
    """Whether rounding explains a difference: that of the recorded program, or else that of the one that runs."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self.rounding = case.rounding()
        self._other: Rounding | None = None

    def explains(self, a: list[Array], b: list[Array], eps: float) -> bool:
        if self.rounding.explains(a, b, eps):
            return True
        self._other = self._other or self._case.rounding_rewritten()
        return self._other.explains(a, b, eps)


def _fault(case: Case, judge: _Judge, got: list[Array], right: list[Array], eps: float) -> str | None:
    """The stage that made a difference, if rounding didn't.

    Where rounding explains it without turning a comparison, there is nothing to find. Else, or where it takes too long
    to see, a kink that moved may hide a fault: float64 decides. Where it finds none, what is nearer to its numbers than
    the right ones are is no fault either: a million equal numbers, added one by one, are all rounded to the same side.
    """
    exact = float(np.finfo(np.float64).eps)
    wider = 0 < eps != exact
    if not (wider and case.is_costly) and judge.rounding.explains(got, right, eps, kinks=False):
        return None
    rightly = judge.rounding.right() if wider else []
    wider = wider and judge.rounding.exact
    if wider and not judge.explains(case.executed(), rightly, exact):
        return "machine" if judge.explains(case.rewritten(True), rightly, exact) else "rewrite"
    if judge.explains(got, right, eps):
        return None
    replayed = case.replayed()
    if case.eager is not None and not judge.explains(replayed, case.eager, eps):
        return "translate"
    if wider and _nearer(got, right, rightly):
        return None
    return "machine" if judge.explains(case.rewritten(), replayed, eps) else "rewrite"


def _nearer(got: list[Array], right: list[Array], exact: list[Array]) -> bool:
    """Whether every result is at least as near to the exact ones as the right one is."""
    exact = [x.astype(y.dtype) for x, y in zip(exact, right)]
    return all(apart(x, e) <= apart(y, e) < np.inf for x, y, e in zip(got, right, exact))
