"""The plain replay: a program as a flat list of NumPy calls.

It needs nothing but NumPy, runs any program, and is what the machine (`machine.py`) is tested against. Buffers are
planned: an operation that can write into a given array does so, into one whose last reader is past. Results are fresh.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import Any

import numpy as np

from tinymeta.compile.program.operations import Constant, Input, Operation, Reduce, Scale, Ufunc
from tinymeta.compile.program.program import Program
from tinymeta.engine.tensor import Array

_FILLS = (Ufunc, Scale, Reduce)  # operations that take `out`


class Replay:
    """A program ready to run on arrays."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._local = threading.local()  # each thread has buffers of its own
        self._buffers = _plan(program)
        self._steps: list[tuple[int, Operation, tuple[int, ...], int | None, bool]] = []
        self._values: list[Any] = [node.value for node in program.nodes]
        self._inputs = []
        for i, node in enumerate(program.nodes):
            if isinstance(node.op, Input):
                self._inputs.append((node.op.position, i))
            elif not isinstance(node.op, Constant):
                lone = node.shape == () and node.dtype is not None
                self._steps.append((i, node.op, node.inputs, self._buffers.get(i), lone))

    def __call__(self, arguments: list[Array]) -> list[Array]:
        values = self._values.copy()
        buffers = self._local.__dict__.setdefault("buffers", {})
        for position, i in self._inputs:
            values[i] = arguments[position]
        with np.errstate(all="ignore"):
            for i, op, inputs, buffer, lone in self._steps:
                given = [values[x] for x in inputs]
                if buffer is None:
                    y = op(*given)
                    values[i] = np.asarray(y) if lone else y  # for rank 0 NumPy gives a scalar, which is no array
                else:
                    if buffer not in buffers:
                        buffers[buffer] = np.empty(self._program.nodes[i].shape, self._program.nodes[i].dtype)
                    values[i] = op(*given, out=buffers[buffer])
        return [np.array(values[i]) for i in self._program.results]


def _plan(program: Program) -> dict[int, int]:
    """Which buffer each operation that can fill one writes into: that of a value of the same shape and dtype whose
    readers, and the readers of all views of it, are past."""
    last: dict[int, int] = {i: len(program.nodes) for i in program.results}
    for i in range(len(program.nodes) - 1, -1, -1):
        node = program.nodes[i]
        shares = not isinstance(node.op, _FILLS)  # a view, or a kernel that may return its input
        for x in node.inputs:
            last[x] = max(last.get(x, -1), last.get(i, i) if shares else i)
    found: dict[int, int] = {}
    free: dict[Any, list[int]] = defaultdict(list)
    ends: dict[int, list[int]] = defaultdict(list)
    count = 0
    for i, node in enumerate(program.nodes):
        if isinstance(node.op, _FILLS) and node.shape:
            kind = (node.shape, node.dtype)
            if free[kind]:
                found[i] = free[kind].pop()
            else:
                found[i], count = count, count + 1
            ends[last[i]].append(i)
        for j in ends.pop(i, ()):
            free[program.nodes[j].shape, program.nodes[j].dtype].append(found[j])
    return found
