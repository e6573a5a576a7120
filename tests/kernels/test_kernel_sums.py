"""scatter_add and sum_to: the adjoints of taking and of broadcasting."""

import hypothesis.strategies as st
import kernel_cases as cases
import numpy as np
import pytest
import tinymeta_kernels as tk
from hypothesis import given
from kernel_case import Case, plain_python


@given(case=cases.scatter_add(), seed=st.integers(0, 2**32 - 1))
def test_scatter_add_is_the_adjoint_of_taking(case: Case, seed: int) -> None:
    (values,) = case.arrays
    (sums,) = case(values)
    index, axis = case.rest["index"], case.rest["axis"]
    x = np.random.default_rng(seed).standard_normal(sums.shape)
    lead = sums.shape[: sums.ndim + axis]
    at = np.broadcast_to(index, (*lead, index.shape[-1])).reshape(*lead, index.shape[-1], *[1] * (-axis - 1))
    taken = np.take_along_axis(x, at, axis) if at.size and x.size else np.zeros((*lead, *values.shape[axis:]))
    assert abs(np.sum(taken * values) - np.vdot(x, sums)) <= 1e-12 * np.sum(np.abs(taken * values))


def test_entries_that_share_an_index_add_up_and_negative_ones_count_from_the_end() -> None:
    sums = tk.scatter_add(np.array([1.0, 2, 4, 8]), np.array([0, -1, 0, 2]), 3)
    np.testing.assert_array_equal(sums, [5, 0, 10])


@pytest.mark.parametrize("index", [3, -4])
@pytest.mark.parametrize("dtype", [float, complex])
def test_an_index_outside_of_the_slots_is_an_error_that_says_so(index: int, dtype: type) -> None:
    with pytest.raises(IndexError, match="for 3 slots: indices run from -3 to 2"):
        tk.scatter_add(np.ones(1, dtype), np.array([index]), 3)


def test_float32_scatter_sums_in_float64() -> None:
    # One by one in float32 the sum of 2e6 numbers 0.1 comes to 2.04e5 or so, 2 percent off.
    values = np.full(2_000_000, 0.1, np.float32)
    sums = tk.scatter_add(values, np.zeros(len(values), np.int64), 1)
    np.testing.assert_allclose(sums, [values.astype(np.float64).sum()], rtol=1e-7)


@given(case=cases.sum_to(), seed=st.integers(0, 2**32 - 1))
def test_sum_to_is_the_adjoint_of_broadcasting(case: Case, seed: int) -> None:
    (x,) = case.arrays
    (sums,) = case(x)
    assert sums.shape == case.rest["shape"]
    small = np.random.default_rng(seed).standard_normal(sums.shape)
    assert abs(np.vdot(sums, small) - np.sum(x * small)) <= 1e-12 * np.sum(np.abs(x * small))


@pytest.mark.parametrize("shape", [(2_000_000, 2), (2_000_000, 1)])
def test_float32_sum_to_is_as_good_as_float64(shape: tuple) -> None:
    x = np.full(shape, 0.1, np.float32)
    exact = x[:, :1].astype(np.float64).sum()
    np.testing.assert_allclose(tk.sum_to(x, shape[1:]), np.full(shape[1:], exact), rtol=2e-7)


@pytest.mark.parametrize("to", [(3, 1, 0), (1, 2, 0), (1, 1, 0), (0,)])
def test_sums_over_no_channels_touch_no_memory(to: tuple) -> None:
    with plain_python():
        assert tk.sum_to(np.empty((3, 2, 0)), to).shape == to


def test_channels_beyond_one_run_of_the_cache_are_summed_too() -> None:
    x = np.random.default_rng(0).standard_normal((3, 1300))
    np.testing.assert_allclose(tk.sum_to(x, (1300,)), x.sum(0), rtol=1e-14, atol=1e-14)
