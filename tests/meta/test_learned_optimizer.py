"""Learned update rules: one network for all coordinates, windows at any age, exact meta-gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tests.meta.slopes import central_differences
from tinymeta.meta.tuning import learned_optimizer


def rule(kind: Any = tm.meta.MLPRule, seed: int = 0) -> Any:
    """A rule in float64 that says something: its last layer is not nearly 0."""
    rng = np.random.default_rng(seed)
    return tm.tree.map(lambda p: tm.tensor(p.numpy().astype(np.float64) + 0.1 * rng.normal(size=p.shape)), kind(rng))


def bowl(params: Any, data: Any) -> Any:
    return tm.sum(data * tm.square(params["w"])) + 0.1


def plane(params: Any, data: Any) -> Any:
    """A loss whose gradient depends on nothing: taking gradients for constants is exact here."""
    return 10.0 + tm.sum(data * params["w"])


W, DATA = {"w": np.array([1.0, -2.0, 3.0, 0.5])}, np.array([1.0, 3.0, 0.1, 2.0])


@pytest.mark.parametrize("kind", [tm.meta.MLPRule, tm.meta.LSTMRule])
def test_the_meta_gradient_agrees_with_central_differences(kind: Any) -> None:
    phi = rule(kind)
    objective = lambda phi: tm.meta.window_loss(phi, plane, W, DATA, warm=0, steps=4)
    rng = np.random.default_rng(1)
    direction = tm.tree.map(lambda p: rng.normal(size=p.shape), phi)
    along = lambda t: objective(tm.tree.add_scaled(phi, direction, t))
    found = float(tm.tree.dot(tm.grad(objective)(phi), direction))
    assert found == pytest.approx(float(central_differences(along, np.zeros(()), 1e-6)), rel=1e-6)
    assert abs(found) > 1e-4


@pytest.mark.parametrize("kind", [tm.meta.MLPRule, tm.meta.LSTMRule])
def test_coordinates_do_not_know_their_place(kind: Any) -> None:
    phi, order = rule(kind), np.array([2, 0, 3, 1])
    params = tm.tree.map(tm.tensor, W)
    straight, *_ = tm.meta.descend(phi, bowl, params, phi.init(params), DATA, 3)
    shuffled = {"w": tm.tensor(W["w"][order])}
    other, *_ = tm.meta.descend(phi, bowl, shuffled, phi.init(shuffled), DATA[order], 3)
    np.testing.assert_allclose(other["w"].numpy(), straight["w"].numpy()[order], rtol=1e-12)


def test_parameters_may_have_any_shapes() -> None:
    phi = rule()
    flat = {"w": tm.tensor(np.arange(1.0, 7.0))}
    tree = {
        "a": tm.tensor(np.arange(1.0, 5.0).reshape(2, 2)),
        "b": [tm.tensor(np.array(5.0)), tm.tensor(np.array([6.0]))],
    }
    after, _ = phi.update(flat, phi.init(flat), flat)
    leaves = tm.tree.leaves(phi.update(tree, phi.init(tree), tree)[0])
    assert [leaf.shape for leaf in leaves] == [(2, 2), (), (1,)]
    np.testing.assert_allclose(
        np.concatenate([leaf.numpy().ravel() for leaf in leaves]), after["w"].numpy(), rtol=1e-12
    )


def test_a_warm_window_judges_the_steps_after_the_warm_ones() -> None:
    phi, params = rule(tm.meta.LSTMRule), tm.tree.map(tm.tensor, W)
    *_, losses = tm.meta.descend(phi, bowl, params, phi.init(params), DATA, 7)
    found = float(tm.meta.window_loss(phi, bowl, params, DATA, warm=4, steps=3))
    assert found == pytest.approx(float(np.log(losses.numpy()[4:] + learned_optimizer.FLOOR).mean()), rel=1e-12)


def test_a_network_that_says_0_is_a_rule_that_steps_by_the_scale() -> None:
    silent = tm.tree.map(
        lambda p: tm.tensor(0 * p.numpy().astype(np.float64)), tm.meta.MLPRule(np.random.default_rng(0))
    )
    params = tm.tree.map(tm.tensor, W)
    after, _ = silent.update({"w": DATA * np.array([1, -1, 1, -1])}, silent.init(params), params)
    expected = learned_optimizer.SCALE * np.array([1, -1, 1, -1])
    np.testing.assert_allclose(W["w"] - after["w"].numpy(), expected, rtol=1e-9)


def test_a_lost_problem_teaches_nothing() -> None:
    phi = rule()
    grads = tm.grad(lambda phi: tm.meta.window_loss(phi, lambda p, d: 1e9 * bowl(p, d), W, DATA, warm=0, steps=2))(phi)
    assert all(not np.any(g.numpy()) for g in tm.tree.leaves(grads))


def test_log_and_sign_is_continuous_and_within_1() -> None:
    g = np.array([0.0, np.exp(-11.0), np.exp(-10.0), -1.0, np.e])
    size, sign = (part.numpy() for part in learned_optimizer.log_and_sign(tm.tensor(g)))
    np.testing.assert_allclose(size, [-1, -1, -1, 0, 0.1], atol=1e-12)
    np.testing.assert_allclose(sign, [0, np.exp(-1), 1, -1, 1], atol=1e-12)


def test_rescaling_moves_no_loss() -> None:
    c = {"w": np.array([0.1, 1.0, 5.0, 2.0])}
    inside = {"w": tm.tensor(W["w"] / c["w"])}
    expected = float(bowl(tm.tree.map(tm.tensor, W), DATA))
    assert float(tm.meta.rescaled(bowl)(inside, (DATA, c))) == pytest.approx(expected, rel=1e-12)
