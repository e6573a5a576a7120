"""Learned losses: the meta-gradient is exact, and training begins at the task's own loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tests.meta.slopes import central_differences
from tinymeta.recipes.learned_loss import Waves


def network(seed: int = 0) -> Any:
    """A learned loss in float64 whose last layer is not nearly 0."""
    rng = np.random.default_rng(seed)
    phi = tm.meta.LossNetwork(1, 1, rng=rng, width=6, dtype=np.float64)
    return tm.tree.map(lambda p: tm.tensor(p.numpy() + 0.2 * rng.normal(size=p.shape)), phi)


def problem(seed: int = 1) -> Any:
    rng = np.random.default_rng(seed)
    draw = lambda: (rng.normal(size=(6, 1)), rng.normal(size=(6, 1)))
    start = tm.nn.MLP([1, 5, 1], rng=rng, activation=tm.tanh, dtype=np.float64)
    return tm.meta.Problem(start, draw(), draw())


def test_the_meta_gradient_agrees_with_central_differences() -> None:
    phi, rule = network(), tm.optim.SGD(0.1)
    objective = lambda phi: tm.meta.shaped_loss(tm.meta.regression, phi, problem(), rule=rule, steps=3)
    rng = np.random.default_rng(2)
    direction = tm.tree.map(lambda p: rng.normal(size=p.shape), phi)
    along = lambda t: objective(tm.tree.add_scaled(phi, direction, t))
    found = float(tm.tree.dot(tm.grad(objective)(phi), direction))
    assert found == pytest.approx(float(central_differences(along, np.zeros(()), 1e-5)), rel=1e-6)
    assert abs(found) > 1e-3


def test_with_a_silent_network_it_is_the_squared_error_times_its_weight() -> None:
    phi = tm.tree.map(lambda p: 0.0 * p, network())
    phi.weight = tm.tensor(np.log(3.0))
    model, batch = problem().start, problem().support
    # softplus(0) = log 2 in every hidden unit meets zeros in the last layer.
    assert float(phi(model, batch)) == pytest.approx(3 * float(tm.meta.regression(model, batch)), rel=1e-12)


def test_a_step_leads_where_the_learned_slope_says() -> None:
    phi, task = network(), problem()
    (before, after) = tm.meta.adapt(phi, task.start, task.support, rule=tm.optim.SGD(0.1), steps=1, path=True)
    slope = tm.grad(lambda model: phi(model, task.support))(before)
    expected = tm.tree.map(lambda p, g: p - 0.1 * g, before, slope)
    for found, wanted in zip(tm.tree.leaves(after), tm.tree.leaves(expected)):
        np.testing.assert_allclose(found.numpy(), wanted.numpy(), rtol=1e-12)
    own = tm.grad(lambda model: tm.meta.regression(model, task.support))(before)
    assert any(np.abs(a.numpy() - b.numpy()).max() > 1e-3 for a, b in zip(tm.tree.leaves(slope), tm.tree.leaves(own)))


def test_every_task_has_a_network_and_points_of_its_own() -> None:
    tasks = Waves(5, 7, (1, 8, 1)).sample(np.random.default_rng(0), 3)
    weight = tasks.start.layers[0].weight
    assert weight.shape == (3, 1, 8) and tasks.support[0].shape == (3, 5, 1) and tasks.query[1].shape == (3, 7, 1)
    assert np.abs(weight[0] - weight[1]).max() > 0.01
    again = Waves(5, 7, (1, 8, 1)).sample(np.random.default_rng(0), 3)
    np.testing.assert_array_equal(weight, again.start.layers[0].weight)
