"""The machine computes what the plain replay computes, however operands lie in memory and whichever axis is cut."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tinymeta_kernels import contract, machine, threads
from tinymeta_kernels.special import LOOPS

from tinymeta.compile.place.copies import with_copies
from tinymeta.compile.place.layout import Layout
from tinymeta.compile.place.scratch import Scratch
from tinymeta.compile.program.calls import Call
from tinymeta.compile.program.operations import Cast, Contract, Copy, Reduce, Scale, Special, Ufunc, Where
from tinymeta.compile.program.program import Builder
from tinymeta.compile.program.views import Broadcast, Gather, Permute, Reshape, Slice, packed
from tinymeta.compile.run.machine import Machine
from tinymeta.compile.run.replay import Replay
from tinymeta.engine.primitive import Primitive

sizes = st.sampled_from([1, 2, 3, 5, 17])
dtypes = st.sampled_from([np.float32, np.float64])


def values(shape: Any, seed: int, dtype: Any) -> Any:
    return np.random.default_rng(seed).integers(-4, 5, size=shape).astype(dtype)  # sums of products are exact


@st.composite
def contractions(draw: Any) -> Any:
    """A product with up to two letters of each role, in any order, and the size of every letter."""
    roles = {role: draw(st.integers(0, 2)) for role in "bmnk"}
    letters = {role: [chr(ord("a") + 2 * i + j) for j in range(count)] for i, (role, count) in enumerate(roles.items())}
    batch, m, n, k = letters.values()
    spelled = ["".join(draw(st.permutations(part))) for part in (batch + m + k, batch + k + n, batch + m + n)]
    return Contract(*spelled), {letter: draw(sizes) for part in letters.values() for letter in part}


@given(contractions(), dtypes, st.integers(0, 3), st.integers(0, 99))
def test_every_product_has_a_form_that_the_blas_takes(drawn: Any, dtype: Any, around: int, seed: int) -> None:
    op, size = drawn
    b = Builder()
    operands = []
    for position, letters in enumerate((op.a, op.b)):
        x = b.input(position, tuple(size[i] for i in letters), np.dtype(dtype))
        operands.append(b.add(Ufunc(np.negative), x) if around & 1 else x)  # a block's own memory, or an argument's
    y = b.add(op, *operands)
    results = [b.add(Ufunc(np.square), y)] if around & 2 else [y]
    program = b.finished(results)
    arrays = [values(tuple(size[i] for i in letters), seed, dtype) for letters in (op.a, op.b)]
    np.testing.assert_array_equal(Machine(program)(arrays)[0], Replay(program)(arrays)[0])


@given(st.lists(sizes, min_size=2, max_size=4), st.data())
def test_reductions_along_any_axes(shape: list[int], data: Any) -> None:
    axes = data.draw(st.sets(st.integers(0, len(shape) - 1), min_size=1))
    order = data.draw(st.permutations(range(len(shape))))
    b = Builder()
    x = b.add(Permute(tuple(order)), b.input(0, tuple(shape), np.dtype(float)))
    doubled = b.add(Ufunc(np.add), x, x)
    program = b.finished([b.add(Reduce(f, tuple(sorted(axes))), doubled) for f in (np.add, np.maximum)])
    arrays = [values(shape, 0, float)]
    for found, expected in zip(Machine(program)(arrays), Replay(program)(arrays), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shapes", [((7, 40), (7, 40)), ((7, 40), (7, 1)), ((7, 40), (1, 1)), ((1, 1), (7, 40))])
def test_scale_where_and_casts_have_numpys_bits(shapes: Any, dtype: Any) -> None:
    b = Builder()
    g, d = (b.input(k, shape, np.dtype(dtype)) for k, shape in enumerate(shapes))
    positive = b.add(Ufunc(np.greater), g, d)
    other = np.float64 if dtype == np.float32 else np.float32
    results = [b.add(Scale(), g, d), b.add(Where(), positive, g, d), b.add(Cast(np.dtype(other)), g), positive]
    program = b.finished(results)
    x, y = values(shapes[0], 1, dtype), values(shapes[1], 2, dtype)
    y[y == 3] = np.inf
    y[y == 2] = np.nan
    x = np.where(x == 4, np.nan, x).astype(dtype)
    for found, expected in zip(Machine(program)([x, y]), Replay(program)([x, y]), strict=True):
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == expected.dtype


def test_zero_times_anything_is_zero() -> None:
    b = Builder()
    g, d = (b.input(k, (50,), np.dtype(float)) for k in range(2))
    program = b.finished([b.add(Scale(), g, d)])
    (found,) = Machine(program)([np.zeros(50), np.resize([np.inf, np.nan, -np.inf, 1.0], 50)])
    assert not found.any() and not np.isnan(found).any()


views = st.one_of(
    st.permutations([0, 1, 2]).map(lambda axes: Permute(tuple(axes))),
    st.sampled_from([(2, 3, 20), (6, 4, 5), (120,), (2, 12, 5), (1, 2, 3, 4, 5), (5, 4, 3, 2), (3, 40)]).map(Reshape),
    st.sampled_from([((None, None, 2), (1, None, None)), (1,), ((None, None, -1),)]).map(
        lambda key: Slice((*key, *((None, None, None),) * (3 - len(key))))
    ),
    st.just(Broadcast((2, 3, 4, 5))),
)


@given(st.lists(views, min_size=1, max_size=4))
def test_views_of_views_read_the_right_numbers(chain: list[Any]) -> None:
    b = Builder()
    x = b.add(Ufunc(np.negative), b.input(0, (6, 4, 5), np.dtype(float)))
    for op in chain:
        shape = b.nodes[x].shape
        fits = {
            Permute: lambda s=shape: len(s) == 3,
            Reshape: lambda s=shape, op=op: np.prod(op.to) == np.prod(s),
            Slice: lambda s=shape: len(s) == 3 and s[0] > 1 and s[1] > 1,
            Broadcast: lambda s=shape: False,
        }
        if fits[type(op)]():
            x = b.add(op, x)
            x = b.add(Ufunc(np.add), x, x) if len(chain) % 2 else x
    program = b.finished([b.add(Ufunc(np.square), x), x])
    arrays = [np.arange(120.0).reshape(6, 4, 5)]
    for found, expected in zip(Machine(program)(arrays), Replay(program)(arrays), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_view_has_the_strides_that_numpy_gives_it() -> None:
    x = np.zeros((6, 1, 5))
    layout = Layout(0, 0, 0, packed(x.shape, 8))
    for op in (Permute((2, 0, 1)), Broadcast((6, 4, 5)), Slice((2, (None, None, None), (1, None, 2)))):
        after = op.shape(x.shape)
        found, expected = layout.seen(op, x.shape), op(x)
        assert found is not None
        long = [k for k, n in enumerate(after) if n != 1]
        assert [found.strides[k] for k in long] == [expected.strides[k] for k in long]
        assert found.offset == expected.ctypes.data - x.ctypes.data


def test_a_reshape_that_is_no_view_gets_a_copy_in_front() -> None:
    b = Builder()
    x = b.input(0, (2, 3), np.dtype(float))
    results = [b.reshape(b.add(Permute((1, 0)), x), (2, 3)), b.reshape(x, (6,)), b.reshape(x, (2, 1, 3))]
    program, row_major = with_copies(b.finished(results))
    assert sum(isinstance(n.op, Copy) for n in program.nodes) == 1
    assert len(row_major) == 2


def test_places_in_the_scratch_never_overlap_and_are_used_again() -> None:
    rng = np.random.default_rng(0)
    scratch, held = Scratch(), {}
    for step in range(2000):
        if held and rng.random() < 0.5:
            scratch.give(*held.pop(rng.choice(list(held))))
        else:
            size = int(rng.integers(1, 1000))
            held[step] = (scratch.take(size), size)
        taken = sorted(held.values())
        assert all(a + s <= b for (a, s), (b, _) in zip(taken, taken[1:]))
        assert all(a % 64 == 0 and a + s <= scratch.size for a, s in taken)
    assert scratch.size < 3 * 1000 * max(10, len(held))


@pytest.mark.parametrize("cores", [1, 2, 5])
def test_the_work_is_shared_between_any_number_of_cores(cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "count", cores)
    monkeypatch.setattr(import_module("tinymeta.compile.run.machine"), "WORTH_SHARING", 0)
    b = Builder()
    x, w = b.input(0, (7, 3, 4), np.dtype(float)), b.input(1, (4, 5), np.dtype(float))
    y = b.add(Ufunc(np.tanh), b.add(Contract("tnk", "ko", "tno"), x, w))
    long = b.add(Ufunc(np.exp), b.input(2, (20_000,), np.dtype(float)))
    program = b.finished([y, b.add(Contract("tnk", "tno", "ko"), x, y), b.add(Ufunc(np.square), long)])
    arrays = [values((7, 3, 4), 0, float), values((4, 5), 1, float), np.linspace(-1, 1, 20_000)]
    for found, expected in zip(Machine(program)(arrays), Replay(program)(arrays), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [1, 3, 4, 9])
def test_rows_longer_than_the_machine_holds_back_are_summed_and_scaled(rows: int, dtype: Any) -> None:
    n = 2 * machine.ROOM + 5
    b = Builder()
    x, w = b.input(0, (3, rows, n), np.dtype(dtype)), b.input(1, (3, 1, n), np.dtype(dtype))
    doubled = b.add(Ufunc(np.add), x, x)
    scaled = b.add(Scale(), doubled, w)
    over = b.add(Scale(), scaled, b.add(Ufunc(np.square), x))  # may be written where an operand lies
    results = [b.add(Reduce(np.add, (1,)), doubled), b.add(Reduce(np.add, (1,)), over), over]
    program = b.finished(results)
    arrays = [values((3, rows, n), 1, dtype), values((3, 1, n), 2, dtype)]
    arrays[1][0, 0, ::7] = np.inf
    for found, expected in zip(Machine(program)(arrays), Replay(program)(arrays), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", LOOPS)
def test_a_function_that_numpy_lacks_is_no_call_of_python(name: str, dtype: Any) -> None:
    b = Builder()
    x = b.add(Permute((1, 0)), b.input(0, (7, 40), np.dtype(dtype)))
    program = b.finished([b.add(Special(name), x)])
    arrays = [values((7, 40), 0, dtype) / 3]
    machine = Machine(program)
    assert [loop.kind for loop in machine.loops] != ["python"]
    np.testing.assert_array_max_ulp(machine(arrays)[0], Replay(program)(arrays)[0], contract.ULPS)


def test_a_lone_number_that_python_makes_keeps_its_memory() -> None:
    b = Builder()
    single, double = b.input(0, (), np.dtype("float32")), b.input(1, (), np.dtype(float))
    whole = b.input(2, (3,), np.dtype("int64"))
    mixed = b.add(Ufunc(np.multiply), single, double)
    total = b.add(Cast(np.dtype(float)), b.add(Reduce(np.add, (0,)), whole))
    program = b.finished([b.add(Ufunc(np.exp), mixed), b.add(Ufunc(np.add), total, mixed)])
    run = Machine(program)
    assert any(loop.kind == "python" for loop in run.loops)
    for k in range(3):
        arrays = [np.float32(0.5 + k).reshape(()), np.array(3.0), np.array([1, 2, k])]
        for found, expected in zip(run(arrays), Replay(program)(arrays), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-15)


def test_a_kernel_whose_result_changes_its_shape_is_an_error() -> None:
    class distinct(Primitive):
        """The values that x has: as many as it has."""

        kernel = reference = staticmethod(np.unique)
        domain, kinks, vjp = (), (), None

    b = Builder()
    call = Call(distinct, (), {})
    program = b.finished([b.add(call, b.input(0, (3,), np.dtype(float)), shape=(2,), dtype=np.dtype(float))])
    run = Machine(program)
    np.testing.assert_array_equal(run([np.array([1.0, 1.0, 2.0])])[0], [1, 2])
    with pytest.raises(TypeError, match="distinct gave float64"):
        run([np.array([1.0, 2.0, 3.0])])


def test_a_copy_that_is_a_result_lies_in_row_major_order() -> None:
    b = Builder()
    x, y = b.input(0, (1, 2, 3, 4), np.dtype(float)), b.input(1, (1, 1), np.dtype(float))
    product = b.add(Contract("abcd", "al", "cldb"), x, y)  # looped over its third axis, which the copy follows
    copy, part = b.add(Copy(), x), b.add(Gather((Slice(((None, None, -2),) + ((None, None, None),) * 3),)), product)
    arrays = [values((1, 2, 3, 4), 0, float), values((1, 1), 1, float)]
    program = b.finished([copy, part])
    for found, expected in zip(Machine(program)(arrays), Replay(program)(arrays), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_view_of_a_constant_is_a_constant_in_its_normal_form() -> None:
    b = Builder()
    moved = b.add(Permute((0, 2, 1)), b.constant(values((3, 2, 1), 0, float)))
    assert b.nodes[moved].value.shape == (3, 1, 2)


@pytest.mark.parametrize("run", [Machine, Replay])
def test_kernels_are_given_arrays_of_rank_0(run: Any) -> None:
    class positive_part(Primitive):
        """max(x, 0), entry by entry."""

        @staticmethod
        def kernel(x: Any) -> Any:
            y = np.array(x)
            y[x < 0] = 0 * x[x < 0]  # a scalar has no such entries
            return y

        reference = kernel
        domain, kinks, vjp = (), (), None

    b = Builder()
    total = b.add(Reduce(np.add, (0,)), b.input(0, (3,), np.dtype(float)))
    lone = b.add(Ufunc(np.negative), b.add(Ufunc(np.exp), total))
    program = b.finished([b.add(Call(positive_part, (), {}), lone, shape=(), dtype=np.dtype(float))])
    assert run(program)([np.ones(3)])[0] == 0


def test_an_array_that_comes_back_in_another_shape_or_order_is_not_a_result_again() -> None:
    b = Builder()
    x = np.arange(4.0).reshape(2, 2)
    run = Machine(b.finished([b.add(Ufunc(np.negative), b.input(0, (2, 2), np.dtype(float)))]))
    for name, value in (("shape", (4,)), ("strides", (8, 16))):
        (y,) = run([x])
        with warnings.catch_warnings(action="ignore"):  # NumPy advises against it
            setattr(y, name, value)
        del y
        (y,) = run([x])
        np.testing.assert_array_equal(y, -x)
        del y
