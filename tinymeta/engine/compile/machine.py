"""The fast replay: a program on the machine of `tinymeta_kernels/machine.py`, which leaves Python out of the loop.

Memory is planned when the program is assembled and kept between calls, so a step allocates nothing but its results, and
even those come from arrays that the caller has let go of: fresh memory costs a page fault for every 4 KB, which is half
of a large step's time.
"""

from __future__ import annotations

import sys
import threading
from collections import defaultdict
from typing import Any

import numpy as np

from tinymeta.engine.compile.assemble import ARENA, FIRST, PARTIAL, SCRATCH, ZERO, Assembler, Step
from tinymeta.engine.compile.operations import Constant, Input
from tinymeta.engine.compile.program import Program
from tinymeta.engine.tensor import Array
from tinymeta_kernels import _threads, machine

WORTH_SHARING = 400_000  # operations and elements of a loop, about 50 µs, that are worth waking another core for

_NUMBERS = np.array([0.0, 1.0])


class Workspace:
    """The memory of one run at a time, and each core's table of addresses."""

    def __init__(self, sizes: tuple[int, int, int], slots: int, cores: int) -> None:
        arena, scratch, partial = sizes
        self.arena = _memory(arena)
        self.zero = np.zeros(1)
        self.own = [(_memory(scratch), _memory(partial)) for _ in range(cores)]
        self.base = np.zeros((cores, slots), np.int64)
        self.work = np.zeros((cores, 32), np.int64)
        self.base[:, ARENA] = self.arena.ctypes.data
        self.base[:, ZERO] = self.zero.ctypes.data
        for row, (mine, sums) in zip(self.base, self.own):
            row[SCRATCH], row[PARTIAL] = mine.ctypes.data, sums.ctypes.data


class Machine:
    """A program ready to run on arrays."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._cores = _threads._num_threads
        assembled = Assembler(program, self._cores).assemble()
        self._layouts, self._slots = assembled.layouts, assembled.slots
        self._steps = [_Ready(step) for step in assembled.steps]
        self._sizes = assembled.sizes
        self._idle: list[Workspace] = []
        self._lock = threading.Lock()
        nodes = program.nodes
        self._inputs = [(n.op.position, i, self._slots[i]) for i, n in enumerate(nodes) if isinstance(n.op, Input)]
        self._constants = {i: np.ascontiguousarray(n.value).reshape(n.shape) for i, n in enumerate(nodes)
                           if isinstance(n.op, Constant)}
        self._fresh = [i for i in dict.fromkeys(program.results) if i in self._slots and self._is_machines(i)]
        self._recycled = _Recycled()

    def _is_machines(self, i: int) -> bool:
        node = self._program.nodes[i]
        python = {j for step in self._steps if step.kind == "python" for j in step.nodes}
        return not isinstance(node.op, (Input, Constant)) and i not in python

    def __call__(self, arguments: list[Array]) -> list[Array]:
        space = self._workspace()
        base = space.base
        values: dict[int, Any] = dict(self._constants)
        for position, i, slot in self._inputs:
            values[i] = x = _packed(arguments[position])
            base[:, slot] = x.ctypes.data
        for i in self._fresh:
            node = self._program.nodes[i]
            values[i] = x = self._recycled.take(node.shape, node.dtype)
            base[:, self._slots[i]] = x.ctypes.data
        with np.errstate(all="ignore"):
            for step in self._steps:
                if step.kind == "python":
                    for i in step.nodes:
                        self._call(i, values, space)
                else:
                    self._run(step, space)
        results, seen = [], set()
        for i in self._program.results:
            own = i in self._fresh and i not in seen
            results.append(values[i] if own else np.array(self._value(i, values, space)))
            seen.add(i)
        self._idle.append(space)
        return results

    def _run(self, step: _Ready, space: Workspace) -> None:
        cores = self._cores if step.work > WORTH_SHARING else 1
        count = -(-step.count // (cores * step.grain)) * step.grain if cores > 1 else step.count
        parts = [(k, first, min(first + count, step.count)) for k, first in enumerate(range(0, step.count, count))]

        def work(part: tuple[int, int, int]) -> None:
            k, first, last = part
            if step.before.size:
                machine.run(step.before, _NUMBERS, space.base[k], 0, 1, 1, space.work[k])
            machine.run(step.body, _NUMBERS, space.base[k], first, last, step.block, space.work[k])

        if len(parts) == 1:
            work(parts[0])
        else:
            _threads.run(work, parts)
        for k, _, _ in parts if step.first.size else ():
            code = step.rest if k else step.first
            machine.run(code, _NUMBERS, space.base[k], 0, 1, 1, space.work[k])

    def _call(self, i: int, values: dict[int, Any], space: Workspace) -> None:
        """An operation that the machine leaves to Python."""
        node = self._program.nodes[i]
        y = node.op(*(self._value(x, values, space) for x in node.inputs))  # type: ignore[operator]
        if node.dtype is not None:
            y = _packed(y)
            space.base[:, self._slots[i]] = y.ctypes.data
        values[i] = y

    def _value(self, i: int, values: dict[int, Any], space: Workspace) -> Any:
        """The array of a node that outlives its loop."""
        if i in values:
            return values[i]
        node = self._program.nodes[i]
        if node.op.view:
            return node.op(self._value(node.inputs[0], values, space))  # type: ignore[operator]
        layout = self._layouts[i]
        return np.ndarray(node.shape, node.dtype, space.arena, layout.offset, layout.strides)

    def _workspace(self) -> Workspace:
        try:
            return self._idle.pop()
        except IndexError:
            space = Workspace(self._sizes, FIRST + len(self._slots), self._cores)
            for i, x in self._constants.items():
                space.base[:, self._slots[i]] = x.ctypes.data
            return space


class _Ready:
    """A step with its instructions as arrays."""

    def __init__(self, step: Step) -> None:
        self.kind, self.count, self.nodes = step.loop.kind, step.loop.count, step.loop.nodes
        self.before, self.body, self.first, self.rest = (
            np.array(code, np.int64) for code in (step.before, step.body, step.first, step.rest)
        )
        self.block, self.work = step.block, step.work
        self.grain = 64 if self.kind == "tiles" else 1


class _Recycled:
    """Arrays for results: one that was handed out before, once nobody refers to it any more."""

    KEPT = 3  # of each kind: a training loop holds two generations at a time

    def __init__(self) -> None:
        self._arrays: dict[Any, list[Array]] = defaultdict(list)
        self._lock = threading.Lock()

    def take(self, shape: tuple[int, ...], dtype: Any) -> Array:
        with self._lock:
            known = self._arrays[shape, dtype]
            for k in range(len(known)):
                if sys.getrefcount(known[k]) == 2:  # this list, and the argument of getrefcount
                    return known[k]
        return np.empty(shape, dtype)


def _memory(size: int) -> Array:
    """Bytes that begin at a multiple of 64."""
    raw = np.empty(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size]


def _packed(x: Array) -> Array:
    """The array itself if it is C-contiguous, else a copy that is."""
    return x if x.flags.c_contiguous and x.flags.aligned else np.array(x, order="C")
