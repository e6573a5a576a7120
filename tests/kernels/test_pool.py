"""Pooling: which entry wins, and where gradients go."""

import hypothesis.strategies as st
import numpy as np
import pytest
import tinymeta_kernels as tk
from hypothesis import given

from tests.kernels import cases
from tests.kernels.case import Case

every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
inf, nan = np.inf, np.nan


@every_dtype
@pytest.mark.parametrize(
    ("window", "winner"),
    [
        ([[1, 2], [2, 0]], 1),
        ([[3, 3], [3, 3]], 0),
        ([[-0.0, 0.0], [0.0, -0.0]], 0),
        ([[-inf, -inf], [-inf, -inf]], 0),
        ([[1, inf], [nan, nan]], 2),
        ([[nan, inf], [5, nan]], 0),
    ],
)
def test_first_of_equals_and_first_nan_win(dtype: type, window: list, winner: int) -> None:
    assert tk.max_pool2d_index(np.array([window], dtype), (2, 2), (1, 1)).item() == winner


@every_dtype
def test_padding_never_wins(dtype: type) -> None:
    x = np.full((1, 2, 2), -inf).astype(dtype)
    index = tk.max_pool2d_index(x, (2, 2), (1, 1), (1, 1))
    np.testing.assert_array_equal(index, [[[0, 0, 1], [0, 0, 1], [2, 2, 3]]])


@given(case=cases.max_pool2d_index())
def test_the_value_at_the_index_is_the_largest_of_its_window(case: Case) -> None:
    (x,) = case.arrays
    (index,) = case(x)
    y = tk.take_flat(x, index)
    (kh, kw), (sh, sw), (ph, pw) = case.rest["window"], case.rest["stride"], case.rest["padding"]
    for a, b in np.ndindex(y.shape[-2:]):
        top, left = a * sh - ph, b * sw - pw
        window = x[..., max(top, 0) : top + kh, max(left, 0) : left + kw]
        np.testing.assert_array_equal(y[..., a, b], window.max(axis=(-2, -1)))


@given(case=cases.scatter_flat(), seed=st.integers(0, 2**32 - 1))
def test_scatter_is_the_adjoint_of_take(case: Case, seed: int) -> None:
    (g,) = case.arrays
    index, size = case.rest["index"], case.rest["size"]
    x = np.random.default_rng(seed).standard_normal((*g.shape[:-2], *size))
    left, right = np.vdot(g, tk.take_flat(x, index)), np.vdot(tk.scatter_flat(g, index, size), x)
    assert abs(left - right) <= 1e-12 * np.vdot(np.abs(g), np.abs(tk.take_flat(x, index)))


@given(case=cases.avg_pool2d(), seed=st.integers(0, 2**32 - 1))
def test_average_pooling_and_its_adjoint_satisfy_their_identity(case: Case, seed: int) -> None:
    (x,) = case.arrays
    (y,) = case(x)
    g = np.random.default_rng(seed).standard_normal(y.shape)
    gx = tk.avg_pool2d_input(g, x.shape[-2:], **case.rest)
    sizes = np.vdot(np.abs(g), tk.avg_pool2d(np.abs(x), **case.rest))
    assert abs(np.vdot(g, y) - np.vdot(gx, x)) <= 1e-12 * sizes


def test_average_counts_padding_as_zeros() -> None:
    y = tk.avg_pool2d(np.ones((1, 2, 2)), (2, 2), (2, 2), (1, 1))
    np.testing.assert_array_equal(y, np.full((1, 2, 2), 0.25))


def test_channels_last_memory_comes_out_as_it_went_in() -> None:
    x = np.moveaxis(np.random.default_rng(0).standard_normal((2, 6, 6, 3)), -1, -3)
    index = tk.max_pool2d_index(x, (2, 2), (2, 2))
    answers = [
        index,
        tk.take_flat(x, index),
        tk.scatter_flat(tk.take_flat(x, index), index, (6, 6)),
        tk.avg_pool2d(x, (2, 2), (2, 2)),
    ]
    assert all(np.moveaxis(answer, -3, -1).flags.c_contiguous for answer in answers)


def test_indices_broadcast_over_tasks() -> None:
    x, index = np.random.default_rng(0).standard_normal((3, 2, 4, 4)), np.array([[0, 5], [15, 5]])
    y = tk.take_flat(x, index)
    np.testing.assert_array_equal(y, x.reshape(3, 2, 16)[..., index])
    assert tk.scatter_flat(y, index, (4, 4)).reshape(3, 2, 16)[1, 1, 5] == y[1, 1, 0, 1] + y[1, 1, 1, 1]


@pytest.mark.parametrize("index", [-1, 16])
def test_an_index_outside_of_the_image_is_an_error(index: int) -> None:
    at = np.full((1, 1), index)
    with pytest.raises(IndexError, match="indices of pixels run from 0 to 15"):
        tk.take_flat(np.ones((4, 4)), at)
    with pytest.raises(IndexError, match="indices of pixels run from 0 to 15"):
        tk.scatter_flat(np.ones((1, 1)), at, (4, 4))


def test_padding_as_large_as_the_window_is_an_error() -> None:
    with pytest.raises(ValueError, match="must be smaller than the window"):
        tk.max_pool2d_index(np.ones((4, 4)), (2, 2), (1, 1), (2, 0))


def test_an_image_without_pixels_is_an_error() -> None:
    with pytest.raises(ValueError, match="no pixel"):
        tk.max_pool2d_index(np.ones((3, 0, 4)), (2, 2), (1, 1), (1, 1))
