"""What is placed: every instruction reads what it should, and stays within arrays that the plan owns.

First the address of each operand's first and last byte, for the first block of tasks and for the last, which may be
smaller. Then, where that isn't too much, the machine's instructions run on symbols (`symbols.py`), byte by byte as
`tinymeta_kernels/machine.py` says, on one core and on all: memory that was never written can't be read, nor what
another core writes in the same loop, and each array that outlives its loop has to be what its operation makes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from tinymeta_kernels import machine

from tinymeta.compile.place import symbols
from tinymeta.compile.place.assemble import Assembly, Step
from tinymeta.compile.place.layout import ARENA, PARTIAL, SCRATCH, ZERO
from tinymeta.compile.place.memory import Memory
from tinymeta.compile.program.operations import Constant, Input
from tinymeta.compile.verify import Broken
from tinymeta.engine.tensor import Array

STAGE = "placed program"
LARGE = 1 << 21  # elements that all instructions together move: larger programs run on symbols in no reasonable time
OPCODES = {getattr(machine, name): name for name in ("LOOP", "SCALE", "WHERE", "CAST", "GEMM", "SUM", "ERF")}


class Operand(NamedTuple):
    """Where an instruction finds an array."""

    slot: int
    offset: int
    step: int
    strides: list[int]


class Instruction(NamedTuple):
    """One instruction, taken apart; sizes below 0 are per task."""

    opcode: int
    loop: tuple[int, int]
    sizes: list[int]
    operands: list[Operand]
    more: list[int]

    def sized(self, tasks: int) -> list[int]:
        return [n if n >= 0 else -n * tasks for n in self.sizes]


class Span(NamedTuple):
    """Tasks that one core runs, and how many at a time."""

    core: int
    first: int
    last: int
    block: int


def decoded(code: list[int]) -> Iterator[Instruction]:
    at = 0
    while at < len(code):
        opcode, length, address, data, operands, axes = code[at : at + 6]
        begin, width = at + 6 + axes, 3 + axes
        found = [code[begin + k * width : begin + (k + 1) * width] for k in range(operands)]
        more = code[begin + operands * width : at + length]
        sizes = code[at + 6 : begin]
        yield Instruction(opcode, (address, data), sizes, [Operand(f[0], f[1], f[2], f[3:]) for f in found], more)
        at += length


def placed(assembly: Assembly, cores: int) -> None:
    """Raise `Broken` where an address lies outside, or a value isn't what the program says."""
    simulation = _Simulation(assembly)
    elements = 0
    for step in assembly.steps:
        for count in {1, min(cores, step.loop.count)}:
            for code, span in _codes(step, count):
                elements += sum(simulation.inside(instruction, span) for instruction in decoded(code))
    memory = sum(assembly.sizes) + sum(n.size * 8 for n in assembly.program.nodes if not n.op.view)
    if max(elements, memory) <= LARGE:
        for count in sorted({1, max(1, cores)}):
            simulation.run(count)


def _codes(step: Step, cores: int) -> Iterator[tuple[list[int], Span]]:
    """What a loop runs on so many cores, in an order in which it might."""
    loop = step.loop
    if loop.kind == "python":
        return
    spans = [Span(0, 0, loop.count, step.block)]
    if cores > 1:  # as `share` in `tinymeta_kernels/crew.py` deals them out
        grain = 64 if loop.kind == "tiles" else 1
        each = -(-loop.count // (cores * grain)) * grain
        block = max(1, -(-each // max(1, -(-each // step.block))))
        bounds = [min(k * each, loop.count) for k in range(cores + 1)]
        spans = [Span(k, *pair, block) for k, pair in enumerate(zip(bounds, bounds[1:]))]
    for span in spans:
        yield step.before, Span(span.core, 0, 1, 1)
        yield step.body, span
    for k in range(len(spans)):
        yield step.rest if k else step.first, Span(k, 0, 1, 1)


class _Simulation:
    """One assembly on symbols."""

    def __init__(self, assembly: Assembly) -> None:
        self.assembly, self.program = assembly, assembly.program
        self.loops = symbols.Loops(self.program)
        self.extent = dict(zip((ARENA, SCRATCH, PARTIAL), assembly.sizes))
        self.extent[ZERO] = 32
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
            for operand, width, offsets in self._reached(instruction, task, tasks):
                low, high = offsets
                if low < 0 or high + width > self.extent[operand.slot]:
                    raise Broken(
                        STAGE,
                        f"{OPCODES[instruction.opcode]} of {instruction.sized(tasks)}",
                        f"bytes {low} to {high + width} of slot {operand.slot}, which has {self.extent[operand.slot]}",
                    )
        count = int(np.prod([abs(n) for n in instruction.sizes]))
        if instruction.opcode == machine.GEMM:
            count *= int(np.prod([abs(n) for n in instruction.more[2:5]]))
        return count * (
            span.last - span.first if any(n < 0 for n in (*instruction.sizes, *instruction.more[2:5])) else 1
        )

    def _reached(self, instruction: Instruction, task: int, tasks: int) -> Iterator[tuple[Operand, int, Any]]:
        """Each operand with its elements' bytes, and the first and last offset that is reached."""
        sizes = instruction.sized(tasks)
        for k, operand in enumerate(instruction.operands):
            axes = list(zip(sizes, operand.strides))
            if instruction.opcode == machine.GEMM:
                axes += _matrix(instruction, k, tasks)
            begin = operand.offset + task * operand.step
            reach = [(n - 1) * stride for n, stride in axes]
            low, high = (begin + sum(f(0, r) for r in reach) for f in (min, max))
            yield operand, self._widths(instruction)[k], (low, high)

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
        """All steps on so many cores, with a look at each array that outlives its loop."""
        rng = np.random.default_rng(0)
        self.memory = Memory(self.extent, cores)
        self.values: list[Any] = []
        python = {i for step in self.assembly.steps if step.loop.kind == "python" for i in step.loop.nodes}
        for i, node in enumerate(self.program.nodes):
            if node.dtype is None:
                self.values.append(None)
            elif isinstance(node.op, (Input, Constant)) or i in python:
                self.values.append(symbols.drawn(rng, node.shape))
            else:
                given = [self.values[x] for x in node.inputs]
                self.values.append(symbols.value(self.program, node, given, self.loops))
            if isinstance(node.op, (Input, Constant)):
                self.memory.fill(self.assembly.slots[i], self.values[i], node.dtype.itemsize)
        for step in self.assembly.steps:
            for code, span in _codes(step, min(cores, step.loop.count)):
                if code is not step.body:  # what comes before and after a loop is done by one core after the other
                    self.memory.begin()
                for task in range(span.first, span.last, span.block):
                    for instruction in decoded(code):
                        self._execute(instruction, span.core, task, min(span.block, span.last - task))
            self.memory.begin()
            self._look(step)
        for i in self.program.results:
            self._same(i, "a result")

    def _look(self, step: Step) -> None:
        """The arrays that a step leaves behind, or that a kernel reads."""
        for i in step.loop.nodes:
            node = self.program.nodes[i]
            if step.loop.kind != "python":
                if i in self.assembly.layouts:
                    self._same(i, f"written in a loop of {step.loop.kind}")
                continue
            for x in node.inputs:
                if self.program.nodes[x].dtype is not None:
                    self._same(x, f"read by {node.op}")
            if node.dtype is not None:
                self.memory.fill(self.assembly.slots[i], self.values[i], node.dtype.itemsize)

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
        widths, sizes = self._widths(instruction), instruction.sized(tasks)
        opcode, name = instruction.opcode, OPCODES[instruction.opcode]
        offsets = []
        for k, operand in enumerate(instruction.operands):
            axes = list(zip(sizes, operand.strides))
            if opcode == machine.GEMM:
                axes += _matrix(instruction, k, tasks)
            offsets.append(_offsets(operand.offset + task * operand.step, axes))
        places = list(zip((o.slot for o in instruction.operands), offsets, widths))
        if opcode == machine.LOOP:
            name = self.loops.names[instruction.loop]
        out = places[-1]
        adds = opcode == machine.SUM or (opcode == machine.GEMM and instruction.more[-1] == 1)
        repeats = np.unique(out[1]).size != out[1].size
        folds = opcode == machine.LOOP and len(places) == 3 and repeats and _alike(places[0], out)
        given = places[1:-1] if folds else places[:-1]
        for place in given:
            self.memory.apart(place, out, elementwise=opcode != machine.GEMM)
        read = [self.memory.read(core, *place, name) for place in given]
        made: Any
        if opcode == machine.GEMM:
            made = np.matmul(*read)
        elif opcode == machine.WHERE:
            made = symbols.chosen(*read)
        elif opcode == machine.ERF:
            made = symbols.applied("erf", *read)
        elif opcode == machine.SCALE:
            made = symbols.applied("multiply", *read)
        elif opcode in (machine.SUM, machine.CAST) or folds:
            made = read[0]
        else:
            made = symbols.applied(name, *read)
        self.memory.write(core, *out, made, name if folds else "add" if adds else None)


def _alike(a: Any, b: Any) -> bool:
    return a[0] == b[0] and a[2] == b[2] and np.array_equal(a[1], b[1])


def _matrix(instruction: Instruction, k: int, tasks: int) -> list[tuple[int, int]]:
    """The sizes and strides of the rows and columns of a product's operand."""
    form_a, form_b, *dims, lda, ldb, ldc = instruction.more[:8]
    m, n, inner = (d if d >= 0 else -d * tasks for d in dims)
    rows, columns = ((m, inner), (inner, n), (m, n))[k]
    form, long = ((form_a, lda), (form_b, ldb), (machine.ORDINARY, ldc))[k]
    item = instruction.loop[1]
    apart = (long * item, item) if form == machine.ORDINARY else (item, long * item)
    return [(rows, apart[0]), (columns, apart[1])]


def _offsets(begin: int, axes: list[tuple[int, int]]) -> Array:
    found: Array = np.array(begin, np.int64)
    for n, stride in axes:
        found = found[..., None] + np.arange(n) * stride
    return found
