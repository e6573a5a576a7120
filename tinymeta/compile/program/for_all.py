"""An operation of one turn as that of all turns at once: the same, with one more axis in front."""

from __future__ import annotations

import dataclasses
import string
from collections.abc import Sequence

from tinymeta.compile.program.operations import Contract, Elementwise, Operation, Reduce, Shape
from tinymeta.compile.program.program import Builder
from tinymeta.compile.program.views import Broadcast, Gather, Permute, Reshape, Scatter, Slice, View, Windows

_MAPPED = (Elementwise, Contract, Reduce, Reshape, Permute, Broadcast, Slice, Windows, Gather, Scatter)


def maps(op: Operation) -> bool:
    """Whether there is such a form of the operation."""
    return isinstance(op, _MAPPED)


def for_all(b: Builder, op: Operation, inputs: Sequence[int], stacked: Sequence[bool], turns: int) -> int:
    """The operation on inputs of which some, at least one, are stacked along a first axis; so is the result."""
    if isinstance(op, Elementwise):
        shapes = [b.nodes[x].shape for x in inputs]
        return b.add(op, *(x if has else b.reshape(x, (1, *s)) for x, s, has in zip(inputs, shapes, stacked)))
    if isinstance(op, Contract):
        letter = next(c for c in string.ascii_letters if c not in op.a + op.b)
        a, other = (letter * has + letters for letters, has in zip((op.a, op.b), stacked))
        return b.add(Contract(a, other, letter + op.out), *inputs)
    if isinstance(op, Reduce):
        return b.add(Reduce(op.ufunc, tuple(k + 1 for k in op.axes)), *inputs)
    if isinstance(op, Gather):
        return b.add(Gather(tuple(_view(view, turns) for view in op.views)), *inputs)
    if isinstance(op, Scatter):
        return b.add(Scatter((turns, *op.to), tuple(_view(view, turns) for view in op.views)), *inputs)
    return b.add(_view(op, turns), *inputs)


def _view(op: Operation, turns: int) -> View:
    """A view that leaves the first of one more axis as it is."""
    if isinstance(op, (Reshape, Broadcast)):
        to: Shape = (turns, *op.to)
        return type(op)(to)
    if isinstance(op, Permute):
        return Permute((0, *(k + 1 for k in op.axes)))
    if isinstance(op, Slice):
        return Slice(((None, None, None), *op.key))
    assert isinstance(op, Windows)
    return dataclasses.replace(op, axis=op.axis + 1)
