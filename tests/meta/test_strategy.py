"""The strategy network: mixtures that are mixtures, an exact gradient, and the rules that they are named for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tinymeta.meta.tuning.strategy import RULES, StrategyNet, evolution, fixed, learn, only_largest


def each(theta: Any, batch: Any) -> Any:
    return tm.mean(tm.square(batch[0] @ theta["w"] - batch[1]), -1)


def problem(seed: int) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    theta = {"w": tm.tensor(rng.normal(size=(3, 1)))}
    support = rng.normal(size=(4, 3)), rng.normal(size=(4, 1))
    return theta, support, {"w": rng.normal(size=(2, 3, 1))}


def double(seed: int) -> Any:
    phi = StrategyNet(np.random.default_rng(seed), width=4)
    return tm.tree.map(lambda p: p.astype(np.float64), phi)


def test_the_gradient_of_a_choice_that_stands_for_all_steps_is_exact() -> None:
    theta, support, trials = problem(0)

    def left(phi: Any) -> Any:
        end, _ = learn(phi, each, theta, support, trials, steps=3, every=3)
        return tm.log(tm.mean(each(end, support)))

    tm.testing.check_grad(left, double(1), order=1)


def test_a_soft_choice_is_a_mixture_and_a_hard_one_is_a_part_of_it() -> None:
    theta, support, trials = problem(2)
    soft, hard = (
        learn(double(3), each, theta, support, trials, steps=2, every=1, hard=hard)[1].numpy() for hard in (False, True)
    )
    assert soft.shape == hard.shape == (2, 1, len(RULES))
    np.testing.assert_allclose(soft.sum(-1), 1, rtol=1e-12)
    assert (soft > 0).all() and ((hard > 0).sum(-1) == 1).all()
    np.testing.assert_array_equal(hard[0], np.where(hard[0] > 0, soft[0], 0))  # later ones see another θ


def test_a_hard_choice_is_the_term_that_moves_the_layer_most() -> None:
    weights, rates = tm.tensor(np.full(6, 1 / 6)), tm.tensor(np.zeros(6))
    moves = np.ones((6, 4))
    moves[3] = -2.0
    np.testing.assert_array_equal(only_largest(weights, rates, tm.tensor(moves)).numpy(), np.eye(6)[3] / 6)
    smaller = tm.tensor(np.log([1, 1, 3.0, 1, 1, 1]))
    np.testing.assert_array_equal(only_largest(weights, smaller, tm.tensor(moves)).numpy(), np.eye(6)[2] / 6)


@pytest.mark.parametrize(
    ("rule", "optimizer"),
    [
        ("SGD", tm.optim.SGD(0.05)),
        ("momentum", tm.optim.SGD(0.05, momentum=0.9)),
        ("Adam", tm.optim.Adam(0.05, b1=0.9, b2=0.99)),
    ],
)
def test_a_fixed_choice_is_the_optimizer_of_its_name(rule: str, optimizer: Any) -> None:
    theta, support, trials = problem(4)
    weights = tm.tensor(np.eye(len(RULES))[RULES.index(rule)])
    choose = fixed(weights, tm.tensor(np.log(0.05)))
    end, _ = learn(choose, each, theta, support, trials, steps=4, every=2)
    w, state = theta, optimizer.init(theta)
    for _ in range(4):
        w, state = optimizer.update(tm.grad(lambda t: tm.mean(each(t, support)))(w), state, w)
    np.testing.assert_allclose(end["w"].numpy(), w["w"].numpy(), rtol=1e-7)  # ε is 10⁻⁸ beside √v̂ in both


def test_trials_along_every_axis_find_the_gradient_of_a_quadratic() -> None:
    theta, support, _ = problem(5)
    loss = lambda leaves: tm.mean(each({"w": leaves[0]}, support))
    axes = tm.tensor(np.sqrt(3) * np.eye(3)[:, :, None])  # Σ e eᵀ / 3 is the identity
    found = evolution(loss, [theta["w"]], [axes])[0].numpy()
    exact = tm.grad(loss)([theta["w"]])[0].numpy()
    np.testing.assert_allclose(found, exact, rtol=1e-10)  # differences of a quadratic are exact
