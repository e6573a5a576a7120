"""Elementwise functions against NumPy's, and how they treat dtypes and special values."""

import math
import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinymeta as tm
from tests.ops.drawn_arrays import arrays, dtypes, same

ONE = [
    ("negative", np.negative, -2, 2),
    ("reciprocal", np.reciprocal, 0.5, 2),
    ("square", np.square, -2, 2),
    ("sqrt", np.sqrt, 0, 4),
    ("exp", np.exp, -3, 3),
    ("expm1", np.expm1, -3, 3),
    ("log", np.log, 0.1, 4),
    ("log2", np.log2, 0.1, 4),
    ("log10", np.log10, 0.1, 4),
    ("log1p", np.log1p, -0.9, 4),
    ("sin", np.sin, -4, 4),
    ("cos", np.cos, -4, 4),
    ("tan", np.tan, -1.4, 1.4),
    ("asin", np.arcsin, -1, 1),
    ("acos", np.arccos, -1, 1),
    ("atan", np.arctan, -4, 4),
    ("sinh", np.sinh, -3, 3),
    ("cosh", np.cosh, -3, 3),
    ("tanh", np.tanh, -3, 3),
    ("asinh", np.arcsinh, -3, 3),
    ("acosh", np.arccosh, 1, 4),
    ("atanh", np.arctanh, -0.9, 0.9),
    ("abs", np.abs, -2, 2),
    ("sign", np.sign, -2, 2),
    ("floor", np.floor, -3, 3),
    ("ceil", np.ceil, -3, 3),
    ("trunc", np.trunc, -3, 3),
    ("round", np.round, -3, 3),
    ("isnan", np.isnan, -2, 2),
    ("isinf", np.isinf, -2, 2),
    ("isfinite", np.isfinite, -2, 2),
    ("logical_not", np.logical_not, -1, 1),
    ("erf", np.vectorize(math.erf, otypes=[np.float64]), -3, 3),
]
TWO = [
    ("add", np.add, -2, 2),
    ("subtract", np.subtract, -2, 2),
    ("multiply", np.multiply, -2, 2),
    ("divide", np.divide, 0.5, 2),
    ("pow", np.power, 0.5, 2),
    ("maximum", np.maximum, -2, 2),
    ("minimum", np.minimum, -2, 2),
    ("remainder", np.remainder, 0.5, 4),
    ("floor_divide", np.floor_divide, 0.5, 4),
    ("atan2", np.arctan2, -2, 2),
    ("logaddexp", np.logaddexp, -3, 3),
    ("less", np.less, -2, 2),
    ("less_equal", np.less_equal, -2, 2),
    ("greater", np.greater, -2, 2),
    ("greater_equal", np.greater_equal, -2, 2),
    ("equal", np.equal, -2, 2),
    ("not_equal", np.not_equal, -2, 2),
    ("logical_and", np.logical_and, -1, 1),
    ("logical_or", np.logical_or, -1, 1),
    ("logical_xor", np.logical_xor, -1, 1),
]


@pytest.mark.parametrize(("name", "numpy_function", "low", "high"), ONE, ids=[row[0] for row in ONE])
@given(data=st.data(), dtype=dtypes)
def test_functions_of_one_number_are_numpys(name, numpy_function, low, high, data, dtype):
    x = data.draw(arrays(dtype=dtype, low=low, high=high))
    expected = np.asarray(numpy_function(x))
    same(getattr(tm, name)(x), expected.astype(dtype) if expected.dtype.kind == "f" else expected)


@pytest.mark.parametrize(("name", "numpy_function", "low", "high"), TWO, ids=[row[0] for row in TWO])
@given(data=st.data(), dtype=dtypes)
def test_functions_of_two_numbers_broadcast_as_numpys(name, numpy_function, low, high, data, dtype):
    shapes = data.draw(st.sampled_from([((3,), (3,)), ((2, 1), (3,)), ((), (2, 3)), ((0, 2), (1, 2)), ((1,), (1,))]))
    a, b = (data.draw(arrays(shape, dtype, low, high, ties=True)) for shape in shapes)
    b = np.where(b == 0, np.ones((), dtype), b)
    a = np.where(a == 0, np.ones((), dtype), a) if name == "pow" else a
    same(getattr(tm, name)(a, b), numpy_function(a, b))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_python_number_takes_the_dtype_of_the_array_beside_it(dtype):
    x = tm.tensor(np.array([0.5, -1.5], dtype))
    results = [x + 1, 1 - x, 2.0 * x, x / 3, 1 / x, x**2, tm.where(x > 0, x, 0.0), tm.maximum(x, 0), tm.clip(x, -1, 1)]
    assert {y.dtype for y in results} == {np.dtype(dtype)}
    assert tm.grad(lambda t: (tm.gelu(t) * tm.sigmoid(t) * tm.silu(t) + tm.softplus(t) ** 2).sum())(x).dtype == dtype


def test_sigmoid_and_softplus_overflow_nowhere():
    x = np.array([-1e4, -40.0, 0.0, 40.0, 1e4])
    with np.errstate(all="raise", under="ignore"):
        assert tm.sigmoid(x).tolist() == [0.0, pytest.approx(np.exp(-40.0), abs=1e-16), 0.5, 1.0, 1.0]
        assert tm.softplus(x).tolist() == [0.0, pytest.approx(np.exp(-40.0)), np.log(2), 40.0, 1e4]
    for k in range(1, 4):
        assert all(np.isfinite(tm.jacobian(_nth_derivative(tm.softplus, k))(x).numpy().ravel()))


def _nth_derivative(f, n):
    return f if n == 0 else lambda x: tm.grad(lambda t: _nth_derivative(f, n - 1)(t).sum())(x)


def test_the_second_derivative_of_softplus_at_zero_is_a_quarter():
    assert float(tm.grad(tm.grad(tm.softplus))(0.0)) == 0.25


@pytest.mark.parametrize("f", [tm.gelu, tm.silu, lambda x: tm.erf(x) * tm.atan2(x, 2 + x * x)])
def test_composed_activations_are_right_at_orders_one_to_three(f):
    tm.testing.check_grad(f, np.array([-2.0, -0.3, 0.0, 1.7]), order=3)


def test_remainder_differentiates_its_divisor_by_the_quotient():
    da, db = tm.grad(tm.remainder, (0, 1))(7.5, 2.0)
    assert (float(da), float(db)) == (1.0, -3.0)


@pytest.mark.parametrize("name", ["floor", "ceil", "trunc", "round", "sign", "isnan", "logical_not"])
def test_step_functions_have_no_gradient(name):
    x = np.array([0.25, -1.5])
    g = tm.grad(lambda t: (t * getattr(tm, name)(t).astype(float)).sum())(x)
    assert np.array_equal(g.numpy(), getattr(tm, name)(x).numpy().astype(float))


def test_operators_work_with_numbers_and_arrays_on_either_side():
    a, b = np.array([3.5, -2.0]), np.array([2.0, 3.0])
    operators = (operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod)
    for op in (*operators, operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne):
        for left, right in ((tm.tensor(a), b), (a, tm.tensor(b)), (tm.tensor(a), 2.0), (3.0, tm.tensor(b))):
            plain = [x.numpy() if isinstance(x, tm.Tensor) else x for x in (left, right)]
            same(op(left, right), op(*plain))
    same(2.0 ** tm.tensor(b), 2.0**b)
    same(+tm.tensor(a), a)
    same(abs(-tm.tensor(a)), abs(a))


def test_booleans_and_integers_combine_bit_by_bit():
    a, b = np.array([True, True, False]), np.array([True, False, False])
    for op in (operator.and_, operator.or_, operator.xor):
        same(op(tm.tensor(a), b), op(a, b))
        same(op(6, tm.tensor(b.astype(int))), op(6, b.astype(int)))
    same(~tm.tensor(a), ~a)
    with pytest.raises(TypeError, match="bitwise_and"):
        tm.tensor([0.5]) & True


def test_assigning_to_an_element_names_the_function_that_does_it():
    with pytest.raises(TypeError, match="index_set"):
        tm.tensor([1.0, 2.0])[0] = 3.0
