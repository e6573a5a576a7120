"""How an array lies in memory: strides, views of them, and the fewest nested loops over several arrays at once."""

from __future__ import annotations

from typing import NamedTuple

from tinymeta.compile.program.operations import Shape
from tinymeta.compile.program.views import Strides, View, Views

ARENA, SCRATCH, PARTIAL, ZERO, ONES, FIRST = range(6)  # pieces of memory, as told in `assemble.py`
ROW = 1024  # ones that are there: in float32, and behind them in float64


class Unplaceable(Exception):
    """A program that the machine can't run: an array lies in a way that no instruction reads or writes."""


class Layout(NamedTuple):
    """Where the element at index 0 is, and how far apart neighbours are, in bytes."""

    slot: int  # which piece of memory
    offset: int
    task_stride: int  # from one task to the next, in memory that holds all tasks; 0 for what a block holds
    strides: Strides

    def seen(self, view: View, shape: Shape) -> Layout | None:
        """The layout of a view of an array of this shape; None where the numbers would have to be copied."""
        found = view.strided(self.strides, shape)
        return None if found is None else self._replace(offset=self.offset + found[0], strides=found[1])

    def seen_through(self, views: Views, shape: Shape) -> Layout | None:
        """The layout of what is seen through a chain of views."""
        layout: Layout | None = self
        for view in views:
            if layout is None:
                break
            layout, shape = layout.seen(view, shape), view.shape(shape)
        return layout


class Dim(NamedTuple):
    """One nested loop: how often (per task, if `tasks`), and each array's stride."""

    size: int
    tasks: bool
    strides: Strides

    @property
    def signed(self) -> int:
        """The size as an instruction has it: below 0 per task."""
        return -self.size if self.tasks else self.size

    @property
    def single(self) -> bool:
        return self.size == 1 and not self.tasks


def nested(shape: Shape, strides: list[Strides], tasks: int | None, lead: int = -1) -> list[Dim]:
    """The loops over arrays of one shape: axes in the order of the array `lead`, neighbours joined where all arrays
    allow it. `tasks` is the axis that counts tasks."""
    axes = [k for k, n in enumerate(shape) if n != 1 or k == tasks]
    axes.sort(key=lambda k: (-abs(strides[lead][k]), -max(abs(s[k]) for s in strides)))
    dims: list[Dim] = []
    for k in axes:
        here = Dim(1 if k == tasks else shape[k], k == tasks, tuple(s[k] for s in strides))
        if dims and not here.tasks and all(a == here.size * b for a, b in zip(dims[-1].strides, here.strides)):
            here = Dim(dims[-1].size * here.size, dims[-1].tasks, here.strides)
            dims.pop()
        dims.append(here)
    return dims


def with_long_inner(dims: list[Dim], block: int) -> list[Dim]:
    """The loops with a long one innermost, where the innermost is short: each run of it has a fixed cost."""
    length = [d.size * (block if d.tasks else 1) for d in dims]
    if len(dims) > 1 and length[-1] < 16:
        longest = max(range(len(dims)), key=lambda k: length[k])
        if length[longest] > 2 * length[-1]:
            return [d for k, d in enumerate(dims) if k != longest] + [dims[longest]]
    return dims


def inner_choices(dims: list[Dim], block: int) -> list[list[Dim]]:
    """The loops with each of them innermost, the longest first."""
    length = [d.size * (block if d.tasks else 1) for d in dims]
    order = sorted(range(len(dims)), key=lambda k: -length[k])
    return [[d for j, d in enumerate(dims) if j != k] + [dims[k]] for k in order]
