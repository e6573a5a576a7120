"""Random programs of many tasks: those of `machine_programs.py`, and what makes a tasks' axis hard to follow.

Tasks and their examples become one axis and come apart again; an axis has the tasks' length and isn't theirs; kernels
know of them or not; the program has numbers of its own for each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.compile.machine_programs import DTYPES, KINDS, Growing
from tinymeta.compile.key import frozen
from tinymeta.compile.program.calls import Call, Part
from tinymeta.compile.program.operations import Ufunc
from tinymeta.compile.program.program import Program
from tinymeta.engine.primitive import Primitive

TASKS = (4, 8, 12, 33)


def split(grow: Growing, x: int) -> int:
    """An axis as two."""
    shape = list(grow.shape(x))
    wide = [k for k, n in enumerate(shape) if n > 3 and n % 4 == 0]
    if not wide:
        return x
    k = grow.one(wide)
    return grow.b.reshape(x, (*shape[:k], shape[k] // 4, 4, *shape[k + 1 :]))


def merged(grow: Growing, x: int) -> int:
    """Two neighbours as one."""
    shape = grow.shape(x)
    if len(shape) < 2:
        return x
    k = grow.draw(st.integers(0, len(shape) - 2))
    return grow.b.reshape(x, (*shape[:k], shape[k] * shape[k + 1], *shape[k + 2 :]))


def another_shape(grow: Growing, x: int) -> int:
    """The same numbers in axes of the same lengths that aren't the same."""
    return grow.b.reshape(x, grow.shape(x)[::-1])


def kernel(grow: Growing, x: int) -> int:
    """A kernel that runs along the last axis, of whose others a few are hidden."""
    x = grow.number(x)
    shape = grow.shape(x)
    if not shape:
        return x
    static = {"axis": -1, "reverse": False}
    hidden = grow.draw(st.integers(0, len(shape) - 1))
    sums = Call(Primitive.registry["cumulative_sum_axis"], frozen(static), static, hidden)
    return grow.small(grow.b.add(sums, x, shape=shape, dtype=grow.dtype(x)))


def several_results(grow: Growing, x: int) -> int:
    """A kernel with two results, of which one is read; its sign is whole."""
    x = grow.number(x)
    shape = grow.shape(x)
    if not shape:
        return x
    static = {"axes": (-1,), "eps": 1.0}
    hidden = grow.draw(st.integers(0, len(shape) - 1))
    both = grow.b.add(Call(Primitive.registry["normalize"], frozen(static), static, hidden), x, shape=())
    return grow.b.add(Ufunc(np.sign), grow.b.add(Part(0), both, shape=shape, dtype=grow.dtype(x)))


def own_numbers(grow: Growing, x: int) -> int:
    """A sum with numbers that the program has, the same for every task or not."""
    x = grow.number(x)
    own = tuple(n if grow.draw(st.booleans()) else 1 for n in grow.shape(x))
    value = np.arange(np.prod(own, dtype=int)) % grow.one([1, 2, 3, 7])
    return grow.small(grow.b.add(Ufunc(np.add), x, grow.b.constant(value.reshape(own).astype(grow.dtype(x)))))


STEPS: list[Callable[[Growing, int], int]] = [
    *KINDS.values(), split, merged, another_shape, kernel, several_results, own_numbers
]  # fmt: skip


@st.composite
def task_programs(draw: Any) -> Program:
    """A program of up to a dozen operations, on arguments with an axis of the tasks somewhere."""
    grow = Growing(draw, long=False)
    tasks = grow.one(TASKS)
    for position in range(len(grow.pool), len(grow.pool) + draw(st.integers(1, 3))):
        shape = draw(st.permutations([tasks, *draw(st.lists(st.sampled_from([1, 3, 4, tasks]), max_size=2))]))
        grow.pool.append(grow.b.input(position, tuple(shape), grow.one(DTYPES)))
    for _ in range(draw(st.integers(1, 10))):
        grow.pool.append(grow.one(STEPS)(grow, grow.one(grow.pool[-4:])))
    return grow.b.finished([grow.pool[-1], *draw(st.lists(st.sampled_from(grow.pool), max_size=3))])
