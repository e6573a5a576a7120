"""Reductions against NumPy's over every kind of axis, and their derivatives where these are delicate."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

import tinymeta as tm
from tests.ops.drawn_arrays import arrays, dtypes, running_products, running_sums, same, vmap_is_a_loop
from tinymeta.engine import long_sums

RNG = np.random.default_rng(0)


def _logsumexp(x, axis, keepdims):
    with np.errstate(divide="ignore"):
        return np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims))


def _norm(x, axis, keepdims):
    return np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdims))


SUMS = {
    "sum": np.sum,
    "prod": np.prod,
    "all": np.all,
    "any": np.any,
    "count_nonzero": np.count_nonzero,
    "logsumexp": _logsumexp,
    "vector_norm": _norm,
}
OF_SOMETHING = {"mean": np.mean, "var": np.var, "std": np.std, "max": np.max, "min": np.min}


@st.composite
def reductions(draw, smallest):
    shape = draw(array_shapes(min_dims=0, max_dims=3, min_side=smallest, max_side=4))
    axes = st.sets(st.sampled_from(range(-len(shape), len(shape))), max_size=2) if shape else st.just(set())
    chosen = draw(axes.filter(lambda found: len({a % len(shape) for a in found}) == len(found)))
    axis = draw(st.sampled_from([None, tuple(chosen), *chosen]))
    return draw(arrays(shape, ties=draw(st.booleans()))), axis, draw(st.booleans())


@pytest.mark.parametrize("name", SUMS)
@given(case=reductions(0))
def test_sums_over_any_axes_are_numpys(name, case):
    x, axis, keepdims = case
    expected = np.asarray(SUMS[name](x, axis=axis, keepdims=keepdims))
    same(getattr(tm, name)(x, axis, keepdims=keepdims), expected, operations=2 * x.size + 4)


@pytest.mark.parametrize("name", OF_SOMETHING)
@given(case=reductions(1))
def test_statistics_over_any_axes_are_numpys(name, case):
    x, axis, keepdims = case
    assume(axis != () or name not in ("max", "min"))  # NumPy's reduce over no axis: nothing to compare
    expected = np.asarray(OF_SOMETHING[name](x, axis=axis, keepdims=keepdims))
    same(getattr(tm, name)(x, axis, keepdims=keepdims), expected, operations=2 * x.size + 4)


COMPLEX = {"sum": np.sum, "prod": np.prod, "mean": np.mean, "var": np.var, "std": np.std}
COMPLEX["vector_norm"] = lambda x, axis, keepdims: np.sqrt(np.sum(np.abs(x) ** 2, axis=axis, keepdims=keepdims))


@pytest.mark.parametrize("name", COMPLEX)
@given(case=reductions(1), seed=st.integers(0, 2**31))
def test_reductions_of_complex_numbers_are_numpys(name, case, seed):
    re, axis, keepdims = case
    x = re + 1j * np.random.default_rng(seed).uniform(-2, 2, re.shape).astype(re.dtype)
    expected = np.asarray(COMPLEX[name](x, axis=axis, keepdims=keepdims))
    found = getattr(tm, name)(x, axis, keepdims=keepdims)
    assert found.shape == expected.shape and found.dtype == expected.dtype
    for part in (np.real, np.imag):  # a product of two complex numbers is three operations on real ones
        tolerance = 4 * (6 * x.size + 4) * np.finfo(x.dtype).eps * max(np.abs(expected).max(), 1)
        np.testing.assert_allclose(part(found.numpy()), part(expected), rtol=0, atol=tolerance)


@given(x=arrays(ties=True), axis=st.integers(-3, 2), keepdims=st.booleans())
def test_the_index_of_an_extremum_is_that_of_the_first(x, axis, keepdims):
    if not -x.ndim <= axis < x.ndim or x.size == 0:
        axis = None
    if x.size:
        same(tm.argmax(x, axis, keepdims=keepdims), np.argmax(x, axis, keepdims=keepdims))
        same(tm.argmin(x, axis, keepdims=keepdims), np.argmin(x, axis, keepdims=keepdims))


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "var", "std", "max", "min", "logsumexp", "vector_norm"])
@pytest.mark.parametrize(("axis", "keepdims"), [(None, False), (-1, True), ((0, 2), False)])
def test_reductions_are_right_at_orders_one_to_three(name, axis, keepdims):
    x = RNG.uniform(0.5, 2, (2, 3, 2))
    tm.testing.check_grad(lambda t: tm.sin(getattr(tm, name)(t, axis, keepdims=keepdims)), x, order=3)


@pytest.mark.parametrize("zeros", [0, 1, 2, 3])
def test_a_product_with_zeros_is_exact_at_orders_one_to_three(zeros):
    x = RNG.uniform(0.5, 2, 5)
    x[:zeros] = 0.0
    others = lambda *left_out: np.prod([v for i, v in enumerate(x) if i not in left_out])
    n = range(5)
    first = [others(i) for i in n]
    second = [[others(i, j) if i != j else 0.0 for j in n] for i in n]
    third = [[[others(i, j, k) if len({i, j, k}) == 3 else 0.0 for k in n] for j in n] for i in n]
    np.testing.assert_allclose(tm.grad(tm.prod)(x).numpy(), first, rtol=1e-15, atol=0)
    np.testing.assert_allclose(tm.hessian(tm.prod)(x).numpy(), second, rtol=1e-15, atol=0)
    np.testing.assert_allclose(tm.jacobian(tm.hessian(tm.prod))(x).numpy(), third, rtol=1e-15, atol=0)


@given(x=arrays(), reverse=st.booleans(), initial=st.booleans())
def test_running_sums_and_products_are_numpys(x, reverse, initial):
    for axis in range(-x.ndim, x.ndim):
        n = x.shape[axis] + 1
        for f, of_numpy in ((tm.cumulative_sum, running_sums), (tm.cumulative_prod, running_products)):
            expected = of_numpy(x, axis, initial)
            same(f(x, axis, include_initial=initial), expected, operations=2 * n)


@pytest.mark.parametrize("f", [tm.cumulative_sum, tm.cumulative_prod])
def test_running_sums_and_products_are_right_at_orders_one_to_three(f):
    x = RNG.uniform(0.5, 2, (2, 5))
    x[0, 1] = x[1, 2] = x[1, 3] = 0.0
    tm.testing.check_grad(lambda t: tm.sin(f(t, 1, include_initial=True)), x, order=3)


@pytest.mark.parametrize("f", [tm.vector_norm, tm.std], ids=["norm", "std"])
def test_all_derivatives_of_a_length_are_zero_where_it_is(f):
    x = np.array([0.0, 0.0, 0.0]) if f is tm.vector_norm else np.array([1.5, 1.5, 1.5])
    for derivative in (tm.grad(f), tm.hessian(f), tm.jacobian(tm.hessian(f))):
        assert not derivative(x).numpy().any()


def test_a_length_of_zero_beside_others_leaves_theirs_alone():
    x = np.array([[0.0, 0.0], [3.0, 4.0]])
    g = tm.grad(lambda t: tm.vector_norm(t, -1).sum())(x).numpy()
    np.testing.assert_allclose(g, [[0.0, 0.0], [0.6, 0.8]], rtol=1e-15, atol=0)
    rows = tm.vmap(tm.hessian(tm.vector_norm))(x).numpy()
    assert not rows[0].any()
    np.testing.assert_allclose(rows[1], [[0.128, -0.096], [-0.096, 0.072]], rtol=1e-14)


@pytest.mark.parametrize("ord", [0.5, 1, 3, np.inf, -np.inf])
def test_other_norms_are_numpys_and_differentiable(ord):
    x = RNG.uniform(0.5, 2, (2, 3)) * np.array([1, -1, 1])
    same(tm.vector_norm(x, -1, ord=ord), np.linalg.norm(x, ord, axis=-1), operations=10)
    tm.testing.check_grad(lambda t: tm.vector_norm(t, -1, ord=ord), x, order=2)


def test_of_equal_extrema_the_first_has_the_gradient_at_every_order():
    x = np.array([[1.0, 3.0], [3.0, 0.0]])
    largest = lambda t: tm.max(t) ** 3
    assert tm.grad(largest)(x).tolist() == [[0.0, 27.0], [0.0, 0.0]]
    assert float(tm.hessian(largest)(x)[0, 1, 0, 1]) == 18.0
    assert tm.grad(lambda t: tm.min(t, 1).sum())(np.array([[2.0, 2.0]])).tolist() == [[1.0, 0.0]]


def test_the_mean_and_variance_of_nothing_are_nan_as_in_numpy():
    assert np.isnan(tm.mean(np.zeros(0)).item())
    assert np.isnan(tm.var(np.zeros(1), correction=1).item())
    assert tm.sum(np.zeros((0, 2)), 0).tolist() == [0.0, 0.0]
    assert tm.logsumexp(np.zeros(0)).item() == -np.inf


def test_logsumexp_neither_overflows_nor_makes_nan_of_minus_infinity():
    with np.errstate(over="raise", invalid="raise"):
        assert tm.logsumexp(np.array([1e4, 1e4])).item() == pytest.approx(1e4 + np.log(2), rel=1e-15)
        empty = np.array([-np.inf, -np.inf])
        assert tm.logsumexp(empty).item() == -np.inf
        assert tm.grad(tm.logsumexp)(empty).tolist() == [0.0, 0.0]
        masked = np.array([0.0, -np.inf, 0.0])
        assert tm.grad(tm.logsumexp)(masked).tolist() == [0.5, 0.0, 0.5]
        assert tm.hessian(tm.logsumexp)(masked).tolist() == [[0.25, 0, -0.25], [0, 0, 0], [-0.25, 0, 0.25]]


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "var", "std", "max", "logsumexp", "cumulative_prod"])
def test_vmap_of_a_reduction_is_a_loop(name):
    x = RNG.uniform(0.5, 2, (3, 2, 4))
    for axis in (0, 1, -1):
        vmap_is_a_loop(lambda t, a=axis: getattr(tm, name)(t, a), (x,), (1,))


@given(x=arrays(dtype=np.float32), dtype=dtypes)
def test_reductions_keep_the_dtype(x, dtype):
    x = x.astype(dtype)
    for f in (tm.sum, tm.mean, tm.var, tm.prod, tm.logsumexp):
        assert f(x).dtype == dtype


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: tm.sum(np.ones(3), 1), "axis 1"),
        (lambda: tm.mean(np.ones((2, 2)), (0, -2)), "distinct"),
        (lambda: tm.max(np.ones((2, 0)), 1), "max"),
        (lambda: tm.cumulative_sum(np.ones((2, 2))), "needs an axis"),
        (lambda: tm.vector_norm(np.ones(2), ord=-1), "positive"),
    ],
)
def test_a_wrong_axis_is_named_with_the_users_line(call, words):
    with pytest.raises(ValueError, match=words) as caught:
        call()
    assert "test_reductions.py" in str(caught.value)


def test_axes_may_come_as_a_list_or_in_any_order():
    x = RNG.normal(size=(2, 3, 4))
    for axes in itertools.permutations((0, -1)):
        assert np.array_equal(tm.sum(x, list(axes)).numpy(), x.sum((0, 2)))


SIGNS = np.where(np.arange(1_000_000) % 2, 1, -1).astype(np.float32)[:, None]
LONG_SUMS = {  # of a million rows of 0.1: each is 0.1
    "a mean": lambda x: tm.mean(x, 0),
    "a sum over two axes": lambda x: tm.sum(tm.reshape(x, (1000, 1000, -1)), (0, 1)) / 1e6,
    "a variance": lambda x: tm.var(SIGNS * x, 0) * 10,
    "a standard deviation": lambda x: tm.std(SIGNS * x, 0),
    "a length": lambda x: tm.vector_norm(x, axis=0) / 1e3,
    "the gradient of what rows share": lambda x: tm.grad(lambda b: tm.sum(x * (1 + b)))(np.zeros(2, np.float32)) / 1e6,
}


@pytest.mark.parametrize("what", LONG_SUMS)
def test_many_equal_float32_numbers_add_up_to_what_they_are(what):
    given = np.full((1_000_000, 2), 0.1, np.float32)
    for f in (LONG_SUMS[what], tm.compile(LONG_SUMS[what])):
        y = f(given)
        assert y.dtype == np.float32
        np.testing.assert_allclose(y.numpy(), 0.1, rtol=8 * np.finfo(np.float32).eps)


def test_adding_them_one_by_one_in_float32_is_caught(monkeypatch):
    monkeypatch.setattr(long_sums, "LONG", 1 << 40)
    for what in ("a mean", "a length", "the gradient of what rows share"):
        with pytest.raises(AssertionError):
            test_many_equal_float32_numbers_add_up_to_what_they_are(what)


def test_the_mean_over_nothing_is_nan_and_no_error():
    with np.errstate(all="raise"):
        assert np.isnan(tm.mean(np.zeros((0,))).item())
        assert np.isnan(tm.mean(np.zeros((2, 0)), axis=1).numpy()).tolist() == [True, True]
        assert tm.mean(np.zeros((2, 0)), axis=0).shape == (0,)
        assert np.isnan(tm.mean(np.zeros((0, 2), int), axis=0).numpy()).tolist() == [True, True]
        assert tm.grad(lambda x: tm.mean(x, axis=1).sum())(np.zeros((2, 0))).shape == (2, 0)
