"""A learner's objective on a batch is the mean over its tasks, one after the other: values and gradients."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tests.meta.learners import LEARNERS, Blobs, episodes, flat, objective, start
from tinymeta.meta import classification

# Both compute the same numbers, in another order of additions: 1e-13 relative to the largest.

accuracy = tm.meta.transductive(tm.nn.accuracy)


@pytest.mark.parametrize("name", LEARNERS)
def test_a_batch_is_the_mean_of_its_tasks(name: str) -> None:
    learner, batch = LEARNERS[name], episodes(tasks=3)
    phi, f = start(learner), objective(learner)

    def task_by_task(phi: Any) -> Any:
        alone = [tm.tree.map(lambda a, i=i: a[i : i + 1], batch) for i in range(3)]
        return sum(f(phi, one) for one in alone) / 3

    value, grads = tm.value_and_grad(lambda phi: f(phi, batch))(phi)
    expected, slopes = tm.value_and_grad(task_by_task)(phi)
    assert float(value) == pytest.approx(float(expected), rel=1e-13)
    np.testing.assert_allclose(flat(grads), flat(slopes), rtol=0, atol=1e-13 * np.abs(flat(slopes)).max())


@pytest.mark.parametrize("name", [n for n in LEARNERS if "maml++" not in n])
def test_a_batch_is_the_mean_of_tasks_computed_with_no_vmap_at_all(name: str) -> None:
    learner, batch = LEARNERS[name], episodes(tasks=2)
    phi = start(learner)
    one_by_one = lambda phi: sum(learner.task_loss(phi, task) for task in tm.tasks.unstack(batch)) / 2
    grads, slopes = tm.grad(learner)(phi, batch), tm.grad(one_by_one)(phi)
    np.testing.assert_allclose(flat(grads), flat(slopes), rtol=0, atol=1e-13 * np.abs(flat(slopes)).max())


@pytest.mark.parametrize("name", LEARNERS)
def test_every_learner_learns_in_fit(name: str) -> None:
    learner, family = LEARNERS[name], Blobs(shots=2, query=5)
    if name == "imaml":  # as far as users go, not to rounding
        learner = replace(learner, loss=classification, steps=5, differentiate=tm.meta.Implicit(2.0, 3))
    before = start(learner)
    after = tm.meta.fit(learner, before, family, optimizer=tm.optim.Adam(0.03), iterations=50, meta_batch=8)
    test = family.sample(np.random.default_rng(3), 50)
    errors = [1 - tm.meta.evaluate(learner, accuracy, phi, test)[:, -1].mean() for phi in (before, after)]
    assert errors[1] < min(errors[0], 0.5), f"the error went from {errors[0]:.2f} to {errors[1]:.2f}"


@pytest.mark.parametrize("name", LEARNERS)
def test_a_compiled_fit_equals_an_eager_one(name: str) -> None:
    learner = LEARNERS[name]
    if name == "imaml":
        learner = replace(learner, steps=3, differentiate=tm.meta.Implicit(2.0, 3))
    options: dict[str, Any] = {"optimizer": tm.optim.SGD(0.1, momentum=0.9), "iterations": 3, "meta_batch": 4}
    eager, compiled = (
        flat(tm.meta.fit(learner, start(learner), Blobs(), compiled=how, **options)) for how in (False, True)
    )
    np.testing.assert_allclose(compiled, eager, rtol=0, atol=1e-12 * np.abs(eager).max())


def test_tasks_may_have_their_examples_in_any_order() -> None:
    rng = np.random.default_rng(5)
    batch = episodes(tasks=2)
    orders = np.stack([rng.permutation(len(labels)) for labels in batch.support[1]])
    x, labels = batch.support
    support = np.take_along_axis(x, orders[..., None], 1), np.take_along_axis(labels, orders, 1)
    shuffled = tm.tasks.Episode(support, batch.query)
    for name in ("protonet", "matching", "relation", "in-context", "maml, 1 step"):
        learner = LEARNERS[name]
        phi = start(learner)
        assert float(learner(phi, batch)) == pytest.approx(float(learner(phi, shuffled)), rel=1e-12), name
