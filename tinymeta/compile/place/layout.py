"""How an array lies in memory: strides, views of them, and the fewest nested loops over several arrays at once."""

from __future__ import annotations

import math
from typing import NamedTuple

from tinymeta.compile.program.operations import Operation, Shape
from tinymeta.compile.program.views import Broadcast, Permute, Reshape, Slice, Views, Windows

Strides = tuple[int, ...]

ARENA, SCRATCH, PARTIAL, ZERO, FIRST = range(5)  # pieces of memory, as told in `assemble.py`


class Unplaceable(Exception):
    """A program that the machine can't run: an array lies in a way that no instruction reads or writes."""


class Layout(NamedTuple):
    """Where the element at index 0 is, and how far apart neighbours are, in bytes."""

    slot: int  # which piece of memory
    offset: int
    step: int  # from one task to the next, for memory that holds all tasks; 0 for what a block holds
    strides: Strides


class Dim(NamedTuple):
    """One nested loop: how often (per task, if `tasks`), and each array's stride."""

    size: int
    tasks: bool
    strides: Strides


def packed(shape: Shape, itemsize: int, order: tuple[int, ...] | None = None) -> Strides:
    """Strides without gaps, with the axes in memory as in `order` (the first is the outermost); 0 along axes of size 1,
    which may be repeated."""
    strides = [0] * len(shape)
    step = itemsize
    for k in reversed(order if order is not None else range(len(shape))):
        strides[k] = step if shape[k] != 1 else 0
        step *= max(shape[k], 1)  # an empty array's strides are those of a matrix, too
    return tuple(strides)


def seen(op: Operation, layout: Layout, before: Shape, after: Shape) -> Layout | None:
    """The layout of a view; None where the numbers would have to be copied."""
    strides = layout.strides
    if isinstance(op, Permute):
        return layout._replace(strides=tuple(strides[a] for a in op.axes))
    if isinstance(op, Broadcast):
        return layout._replace(strides=tuple(0 if n == 1 else s for n, s in zip(before, strides)))
    if isinstance(op, Slice):
        offset, kept = layout.offset, []
        for n, s, key in zip(before, strides, op.key):
            if isinstance(key, int):
                offset += (key % n) * s
            else:
                start, _, step = slice(*key).indices(n)
                offset += start * s
                kept.append(step * s if len(range(n)[slice(*key)]) != 1 else 0)
        return layout._replace(offset=offset, strides=tuple(kept))
    if isinstance(op, Windows):
        k, step = op.axis, strides[op.axis]
        split = (step * op.stride if op.count != 1 else 0, step * op.dilation if op.width != 1 else 0)
        return layout._replace(strides=(*strides[:k], *split, *strides[k + 1 :]))
    if isinstance(op, Reshape):
        reshaped = _reshaped(before, strides, after)
        return None if reshaped is None else layout._replace(strides=reshaped)
    raise TypeError(f"{type(op).__name__} is no view")


def seen_through(views: Views, layout: Layout, shape: Shape) -> Layout | None:
    """The layout of what is seen through a chain of views."""
    for view in views:
        after = view.shape(shape)
        found = seen(view, layout, shape, after)
        if found is None:
            return None
        layout, shape = found, after
    return layout


def _reshaped(before: Shape, strides: Strides, after: Shape) -> Strides | None:
    """The strides of the same numbers in another shape, if there are any."""
    if 0 in after:  # nothing is there: any strides do
        return packed(after, min((s for s in strides if s > 0), default=1))
    old = [(n, s) for n, s in zip(before, strides) if n != 1]
    found: list[int] = []
    size = step = 1  # what is left of the old axes taken so far, and the stride of its last element
    for n in reversed(after):
        if n == 1:
            found.append(0)
            continue
        while size % n:
            if not old:
                return None
            m, s = old.pop()
            if size == 1:
                size, step = m, s
            elif s == size * step:
                size *= m
            else:
                return None
        found.append(step)
        size, step = size // n, step * n
    return tuple(reversed(found))


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


def volume(dims: list[Dim]) -> int:
    return math.prod(d.size for d in dims)
