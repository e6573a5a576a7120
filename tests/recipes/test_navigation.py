"""Policies that adapt: their distributions, the meta-gradient through the inner step, and trust-region steps."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tinymeta.cli import main
from tinymeta.meta.control.policy import Categorical, Normal, Steps, steps
from tinymeta.recipes import navigation
from tinymeta.recipes.run import Run

SEEN = (3, 5, 7)  # tasks, trajectories, horizon


def experience(rng: np.random.Generator, actions: Any) -> tm.tasks.Trajectories:
    """Trajectories of different lengths in float64, with the given actions."""
    alive = np.arange(SEEN[2]) < rng.integers(2, SEEN[2] + 1, SEEN[:2])[..., None]
    rewards = np.where(alive, rng.normal(size=SEEN), 0.0)
    return tm.tasks.Trajectories(rng.normal(size=(*SEEN, 2)), actions, rewards, alive)


def problem(kind: str) -> tuple[tm.meta.PolicySearch, Any, Any]:
    """A search, its meta-parameters and a batch, all in float64."""
    rng = np.random.default_rng(0)
    if kind == "gaussian":
        policy: Any = tm.meta.GaussianPolicy([2, 4, 2], rng=rng, dtype=np.float64)
        draw = lambda: rng.normal(size=(*SEEN, 2))
    else:
        policy = tm.meta.CategoricalPolicy([2, 4, 3], rng=rng, dtype=np.float64)
        draw = lambda: rng.integers(3, size=SEEN)
    learner = tm.meta.MAML(tm.meta.policy_gradient, rule=tm.optim.SGD(0.3))
    search = tm.meta.PolicySearch(tm.tasks.Navigation(), learner)
    before, after = (steps(experience(rng, draw()), 0.9) for _ in range(2))
    return search, policy, (before, after, search.opinions(policy, before, after))


def along(policy: Any, direction: Any, t: float) -> Any:
    return tm.tree.map(lambda p, d: p + t * d, policy, direction)


def random_direction(policy: Any, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    return tm.tree.map(lambda p: tm.tensor(rng.normal(size=p.shape)), policy)


def dot(a: Any, b: Any) -> float:
    return sum(float((x * y).sum()) for x, y in zip(tm.tree.leaves(a), tm.tree.leaves(b)))


@pytest.mark.parametrize("kind", ["gaussian", "categorical"])
def test_the_meta_gradient_of_the_surrogate_is_its_derivative(kind: str) -> None:
    search, policy, batch = problem(kind)
    policy = along(policy, random_direction(policy, 1), 0.1)  # away from where the ratio is 1
    direction, h = random_direction(policy, 2), 1e-5
    loss = lambda t: float(search.judge(along(policy, direction, t), batch)[0])
    (_, _), g = search.outer.slope(policy, batch)
    assert dot(g, direction) == pytest.approx((loss(h) - loss(-h)) / (2 * h), rel=1e-6)


@pytest.mark.parametrize("kind", ["gaussian", "categorical"])
def test_curvature_products_are_derivatives_of_the_gradient_of_the_kl(kind: str) -> None:
    search, policy, batch = problem(kind)
    v, w, h = random_direction(policy, 1), random_direction(policy, 2), 1e-5
    slope = lambda t: dot(tm.grad(lambda p: search.judge(p, batch)[1])(along(policy, v, t)), w)
    assert dot(search.outer.curvature(policy, batch, v), w) == pytest.approx((slope(h) - slope(-h)) / (2 * h), rel=1e-6)


@pytest.mark.parametrize("kind", ["gaussian", "categorical"])
def test_the_kl_is_0_and_least_at_the_policies_that_acted(kind: str) -> None:
    search, policy, batch = problem(kind)
    (_, kl), _ = search.outer.slope(policy, batch)
    assert abs(float(kl)) < 1e-14
    slope = tm.grad(lambda p: search.judge(p, batch)[1])(policy)
    assert max(float(abs(g).max()) for g in tm.tree.leaves(slope)) < 1e-14
    assert float(search.judge(along(policy, random_direction(policy, 1), 0.1), batch)[1]) > 1e-4


def test_a_trust_region_step_gains_within_its_radius() -> None:
    search, policy, batch = problem("gaussian")
    new, report = search.outer.update(policy, batch)
    loss, kl = search.judge(new, batch)
    assert report.gain > 0 and report.gain == pytest.approx(report.loss - float(loss), rel=1e-9)
    assert 0 < float(kl) <= search.radius
    assert report.kl == pytest.approx(float(kl), rel=1e-9)


def test_a_trust_region_step_on_a_quadratic_is_the_closed_form() -> None:
    """Least g·p with ½ pᵀA p ≤ radius is −√(2·radius / gᵀA⁻¹g) A⁻¹g."""
    a, g = np.array([[2.0, 0.5], [0.5, 1.0]]), np.array([1.0, -3.0])
    # The fourth power does not change the Hessian at 0, and leaves the whole step a hair inside the radius.
    objective = lambda p, _: ((p * g).sum(), 0.5 * (p * (a @ p)).sum() - 1e-6 * (p * p).sum() ** 2)
    found, _ = tm.meta.TRPO(objective, radius=0.02, damping=0.0).update(tm.tensor(np.zeros(2)), None)
    s = np.linalg.solve(a, g)
    np.testing.assert_allclose(found.numpy(), -math.sqrt(0.04 / (g @ s)) * s, rtol=1e-7)


def test_log_probabilities_add_up_to_1() -> None:
    logits = np.random.default_rng(0).normal(size=(4, 3))
    total = sum(np.exp(Categorical(logits).log_prob(np.full(4, k)).numpy()) for k in range(3))
    np.testing.assert_allclose(total, 1, rtol=1e-14)
    x = np.linspace(-9, 9, 2001)[:, None]  # ± 9 standard deviations: what is left out is below 1e-18
    density = np.exp(Normal(np.full((1,), 0.3), np.full((1,), 0.0)).log_prob(x).numpy())
    assert np.trapezoid(density, x[:, 0]) == pytest.approx(1, abs=1e-12)


def test_a_kl_is_the_mean_difference_of_log_probabilities() -> None:
    rng = np.random.default_rng(0)
    p, q = (Categorical(rng.normal(size=(1, 4))) for _ in range(2))
    logs = np.array([[d.log_prob(np.array([k])).numpy()[0] for k in range(4)] for d in (p, q)])
    np.testing.assert_allclose(p.kl(q).numpy()[0], (np.exp(logs[0]) * (logs[0] - logs[1])).sum(), rtol=1e-12)
    a, b = (Normal(*rng.normal(size=(2, 1))) for _ in range(2))
    x = np.linspace(-30, 30, 20001)[:, None]
    la, lb = (np.asarray(d.log_prob(x)) for d in (a, b))
    np.testing.assert_allclose(float(a.kl(b)), np.trapezoid(np.exp(la) * (la - lb), x[:, 0]), rtol=1e-9)


def test_draws_come_as_often_as_their_probabilities_say() -> None:
    rng, chance = np.random.default_rng(0), np.array([0.1, 0.6, 0.3])
    drawn = Categorical(np.broadcast_to(np.log(chance), (10000, 3))).draw(rng)
    # Five standard errors of a share among 10,000.
    np.testing.assert_allclose(np.bincount(drawn) / 10000, chance, atol=5 * 0.5 / 100)


def test_advantages_have_mean_0_and_deviation_1_over_the_steps_taken() -> None:
    rng = np.random.default_rng(0)
    seen = experience(rng, rng.normal(size=(*SEEN, 2)))
    batch: Steps = steps(seen, 0.9)
    np.testing.assert_allclose(batch.share.sum(1), 1, rtol=1e-12)
    np.testing.assert_array_equal(batch.share > 0, seen.alive.reshape(SEEN[0], -1))
    np.testing.assert_allclose((batch.share * batch.advantages).sum(1), 0, atol=1e-12)
    np.testing.assert_allclose((batch.share * batch.advantages**2).sum(1), 1, rtol=1e-6)


def test_training_resumes_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    learner = tm.meta.MAML(tm.meta.policy_gradient, rule=tm.optim.SGD(0.1))
    search = tm.meta.PolicySearch(tm.tasks.Navigation(horizon=5), learner, trajectories=3, thin=2)
    draw = lambda: tm.meta.GaussianPolicy([2, 4, 2], rng=np.random.default_rng(0))
    whole = search.fit(draw(), iterations=3, tasks=2)
    run = Run(tmp_path, "navigation", quiet=True)
    search.fit(draw(), iterations=1, tasks=2, run=run)
    run.resume = True
    resumed = search.fit(draw(), iterations=3, tasks=2, run=run)
    for a, b in zip(tm.tree.leaves(whole), tm.tree.leaves(resumed)):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_a_return_that_is_no_number_stops_the_training_and_keeps_the_policy_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    returns = iter([-3.0, math.nan])
    monkeypatch.setattr(
        tm.meta.PolicySearch, "step", lambda _, rng, phi, tasks: (phi + 1, {"return": next(returns), "gain": 0.0})
    )
    monkeypatch.setattr(tm.meta.PolicySearch, "blame", lambda *_: "")
    search = tm.meta.PolicySearch(tm.tasks.Navigation(), tm.meta.MAML(rule=tm.optim.SGD(0.1)))
    run = Run(tmp_path, "navigation", quiet=True)
    with pytest.raises(tm.UserError, match="nan in iteration 1: .* the checkpoint holds the state before it"):
        search.fit(tm.tensor(0.0), iterations=3, tasks=2, run=run)
    assert float(tm.meta.trained(run.checkpoint, tm.tensor(0.0))) == 1


def test_a_gradient_that_is_not_finite_stops_the_training_and_its_task_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or else no step would lower the loss, and the policy would stay as it is for ever."""
    judge, gather = tm.meta.PolicySearch.judge, tm.meta.PolicySearch.gather
    drawn = iter([0.0, 0.0, 1.0, 1.0])  # the batch of the third iteration is gathered again

    def rising(self: Any, phi: Any, batch: Any) -> Any:
        """The loss has an infinite slope in its second task."""
        *batch, wrong = batch
        loss, kl = judge(self, phi, batch)
        still = sum(tm.sum(p - tm.stop_gradient(p)) for p in tm.tree.leaves(phi))
        return loss + tm.sum(tm.sqrt(tm.where(wrong > 0, still, 1.0)) - 1.0 + wrong), kl

    def marked(self: Any, rng: Any, phi: Any, tasks: int) -> Any:
        whole, few, seen = gather(self, rng, phi, tasks)
        wrong = np.array([0.0, next(drawn)])
        return (*whole, wrong), (*few, wrong), seen

    monkeypatch.setattr(tm.meta.PolicySearch, "judge", rising)
    monkeypatch.setattr(tm.meta.PolicySearch, "gather", marked)
    learner = tm.meta.MAML(tm.meta.policy_gradient, rule=tm.optim.SGD(0.1))
    search = tm.meta.PolicySearch(tm.tasks.Navigation(horizon=5), learner, trajectories=3, thin=2)
    run, phi = Run(tmp_path, "navigation", quiet=True), tm.meta.GaussianPolicy([2, 4, 2], rng=np.random.default_rng(0))
    with pytest.raises(tm.UserError, match="gradient is not finite in iteration 2: task 1 of 2, .* sqrt: .* before it"):
        search.fit(phi, iterations=4, tasks=2, run=run)
    assert int(tm.load(run.checkpoint, np.int64(0), within="iteration")) == 2


def test_a_step_size_that_leads_nowhere_is_not_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    score = {0.03: -3.0, 0.1: -2.0, 0.3: math.nan, 1.0: -math.inf, 3.0: math.nan}
    rate = lambda phi: float(tm.tree.leaves(phi.alpha)[0].numpy().max())
    returns = lambda _, rng, phi, tasks: np.full(
        (tasks, 2), next(v for r, v in score.items() if np.isclose(r, rate(phi)))
    )
    monkeypatch.setattr(tm.meta.PolicySearch, "returns", returns)
    config = navigation.Config(widths=(4,))
    one_step = navigation.search(config, tm.meta.MetaSGD(tm.meta.policy_gradient))
    run = Run(tmp_path, "navigation", quiet=True)
    theta = navigation.start(run, navigation.pretrainer(config))
    assert navigation.tuned(config, run, one_step, {"walker": theta}) == {"walker": 0.1}


def test_meta_sgd_trains_and_is_evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(navigation, "RATES", (0.1,))
    monkeypatch.setattr(Run, "draw", lambda *_, **__: None)
    brief = ["--set", "iterations=1", "tasks=2", "meta_batch=2", "trajectories=2", "widths=4", "algorithm=meta-sgd"]
    assert main(["run", "navigation", *brief, "--out", str(tmp_path / "run"), "--quiet"]) == 0
    assert main(["eval", str(tmp_path / "run"), "--tasks", "3", "--quiet"]) == 0
    fresh = json.loads((tmp_path / "run" / "eval.json").read_text(encoding="utf-8"))["metrics"]
    assert fresh["Meta-SGD"]["after 1 step"]["n"] == 3
