"""A rule's state that goes from task to task."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tests.meta.learners import Blobs, flat, network
from tinymeta.meta import classification

ADAM = tm.optim.Adam(0.02, b1=0.0)
RULE = tm.meta.Carrying(ADAM)
REPTILE = tm.meta.MAML(rule=RULE, steps=2, differentiate="reptile", network=lambda rng: RULE.carried(network(rng)))


class OneTask:
    """The same task again and again."""

    def __init__(self) -> None:
        self.episodes = Blobs().sample(np.random.default_rng(0), 1)

    def sample(self, rng: np.random.Generator, tasks: int) -> tm.tasks.Episode:
        return self.episodes


@pytest.mark.parametrize("compiled", [False, True])
def test_reptile_all_the_way_on_one_task_is_adam_going_on(compiled: bool) -> None:
    """With ε = 1 φ becomes what the task made of it, weights and averages: iterations of 2 steps are a run of steps."""
    phi, tasks = REPTILE.init(np.random.default_rng(1)), OneTask()
    fitted = tm.meta.fit(
        REPTILE, phi, tasks, optimizer=tm.optim.SGD(1.0), iterations=3, meta_batch=1, compiled=compiled
    )
    support = next(tm.tasks.unstack(tasks.episodes)).support
    how: dict[str, Any] = {"rule": ADAM, "steps": 6, "differentiate": "reptile"}
    straight = tm.meta.adapt(classification, phi.model, support, **how)
    np.testing.assert_allclose(flat(fitted.model), flat(straight), rtol=1e-10)  # φ − (φ − φ̃) rounds
    assert float(fitted.state.taken) == pytest.approx(6.0)
    restarted = phi.model
    for _ in range(3):
        restarted = tm.meta.adapt(classification, restarted, support, **{**how, "steps": 2})
    assert np.abs(flat(restarted) - flat(straight)).max() > 1e-3  # what a state that is not carried would do


def test_a_batch_moves_the_averages_to_their_mean_over_tasks() -> None:
    phi, episodes = REPTILE.init(np.random.default_rng(1)), Blobs().sample(np.random.default_rng(2), 3)
    moved = tm.tree.map(lambda p, g: p - g, phi, tm.grad(REPTILE)(phi, episodes))
    each = [REPTILE.learn(phi, task.support) for task in tm.tasks.unstack(episodes)]
    np.testing.assert_allclose(flat(moved), np.mean([flat(one) for one in each], axis=0), rtol=1e-10, atol=1e-14)
    assert min(float(np.min(v.numpy())) for v in tm.tree.leaves(moved.state.square)) >= 0


def test_a_carried_model_is_called_as_the_model_it_carries() -> None:
    phi, x = REPTILE.init(np.random.default_rng(1)), np.ones((4, 2))
    np.testing.assert_array_equal(phi(x).numpy(), phi.model(x).numpy())
