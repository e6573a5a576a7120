"""Hypergradients: the online rule is the paper's, the unrolled gradient is exact, and both step the right way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tests.meta.slopes import central_differences
from tests.recipes.interrupted import Counted, check_stop, two_runs
from tinymeta.recipes import hypergradient
from tinymeta.recipes.hypergradient import scheduled


def problem(seed: int = 0) -> Any:
    """Least squares in float64: a start, a training set and a validation set."""
    rng = np.random.default_rng(seed)
    draw = lambda: (rng.normal(size=(8, 3)), rng.normal(size=(8, 1)))
    return tm.meta.Problem({"w": tm.tensor(rng.normal(size=(3, 1)))}, draw(), draw())


def loss(params: Any, batch: Any) -> Any:
    x, y = batch
    return tm.nn.mse_loss(x @ params["w"], y)


def run(rule: Any, beta: float, steps: int) -> list[float]:
    """The step sizes in force during `steps` online-tuned steps, by the paper's additive rule."""
    optimizer = tm.meta.Hypergradient(rule, 0.02, beta, relative=False)
    params = problem().start
    state, seen = optimizer.init(params), []
    for _ in range(steps):
        params, state = optimizer.update(tm.grad(loss)(params, problem().support), state, params)
        seen.append(float(state.phi))
    return seen


def test_online_sgd_is_algorithm_4_of_baydin() -> None:
    w, alpha, before, seen = problem().start["w"].numpy(), 0.02, np.zeros((3, 1)), []
    x, y = problem().support
    for _ in range(6):
        g = 2 / len(x) * x.T @ (x @ w - y)
        alpha += 0.001 * float(np.sum(g * before))  # h = -g·g₋₁
        w, before = w - alpha * g, g
        seen.append(alpha)
    np.testing.assert_allclose(run(tm.optim.SGD, 0.001, 6), seen, rtol=1e-12)


def test_online_adam_is_algorithm_5_of_baydin() -> None:
    w, alpha, seen = problem().start["w"].numpy(), 0.02, []
    x, y = problem().support
    m, v, direction = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)
    for t in range(1, 7):
        g = 2 / len(x) * x.T @ (x @ w - y)
        alpha += 0.001 * float(np.sum(g * direction))
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        direction = m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        w = w - alpha * direction
        seen.append(alpha)
    np.testing.assert_allclose(run(tm.optim.Adam, 0.001, 6), seen, rtol=1e-12)


def test_a_relative_step_size_changes_by_no_more_than_beta_and_stays_positive() -> None:
    optimizer = tm.meta.Hypergradient(tm.optim.SGD, 3.0, 0.1)  # far too large: the loss grows
    params = problem().start
    state, seen = optimizer.init(params), [3.0]
    for _ in range(20):
        params, state = optimizer.update(tm.grad(loss)(params, problem().support), state, params)
        seen.append(float(state.phi))
    change = np.diff(np.log(seen))
    assert np.abs(change).max() <= 0.1 + 1e-9
    assert change[0] == 0  # nothing to learn from before the first step
    assert change[1:].max() < 0  # gradients of opposite signs: shrink


def test_each_hyperparameter_of_a_tree_follows_its_own_slope() -> None:
    rule = lambda phi: tm.optim.SGD({"a": phi["a"], "b": phi["b"]})
    optimizer = tm.meta.Hypergradient(rule, {"a": 0.1, "b": 0.1}, 0.01, relative=False)
    params = {"a": tm.tensor(np.array([1.0, 2.0])), "b": tm.tensor(np.array([3.0]))}
    state = optimizer.init(params)
    for _ in range(2):
        params, state = optimizer.update({"a": np.array([1.0, 1.0]), "b": np.array([2.0])}, state, params)
    assert float(state.phi["a"]) == pytest.approx(0.1 + 0.01 * 2, rel=1e-12)
    assert float(state.phi["b"]) == pytest.approx(0.1 + 0.01 * 4, rel=1e-12)


@pytest.mark.parametrize("name", ["lr", "drop", "decay"])
def test_the_unrolled_hypergradient_agrees_with_central_differences(name: str) -> None:
    phi = {"lr": np.array(np.log(0.05)), "drop": np.array(1.0), "decay": np.array(np.log(0.1))}
    objective = lambda phi: tm.meta.unrolled(loss, lambda phi: scheduled(7, phi), 7, phi, problem())
    found = float(tm.grad(objective)(phi)[name])
    assert found == pytest.approx(float(central_differences(objective, phi, 1e-4)[name]), rel=1e-6)
    assert abs(found) > 1e-4


def test_a_stopped_run_goes_on_with_the_training_that_was_not_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, few = ("SGD", "Adam"), {name: values[:1] for name, values in hypergradient.SETTINGS.items()}
    monkeypatch.setattr(hypergradient, "RULES", {name: hypergradient.RULES[name] for name in names})
    monkeypatch.setattr(hypergradient, "SETTINGS", few)
    trainings = Counted(hypergradient.trainings)
    monkeypatch.setattr(hypergradient, "trainings", trainings)
    brief = hypergradient.Config(iterations=20, seeds=2, batch=10, trainings=2)
    runs = two_runs(tmp_path, "hypergradient", monkeypatch)
    check_stop(hypergradient, brief, runs, trainings, 4, stop=3)  # two rules, a grid and online training for each
    assert trainings.calls == 1
