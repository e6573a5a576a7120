"""Results of every dtype, drawn at random, as the Array API standard and NumPy's functions of that name have them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinymeta as tm
from tests.ops.drawn_arrays import running_products, running_sums

INTEGERS = [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64]
DTYPES = [np.bool_, *INTEGERS, np.float32, np.float64]

REDUCTIONS = {
    name: (getattr(tm, name), getattr(np, name)) for name in ("sum", "prod", "mean", "var", "std", "max", "min")
}
RUNNING = {"sums": (tm.cumulative_sum, running_sums), "products": (tm.cumulative_prod, running_products)}
ROUNDING = {name: (getattr(tm, name), getattr(np, name)) for name in ("floor", "ceil", "trunc", "round")}
ONE = {"abs": (tm.abs, np.abs), "square": (tm.square, np.square), "negative": (tm.negative, np.negative)}
ONE |= {"sign": (tm.sign, np.sign), "bitwise_invert": (tm.bitwise_invert, np.bitwise_invert)}
TWO = ["add", "subtract", "multiply", "divide", "pow", "maximum", "minimum", "floor_divide", "remainder", "matmul"]
TWO += ["vecdot", "less", "less_equal", "equal", "not_equal", "logical_and", "logical_xor", "bitwise_and", "bitwise_or"]


def _drawn(draw, shape, dtypes=DTYPES, low=None):
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind == "f":
        return rng.uniform(-3 if low is None else low, 3, shape).astype(dtype)
    info = np.iinfo(dtype)
    wide = draw(st.booleans()) and low is None
    first, last = (info.min, info.max) if wide else (max(info.min, -9 if low is None else low), 9)
    return rng.integers(first, last, shape, dtype, endpoint=True)


def _is_numpys(f, of_numpy, *args, terms=1):
    """Both refuse, or both give the same dtype, shape and numbers; floats to the rounding of a sum of `terms`."""
    with np.errstate(all="ignore"):
        try:
            expected = np.asarray(of_numpy(*args))
        except (TypeError, ValueError):
            with pytest.raises((TypeError, ValueError)):
                f(*args)
            return
        found = f(*args)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    if expected.dtype.kind != "f":
        assert np.array_equal(found.numpy(), expected)
        return
    size = max([1.0, *(np.abs(a.astype(float)).max(initial=0) for a in args if isinstance(a, np.ndarray))])
    power = 2 if f is tm.var or f is tm.matmul else 1
    tolerance = 8 * terms * np.finfo(expected.dtype).eps
    np.testing.assert_allclose(found.numpy(), expected, rtol=tolerance, atol=tolerance * size**power)


@pytest.mark.parametrize("name", REDUCTIONS)
@given(data=st.data())
def test_a_reduction_has_numpys_dtype(name, data):
    f, of_numpy = REDUCTIONS[name]
    shape = data.draw(st.sampled_from([(), (1,), (3,), (2, 3), (2, 1)]))
    axes = [None, (), *range(len(shape)), tuple(range(len(shape)))]
    axis = data.draw(st.sampled_from(axes if name not in ("max", "min") else [a for a in axes if a != ()]))
    x = _drawn(data.draw, shape)
    if name == "prod" and x.dtype.kind == "b" or name in ("var", "std") and x.dtype.kind == "b":
        of_numpy = lambda x, axis, plain=of_numpy: plain(x.astype(int), axis)
    _is_numpys(lambda x: f(x, axis), lambda x: of_numpy(x, axis=axis), x, terms=8)


@pytest.mark.parametrize("name", RUNNING)
@given(data=st.data())
def test_running_sums_and_products_have_numpys_dtype(name, data):
    f, of_numpy = RUNNING[name]
    x, initial = _drawn(data.draw, data.draw(st.sampled_from([(0,), (1,), (5,), (2, 3)]))), data.draw(st.booleans())
    _is_numpys(lambda x: f(x, -1, initial), lambda x: of_numpy(x, -1, initial), x, terms=8)


@pytest.mark.parametrize("name", ROUNDING)
@given(data=st.data())
def test_integers_are_whole_already(name, data):
    f, of_numpy = ROUNDING[name]
    x = _drawn(data.draw, (4,))
    _is_numpys(f, of_numpy if x.dtype.kind == "f" else lambda x: x, x)


@pytest.mark.parametrize("name", ONE)
@given(data=st.data())
def test_a_function_of_one_number_has_numpys_dtype(name, data):
    _is_numpys(*ONE[name], _drawn(data.draw, (4,)))


@pytest.mark.parametrize("name", TWO)
@given(data=st.data())
def test_a_function_of_two_numbers_has_numpys_dtype(name, data):
    low = 1 if name in ("pow", "divide", "floor_divide", "remainder") else None
    a, b = (_drawn(data.draw, shape, low=low) for shape in ([(2, 3), (3, 2)] if name == "matmul" else [(3,), (3,)]))
    _is_numpys(getattr(tm, name), getattr(np, name), a, b, terms=8)


@given(data=st.data())
def test_where_and_clip_have_numpys_dtype(data):
    a, b = (_drawn(data.draw, (4,)) for _ in range(2))
    _is_numpys(
        lambda a, b: tm.where(np.array([True, False, True, False]), a, b),
        lambda a, b: np.where([1, 0, 1, 0], a, b),
        a,
        b,
    )
    x = _drawn(data.draw, (4,), INTEGERS)
    _is_numpys(lambda x: tm.clip(x, 1, 5), lambda x: np.clip(x, 1, 5), x)


def test_the_check_sees_a_product_that_wraps():
    x = np.array([100, 2, 2], np.int8)
    with pytest.raises(AssertionError):
        _is_numpys(lambda x: tm.cumulative_prod(x.astype(np.int64)).astype(np.int8), np.cumprod, x)


def test_a_mean_of_large_integers_does_not_wrap():
    x = np.full(4, 2**62)
    assert tm.mean(x).item() == 2.0**62
    assert tm.mean(np.array([3])).dtype == np.float64
    assert tm.mean(np.full(9, 60000, np.float16)).numpy() == np.float16(60000)


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "prod", "std", "var", "all", "any", "argmax", "argmin"])
def test_numpys_own_reductions_take_a_tensor(name):
    x = np.array([[1.0, 2.0], [4.0, 0.5]])
    for options in ({}, {"axis": 0}, {"axis": 1, "keepdims": True}):
        found = getattr(np, name)(tm.tensor(x), **options)
        np.testing.assert_allclose(np.asarray(found), getattr(np, name)(x, **options), rtol=1e-15)
    assert np.sum(tm.tensor(x), dtype=np.float32).dtype == np.float32
    assert np.std(tm.tensor(x), ddof=1).item() == pytest.approx(np.std(x, ddof=1), rel=1e-15)
    with pytest.raises(TypeError, match="out="):
        np.sum(tm.tensor(x), out=np.zeros(()))


def test_a_reduction_of_numpys_keeps_the_gradient():
    assert tm.grad(lambda x: np.mean(x * x))(np.array([1.0, 3.0])).tolist() == [1.0, 3.0]
