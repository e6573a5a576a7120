"""The strategy network: mixtures that are mixtures, an exact gradient, and the rules that they are named for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tinymeta.meta.tuning.strategy import (
    RATES,
    REACH,
    RULES,
    Mixture,
    StrategyNet,
    bounded,
    evolution,
    fixed,
    known,
    learn,
    only_largest,
)


def each(theta: Any, batch: Any) -> Any:
    return tm.mean(tm.square(batch[0] @ theta["w"] - batch[1]), -1)


def problem(seed: int) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    theta = {"w": tm.tensor(rng.normal(size=(3, 1)))}
    support = rng.normal(size=(4, 3)), rng.normal(size=(4, 1))
    return theta, support, {"w": rng.normal(size=(2, 3, 1))}


def network(seed: int, loud: float = 1.0) -> Any:
    """In float64, knowing tasks like `problem`, and with something to say."""
    rng = np.random.default_rng(seed)
    supports = [tm.tree.map(lambda *a: np.stack(a), *[problem(k)[1] for k in range(20)])]
    phi = StrategyNet(rng, Mixture(), known(supports), width=4)
    phi.head = tm.tensor(loud * rng.normal(size=phi.head.shape))
    return tm.tree.map(lambda p: p.astype(np.float64), phi)


def test_the_gradient_of_a_choice_that_stands_for_all_steps_is_exact() -> None:
    theta, support, trials = problem(0)
    phi = network(1)

    def left(own: Any) -> Any:
        phi.example, phi.hidden, phi.head = own
        end, _ = learn(phi, each, theta, support, trials, steps=3, every=3)
        return tm.log(tm.mean(each(end, support)))

    tm.testing.check_grad(left, (phi.example, phi.hidden, phi.head), order=1)


@pytest.mark.parametrize("loud", [1e3, 1e30])
@pytest.mark.parametrize("hard", [False, True])
def test_whatever_a_network_says_the_weights_go_no_further_than_the_largest_step_size_allows(
    loud: float, hard: bool
) -> None:
    rng = np.random.default_rng(8)
    theta, support = {"w": tm.tensor(1e4 * rng.normal(size=(3, 1)))}, (1e4 * rng.normal(size=(4, 3)), np.ones((4, 1)))
    trials = {"w": rng.normal(size=(2, 3, 1))}
    narrow = lambda tree: tm.tree.map(lambda a: tm.tensor(a).astype(np.float32), tree)

    def left(phi: Any) -> Any:
        end, _ = learn(phi, each, *(narrow(x) for x in (theta, support, trials)), 10, 2, hard)
        return tm.mean(each(end, narrow(support))), end

    for phi in (network(0, loud), network(1, loud)):
        phi = narrow(phi)
        (loss, end), grads = tm.value_and_grad(left, has_aux=True)(phi)
        moved = end["w"].numpy().astype(np.float64) - theta["w"].numpy()
        # Each of ten steps is rounded at weights of 1e4.
        rounding = 10 * np.finfo(np.float32).eps * np.abs(theta["w"].numpy()).max()
        assert 0 < np.sqrt(np.mean(moved**2)) <= 10 * max(RATES) * np.exp(REACH) * (1 + 1e-5) + rounding
        assert np.isfinite(float(loss)) and all(np.isfinite(g.numpy()).all() for g in tm.tree.leaves(grads))


def test_a_network_trusts_itself_on_the_data_that_it_knows_and_elsewhere_leaves_the_choice_to_the_mixture() -> None:
    theta, (x, y), trials = problem(30)
    phi, choices = network(6), {}
    phi.mixture.said = tm.tensor(np.random.default_rng(7).normal(size=2 * len(RULES)))
    for name, support in {"known": (x, y), "foreign": (100 * x, y)}.items():
        choices[name] = [learn(c, each, theta, support, trials, 1, 1)[1].numpy() for c in (phi, phi.mixture)]
    # A distance of tens of standard deviations, in units of 2, to the eighth power.
    np.testing.assert_allclose(*choices["foreign"], rtol=1e-6)
    assert np.abs(choices["known"][0] - choices["known"][1]).max() > 1e-3
    described = lambda x: tm.tensor(np.concatenate([np.zeros((4, 1)), x], 1))
    own = np.stack([x.mean(1), np.sqrt((x**2).mean(1)), y[:, 0], np.abs(y[:, 0])], 1)
    assert float(phi.trust(described(own))) > 0.8 and float(phi.trust(described(100 * own))) < 1e-6


def test_a_soft_choice_is_a_mixture_and_a_hard_one_is_a_part_of_it() -> None:
    theta, support, trials = problem(2)
    soft, hard = (
        learn(network(3), each, theta, support, trials, steps=2, every=1, hard=hard)[1].numpy()
        for hard in (False, True)
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


def test_a_move_is_shortened_to_a_root_mean_square_of_1_and_a_short_one_is_left_alone() -> None:
    moves = np.random.default_rng(9).normal(size=(6, 2, 3)) * np.array([0.0, 0.01, 0.3, 1, 30, 1e12])[:, None, None]
    size = np.sqrt(np.mean(moves**2, (1, 2), keepdims=True))
    np.testing.assert_allclose(bounded(tm.tensor(moves)).numpy(), moves / np.maximum(size, 1), rtol=1e-14)


@pytest.mark.parametrize(
    ("rule", "optimizer"),
    [
        ("SGD", tm.optim.SGD(0.05)),
        ("momentum", tm.optim.SGD(0.05, momentum=0.9)),
        ("Adam", tm.optim.Adam(0.05, b1=0.9, b2=0.99)),
    ],
)
def test_a_fixed_choice_is_the_optimizer_of_its_name(rule: str, optimizer: Any) -> None:
    theta, (x, y), trials = problem(4)
    theta, support = {"w": 0.1 * theta["w"]}, (x, 0.1 * y)  # whose gradients, and their sums, are shorter than 1
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
