"""The derivative table, before it is drawn: which step stands in which column, and who called it.

A column is an operation of the user's code. A step belongs to the column of its ancestor along
`made_by`, in the band of its order; so a column's stack in band 2 is what it took to differentiate
that operation twice.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from tinymeta.engine.primitive import part
from tinymeta.engine.structure import enter, leave, lift, spread, sum_tasks

if TYPE_CHECKING:
    from tinymeta.engine.errors import Site
    from tinymeta.view.trace import Trace
    from tinymeta.watch.recorder import Step

# What the transforms insert at their borders: it gets a column only if a derivative hangs on it.
BORDERS = frozenset(p.__name__ for p in (enter, leave, lift, part, spread, sum_tasks))


class Call(NamedTuple):
    """A call of a user's function: the columns from `start` up to `stop` happened in it."""

    name: str
    start: int
    stop: int


class DerivativeTable(NamedTuple):
    """One trace, sorted."""

    trace: Trace
    columns: list[Step]  # from left to right
    stacks: dict[tuple[int, int], list[Step]]  # (the column's number, order) → steps, as they ran
    calls: list[list[Call]]  # the outer functions first

    def height(self, order: int) -> int:
        """Cells in the highest stack of a band."""
        return max((len(stack) for (_, o), stack in self.stacks.items() if o == order), default=0)

    @property
    def orders(self) -> int:
        """How many bands there are, that of the user's program included."""
        return 1 + max((order for _, order in self.stacks), default=0)


def table_of(trace: Trace, levels: int = 3, internal: bool = True) -> DerivativeTable:
    """Sort a trace into its table, with at most so many `levels` of calls above the columns; without what is `internal`
    to the transforms if that is not asked for."""
    stacks: dict[tuple[int, int], list[Step]] = defaultdict(list)
    for step in trace.steps:
        if step.kind == "step" and step.order:
            column = trace.column(step)
            if internal or column.op not in BORDERS:
                stacks[column.id, step.order].append(step)
    used = {column for column, _ in stacks}
    columns = [s for s in trace.steps if s.id in used or (s.order == 0 and s.kind == "step" and s.op not in BORDERS)]
    return DerivativeTable(trace, columns, dict(stacks), _calls(columns)[:levels])


def _calls(columns: list[Step]) -> list[list[Call]]:
    """Runs of columns with the same caller, level by level, without the levels that all columns share."""
    deepest = max((len(step.path) for step in columns), default=0)
    rows = [_level(columns, level) for level in range(deepest)]
    shared = 0
    while shared < deepest and [(call.start, call.stop) for call in rows[shared]] == [(0, len(columns))]:
        shared += 1
    return rows[shared:]


def _level(columns: list[Step], level: int) -> list[Call]:
    callers = [_caller(step.path, level) for step in columns]
    found, start = [], 0
    for caller, run in groupby(callers):
        stop = start + len(list(run))
        if caller:
            found.append(Call(_short(caller[-1]), start, stop))
        start = stop
    return found


def _caller(path: tuple[Site, ...], level: int) -> tuple[str, ...]:
    """The user's function at this depth of the call path, told from another call of it by the lines that lead there."""
    if len(path) <= level:
        return ()
    return (*(f"{site.file}:{site.line}" for site in path[:level]), path[level].function)


def _short(qualname: str) -> str:
    """`Net.__call__` of `main.<locals>.Net.__call__`, and λ for a lambda."""
    name = qualname.rpartition("<locals>.")[2]
    return "λ" if name == "<lambda>" else name
