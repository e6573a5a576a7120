"""What a compiled program does, in words: its loops, what runs in each, on how many cores, and how long it takes."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from tinymeta.compile.program.calls import Call
from tinymeta.compile.program.loop import Loop
from tinymeta.compile.program.operations import Contract, Elementwise, Operation, Reduce
from tinymeta.compile.program.views import Gather, Scatter

if TYPE_CHECKING:
    from tinymeta.compile.run.machine import Machine, Ready

WORDS: dict[type[Operation], str] = {
    Contract: "product", Reduce: "sum", Gather: "windows", Scatter: "windows added up"
}  # fmt: skip
RUNS = 5  # of which the quickest is told


def told(machine: Machine, run: Callable[[], object] | None = None) -> list[str]:
    """A line for the memory of a program, and one for each of its loops; with `run`, which calls it, their times."""
    seconds = _timed(machine, run) if run else []
    lines = [f"needs {machine.memory() / 1e6:.3g} MB besides its arguments"]
    for k, loop in enumerate(machine.loops):
        where = f" on {machine.cores(loop)} cores" if machine.cores(loop) > 1 else ""
        took = f": {1e3 * seconds[k]:.3f} ms, {100 * seconds[k] / sum(seconds):.0f} %" if seconds else ""
        lines.append(f"{k + 1}. {_how(loop)}{where}, {_what(machine, loop)}{took}")
    return lines


def _how(loop: Ready) -> str:
    """How often a loop runs, and over what."""
    if loop.kind == "tasks":
        return f"for each of {loop.count} tasks, {loop.block} at a time"
    if loop.kind == "rows":
        return f"in {loop.count} rows of the result"
    if loop.kind == "tiles":
        return f"in tiles of {min(loop.block, loop.count)} of {loop.count} numbers"
    return "called by Python" if loop.kind == "python" else "once"


def _what(machine: Machine, loop: Ready) -> str:
    """What runs in a loop: kinds of operations, the most frequent first."""
    found = Counter(_name(machine.program.nodes[i].op) for i in loop.nodes)
    return ", ".join(f"{n} × {name}" for name, n in found.most_common())


def _name(op: Operation) -> str:
    if isinstance(op, Loop):
        return f"scan of {op.turns} turns"
    if isinstance(op, Call):
        return f"kernel {op.primitive.__name__}"
    return WORDS.get(type(op), "elementwise" if isinstance(op, Elementwise) else type(op).__name__.lower())


def _timed(machine: Machine, run: Callable[[], object]) -> list[float]:
    """The seconds of each loop, the least of several runs; none where other recordings ran, as each call needs one."""
    least, last = [math.inf] * len(machine.loops), 0.0

    def over(k: int) -> None:
        nonlocal last
        now = time.perf_counter()
        least[k], last = min(least[k], now - last), now

    machine.clock = over
    try:
        for _ in range(RUNS):
            last = time.perf_counter()
            run()
    finally:
        machine.clock = None
    return least if 0 < sum(least) < math.inf else []
