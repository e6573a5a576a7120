"""Helpers that wait awake: a loop of the machine on all cores, begun within microseconds.

To wake a thread takes the system 20 microseconds and more, and then it waits for the interpreter lock: as long as a
small step's part of the work itself. So a helper that has finished looks out for the next piece of work for a while,
without the interpreter lock, and only then goes to sleep. A caller gives a range of tasks to each helper that is
awake and free, runs the others itself, and looks out for the helpers' end. So callers on several threads never wait
for each other, and who does what changes no result.

Each helper has a box of 64-bit integers. Its state changes by atomic exchange, in this order:

    ASLEEP ─ helper wakes ─▸ FREE ─ caller claims ─▸ CLAIMED ─ caller has filled the box ─▸ POSTED
       ▴                     │ ▴ ▴                                                         │  │
       └── nothing came ─────┘ │ └────────── caller takes the part back ───────────────────┘  │
                               └─ caller has seen it ─ DONE ◂─ helper has finished ─ RUNNING ◂─┘

A caller that is done takes back what no helper has begun: on a busy machine the system may have put a helper aside for
milliseconds, though it looked awake.
"""

import ctypes
import os
import sys
import threading

import numpy as np
from numba import carray, types
from numba.extending import intrinsic

from . import machine
from ._jit import jit
from ._layout import Array

__all__ = ["crew"]

ASLEEP = 0
FREE = 1
CLAIMED = 2
POSTED = 3
RUNNING = 4
DONE = 5
BOX = 16  # integers of a box, two cache lines: no two helpers share one
AWAKE = 20_000  # pauses of some 30 nanoseconds, before a helper goes to sleep


@intrinsic
def _exchange(typingctx, address, old, new):
    """Write `new` at the address if `old` stands there, in one go; whether it did."""

    def codegen(context, builder, signature, values):
        from llvmlite import ir

        place = builder.inttoptr(values[0], ir.IntType(64).as_pointer())
        found = builder.cmpxchg(place, values[1], values[2], "seq_cst", "seq_cst")
        return builder.extract_value(found, 1)

    return types.boolean(types.int64, types.int64, types.int64), codegen


@intrinsic
def _state(typingctx, address):
    """What stands at the address now. A core that only looks leaves the others their copies."""

    def codegen(context, builder, signature, values):
        from llvmlite import ir

        place = builder.inttoptr(values[0], ir.IntType(64).as_pointer())
        return builder.load_atomic(place, "acquire", 8)

    return types.int64(types.int64), codegen


@intrinsic
def _pause(typingctx):
    """Tell an x86 processor that this is a loop that waits; others take the exchange beside it as pause enough."""

    def codegen(context, builder, signature, values):
        from llvmlite import binding, ir

        if binding.get_process_triple().startswith(("x86_64", "i686")):
            form = ir.FunctionType(ir.VoidType(), [])
            builder.call(builder.module.declare_intrinsic("llvm.x86.sse2.pause", (), form), [])
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def _run(typingctx, address, code, numbers, base, first, last, block, work):
    """Call `machine.run`, whose compiled form lies at the address."""
    given = (code, numbers, base, first, last, block, work)

    def codegen(context, builder, signature, values):
        form = context.call_conv.get_function_type(types.none, given)
        function = builder.inttoptr(values[0], form.as_pointer())
        context.call_conv.call_function(builder, function, types.none, given, values[1:])
        return context.get_dummy_value()

    return types.void(types.int64, *given), codegen


@intrinsic
def _integers(typingctx, address):
    """An address as a pointer to 64-bit integers."""

    def codegen(context, builder, signature, values):
        return builder.inttoptr(values[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.int64)(types.int64), codegen


@jit
def serve(out_box, numbers, run):
    """Do what is posted in the box, one piece of work after the other, until nothing comes for a while."""
    at = out_box.ctypes.data
    idle = 0
    _exchange(at, ASLEEP, FREE)
    while True:
        if _state(at) == POSTED and _exchange(at, POSTED, RUNNING):
            before = carray(_integers(out_box[1]), (out_box[2],))
            body = carray(_integers(out_box[3]), (out_box[4],))
            base = carray(_integers(out_box[5]), (out_box[6],))
            work = carray(_integers(out_box[7]), (out_box[8],))
            if before.size > 0:
                _run(run, before, numbers, base, 0, 1, 1, work)
            _run(run, body, numbers, base, out_box[9], out_box[10], out_box[11], work)
            _exchange(at, RUNNING, DONE)
            idle = 0
        elif idle < AWAKE:
            idle += 1
            _pause()
        elif _exchange(at, FREE, ASLEEP):
            return
        else:
            idle = 0


@jit
def share(out_boxes, numbers, run, before, body, base, out_work, count, grain, block, patience):
    """Run a loop over `count` tasks: helper k, if it is awake, takes part k + 1, and the caller the rest.

    Parts are a multiple of `grain` tasks, and the same whoever takes them. Part k uses row k of `base` and `out_work`.
    Waits up to `patience` pauses for a helper that is waking up.
    """
    parts = out_boxes.shape[0] + 1
    each = -(-count // (parts * grain)) * grain
    pieces = max(1, -(-each // block))
    size = max(1, -(-each // pieces))  # of a block: all alike, none larger than planned
    mine = np.empty(parts - 1, np.bool_)
    for k in range(parts - 1):
        at = out_boxes[k].ctypes.data
        claimed: bool = _exchange(at, FREE, CLAIMED)
        waited = 0
        while not claimed and waited < patience and _state(at) == ASLEEP:
            waited += 1
            _pause()
            claimed = _exchange(at, FREE, CLAIMED)
        if claimed:
            out_boxes[k, 1], out_boxes[k, 2] = before.ctypes.data, before.size
            out_boxes[k, 3], out_boxes[k, 4] = body.ctypes.data, body.size
            out_boxes[k, 5], out_boxes[k, 6] = base[k + 1].ctypes.data, base.shape[1]
            out_boxes[k, 7], out_boxes[k, 8] = out_work[k + 1].ctypes.data, out_work.shape[1]
            out_boxes[k, 9], out_boxes[k, 10] = min((k + 1) * each, count), min((k + 2) * each, count)
            out_boxes[k, 11] = size
            _exchange(at, CLAIMED, POSTED)
        mine[k] = not claimed
    for k in range(parts):
        if k > 0 and not mine[k - 1]:
            mine[k - 1] = _exchange(out_boxes[k - 1].ctypes.data, POSTED, FREE)
        if k == 0 or mine[k - 1]:
            if before.size > 0:
                _run(run, before, numbers, base[k], 0, 1, 1, out_work[0])
            _run(run, body, numbers, base[k], min(k * each, count), min((k + 1) * each, count), size, out_work[0])
    for k in range(parts - 1):
        at = out_boxes[k].ctypes.data
        while not mine[k] and not _exchange(at, DONE, FREE):
            _pause()


_crews: dict[int, "Crew"] = {}
_lock = threading.Lock()


def crew(cores: int) -> "Crew":
    """The crew of this process for so many cores."""
    with _lock:
        if cores not in _crews:
            _crews[cores] = Crew(cores)
        return _crews[cores]


def _forget() -> None:
    """A forked child has none of its parent's threads."""
    global _lock
    _crews.clear()
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


class Crew:
    """Helpers for the other cores of a process."""

    def __init__(self, cores: int) -> None:
        self._numbers = np.array([0.0, 1.0])
        self._boxes = _aligned(cores - 1, BOX)
        self._run = _address()
        serve(_aligned(1, BOX)[0], self._numbers, self._run)  # compiled or loaded now, and not while others compute
        self._bells = [threading.Semaphore(0) for _ in range(cores - 1)]
        self._threads = [
            threading.Thread(target=self._serve, args=(box, bell), name="tinymeta-crew", daemon=True)
            for box, bell in zip(self._boxes, self._bells)
        ]
        for thread in self._threads:
            thread.start()

    def share(
        self, before: Array, body: Array, base: Array, work: Array, count: int, grain: int, block: int, patience: int
    ) -> None:
        """Run a loop of the machine in as many parts as `base` has rows, at most one for each core of the crew."""
        boxes = self._boxes[: len(base) - 1]
        for box, bell, thread in zip(boxes, self._bells, self._threads):
            if box[0] == ASLEEP:
                _keep_off_this_core(thread)
                bell.release()
        share(boxes, self._numbers, self._run, before, body, base, work, count, grain, block, patience)

    def _serve(self, box: Array, bell: threading.Semaphore) -> None:
        while True:
            bell.acquire()
            while bell.acquire(blocking=False):  # it may have been rung more than once
                pass
            serve(box, self._numbers, self._run)


def _aligned(rows: int, columns: int) -> Array:
    """Zeros that begin with a cache line."""
    raw = np.zeros(rows * columns + 16, np.int64)
    start = -raw.ctypes.data // 8 % 16
    return raw[start : start + rows * columns].reshape(rows, columns)


def _keep_off_this_core(thread: threading.Thread) -> None:
    """Let the system not wake a helper on the core that its caller keeps busy, as Linux likes to."""
    if sys.platform == "linux" and _this_core is not None and thread.native_id is not None:
        others = os.sched_getaffinity(0) - {_this_core()}
        if others:
            os.sched_setaffinity(thread.native_id, others)


_this_core = getattr(ctypes.CDLL(None), "sched_getcpu", None) if sys.platform == "linux" else None


def _address() -> int:
    """Where the compiled machine lies."""
    empty = np.zeros(0, np.int64)
    machine.run(empty, np.zeros(2), empty, 0, 0, 1, np.zeros(machine.WORK, np.int64))
    (compiled,) = machine.run.entries["l"].overloads.values()
    return int(compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name))
