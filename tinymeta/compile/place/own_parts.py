"""Whether tasks may go through all turns of a loop on their own: each reads of the carries only what it has written.

A carry that comes out turned over, or as a sum over all, is read by other tasks in the next turn, which may not have
come so far: blocks of tasks go through the turns one after the other, and cores side by side. The instructions
themselves say which task writes each number of a carry, and which read it. Where they go over a carry more than a few
times, as each task of a product over all of it, the answer is no, and nobody writes a list of that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from tinymeta.compile.place.decoded import Instruction, decoded
from tinymeta.engine.tensor import Array

NOBODY, SEVERAL = -1, -2
TIMES = 8  # that a task may read each of its own numbers, on average


class Carry(NamedTuple):
    """The slots where a turn reads it and where it writes it, how many numbers it has, and the bytes of one."""

    read: int
    written: int
    size: int
    item: int


def on_their_own(code: list[int], count: int, carries: Iterable[Carry]) -> bool:
    """Whether the code, a turn of `count` tasks, may be run for any of them through all turns before any other."""
    carries = list(carries)
    owner = {carry.written: np.full(carry.size, NOBODY, np.int32) for carry in carries}
    came_from = {carry.read: owner[carry.written] for carry in carries}
    kinds = {slot: carry for carry in carries for slot in carry[:2]}
    instructions = list(decoded(code))
    for instruction in instructions:
        slot = instruction.operands[-1].slot
        if slot in owner:
            found = _places(instruction, len(instruction.operands) - 1, count, kinds[slot])
            if found is None:
                return False
            places, tasks = found
            before = owner[slot][places]
            owner[slot][places] = tasks
            again = owner[slot][places]  # of tasks that write one place, the last
            owner[slot][places[(again != tasks) | ((before != NOBODY) & (before != tasks))]] = SEVERAL
    for instruction in instructions:
        for k, operand in enumerate(instruction.operands):
            if operand.slot in came_from:
                found = _places(instruction, k, count, kinds[operand.slot])
                if found is None or np.any(came_from[operand.slot][found[0]] != found[1]):
                    return False
    return True


def _places(instruction: Instruction, k: int, count: int, carry: Carry) -> tuple[Array, Array] | None:
    """Which numbers of its array operand k takes, for all tasks, and whose each is; None if there are far too many."""
    begin, axes = instruction.reached(k, 0, 1)
    axes = [(n, stride) for n, stride in axes if stride]
    if math.prod(n for n, _ in axes) * count > TIMES * carry.size:
        return None
    places: Array = np.array(begin)
    for n, stride in (*axes, (count, instruction.operands[k].task_stride)):
        places = places[..., None] + np.arange(n) * stride
    return places.ravel() // carry.item, np.broadcast_to(np.arange(count, dtype=np.int32), places.shape).ravel()
