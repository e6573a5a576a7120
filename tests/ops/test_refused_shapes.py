"""Shapes at the edge of what pooling and matrix operations take: the last that fits, and the first that is refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tinymeta.engine.errors import ShapeError

one = np.ones

REFUSED = {
    "a window that is too high": (partial(tm.avg_pool2d, one((2, 5)), (3, 2)), "does not fit"),
    "a window that is too wide": (partial(tm.avg_pool2d, one((5, 2)), (2, 3)), "does not fit"),
    "a window for a vector": (partial(tm.avg_pool2d, one(3), 1), "does not fit"),
    "a stride of nothing": (partial(tm.avg_pool2d, one((3, 3)), 2, (1, 0)), "at least 1"),
    "padding below 0, above": (partial(tm.avg_pool2d, one((3, 3)), 1, padding=(-1, 0)), "padding at least 0"),
    "padding below 0, beside": (partial(tm.avg_pool2d, one((3, 3)), 1, padding=(0, -1)), "padding at least 0"),
    "the largest of padding alone": (partial(tm.max_pool2d, one((3, 3)), (2, 1), padding=(0, 1)), "holds no entry"),
    "the largest of no rows": (partial(tm.max_pool2d, one((0, 3)), 3, padding=2), "holds no entry"),
    "the largest of no columns": (partial(tm.max_pool2d, one((3, 0)), 3, padding=2), "holds no entry"),
    "adaptive means of a vector": (partial(tm.adaptive_avg_pool2d, one(4), 1), "can't pool"),
    "adaptive means of no rows": (partial(tm.adaptive_avg_pool2d, one((0, 4)), 1), "can't pool"),
    "adaptive means of no columns": (partial(tm.adaptive_avg_pool2d, one((4, 0)), 1), "can't pool"),
    "adaptive means in no rows": (partial(tm.adaptive_avg_pool2d, one((4, 4)), (0, 1)), "can't pool"),
    "adaptive means in no columns": (partial(tm.adaptive_avg_pool2d, one((4, 4)), (1, 0)), "can't pool"),
    "an inverse of more rows": (partial(tm.inv, one((3, 2))), "square"),
    "an inverse of a vector": (partial(tm.inv, one(2)), "square"),
    "an inverse of a stack that is square in front": (partial(tm.inv, one((3, 3, 2))), "square"),
    "a system of more equations": (partial(tm.solve, one((3, 2)), one(2)), "square"),
    "a right-hand side without axes": (partial(tm.solve, np.eye(2), 1.0), "don't fit"),
    "a right-hand side that is too long": (partial(tm.solve, np.eye(2), one(3)), "don't fit"),
    "right-hand sides that fit the other way": (partial(tm.solve, np.eye(2), one((3, 2))), "don't fit"),
    "a product with a number": (partial(tm.matmul, 2.0, one(2)), "vectors or matrices"),
    "a product by a number": (partial(tm.matmul, one(2), 2.0), "vectors or matrices"),
    "a product of other sizes": (partial(tm.matmul, one((2, 3)), one((2, 3))), "differ"),
    "an outer product of a matrix": (partial(tm.outer, one((2, 2)), one(2)), "two vectors"),
    "an outer product by a matrix": (partial(tm.outer, one(2), one((2, 2))), "two vectors"),
    "an outer product of a number": (partial(tm.outer, 2.0, one(2)), "two vectors"),
    "an outer product by a number": (partial(tm.outer, one(2), 2.0), "two vectors"),
    "an inner product of other sizes": (partial(tm.vecdot, one(2), one(3)), "sizes differ"),
    "an inner product along an axis from the front": (partial(tm.vecdot, one((2, 2)), one((2, 2)), axis=0), "axis 0"),
    "an inner product along an axis that one lacks": (partial(tm.vecdot, one((2, 2)), one(2), axis=-2), "axis -2"),
    "axes of other sizes": (partial(tm.tensordot, one((2, 3)), one((2, 3)), 1), "pair up"),
    "axes of other numbers": (partial(tm.tensordot, one((2, 2)), one((2, 2)), ([0, 1], [0])), "pair up"),
    "an axis of the first twice": (partial(tm.tensordot, one((2, 2)), one((2, 2)), ([0, 0], [0, 1])), "pair up"),
    "an axis of the second twice": (partial(tm.tensordot, one((2, 2)), one((2, 2)), ([0, 1], [0, 0])), "pair up"),
}


@pytest.mark.parametrize(("call", "says"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_is_explained_by_us(call: Callable[[], Any], says: str) -> None:
    with pytest.raises(ShapeError, match=says):
        call()


def test_a_pooled_window_may_be_as_large_as_what_it_is_laid_on() -> None:
    x = np.arange(6.0).reshape(2, 3)
    assert tm.avg_pool2d(x, (2, 3)).tolist() == [[2.5]] and tm.max_pool2d(x, (2, 3)).tolist() == [[5.0]]
    assert tm.avg_pool2d(x, (4, 3), padding=(1, 0)).tolist() == [[15 / 12]]
    assert tm.max_pool2d(x, (2, 3), (3, 3), padding=(1, 2)).tolist() == [[0.0, 2.0]]


def test_pooling_takes_no_images_and_means_take_empty_ones() -> None:
    assert tm.max_pool2d(np.ones((0, 4, 4))).shape == (0, 2, 2)
    assert tm.avg_pool2d(np.ones((0, 4, 4))).shape == (0, 2, 2)
    assert tm.adaptive_avg_pool2d(np.ones((0, 4, 4)), 2).shape == (0, 2, 2)
    assert tm.avg_pool2d(np.ones((2, 0, 3)), (2, 3), padding=(1, 0)).tolist() == [[[0.0]]] * 2
    for f in (tm.max_pool2d, tm.avg_pool2d):
        assert tm.grad(lambda x, f=f: f(x).sum())(np.ones((0, 4, 4))).shape == (0, 4, 4)


def test_what_fits_by_one_axis_only_is_taken_along_that_axis() -> None:
    a = np.array([[2.0, 0.0], [0.0, 4.0]])
    assert tm.solve(a, np.array([[2.0, 4.0, 6.0], [4.0, 8.0, 12.0]])).tolist() == [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]
    assert tm.inv(np.ones((3, 1, 1))).shape == (3, 1, 1)
    assert tm.vecdot(np.ones((3, 2)), np.arange(6.0).reshape(3, 2), axis=-2).tolist() == [6.0, 9.0]
    assert tm.tensordot(np.ones((2, 3)), np.ones((2, 3)), ([0], [0])).tolist() == [[2.0] * 3] * 3


@pytest.mark.parametrize("image", [(2, 9), (9, 2)])
def test_a_window_has_to_fit_in_both_directions(image):
    x, w = np.ones((1, 1, *image)), np.ones((1, 1, 3, 3))
    for f in (lambda: tm.conv2d(x, w), lambda: tm.max_pool2d(x, 3), lambda: tm.avg_pool2d(x, 3)):
        with pytest.raises(ValueError, match="does not fit"):
            f()


def test_what_is_laid_end_to_end_agrees_elsewhere_in_rank_and_in_sizes():
    for other in (np.ones((3, 2)), np.ones(3), np.ones((2, 3, 1))):
        with pytest.raises(ValueError, match="needs shapes that agree elsewhere"):
            tm.concat([np.ones((2, 3)), other])


def test_padding_counts_twice_for_what_fits():
    for window, fits in ((3, True), (4, False)):
        f = lambda: tm.conv2d(np.ones((1, 1, 1, 9)), np.ones((1, 1, window, 1)), padding=(1, 0))  # noqa: B023
        if fits:
            assert f().shape == (1, 1, 1, 9)
        else:
            with pytest.raises(ValueError, match="does not fit"):
                f()


@pytest.mark.parametrize("window", [(2, 3), (3, 4)])
def test_an_even_window_has_no_padding_that_keeps_the_size(window):
    with pytest.raises(ValueError, match="odd windows"):
        tm.conv2d(np.ones((1, 1, 6, 6)), np.ones((1, 1, *window)), padding="same")


@pytest.mark.parametrize("sections", [0, -1, 4])
def test_there_is_no_such_number_of_equal_parts(sections):
    with pytest.raises(ValueError, match="equal parts"):
        tm.split(np.ones(6), sections)


def test_signals_of_several_channels_are_spread_as_images_of_one_row_are():
    x, w = np.arange(6.0).reshape(1, 2, 3), np.arange(12.0).reshape(2, 3, 2)
    expected = tm.conv_transpose2d(x[:, :, None], w[:, :, None]).numpy()[:, :, 0]
    np.testing.assert_array_equal(tm.conv_transpose1d(x, w).numpy(), expected)


def test_an_array_without_channels_is_put_in_no_groups():
    with pytest.raises(ShapeError, match="group_norm can't put the channels"):
        tm.group_norm(np.ones(4), 2)
