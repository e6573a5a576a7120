"""Normalisation layers: over which numbers each takes its mean and variance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tinymeta.engine.errors import ShapeError

X = np.random.default_rng(0).normal(2.0, 3.0, size=(5, 6, 4, 3))


def standardised(x: Any, axes: tuple[int, ...]) -> Any:
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)


def test_batch_norm_takes_each_channel_over_all_the_other_axes() -> None:
    layer = tm.nn.BatchNorm(6, dtype=np.float64)
    np.testing.assert_allclose(layer(X).numpy(), standardised(X, (0, 2, 3)), atol=1e-12)
    rows = X[:, :, 0, 0]
    np.testing.assert_allclose(layer(rows).numpy(), standardised(rows, (0,)), atol=1e-12)


def test_layer_norm_takes_the_last_axis_of_each_example() -> None:
    np.testing.assert_allclose(tm.nn.LayerNorm(3, dtype=np.float64)(X).numpy(), standardised(X, (3,)), atol=1e-12)


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_group_norm_takes_each_group_of_channels_of_each_example(groups: int) -> None:
    grouped = standardised(X.reshape(5, groups, 6 // groups, 4, 3), (2, 3, 4)).reshape(X.shape)
    np.testing.assert_allclose(tm.nn.GroupNorm(groups, 6, dtype=np.float64)(X).numpy(), grouped, atol=1e-12)


def test_scale_and_shift_are_per_channel() -> None:
    for layer in (tm.nn.BatchNorm(6, dtype=np.float64), tm.nn.GroupNorm(2, 6, dtype=np.float64)):
        plain = layer(X).numpy()
        layer.weight, layer.bias = tm.tensor(np.arange(6.0)), tm.tensor(np.arange(6.0)[::-1])
        expected = plain * np.arange(6.0)[:, None, None] + np.arange(6.0)[::-1, None, None]
        np.testing.assert_allclose(layer(X).numpy(), expected, atol=1e-12)


def test_each_norm_adds_its_own_eps_to_the_variance() -> None:
    x = np.array([[1.0], [-1.0]])  # of variance 1: divided by √(1 + 3)
    np.testing.assert_allclose(tm.nn.BatchNorm(1, eps=3.0, dtype=float)(x), x / 2, rtol=1e-15)
    np.testing.assert_allclose(tm.nn.LayerNorm(2, eps=3.0, dtype=float)(x.T), x.T / 2, rtol=1e-15)
    np.testing.assert_allclose(tm.nn.GroupNorm(1, 2, eps=3.0, dtype=float)(x.T), x.T / 2, rtol=1e-15)


def test_a_frozen_norm_is_of_one_dtype() -> None:
    layer = tm.nn.FrozenBatchNorm(3, mean=np.zeros(3), var=np.ones(3), dtype=np.float32)
    assert {leaf.dtype for leaf in (layer.mean, layer.var, layer.weight, layer.bias)} == {np.dtype(np.float32)}


def test_groups_that_do_not_divide_the_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="can't divide"):
        tm.nn.GroupNorm(0, 4)
    with pytest.raises(ValueError, match="6 channels into 4"):
        tm.nn.GroupNorm(4, 6)


@pytest.mark.parametrize("x", [np.ones((2, 1)), np.ones((2, 4)), np.ones(3), 1.0, np.ones((2, 1, 3))])
def test_a_frozen_norm_refuses_other_channels(x: Any) -> None:
    with pytest.raises(ShapeError, match=r"not \(N, 3, …\)"):
        tm.nn.FrozenBatchNorm(3, mean=0.0, var=1.0)(x)
    with pytest.raises(ValueError, match="of 0 or more"):
        tm.nn.FrozenBatchNorm(3, mean=0.0, var=-1.0)(np.ones((2, 3)))
    with pytest.raises(ValueError, match="no mean and variance"):
        tm.nn.FrozenBatchNorm(3, var=1.0)(np.ones((2, 3)))
