"""Linear regressions: the family is linear, and its meta-gradient is the documented closed form."""

from __future__ import annotations

import numpy as np
import pytest

from tinymeta.tasks import LinearRegressions


def test_targets_are_the_planes_that_draw_returns_for_the_same_seed():
    family = LinearRegressions(features=3, dtype=np.float64)
    planes = family.draw(np.random.default_rng(3), 4)
    for x, y in family.sample(np.random.default_rng(3), 4):
        np.testing.assert_array_equal(planes(x), y)


def test_a_plane_is_its_weights_times_x_plus_its_bias(rng):
    planes = LinearRegressions(features=2).draw(rng, 3)
    x = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    values = planes(np.broadcast_to(x, (3, 3, 2)))[..., 0]
    expected = planes.bias[:, None] + np.hstack([np.zeros((3, 1)), planes.weight])
    np.testing.assert_array_equal(values, expected)


def test_the_documented_meta_gradient_is_that_of_finite_differences(rng):
    episode = LinearRegressions(shots=7, query=9, features=2, noise=0.3, dtype=np.float64).sample(rng, 1)
    (xs, ys), (xq, yq) = (tuple(a[0] for a in pair) for pair in episode)
    xs, xq = (np.hstack([x, np.ones((len(x), 1))]) for x in (xs, xq))
    step, theta = 0.1, rng.standard_normal((3, 1))

    def gradient(x, y, at):
        return 2 / len(x) * x.T @ (x @ at - y)

    def outer(at):
        return np.mean((xq @ (at - step * gradient(xs, ys, at)) - yq) ** 2)

    adapted = theta - step * gradient(xs, ys, theta)
    closed = (np.eye(3) - step * 2 / len(xs) * xs.T @ xs) @ gradient(xq, yq, adapted)
    # The outer loss is quadratic, so central differences have rounding error alone: about 1e-16 / 1e-4 of it.
    differences = [(outer(theta + d) - outer(theta - d)) / 2e-4 for d in 1e-4 * np.eye(3)[:, :, None]]
    np.testing.assert_allclose(np.ravel(differences), closed[:, 0], rtol=0, atol=1e-10 * outer(theta))


def test_the_mean_of_the_weights_is_what_was_asked(rng):
    planes = LinearRegressions(features=5, mean=2.0, weight=0.5).draw(rng, 1000)
    # 5000 draws: five standard errors are 5 * 0.5 / sqrt(5000).
    assert abs(planes.weight.mean() - 2) < 0.036


def test_an_empty_task_is_refused():
    with pytest.raises(ValueError, match="shots=0"):
        LinearRegressions(shots=0)
