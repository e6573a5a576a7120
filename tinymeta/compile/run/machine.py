"""The fast replay: a program on the machine of `tinymeta_kernels/machine.py`, which leaves Python out of the loop.

Memory is planned when the program is assembled and kept between calls, so a step allocates nothing but its results, and
even those come from arrays that the caller has let go of: fresh memory costs a page fault for every 4 KB, which is half
of a large step's time.
"""

from __future__ import annotations

import copy
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from tinymeta_kernels import machine, threads
from tinymeta_kernels.crew import crew
from tinymeta_kernels.located import address, locate

from tinymeta.compile.place import in_bounds
from tinymeta.compile.place.assemble import assembled
from tinymeta.compile.place.layout import ARENA, FIRST, ONES, PARTIAL, ROW, SCRATCH, ZERO
from tinymeta.compile.place.loop_body import LoopCode
from tinymeta.compile.place.own_parts import Carry, on_their_own
from tinymeta.compile.program.calls import Call
from tinymeta.compile.program.loop import Loop
from tinymeta.compile.program.operations import Constant, Input, Kind, Operation
from tinymeta.compile.program.program import Program
from tinymeta.compile.run.turns import Turns, distinct
from tinymeta.compile.verify import checking
from tinymeta.engine.tensor import Array

WORTH_SHARING = 500_000  # operations and elements of a loop for each core: some 25 microseconds
PATIENCE = 10_000  # operations of a loop for each pause (`crew.py`) spent on waiting for a second core: a few per cent

_ONES = np.concatenate([np.ones(ROW, np.float32).view(np.uint8), np.ones(ROW).view(np.uint8)])
_NUMBERS = np.array([0.0, 1.0])
_held = [np.empty(0)]
ALONE = [sys.getrefcount(x) for x in _held][0]  # the count of an array that only such a list holds


class Machine:
    """A program ready to run on arrays."""

    def __init__(self, program: Program) -> None:
        assembly = assembled(program)
        if checking():
            in_bounds.check(assembly, threads.count)
        self._program = program = assembly.program
        self._cores = threads.count
        self._assembly = assembly
        self._layouts, self._slots, self._sizes = assembly.layouts, assembly.slots, assembly.sizes
        self.loops = [Ready(code) for code in assembly.loops]
        self.idle: list[Workspace] = []
        self.clock: Callable[[int], object] | None = None  # called with each loop's number when it is over
        self._constants: dict[int, Array] = {}
        arguments = {}
        for i, node in enumerate(program.nodes):
            if isinstance(node.op, Constant):
                self._constants[i] = np.ascontiguousarray(node.value).reshape(node.shape)
            elif isinstance(node.op, Input):
                arguments[node.op.position] = i
        fresh = list(assembly.fresh)
        self._recycled = Recycled([(program.nodes[i].shape, program.nodes[i].dtype) for i in fresh])
        self.bound = [*(arguments[position] for position in range(len(arguments))), *fresh]
        self.columns = np.array([self._slots[i] for i in self.bound], np.int64)
        ops = {i: node.op for i, node in enumerate(program.nodes) if isinstance(node.op, Loop)}
        self._turns = {i: Turns(op, Machine(distinct(op.body))) for i, op in ops.items()}
        self._direct = [i in fresh and i not in program.results[:k] for k, i in enumerate(program.results)]

    def __call__(self, arguments: list[Array]) -> list[Array]:
        space = self.workspace()
        given = [_packed(x) for x in arguments]
        given += self._recycled.take()
        locate(given, self.columns, space.base)
        values: dict[int, Any] = dict(zip(self.bound, given))
        clock = self.clock
        for k, loop in enumerate(self.loops):
            if loop.kind == "python":
                with np.errstate(all="ignore"):
                    for i in loop.nodes:
                        self._call(i, values, space)
            else:
                self.run(loop, space)
            if clock is not None:
                clock(k)
        results = [
            values[i] if direct else np.array(self._value(i, values, space))
            for i, direct in zip(self._program.results, self._direct)
        ]
        self.idle.append(space)
        return results

    def run(self, loop: Ready, space: Workspace) -> None:
        """A loop, on one core or on all."""
        cores = self.cores(loop)
        if cores > 1:
            patience = loop.work // PATIENCE
            base, work = space.base[:cores], space.work[:cores]
            with threads.one_blas_thread():
                crew(self._cores).share(
                    loop.before, loop.body, base, work, loop.count, loop.grain, loop.block, patience
                )
        else:
            if loop.sums:
                machine.run(loop.before, _NUMBERS, space.base[0], 0, 1, 1, space.work[0])
            machine.run(loop.body, _NUMBERS, space.base[0], 0, loop.count, loop.block, space.work[0])
        if loop.sums:
            for k in range(cores):
                code = loop.rest if k else loop.first
                machine.run(code, _NUMBERS, space.base[k], 0, 1, 1, space.work[k])

    def recycled(self, kinds: list[Kind]) -> Recycled:
        """Arrays of these kinds for each run."""
        return Recycled(kinds)

    @property
    def program(self) -> Program:
        """As it was placed."""
        return self._program

    def cores(self, loop: Ready) -> int:
        """How many cores run a loop."""
        if loop.kind == "python":
            return 1
        return max(1, min(self._cores, threads.cores(), loop.count, loop.work // max(1, WORTH_SHARING)))

    def memory(self) -> int:
        """Bytes of one run: what lies between loops, each core's own, and the results."""
        arena, scratch, partial = self._sizes
        results = (self._program.nodes[i] for i in self._program.results)
        return arena + self._cores * (scratch + partial) + sum(x.size * x.dtype.itemsize for x in results)

    def joined(self, limit: int, carries: int) -> Ready | None:
        """All loops as one, to be run turn after turn with so many carries. None where Python is in it, or where a
        result is no memory of the program's own.

        Tasks go through the turns on their own if there is one loop, and none reads what another writes. Else there is
        one block of them, on one core, up to `limit` operations.
        """
        own = len(self.bound) - len(self._direct) == sum(isinstance(n.op, Input) for n in self._program.nodes)
        if not self.loops or not own or any(loop.kind == "python" for loop in self.loops):
            return None
        ready = copy.copy(self.loops[0])
        alone = len(self.loops) == 1 and not ready.sums
        if alone and on_their_own(ready.body.tolist(), ready.count, self._carries(carries)):
            return ready
        counts = {loop.count for loop in self.loops if loop.kind != "whole"}  # tasks, and rows of large sums
        one_block = len(counts) <= 1 and all(loop.count <= loop.block for loop in self.loops)
        if not one_block or sum(loop.work for loop in self.loops) > limit or "tiles" in {x.kind for x in self.loops}:
            return None
        ready.body = np.concatenate([code for x in self.loops for code in (x.before, x.body, x.first)])
        ready.count = ready.block = max(counts, default=1)
        ready.sums, ready.work = False, 0
        if checking():
            in_bounds.check_joined(self._assembly, ready.body.tolist(), ready.count)
        return ready

    def _carries(self, number: int) -> list[Carry]:
        """The first arguments, and the results that take their places in the next turn."""
        slots = self.columns.tolist()
        kinds = [self._program.nodes[i] for i in self.bound[:number]]
        written = slots[len(slots) - len(self._direct) :]
        return [Carry(a, b, x.size, x.dtype.itemsize) for a, b, x in zip(slots, written, kinds)]

    def _call(self, i: int, values: dict[int, Any], space: Workspace) -> None:
        """An operation that the machine leaves to Python."""
        node = self._program.nodes[i]
        y: Any = self._turns.get(i, node.op)(*(self._value(x, values, space) for x in node.inputs))
        if node.dtype is not None:
            y = _packed(y)
            if y.shape != node.shape or y.dtype != node.dtype:
                raise TypeError(
                    f"{_name(node.op)} gave {y.dtype}{y.shape} where it gave {node.dtype}{node.shape} when tm.compile "
                    "recorded it: in a compiled function the shape and dtype of a result may depend on those of the "
                    "arguments alone, not on their values"
                )
            space.base[:, self._slots[i]] = address(y)
        values[i] = y  # which keeps the memory alive until the call ends

    def _value(self, i: int, values: dict[int, Any], space: Workspace) -> Any:
        """The array of a node that outlives its loop."""
        views = []
        while i not in values and self._program.nodes[i].op.view:
            views.append(self._program.nodes[i].op)
            i = self._program.nodes[i].inputs[0]
        if i in values or i in self._constants:
            found = values[i] if i in values else self._constants[i]
        else:
            node, layout = self._program.nodes[i], self._layouts[i]
            found = np.ndarray(node.shape, node.dtype, space.arena, layout.offset, layout.strides)
        for view in reversed(views):
            found = view(found)
        return found

    def workspace(self) -> Workspace:
        """Memory for one run: what an earlier one has left, unless another thread is using it."""
        try:
            return self.idle.pop()
        except IndexError:
            space = Workspace(self._sizes, FIRST + len(self._slots), self._cores)
            for i, x in self._constants.items():
                space.base[:, self._slots[i]] = address(x)
            return space


class Workspace:
    """The memory of one run at a time, and each core's table of addresses."""

    def __init__(self, sizes: tuple[int, int, int], slots: int, cores: int) -> None:
        arena, scratch, partial = sizes
        self.arena = _memory(arena)
        self.own = [(_memory(scratch), _memory(partial)) for _ in range(cores)]
        self.zero = np.zeros(4)  # as wide as any number
        self.base = np.zeros((cores, slots), np.int64)
        self.work = np.zeros((cores, machine.WORK), np.int64)
        self.base[:, ARENA] = address(self.arena)
        self.base[:, ZERO], self.base[:, ONES] = address(self.zero), address(_ONES)
        for row, (mine, sums) in zip(self.base, self.own):
            row[SCRATCH], row[PARTIAL] = address(mine), address(sums)


class Ready:
    """A loop with its instructions as arrays."""

    def __init__(self, loop: LoopCode) -> None:
        self.kind, self.count, self.nodes = loop.loop.kind, loop.loop.count, loop.loop.nodes
        self.before, self.body, self.first, self.rest = (
            np.array(code, np.int64) for code in (loop.before, loop.body, loop.first, loop.rest)
        )
        self.sums = bool(loop.before)
        self.block, self.work = loop.block, loop.work
        self.grain = 64 if self.kind == "tiles" else 1


class Recycled:
    """Arrays for results: those of an earlier run, once nobody else refers to them any more."""

    KEPT = 8  # for each result; a training loop holds two generations of its state at a time

    def __init__(self, kinds: list[tuple[tuple[int, ...], Any]]) -> None:
        self._kept: list[tuple[Any, list[Array]]] = [(kind, []) for kind in kinds]
        self._lock = threading.Lock()

    def take(self) -> list[Array]:
        """An array for each result, which nobody else has."""
        arrays = []
        with self._lock:
            for (shape, dtype), kept in self._kept:
                for x in kept:
                    if sys.getrefcount(x) == ALONE and x.shape == shape and x.dtype is dtype and x.flags.c_contiguous:
                        break  # whoever had it may have set its shape, or strides
                else:
                    x = np.empty(shape, dtype)
                    if len(kept) < self.KEPT:
                        kept.append(x)
                arrays.append(x)
        return arrays


def _memory(size: int) -> Array:
    """Bytes that begin at a multiple of 64."""
    raw = np.empty(size + 64, np.uint8)
    start = -address(raw) % 64
    return raw[start : start + size]


def _name(op: Operation) -> str:
    """What the user calls an operation."""
    return op.primitive.__name__ if isinstance(op, Call) else getattr(op, "name", type(op).__name__.lower())


def _packed(x: Array) -> Array:
    """The array itself if it is C-contiguous, else a copy that is. In place of an array of rank 0 NumPy often gives a
    scalar, which has no lasting address."""
    return x if type(x) is np.ndarray and x.flags.c_contiguous and x.flags.aligned else np.array(x, order="C")
