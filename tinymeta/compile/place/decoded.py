"""The machine's instructions, read back: where each operand's numbers lie, for any task.

Written from what `tinymeta_kernels/machine.py` says, and not from what wrote them (`instructions.py`, `products.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tinymeta_kernels import machine


class Operand(NamedTuple):
    """Where an instruction finds an array."""

    slot: int
    offset: int
    task_stride: int
    strides: list[int]


class Instruction(NamedTuple):
    """One instruction, taken apart; sizes below 0 are per task."""

    opcode: int
    loop: tuple[int, int]  # a function's address and its data
    sizes: list[int]
    operands: list[Operand]
    more: list[int]

    @property
    def multiplies(self) -> bool:
        return self.opcode == machine.GEMM

    @property
    def accumulates(self) -> bool:
        """Whether it adds to what is there."""
        return self.opcode == machine.SUM or (self.multiplies and self.more[-1] == 1)

    def all_sizes(self) -> list[int]:
        """Of the loops, and of the matrices within, if it multiplies such."""
        return self.sizes + (self.more[2:5] if self.multiplies else [])

    def reached(self, k: int, task: int, tasks: int) -> tuple[int, list[tuple[int, int]]]:
        """Where operand k begins for these tasks, and the size and stride of each of its axes, in bytes."""
        operand = self.operands[k]
        axes = list(zip((_sized(n, tasks) for n in self.sizes), operand.strides))
        if self.multiplies:
            form_a, form_b, m, n, inner, lda, ldb, ldc = self.more[:8]
            rows, columns = ((m, inner), (inner, n), (m, n))[k]
            form, apart = ((form_a, lda), (form_b, ldb), (machine.ORDINARY, ldc))[k]
            item = self.loop[1]
            strides = (apart * item, item) if form == machine.ORDINARY else (item, apart * item)
            axes += zip((_sized(rows, tasks), _sized(columns, tasks)), strides)
        return operand.offset + task * operand.task_stride, axes


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


def _sized(n: int, tasks: int) -> int:
    return n if n >= 0 else -n * tasks
