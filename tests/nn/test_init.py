"""Initial weights have the scale that their papers derive.

A sample variance of n numbers has a relative standard deviation of √(2/n) or less; 20 % is eight of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tinymeta.nn import init

VARIANCES: dict[str, tuple[Any, float]] = {
    "he_normal": (init.he_normal, 2 / 100),
    "he_uniform": (init.he_uniform, 2 / 100),
    "glorot_normal": (init.glorot_normal, 2 / 150),
    "glorot_uniform": (init.glorot_uniform, 2 / 150),
    "lecun_normal": (init.lecun_normal, 1 / 100),
    "normal": (init.normal(0.3), 0.09),
    "orthogonal": (init.orthogonal, 1 / 100),  # columns of length 1
}


@pytest.mark.parametrize("name", VARIANCES)
def test_the_variance_is_the_one_derived(name: str) -> None:
    draw, variance = VARIANCES[name]
    w = draw(np.random.default_rng(0), (100, 50), 100, 50, np.float64).numpy()
    assert w.var() == pytest.approx(variance, rel=0.2)
    assert abs(w.mean()) < 5 * np.sqrt(variance / w.size)


def test_truncated_weights_lie_within_two_standard_deviations() -> None:
    w = init.truncated_normal(0.01)(np.random.default_rng(0), (100, 50), 100, 50, np.float32).numpy()
    assert np.abs(w).max() <= 0.02
    assert w.std() == pytest.approx(0.0088, rel=0.05)  # that of a normal cut at ±2: 0.8796


def test_signals_keep_their_size_through_many_relu_layers() -> None:
    net = tm.nn.MLP([200] * 11, rng=np.random.default_rng(0), dtype=np.float64)
    x = np.random.default_rng(1).normal(size=(50, 200))
    assert 0.3 < net(x).numpy().std() / x.std() < 3


def test_an_orthogonal_matrix_keeps_lengths() -> None:
    for shape in ((4, 4), (6, 3), (3, 5)):
        w = init.orthogonal(np.random.default_rng(0), shape, *shape, np.float64).numpy()
        assert w.shape == shape
        small = w.T @ w if shape[0] >= shape[1] else w @ w.T
        np.testing.assert_allclose(small, np.eye(min(shape)), atol=1e-14)
    with pytest.raises(ValueError, match="matrices"):
        init.orthogonal(np.random.default_rng(0), (2, 3, 4), 2, 3, np.float64)


def test_side_by_side_square_blocks_are_orthogonal_each() -> None:
    w = init.orthogonal(np.random.default_rng(0), (3, 6), 3, 6, np.float64).numpy()
    assert w.shape == (3, 6) and not np.array_equal(w[:, :3], w[:, 3:])
    for block in np.hsplit(w, 2):
        np.testing.assert_allclose(block.T @ block, np.eye(3), atol=1e-14)


def test_a_generator_decides_the_weights() -> None:
    first, again = (tm.nn.Linear(3, 2, rng=np.random.default_rng(7)).weight.numpy() for _ in range(2))
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("layer", [tm.nn.Linear, tm.nn.Conv2d])
def test_a_layer_without_inputs_is_told(layer: Any) -> None:
    with pytest.raises(
        tm.UserError, match=r"a layer's inputs, must be a whole number, 1 or more, not 0 \(test_init.py"
    ):
        layer(0, *[3] * (layer is tm.nn.Conv2d), 3, rng=np.random.default_rng(0))
