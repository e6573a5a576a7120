"""Witnesses for the part of the compiler that places a program in memory, writes its instructions and runs them.

They draw programs and instructions as the tests do, always the same and without shrinking, or build a small program in
which one rule decides.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tinymeta_kernels import addresses, contract, machine, threads

from tests.compile.machine_programs import argument, programs
from tests.compile.test_instructions import KINDS as INSTRUCTIONS
from tests.compile.test_instructions import Memory
from tests.kernels.wrong_loop import Wrong
from tinymeta.compile.place import axes, instructions, layout, schedule
from tinymeta.compile.program.operations import Constant, Contract, Copy, Input, Operation, Reduce, Ufunc
from tinymeta.compile.program.program import Builder, Program
from tinymeta.compile.program.views import Broadcast, Gather, Permute, Reshape, Scatter, Slice, Windows
from tinymeta.compile.run.machine import Machine
from tinymeta.compile.run.replay import Replay

once = settings(max_examples=60, phases=[Phase.generate], derandomize=True, database=None, deadline=None)
FLOAT = np.dtype(float)
ADDED = ("add", (FLOAT,) * 3)


def one_by_one(program: Program, arguments: list[Any]) -> list[Any]:
    """A program's results, each operation in memory of its own."""
    values: list[Any] = []
    for node in program.nodes:
        if isinstance(node.op, Input):
            values.append(arguments[node.op.position])
        else:
            given_ = [values[x].copy() for x in node.inputs]
            values.append(node.value if isinstance(node.op, Constant) else np.asarray(node.op(*given_)))  # type: ignore[operator]
    return [values[i] for i in program.results]


def drawn(run: Callable[[Program], Any], kind: type[Operation] | None = None, long: bool = False) -> None:
    """Random programs, run twice, against their operations one by one."""

    @once
    @given(programs(long=long, kind=kind), st.data())
    def agree(program: Program, data: Any) -> None:
        inputs = sorted((n.op.position, n.shape, n.dtype) for n in program.nodes if isinstance(n.op, Input))
        runs = run(program)
        with np.errstate(all="ignore"):
            held = []
            for _ in range(2):
                arguments = [argument(data.draw, shape, dtype) for _, shape, dtype in inputs]
                found = [y.copy() for y in runs(arguments)]
                held.append((found, one_by_one(program, arguments)))
        for found, expected in held:
            for a, b in zip(found, expected, strict=True):
                np.testing.assert_array_equal(a, b)

    agree()


def a_block_that_ends_early() -> None:
    """Five tasks in blocks of four: three that are not there follow in memory."""
    x, y = np.arange(1.0, 9.0), np.zeros(8)
    operands = [layout.Layout(slot, 0, 8, (8,)) for slot in (0, 1)]
    code = np.array(instructions.copy(FLOAT, *operands, (5,), 0, 4))
    base = np.array([x.ctypes.data, y.ctypes.data])
    Memory.run(code, np.array([0.0, 1.0]), base, 0, 5, 4, np.zeros(machine.WORK, np.int64))
    np.testing.assert_array_equal(y, [1, 2, 3, 4, 5, 0, 0, 0])


def random_programs() -> None:
    drawn(Machine)


def sums_of_parts() -> None:
    """Numbers for parts of an array, added up as the gradients of its slices are: in each task, and all in one go."""
    whole, rows = (None, None, None), (None, None, None)
    columns: list[Any] = [(0, 2, None), (2, 4, None), (1, 3, 1), (None, None, -2), 3]
    for tasks in (1, 6):
        b = Builder()
        x = b.input(0, (tasks, 3, 2), FLOAT)
        y = b.input(1, (tasks, 3, 4), FLOAT)
        parts = []
        for k, column in enumerate(columns):
            held = b.add(Ufunc(np.multiply), x, b.constant(np.full((1, 1, 1), k + 2.0)))
            held = b.add(Slice((whole, rows, 0)), held) if column == 3 else held
            parts.append(b.add(Scatter((tasks, 3, 4), (Slice((whole, rows, column)),)), held))
        between = b.add(Ufunc(np.square), b.add(Ufunc(np.square), y))  # takes the room of what is past
        total = b.add(Ufunc(np.add), parts[0], between)
        for part in parts[1:]:
            total = b.add(Ufunc(np.add), part, total)
        itself = b.add(Ufunc(np.negative), y)
        flipped = b.add(Slice((whole, rows, (None, None, -1))), itself)
        flipped = b.add(Scatter((tasks, 3, 4), (Slice((whole, rows, whole)),)), flipped)
        lone = [b.add(Scatter((tasks, 3, 5), (Slice((whole, rows, (k, k + 2, None))),)), x) for k in (1, 2)]
        both = b.add(Ufunc(np.square), b.add(Ufunc(np.add), itself, flipped))
        results = [total, both, b.add(Ufunc(np.add), *lone)]
        program = b.finished(results)
        rng = np.random.default_rng(0)
        arguments = [rng.integers(-9, 9, shape).astype(float) for shape in ((tasks, 3, 2), (tasks, 3, 4))]
        for found, expected in zip(Machine(program)(arguments), one_by_one(program, arguments), strict=True):
            np.testing.assert_array_equal(found, expected)


def random_reductions() -> None:
    drawn(Machine, Reduce)


def random_scatters() -> None:
    drawn(Machine, Scatter)


def a_result_that_is_read_early() -> None:
    """Others of its shape are made after its only reader."""
    b = Builder()
    first = b.add(Ufunc(np.square), b.input(0, (5,), FLOAT))
    last = b.add(Ufunc(np.negative), first)
    for _ in range(3):
        last = b.add(Ufunc(np.square), last)
    agrees_on(b, [first, b.add(Ufunc(np.absolute), b.reshape(last, (5, 1)))], numbers((5,)))


def the_largest_of_negative_numbers() -> None:
    """A maximum begins with the first, not with 0."""
    b = Builder()
    x = b.add(Ufunc(np.negative), b.input(0, (5, 7), FLOAT))
    agrees_on(b, [b.add(Reduce(np.maximum, (k,)), x) for k in (0, 1)], numbers((5, 7)))


def sums_of_rows() -> None:
    """In both dtypes, of whole matrices and of the rows of a broader one."""
    for dtype in (np.dtype("f4"), FLOAT):
        b = Builder()
        x = b.add(Ufunc(np.square), b.input(0, (3, 5, 40), dtype))
        part = b.add(Slice(((None, None, None), (None, None, 2), (4, 30, None))), x)
        agrees_on(b, [b.add(Reduce(np.add, (2,)), y) for y in (x, part)], numbers((3, 5, 40)).astype(dtype))


def instruction(kind: str) -> Callable[[], None]:
    """Instructions of one kind against NumPy."""

    @once
    @given(st.data(), st.sampled_from([1, 2, 1000]))
    def agrees(data: Any, size: int) -> None:
        memory, code, out, expected = INSTRUCTIONS[kind](data.draw, size)
        memory.check(code, out, expected, size)

    agrees.__name__ = f"instructions {kind}"
    return agrees


def numbers(shape: tuple[int, ...], seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(1, 9, shape).astype(float)


def agrees_on(b: Builder, results: list[int], *arguments: Any) -> None:
    """Twice, with other numbers, against the operations one by one."""
    program = b.finished(results)
    for run in (Machine(program), Replay(program)):
        for k in (1, 2):
            given_ = [(x * k).astype(x.dtype) for x in arguments]
            for a, c in zip(run(given_), one_by_one(program, given_), strict=True):
                np.testing.assert_array_equal(a, c)


def read_after_it_could_be_overwritten() -> None:
    """A value with two readers, and one read in two ways."""
    b = Builder()
    x = b.add(Ufunc(np.square), b.input(0, (6, 6), FLOAT))
    y = b.add(Ufunc(np.add), x, b.add(Permute((1, 0)), x))
    z = b.add(Ufunc(np.negative), y)
    agrees_on(b, [b.add(Ufunc(np.add), b.add(Ufunc(np.square), z), y)], numbers((6, 6)))


def a_sum_over_the_tasks() -> None:
    """The loss of all tasks, which each task then reads; on two cores."""
    b = Builder()
    x, w = b.input(0, (40, 5, 7), FLOAT), b.input(1, (7, 3), FLOAT)
    y = b.add(Contract("tnk", "ko", "tno"), x, w)
    total = b.add(Contract("tnk", "tno", "ko"), x, y)
    again = b.add(Contract("tnk", "ko", "tno"), x, total)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "count", 2)
        patch.setattr(import_module("tinymeta.compile.run.machine"), "WORTH_SHARING", 0)
        agrees_on(b, [again, total], numbers((40, 5, 7)), numbers((7, 3)))


def values_between_loops() -> None:
    """Sums over the tasks that later loops read, and one that is seen in a result."""
    b = Builder()
    x = b.input(0, (40,), FLOAT)
    sums = []
    y = x
    for _ in range(4):
        sums.append(b.add(Reduce(np.add, (0,)), y))
        last = b.add(Ufunc(np.fmod), b.reshape(sums[-1], (1,)), b.constant(np.full((1,), 7.0)))
        y = b.add(Ufunc(np.add), x, last)
    total = b.add(Ufunc(np.add), b.add(Ufunc(np.negative), sums[0]), sums[3])
    agrees_on(b, [total, b.reshape(sums[1], (1, 1))], numbers((40,)))


def a_reshape_of_a_transpose() -> None:
    """It needs a copy: no strides are those of the reshape."""
    b = Builder()
    x = b.add(Ufunc(np.square), b.input(0, (4, 6, 5), FLOAT))
    y = b.reshape(b.add(Permute((0, 2, 1)), x), (4, 30))
    agrees_on(b, [b.add(Ufunc(np.negative), y)], numbers((4, 6, 5)))
    assert layout.Layout(0, 0, 0, (240, 8, 40)).seen(Reshape((4, 30)), (4, 5, 6)) is None


def a_product_of_repeated_rows() -> None:
    b = Builder()
    x, y = b.input(0, (1, 7), FLOAT), b.input(1, (7, 3), FLOAT)
    wide = b.add(Broadcast((4, 7)), b.add(Ufunc(np.negative), x))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contract, "gemm", addresses.gemm)  # a product of ours has no rows that are too close
        agrees_on(b, [b.add(Contract("mk", "kn", "mn"), wide, y)], numbers((1, 7)), numbers((7, 3)))


def a_view_that_is_read_late() -> None:
    b = Builder()
    x = b.input(0, (3, 3), FLOAT)
    seen = b.add(Permute((1, 0)), b.add(Ufunc(np.square), x))
    agrees_on(b, [b.add(Ufunc(np.add), b.add(Ufunc(np.negative), x), seen)], numbers((3, 3)))


def a_copy_as_a_result() -> None:
    b = Builder()
    x = b.input(0, (2, 1, 2), FLOAT)
    turned = b.add(Gather((Permute((2, 1, 0)), Windows(0, 2, 1, 1, 1))), x)  # says which axes come first in memory
    agrees_on(b, [turned, b.add(Copy(), x)], numbers((2, 1, 2)))


def tiles_of_a_copy_that_lies_otherwise() -> None:
    b = Builder()
    x = b.add(Permute((2, 1, 0)), b.input(0, (8, 32, 32), FLOAT))
    y = b.add(Ufunc(np.absolute), b.add(Copy(), x))  # a copy may lie as its input does
    product = b.add(Contract("abc", "bad", "cd"), x, x)  # each class of axes twice in one array: no tasks to cut along
    agrees_on(b, [product, y], numbers((8, 32, 32)))


def tiles_that_others_read() -> None:
    """Small ones: what they write lies in rows, in whichever order others would have it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schedule, "LONG", 2)
        patch.setattr(axes, "_most_work", lambda *asked: None)
        patch.setattr(axes.Axes, "in_memory", lambda self, i: tuple(reversed(range(len(self.rank[i])))))
        drawn(Machine, Contract)


def large_sums_over_the_tasks() -> None:
    """A layer's gradient, cut in rows of its weights, and one with its axes the other way round."""
    b = Builder()
    x, g = b.input(0, (24, 90), FLOAT), b.add(Ufunc(np.negative), b.input(1, (24, 96), FLOAT))
    weights, turned = b.add(Contract("ab", "ac", "bc"), x, g), b.add(Contract("ab", "ac", "bc"), g, x)
    agrees_on(b, [weights, turned], numbers((24, 90)), numbers((24, 96)))


def lone_numbers_that_python_makes() -> None:
    b = Builder()
    mixed = b.add(Ufunc(np.multiply), b.input(0, (), np.dtype("float32")), b.input(1, (), FLOAT))
    agrees_on(b, [b.add(Ufunc(np.exp2), mixed), b.add(Ufunc(np.square), mixed)], np.array(3, np.float32), np.array(2.0))


def sums_with_steps() -> None:
    """Where NumPy's loop is right for neighbours alone, as some of NumPy's are on some processors."""
    wrong, right = Wrong(lambda n, steps, places: 0 if steps == [8, 8, 8] else -n), addresses.loop
    b = Builder()
    x = b.input(0, (32, 4), FLOAT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(addresses, "loop", lambda *asked: wrong.loop if asked == ADDED else right(*asked))
        for cached in ("loop", "holds"):
            patch.setattr(contract, cached, getattr(contract, cached).__wrapped__)
        patch.setattr(contract, "LENGTHS", (1, 9))
        agrees_on(b, [b.add(Ufunc(np.add), x, x)], numbers((32, 4)))


def results_that_are_held() -> None:
    """What one call gave, after others; and no two results in one place."""
    b = Builder()
    x = b.input(0, (3,), FLOAT)
    y = b.add(Ufunc(np.square), x)
    run = Machine(b.finished([y, y, b.reshape(b.add(Ufunc(np.negative), y), (3, 1))]))
    held = [run([np.full(3, float(k))]) for k in range(12)]
    for k, (first, second, column) in enumerate(held):
        second += 1
        np.testing.assert_array_equal([first[0], second[0], column[0, 0]], [k * k, k * k + 1, -k * k])
