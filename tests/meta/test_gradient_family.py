"""What each gradient-based learner adds to MAML, seen in what moves and in what is learned."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tests.meta.learners import LEARNERS, episodes, flat, start
from tinymeta.meta.learners.mamlpp import step_weights
from tinymeta.meta.learners.metasgd import WeightsAndSteps


def support() -> Any:
    return next(tm.tasks.unstack(episodes(tasks=1))).support


def test_anil_moves_the_head_alone_and_learns_the_body() -> None:
    learner = LEARNERS["anil"]
    phi = start(learner)
    adapted = learner.learn(phi, support())
    moved = {p for p, a, b in zip(tm.tree.paths(phi), tm.tree.leaves(phi), tm.tree.leaves(adapted)) if (a != b).any()}
    assert moved == {"head.bias", "head.weight"}
    grads = tm.grad(learner)(phi, episodes())
    assert all(np.abs(g.numpy()).max() > 0 for g in tm.tree.leaves(grads))


def test_meta_sgd_starts_with_one_random_step_size_for_each_tensor() -> None:
    phi = tm.meta.MetaSGD(alpha=(0.005, 0.1), network=LEARNERS["maml, 1 step"].network).init(np.random.default_rng(0))
    values = [np.unique(a.numpy()) for a in tm.tree.leaves(phi.alpha)]
    assert all(len(v) == 1 and 0.005 <= v[0] <= 0.1 for v in values)
    assert len({float(v[0]) for v in values}) == len(values)


def test_meta_sgd_with_equal_step_sizes_is_maml() -> None:
    maml = LEARNERS["maml, 3 steps"]
    meta_sgd = tm.meta.MetaSGD(alpha=(0.1, 0.1), steps=3, network=maml.network)
    phi = start(meta_sgd)
    grads = tm.grad(meta_sgd)(phi, episodes())
    np.testing.assert_allclose(flat(grads.theta), flat(tm.grad(maml)(phi.theta, episodes())), atol=1e-14)


def test_cavia_leaves_the_network_alone() -> None:
    learner = LEARNERS["cavia"]
    phi = start(learner)
    adapted = learner.learn(phi, support())
    np.testing.assert_array_equal(flat(adapted.network), flat(phi))
    assert np.abs(adapted.context.numpy()).max() > 0
    np.testing.assert_array_equal(learner.path(phi, support(), 2)[0].context.numpy(), np.zeros(3))


def test_maml_plus_plus_has_a_step_size_for_each_tensor_and_step() -> None:
    learner = LEARNERS["maml++"]
    phi = start(learner)
    assert [a.shape for a in tm.tree.leaves(phi.alpha)] == [(3,)] * len(tm.tree.leaves(phi.theta))
    grads = tm.grad(lambda p: learner(p, episodes(), tm.tensor(0.0)))(phi)
    assert (np.abs(flat(grads.alpha)) > 0).all()  # every step of every layer is learned


def test_maml_plus_plus_with_the_last_step_alone_is_maml() -> None:
    maml = LEARNERS["maml, 3 steps"]
    learner = tm.meta.MAMLPlusPlus(steps=3, alpha=0.1, network=maml.network)
    phi = start(learner)
    value, grads = tm.value_and_grad(lambda p: learner(p, episodes(), tm.tensor(0.0)))(phi)
    expected, slopes = tm.value_and_grad(maml)(phi.theta, episodes())
    assert float(value) == pytest.approx(float(expected), rel=1e-14)
    np.testing.assert_allclose(flat(grads.theta), flat(slopes), atol=1e-14)


def test_maml_plus_plus_moves_small_step_sizes_by_the_same_share() -> None:
    shares = []
    for alpha in (0.1, 0.001):
        learner = tm.meta.MAMLPlusPlus(steps=3, alpha=alpha, network=LEARNERS["maml, 3 steps"].network)
        phi, adam = start(learner), tm.optim.Adam(0.01)
        grads = tm.grad(lambda p, learner=learner: learner(p, episodes(), tm.tensor(0.0)))(phi)
        moved = WeightsAndSteps(phi.theta, adam.update(grads, adam.init(phi), phi)[0].alpha)
        used = [flat(learner.path(p, support(), 1)[1]) - flat(p.theta) for p in (phi, moved)]
        shares.append(np.abs(used[1] / used[0] - 1))
    np.testing.assert_allclose(shares, 0.1, rtol=1e-3)  # Adam's first step: 0.01 of 0.1, up to its ε


def test_the_weights_of_the_steps_go_from_equal_to_the_last_alone() -> None:
    at = lambda i: step_weights(5, tm.tensor(float(i)), 100).numpy()
    np.testing.assert_allclose(at(0), [0.2] * 5, rtol=1e-15)
    np.testing.assert_allclose(at(50), [0.1] * 4 + [0.6], rtol=1e-15)
    np.testing.assert_allclose(at(99), [0.006] * 4 + [0.976], rtol=1e-12)  # 3 % of an even share at least
    np.testing.assert_array_equal(at(100), [0, 0, 0, 0, 1])
    for i in range(0, 110, 7):
        assert at(i).sum() == pytest.approx(1.0, rel=1e-15)


def test_joint_training_adapts_at_the_test_alone() -> None:
    learner = LEARNERS["joint"]
    phi, batch = start(learner), episodes()
    np.testing.assert_allclose(float(learner(phi, batch)), float(tm.meta.joint(learner.loss)(phi, batch)), rtol=1e-15)
    assert len(learner.models(phi, support())) == 3


def test_the_test_may_take_more_steps_than_training() -> None:
    learner = tm.meta.MAML(rule=tm.optim.SGD(0.1), steps=1, test_steps=4, network=LEARNERS["anil"].network)
    models = learner.models(start(learner), support())
    assert len(models) == 5
    np.testing.assert_array_equal(flat(models[1]), flat(learner.learn(start(learner), support())))
