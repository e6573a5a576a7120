"""What is placed: every instruction reads what it should, and stays within arrays that the plan owns.

First the address of each operand's first and last byte, for the first block of tasks and for the last, which may be
smaller. Then, where that isn't too much, the machine's instructions run on symbols (`symbols.py`), byte by byte as
`tinymeta_kernels/machine.py` says, on one core and on all: memory that was never written can't be read, nor what
another core writes in the same loop, and each array that outlives its loop has to be what its operation makes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from tinymeta_kernels import machine

from tinymeta.compile.place import symbols
from tinymeta.compile.place.assemble import Assembly
from tinymeta.compile.place.decoded import Instruction, decoded
from tinymeta.compile.place.layout import ARENA, ONES, PARTIAL, ROW, SCRATCH, ZERO
from tinymeta.compile.place.loop_body import LoopCode
from tinymeta.compile.place.memory import STAGE, Memory
from tinymeta.compile.program.operations import Constant, Input
from tinymeta.compile.verify import Broken
from tinymeta.engine.tensor import Array

LARGE = 1 << 21  # elements that all instructions together move: larger programs run on symbols in no reasonable time
OPCODES = {getattr(machine, name): name for name in ("LOOP", "SCALE", "WHERE", "CAST", "GEMM", "SUM")}


class Span(NamedTuple):
    """Tasks that one core runs, and how many at a time."""

    core: int
    first: int
    last: int
    block: int


def check(assembly: Assembly, cores: int) -> None:
    """Raise `Broken` where an address lies outside, or a value isn't what the program says."""
    simulation = _Simulation(assembly)
    elements = 0
    for loop in assembly.loops:
        for count in {1, min(cores, loop.loop.count)}:
            for code, span in _codes(loop, count):
                elements += sum(simulation.inside(instruction, span) for instruction in decoded(code))
    memory = sum(assembly.sizes) + sum(n.size * 8 for n in assembly.program.nodes if not n.op.view)
    if max(elements, memory) <= LARGE:
        for count in sorted({1, max(1, cores)}):
            simulation.run(count)


def check_joined(assembly: Assembly, code: list[int], count: int) -> None:
    """Raise `Broken` where an address lies outside, if all loops run as one, whose tasks are one block."""
    simulation = _Simulation(assembly)
    for instruction in decoded(code):
        simulation.inside(instruction, Span(0, 0, count, count))


def _codes(code: LoopCode, cores: int) -> Iterator[tuple[list[int], Span]]:
    """What a loop runs on so many cores, in an order in which it might."""
    loop = code.loop
    if loop.kind == "python":
        return
    spans = [Span(0, 0, loop.count, code.block)]
    if cores > 1:  # as `share` in `tinymeta_kernels/crew.py` deals them out
        grain = 64 if loop.kind == "tiles" else 1
        each = -(-loop.count // (cores * grain)) * grain
        block = max(1, -(-each // max(1, -(-each // code.block))))
        bounds = [min(k * each, loop.count) for k in range(cores + 1)]
        spans = [Span(k, *pair, block) for k, pair in enumerate(zip(bounds, bounds[1:]))]
    for span in spans:
        yield code.before, Span(span.core, 0, 1, 1)
        yield code.body, span
    for k in range(len(spans)):
        yield code.rest if k else code.first, Span(k, 0, 1, 1)


class _Simulation:
    """One assembly on symbols."""

    def __init__(self, assembly: Assembly) -> None:
        self.assembly, self.program = assembly, assembly.program
        self.loops = symbols.Loops(self.program)
        self.extent = dict(zip((ARENA, SCRATCH, PARTIAL), assembly.sizes))
        self.extent[ZERO], self.extent[ONES] = 32, 12 * ROW
        for i, slot in assembly.slots.items():
            node = self.program.nodes[i]
            self.extent[slot] = node.size * node.dtype.itemsize if node.dtype is not None else 0

    def inside(self, instruction: Instruction, span: Span) -> int:
        """How many elements an instruction moves, once it is clear that it stays within its arrays."""
        if span.first >= span.last:
            return 0
        last = span.first + (span.last - 1 - span.first) // span.block * span.block
        for task in {span.first, last}:
            tasks = min(span.block, span.last - task)
            for k, (operand, width) in enumerate(zip(instruction.operands, self._widths(instruction))):
                begin, axes = instruction.reached(k, task, tasks)
                reach = [(n - 1) * stride for n, stride in axes]
                low, high = (begin + sum(f(0, r) for r in reach) for f in (min, max))
                if low < 0 or high + width > self.extent[operand.slot]:
                    raise Broken(
                        STAGE,
                        f"{OPCODES[instruction.opcode]} of {[n for n, _ in axes]}",
                        f"bytes {low} to {high + width} of slot {operand.slot}, which has {self.extent[operand.slot]}",
                    )
        sizes = instruction.all_sizes()
        return abs(math.prod(sizes)) * (span.last - span.first if any(n < 0 for n in sizes) else 1)

    def _widths(self, instruction: Instruction) -> list[int]:
        """The bytes of each operand's elements."""
        opcode, data = instruction.opcode, instruction.loop[1]
        if opcode == machine.LOOP:
            if instruction.loop not in self.loops.sizes:
                raise Broken(STAGE, "LOOP", "it calls a function that the program doesn't have")
            return self.loops.sizes[instruction.loop]
        if opcode == machine.CAST:
            return [data, 12 - data]
        return [1, data, data, data] if opcode == machine.WHERE else [data] * len(instruction.operands)

    # On symbols

    def run(self, cores: int) -> None:
        """All loops on so many cores, with a look at each array that outlives its own."""
        rng = np.random.default_rng(0)
        self.memory = Memory(self.extent, cores)
        self.values: list[Any] = []
        python = {i for code in self.assembly.loops if code.loop.kind == "python" for i in code.loop.nodes}
        for i, node in enumerate(self.program.nodes):
            if node.dtype is None:
                self.values.append(None)
            elif isinstance(node.op, (Input, Constant)) or i in python:
                self.values.append(symbols.drawn(rng, node.shape))
            else:
                given = [self.values[x] for x in node.inputs]
                self.values.append(symbols.value(self.program, node, given, self.loops))
            if isinstance(node.op, (Input, Constant)):
                self._fill(i)
        for loop in self.assembly.loops:
            for code, span in _codes(loop, min(cores, loop.loop.count)):
                if code is not loop.body:  # what comes before and after a loop is done by one core after the other
                    self.memory.begin()
                for task in range(span.first, span.last, span.block):
                    for instruction in decoded(code):
                        self._execute(instruction, span.core, task, min(span.block, span.last - task))
            self.memory.begin()
            self._look(loop)
        for i in self.program.results:
            self._same(i, "a result")

    def _look(self, code: LoopCode) -> None:
        """The arrays that a loop leaves behind, or that a kernel reads."""
        for i in code.loop.nodes:
            node = self.program.nodes[i]
            if code.loop.kind != "python":
                if i in self.assembly.layouts:
                    self._same(i, f"written in a loop of {code.loop.kind}")
                continue
            for x in node.inputs:
                if self.program.nodes[x].dtype is not None:
                    self._same(x, f"read by {node.op}")
            if node.dtype is not None:
                self._fill(i)

    def _fill(self, i: int) -> None:
        self.memory.fill(self.assembly.slots[i], self.values[i], self.program.nodes[i].dtype.itemsize)

    def _same(self, i: int, why: str) -> None:
        while self.program.nodes[i].op.view:
            i = self.program.nodes[i].inputs[0]
        node = self.program.nodes[i]
        layout, width = self.assembly.layouts[i], node.dtype.itemsize
        offsets = _offsets(layout.offset, list(zip(node.shape, layout.strides)))
        if not np.array_equal(self.memory.read(0, layout.slot, offsets, width, f"node {i}"), self.values[i]):
            raise Broken(STAGE, f"node {i}, {node.op}, {why}", "its place holds something else")

    def _execute(self, instruction: Instruction, core: int, task: int, tasks: int) -> None:
        """One instruction for a block of tasks. A loop whose first operand is the result, in which places come
        repeatedly, adds up (or takes the maximum)."""
        opcode, name = instruction.opcode, OPCODES[instruction.opcode]
        offsets = [_offsets(*instruction.reached(k, task, tasks)) for k in range(len(instruction.operands))]
        places = list(zip((o.slot for o in instruction.operands), offsets, self._widths(instruction)))
        if opcode == machine.LOOP:
            name = self.loops.names[instruction.loop]
        out = places[-1]
        repeats = np.unique(out[1]).size != out[1].size
        folds = opcode == machine.LOOP and len(places) == 3 and repeats and _alike(places[0], out)
        given = places[1:-1] if folds else places[:-1]
        for place in given:
            self.memory.apart(place, out, elementwise=not instruction.multiplies)
        read = [self.memory.read(core, *place, name) for place in given]
        made = read[0] if folds else symbols.done(OPCODES[opcode], name, read)
        self.memory.write(core, *out, made, name if folds else "add" if instruction.accumulates else None)


def _alike(a: Any, b: Any) -> bool:
    return a[0] == b[0] and a[2] == b[2] and np.array_equal(a[1], b[1])


def _offsets(begin: int, axes: list[tuple[int, int]]) -> Array:
    found: Array = np.array(begin, np.int64)
    for n, stride in axes:
        found = found[..., None] + np.arange(n) * stride
    return found
