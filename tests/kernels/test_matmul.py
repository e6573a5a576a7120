"""matmul takes several ways to one product."""

import hypothesis.strategies as st
import numpy as np
import pytest
import tinymeta_kernels as tk
from hypothesis import given

from tests.kernels import cases
from tests.kernels.case import Case


@given(case=cases.matmul())
def test_product_is_the_sum_over_the_inner_axis(case: Case) -> None:
    a, b = case.arrays
    (got,) = case(a, b)
    np.testing.assert_allclose(got, np.einsum("...ik,...kj->...ij", a, b), rtol=0, atol=case.tolerance(np.float64))


LEADS = [((), ()), ((6,), ()), ((), (6,)), ((6,), (6,)), ((6,), (1,)), ((2, 1), (1, 3)), ((2, 3), (3,))]


@pytest.mark.parametrize("leads", LEADS)
@pytest.mark.parametrize("transposes", [(False, False), (True, False), (False, True), (True, True)])
def test_products_large_enough_for_threads_agree_with_numpy(leads: tuple, transposes: tuple) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((*leads[0], 150, 150)), rng.standard_normal((*leads[1], 150, 150))
    a, b = (x.mT if t else x for x, t in zip((a, b), transposes))
    np.testing.assert_allclose(tk.matmul(a, b), a @ b, rtol=0, atol=1e-11)


@given(data=st.data())
def test_matrices_whose_rows_and_columns_are_both_strided_are_read_right(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    steps = st.sampled_from([-2, -1, 2])
    a = rng.standard_normal((2, 6, 8))[:, :: data.draw(steps), :: data.draw(steps)]
    b = rng.standard_normal((2, 8, 6))[:, :: data.draw(steps), :: data.draw(steps)]
    a, b = a[..., :3], b[:, :3]
    np.testing.assert_allclose(tk.matmul(a, b), a.copy() @ b.copy(), rtol=0, atol=1e-13)


def test_nan_and_infinity_reach_only_their_row_and_column() -> None:
    a, b = np.ones((3, 4, 4)), np.ones((4, 4))
    a[1, 2, 0] = np.nan
    y = tk.matmul(a, b)
    assert np.isnan(y[1, 2]).all() and np.isnan(y).sum() == 4


def test_inner_axes_that_do_not_match_are_an_error() -> None:
    for a, b in [((2, 3), (4, 5)), ((4, 1), (4, 5)), ((2, 3), (1, 5)), ((6, 2, 3), (4, 5))]:
        with pytest.raises(ValueError):
            tk.matmul(np.ones(a), np.ones(b))
