"""scatter_add: the adjoint of taking."""

import hypothesis.strategies as st
import numpy as np
import pytest
import tinymeta_kernels as tk
from hypothesis import given

from tests.kernels import cases
from tests.kernels.case import Case


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
    with pytest.raises(IndexError, match="indices for 3 slots run from -3 to 2, and not from"):
        tk.scatter_add(np.ones(1, dtype), np.array([index]), 3)


def test_float32_scatter_sums_in_float64() -> None:
    # One by one in float32 the sum of 2e6 numbers 0.1 comes to 2.04e5 or so, 2 percent off.
    values = np.full(2_000_000, 0.1, np.float32)
    sums = tk.scatter_add(values, np.zeros(len(values), np.int64), 1)
    np.testing.assert_allclose(sums, [values.astype(np.float64).sum()], rtol=1e-7)
