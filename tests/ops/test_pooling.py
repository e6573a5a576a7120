"""Pooling against its definition, the side it takes at ties, and its derivatives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinymeta as tm
from tests.ops.drawn_arrays import arrays, same, vmap_is_a_loop

RNG = np.random.default_rng(6)
GEOMETRY = {
    "halves": {"window": 2},
    "overlapping": {"window": 3, "stride": 1},
    "padded": {"window": (3, 2), "stride": (2, 3), "padding": (1, 1)},
    "whole": {"window": (5, 6)},
}


def by_definition(x, reduce, fill, window, stride=None, padding=0):
    pair = lambda v: (v, v) if isinstance(v, int) else v
    (kh, kw), (sh, sw), (ph, pw) = pair(window), pair(stride or window), pair(padding)
    x = np.pad(x, [(0, 0)] * (x.ndim - 2) + [(ph, ph), (pw, pw)], constant_values=fill)
    rows = range(0, x.shape[-2] - kh + 1, sh)
    columns = range(0, x.shape[-1] - kw + 1, sw)
    return np.stack(
        [np.stack([reduce(x[..., a : a + kh, b : b + kw], (-2, -1)) for b in columns], -1) for a in rows], -2
    )


@pytest.mark.parametrize("how", GEOMETRY.values(), ids=GEOMETRY.keys())
@given(data=st.data())
def test_pooling_is_its_definition(how, data):
    x = data.draw(arrays((2, 1, 5, 6), ties=True))
    same(tm.max_pool2d(x, **how), by_definition(x, np.max, -np.inf, **how))
    same(tm.avg_pool2d(x, **how), by_definition(x, np.mean, 0, **how), operations=30)


@pytest.mark.parametrize("f", [tm.max_pool2d, tm.avg_pool2d], ids=["max", "mean"])
@pytest.mark.parametrize("how", GEOMETRY.values(), ids=GEOMETRY.keys())
def test_pooling_is_right_at_orders_one_to_three_and_under_vmap(f, how):
    x = RNG.normal(size=(2, 5, 6))
    tm.testing.check_grad(lambda t: tm.sin(f(t, **how)), x, order=3, elements=10)
    vmap_is_a_loop(lambda t: f(t, **how), (x[:, None],), (0,))
    vmap_is_a_loop(lambda t: f(t, **how), (RNG.normal(size=(1, 5, 6, 3)),), (3,))


def test_of_equal_pixels_the_first_has_the_gradient_at_every_order():
    x = np.array([[1.0, 2.0], [2.0, 2.0]])
    cube = lambda t: (tm.max_pool2d(t) ** 3).sum()
    assert tm.grad(cube)(x).tolist() == [[0.0, 12.0], [0.0, 0.0]]
    assert np.flatnonzero(tm.hessian(cube)(x).numpy()).tolist() == [5]
    assert float(tm.hessian(cube)(x)[0, 1, 0, 1]) == 12.0


def test_a_nan_is_the_maximum_of_its_window():
    x = np.array([[1.0, np.nan, 3.0, 4.0]])
    assert np.isnan(tm.max_pool1d(x).numpy()).tolist() == [[True, False]]


@given(rows=st.integers(1, 5), columns=st.integers(1, 6), x=arrays((2, 5, 6)))
def test_adaptive_windows_cover_the_image_evenly(rows, columns, x):
    y = tm.adaptive_avg_pool2d(x, (rows, columns)).numpy()
    for i, j in np.ndindex(rows, columns):
        top, bottom = i * 5 // rows, -(-(i + 1) * 5 // rows)
        left, right = j * 6 // columns, -(-(j + 1) * 6 // columns)
        expected = x[:, top:bottom, left:right].mean((1, 2))
        np.testing.assert_allclose(y[:, i, j], expected, rtol=0, atol=60 * np.finfo(x.dtype).eps)
    assert y.dtype == x.dtype


def test_adaptive_and_global_pooling_are_right_at_orders_one_to_three():
    x = RNG.normal(size=(2, 3, 5))
    for f in (lambda t: tm.adaptive_avg_pool2d(t, (2, 3)), tm.global_avg_pool2d):
        tm.testing.check_grad(lambda t, f=f: tm.sin(f(t)), x, order=3, elements=10)
        vmap_is_a_loop(f, (x,), (0,))
    same(tm.global_avg_pool2d(x), x.mean((-2, -1)), operations=10)


def test_signals_are_images_of_one_row():
    x = RNG.normal(size=(2, 3, 8))
    how = {"window": (1, 3), "stride": (1, 2), "padding": (0, 1)}
    same(tm.max_pool1d(x, 3, 2, 1), tm.max_pool2d(x[:, :, None], **how).numpy()[:, :, 0])
    same(tm.avg_pool1d(x, 3, 2, 1), tm.avg_pool2d(x[:, :, None], **how).numpy()[:, :, 0])
    same(tm.adaptive_avg_pool1d(x, 4), x.reshape(2, 3, 4, 2).mean(-1), operations=4)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: tm.max_pool2d(np.ones((3, 3)), 4), ValueError, "does not fit"),
        (lambda: tm.max_pool2d(np.ones((3, 3)), 2, padding=2), ValueError, "smaller than the window"),
        (lambda: tm.avg_pool2d(np.ones((3, 3)), 2, stride=0), ValueError, "at least 1"),
        (lambda: tm.max_pool1d(np.ones((2, 3)), 2, stride=0), ValueError, "at least 1"),
        (lambda: tm.avg_pool1d(np.ones((2, 3)), 2, stride=0), ValueError, "at least 1"),
        (lambda: tm.max_pool2d(np.ones(3)), ValueError, "does not fit"),
        (lambda: tm.max_pool2d(np.ones((4, 4), int)), TypeError, "astype"),
        (lambda: tm.adaptive_avg_pool2d(np.ones((4, 4)), (0, 2)), ValueError, "can't pool"),
    ],
)
def test_windows_that_do_not_fit_are_explained(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    assert "test_pooling.py" in str(caught.value)


def test_pooling_of_signals_takes_no_other_axis_of_one_away():
    x = np.ones((1, 1, 4))
    for y in (tm.max_pool1d(x, 4), tm.avg_pool1d(x, 4), tm.adaptive_avg_pool1d(x, 1)):
        assert y.shape == (1, 1, 1)
