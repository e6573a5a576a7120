"""Each instruction of the machine computes what NumPy does, however its operands lie.

Numbers are small and whole, so every sum is exact. Operands have axes in any order, with gaps, steps of either sign,
and axes that repeat; tasks come in blocks that don't go up in their number. All of a result's memory is compared: what
lies between its numbers must stay as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tinymeta_kernels import addresses, contract, machine

from tinymeta.compile.place import instructions
from tinymeta.compile.place.layout import Layout
from tinymeta.compile.place.products import Product
from tinymeta.compile.program.operations import Cast, Contract, Reduce, Scale, Ufunc, Where

if not addresses.callable_from_loops():
    pytest.skip("the machine needs Numba", allow_module_level=True)

OPCODES = {name for name in machine.__all__ if type(getattr(machine, name)) is int}
OPCODES -= {"AXES", "ORDINARY", "ROOM", "TRANSPOSED", "TURNS", "WORK"}
sizes = st.sampled_from([1, 2, 3, 7, 8, 9, 16, 17, 33, 65])
lengths = st.one_of(sizes, st.sampled_from([machine.ROOM - 1, machine.ROOM, 2 * machine.ROOM + 3]))
floats = st.sampled_from([np.dtype("float32"), np.dtype("float64")])
STEPS = [1, 1, 1, -1, 2, -2, 3, 4, -4, 5, 8]


class Memory:
    """Slots of memory, and operands in them."""

    run: Any = machine.run

    def __init__(self, draw: Any, shape: tuple[int, ...], special: bool = False) -> None:
        self.draw, self.shape = draw, shape
        self.special = special  # whether some numbers are infinite, or none at all
        self.slots: list[Any] = []
        self.rng = np.random.default_rng(draw(st.integers(0, 99)))
        self.tasks = draw(st.sampled_from([None, *(k for k, n in enumerate(shape) if n > 1)]))

    def operand(
        self, dtype: Any, axes: Any = None, repeats: bool = False, steps: Any = STEPS, order: Any = None
    ) -> tuple[Layout, Any]:
        """A layout over these axes of the shape (by default all), with its numbers as NumPy sees them. `order` names
        the innermost axes first, if it isn't drawn."""
        axes = list(range(len(self.shape)) if axes is None else axes)
        shape = [self.shape[k] for k in axes]
        strides, end, low = [0] * len(shape), dtype.itemsize, 0
        for k in self.draw(st.permutations(range(len(shape)))) if order is None else order:
            if shape[k] == 1 or (repeats and self.draw(st.sampled_from([False, False, False, True]))):
                continue
            step = self.draw(st.sampled_from(steps)) if order is None or k != order[0] else 1
            strides[k] = step * end
            low += min(0, (shape[k] - 1) * strides[k])
            end *= shape[k] * abs(step)
        offset = self.draw(st.sampled_from([0, 1, 3])) * dtype.itemsize - low
        values = self.rng.integers(-3, 4, (offset + end) // dtype.itemsize + 1)
        numbers = (values % 2 if dtype.kind == "b" else values).astype(dtype)
        if self.special:
            numbers[values == 3], numbers[values == -3] = np.inf, np.nan
        self.slots.append(numbers)
        view: Any = np.ndarray(shape, dtype, self.slots[-1], offset, strides)
        step = strides[axes.index(self.tasks)] if self.tasks in axes else 0
        return Layout(len(self.slots) - 1, offset, step, tuple(strides)), view

    def check(self, code: list[int], out: Any, expected: Any, block: int) -> None:
        """Run the instructions, and compare all of the memory."""
        before = [x.copy() for x in self.slots]
        base = np.array([x.ctypes.data for x in self.slots], np.int64)
        count = self.shape[self.tasks] if self.tasks is not None else 1
        work = np.zeros(machine.WORK, np.int64)
        self.run(np.array(code, np.int64), np.array([0.0, 1.0]), base, 0, count, block, work)
        found = [x.copy() for x in self.slots]
        for x, kept in zip(self.slots, before):
            x[:] = kept
        out[...] = expected
        for x, y in zip(found, self.slots):
            np.testing.assert_array_equal(x, y)


Drawn = tuple[Memory, list[int], Any, Any]  # memory, code, the result's view, and what it should be


def shapes(draw: Any) -> tuple[int, ...]:
    shape = draw(st.lists(sizes, min_size=0, max_size=2)) + [draw(lengths)]
    return tuple(draw(st.permutations(shape)))


def elementwise(draw: Any, block: int, op: Any, dtypes: list[Any], compute: Callable[..., Any]) -> Drawn:
    """An elementwise operation, perhaps with an input where the result is written."""
    memory = Memory(draw, shapes(draw), special=isinstance(op, Scale))
    out, y = memory.operand(dtypes[-1])
    given_, xs = map(list, zip(*(memory.operand(d, repeats=True) for d in dtypes[:-1])))
    if isinstance(op, (Ufunc, Scale, Where)) and draw(st.booleans()):
        k = draw(st.sampled_from([k for k, d in enumerate(dtypes[:-1]) if d == dtypes[-1]] or [None]))
        if k is not None:
            given_[k], xs[k] = out, y
    code = instructions.elementwise(op, dtypes, given_, out, memory.shape, memory.tasks, block)
    with np.errstate(all="ignore"):
        return memory, code, y, compute(*(x.copy() for x in xs))


def loop(draw: Any, block: int) -> Drawn:
    arithmetic = [np.add, np.negative, np.multiply, np.maximum, np.positive, np.sqrt]
    f = draw(st.sampled_from([*arithmetic, np.greater, np.isnan]))
    dtype = draw(floats)
    return elementwise(draw, block, Ufunc(f), [*[dtype] * f.nin, dtype if f in arithmetic else np.dtype(bool)], f)


def scale(draw: Any, block: int) -> Drawn:
    dtype = draw(floats)
    return elementwise(draw, block, Scale(), [dtype] * 3, Scale())


def where(draw: Any, block: int) -> Drawn:
    dtype = draw(floats)
    return elementwise(draw, block, Where(), [np.dtype(bool), dtype, dtype, dtype], np.where)


def cast(draw: Any, block: int) -> Drawn:
    dtype = draw(floats)
    to = np.dtype("float32" if dtype == "float64" else "float64")
    return elementwise(draw, block, Cast(to), [dtype, to], lambda x: x.astype(to))


def reduced(draw: Any, block: int, ufunc: np.ufunc, rows: bool) -> Drawn:
    """A reduction; of rows of neighbours, or along any axes of operands that lie anyhow."""
    dtype = draw(floats)
    long = sizes.filter(lambda n: n > 1)
    memory = Memory(
        draw, (draw(sizes), draw(long), draw(long | lengths.filter(lambda n: n > 1))) if rows else shapes(draw)
    )
    rank = len(memory.shape)
    axes = (1,) if rows else tuple(sorted(draw(st.sets(st.integers(0, rank - 1), min_size=1))))
    if memory.tasks in axes or (rows and memory.tasks == 2):
        memory.tasks = None
    kept = [k for k in range(rank) if k not in axes]
    if rows:
        x, values = memory.operand(dtype, order=[2, 1, 0], steps=[1, 2])
        out, y = memory.operand(dtype, kept, order=[1, 0], steps=[1, 2, -1])
    else:
        x, values = memory.operand(dtype, repeats=True)
        out, y = memory.operand(dtype, kept)
    code = instructions.reduction(Reduce(ufunc, axes), dtype, x, out, memory.shape, memory.tasks, block)
    return memory, code, y, ufunc(y, ufunc.reduce(values, axis=axes))


PRODUCTS = [("tmk", "tkn", "tmn"), ("mtk", "nk", "tnm"), ("km", "tkn", "nmt"), ("mk", "kn", "mn")]


def gemm(draw: Any, block: int) -> Drawn:
    dtype = draw(floats)
    op = Contract(*draw(st.sampled_from(PRODUCTS)))
    letters = "".join(dict.fromkeys(op.a + op.b))
    memory = Memory(draw, tuple(draw(sizes) for _ in letters))
    size = dict(zip(letters, memory.shape))
    memory.tasks = letters.find("t") if size.get("t", 1) > 1 else None
    views = [
        memory.operand(dtype, [letters.index(i) for i in spelled], steps=[1, 1, 1, 1, 2, -1])
        for spelled in (op.a, op.b, op.out)
    ]
    accumulate = draw(st.booleans())
    letter = "t" if memory.tasks is not None else None
    cut = {i: 1 if i == letter else n for i, n in size.items()}
    _, code = Product(op, dtype, [layout for layout, _ in views], cut, letter, accumulate).instruction()
    assume(code)
    a, b, y = (view for _, view in views)
    return memory, code, y, op(a, b) + (y if accumulate else 0)


KINDS: dict[str, Callable[[Any, int], Drawn]] = {
    "LOOP": loop,
    "SCALE": scale,
    "WHERE": where,
    "CAST": cast,
    "GEMM": gemm,
    "SUM": lambda draw, block: reduced(draw, block, np.add, rows=True),
}


def test_every_instruction_is_drawn() -> None:
    assert set(KINDS) == OPCODES


@pytest.mark.parametrize("kind", KINDS)
def test_an_instruction_computes_what_numpy_does(kind: str) -> None:
    @settings(max_examples=4 * settings.default.max_examples)
    @given(st.data(), st.sampled_from([1, 2, 4, 1000]))
    def agrees(data: Any, block: int) -> None:
        memory, code, out, expected = KINDS[kind](data.draw, block)
        assert code[0] == getattr(machine, kind)
        memory.check(code, out, expected, block)

    agrees()


@given(st.data(), st.sampled_from([1, 2, 4, 1000]), st.sampled_from([np.add, np.maximum]))
def test_a_reduction_along_any_axes_computes_what_numpy_does(data: Any, block: int, ufunc: np.ufunc) -> None:
    memory, code, out, expected = reduced(data.draw, block, ufunc, rows=False)
    memory.check(code, out, expected, block)


@given(st.data(), st.sampled_from([1, 4, 1000]), st.sampled_from(["f4", "f8", "?", "i8", "u1", "i2", "c16", "f2"]))
def test_a_copy_of_any_dtype(data: Any, block: int, char: str) -> None:
    memory = Memory(data.draw, shapes(data.draw))
    x, values = memory.operand(np.dtype(char), repeats=True)
    out, y = memory.operand(np.dtype(char))
    code = instructions.copy(np.dtype(char), x, out, memory.shape, memory.tasks, block)
    memory.check(code, y, values, block)


def test_an_instruction_has_as_many_axes_as_an_array() -> None:
    x = np.arange(2.0**11).reshape((2,) * 11)
    view = x.T
    y = np.zeros((2,) * 11).transpose(np.argsort([k * 7 % 11 for k in range(11)]))
    layouts = [Layout(k, 0, 0, v.strides) for k, v in enumerate((view, y))]
    code = instructions.copy(x.dtype, *layouts, x.shape, None, 1)
    assert code[5] > 8
    contract._run(np.array(code), [x, y])
    np.testing.assert_array_equal(y, view)
