"""Synthetic examples: the gradient back through training is exact, and following it makes training better."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tests.meta.slopes import central_differences

LABELS = np.arange(3)


def loss(model: Any, batch: Any) -> tm.Tensor:
    return tm.nn.cross_entropy(model(batch[0]), batch[1])


def network(rng: np.random.Generator) -> tm.nn.MLP:
    return tm.nn.MLP([4, 6, 3], rng=rng, activation=tm.tanh, dtype=np.float64)


@pytest.fixture
def trials() -> tm.meta.Trials:
    """Three classes in four dimensions, in float64."""
    rng = np.random.default_rng(0)
    labels = np.tile(LABELS, 20)
    return tm.meta.Trials(network, rng.standard_normal((60, 4)) + 2 * np.eye(3, 4)[labels], labels, batch=30)


def phi(steps: int = 3) -> tm.meta.Synthetic:
    rng = np.random.default_rng(1)
    return tm.meta.Synthetic(tm.tensor(rng.standard_normal((3, 4))), tm.tensor(np.log(rng.uniform(0.1, 0.5, steps))))


def test_the_gradient_in_images_and_step_sizes_is_exact(trials: tm.meta.Trials) -> None:
    objective, batch, at = tm.meta.distillation(loss, LABELS), trials.sample(np.random.default_rng(2), 2), phi()
    found = tm.grad(objective)(at, batch)
    for gradient, slopes in zip(found, central_differences(lambda at: objective(at, batch), at), strict=True):
        np.testing.assert_allclose(gradient.numpy(), slopes, rtol=0, atol=1e-8)
        assert np.abs(slopes).max() > 1e-4


def test_training_takes_every_step_with_its_own_size(trials: tm.meta.Trials) -> None:
    at, theta = phi(steps=2), network(np.random.default_rng(3))
    found = tm.meta.distilled(loss, at, LABELS, theta)
    for rate in np.exp(at.log_rates.numpy()):
        grads = tm.grad(loss)(theta, (at.examples, LABELS))
        theta = tm.tree.map(lambda p, g, rate=rate: p - rate * g, theta, grads)
    for a, b in zip(tm.tree.leaves(found), tm.tree.leaves(theta)):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12)


def test_distilled_examples_train_networks_that_they_were_not_made_for(trials: tm.meta.Trials) -> None:
    first = phi()
    made = tm.meta.fit(
        tm.meta.distillation(loss, LABELS),
        first,
        trials,
        optimizer=tm.optim.Adam(0.05),
        iterations=150,
        meta_batch=4,
        compiled=True,
    )
    fresh = trials.sample(np.random.default_rng(99), 20)
    before, after = (float(tm.meta.distillation(loss, LABELS)(x, fresh)) for x in (first, made))
    assert after < 0.7 * before


def test_networks_and_batches_are_drawn_anew_for_every_trial(trials: tm.meta.Trials) -> None:
    trial = trials.sample(np.random.default_rng(0), 3)
    weights = tm.tree.leaves(trial.theta)[0]
    assert not np.allclose(weights[0], weights[1])
    assert not np.array_equal(trial.real[0][0], trial.real[0][1])
