"""Crossing domains: MLDG's gradient is that of its formula, and no family of the test is seen before it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tests.recipes.interrupted import Counted, two_runs
from tinymeta.cli import main
from tinymeta.recipes import domains
from tinymeta.recipes.run import Run

ALPHA, BETA, HELD_OUT = 0.3, 2.0, 2


def batch(rng: np.random.Generator, width: int = 3) -> Any:
    """Five domains of six points, in float64."""
    return rng.normal(size=(5, 6, width)), rng.normal(size=(5, 6, 1))


def model(rng: np.random.Generator, *widths: int) -> Any:
    return tm.nn.MLP([*widths], rng=rng, activation=tm.tanh, dtype=np.float64)


def parts(data: Any) -> tuple[Any, Any]:
    return tuple(a[:-HELD_OUT] for a in data), tuple(a[-HELD_OUT:] for a in data)


def flat(tree: Any) -> Any:
    return np.concatenate([np.asarray(leaf).ravel() for leaf in tm.tree.leaves(tree)])


def rows(models: Any) -> Any:
    """The numbers of stacked models, a row each."""
    return np.concatenate([leaf.numpy().reshape(len(leaf), -1) for leaf in tm.tree.leaves(models)], axis=1)


def test_the_gradient_is_that_of_central_differences() -> None:
    rng = np.random.default_rng(0)
    theta, data = model(rng, 3, 5, 1), batch(rng)
    objective = tm.meta.mldg(tm.meta.regression, held_out=HELD_OUT, alpha=ALPHA, beta=BETA)
    direction = tm.tree.map(lambda p: rng.normal(size=p.shape), theta)
    step = 1e-5
    ahead, behind = (tm.tree.map(lambda p, v, s=s: p + s * v, theta, direction) for s in (step, -step))
    slope = (float(objective(ahead, data)) - float(objective(behind, data))) / (2 * step)
    exact = float(flat(tm.grad(objective)(theta, data)) @ flat(direction))
    assert slope == pytest.approx(exact, rel=1e-6)


def test_for_a_linear_model_the_expansion_ends_with_its_second_term() -> None:
    """F and G are quadratic, so F + βG(θ − α∇F) = F + βG − αβ ∇F·∇G + ½ α²β ∇F·H_G ∇F, with no rest."""
    rng = np.random.default_rng(1)
    theta, data = model(rng, 3, 1), batch(rng)
    seen, unseen = parts(data)
    f, g = tm.grad(tm.meta.regression)(theta, seen), tm.grad(tm.meta.regression)(theta, unseen)
    curved = tm.hvp(lambda p: tm.meta.regression(p, unseen), theta, f)
    expected = (
        float(tm.meta.regression(theta, seen))
        + BETA * float(tm.meta.regression(theta, unseen))
        - ALPHA * BETA * (flat(f) @ flat(g))
        + 0.5 * ALPHA**2 * BETA * (flat(f) @ flat(curved))
    )
    objective = tm.meta.mldg(tm.meta.regression, held_out=HELD_OUT, alpha=ALPHA, beta=BETA)
    assert float(objective(theta, data)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("held_out", [0, 5])
def test_a_part_without_domains_is_an_error(held_out: int) -> None:
    rng = np.random.default_rng(2)
    objective = tm.meta.mldg(tm.meta.regression, held_out=held_out, alpha=ALPHA)
    with pytest.raises(ValueError, match=f"holds out {held_out} of 5 domains"):
        objective(model(rng, 3, 1), batch(rng))


def test_no_family_is_in_two_parts() -> None:
    parts = (domains.TRAIN, domains.VALIDATION, domains.TEST)
    assert len({name for part in parts for name in part}) == sum(map(len, parts))
    y = np.linspace(-1.5, 1.5, 50)
    assert all(np.all(np.diff(response(y)) > 0) for response in domains.TRAIN.values())
    assert not any(np.all(np.diff(response(y)) > 0) for part in parts[1:] for response in part.values())


def test_a_batch_holds_every_domain_once_in_an_order_of_each_repetition() -> None:
    x = np.broadcast_to(np.arange(8.0)[:, None, None], (4, 8, 10, 1))
    drawn, _ = domains.Batches((x, x), 3).sample(np.random.default_rng(0), 4)
    assert drawn.shape == (4, 8, 3, 1)
    orders = drawn[:, :, 0, 0]
    assert np.array_equal(np.sort(orders, axis=1), np.tile(np.arange(8.0), (4, 1)))
    assert len(np.unique(orders, axis=0)) == 4  # by chance two agree once in 40,320 / 6 draws; the seed is fixed


def test_repetitions_trained_together_are_those_trained_alone(tmp_path: Path) -> None:
    """Adam takes every number by itself, so no repetition touches another."""
    config = domains.Config(iterations=3, tasks=3)
    run = Run(tmp_path, "domains", quiet=True)
    world = domains.World(config, 0)
    data = world.domains(np.random.default_rng(0), 8, 20, domains.TRAIN.values())
    setting = domains.Setting(0.1, 1.0, ALPHA, BETA)

    def together(data: Any) -> Any:
        stage = domains.training(config, run, data, setting)
        return rows(stage.fit(stage.start))

    whole = together(data)
    swapped = (data[0].copy(), data[1].copy())
    swapped[1][2] += 1.0  # another task for the last one only
    other = together(swapped)
    assert whole.shape == (3, 2 * domains.DEGREE + 2)  # weights and a bias
    np.testing.assert_array_equal(whole[:2], other[:2])
    assert not np.array_equal(whole[2], other[2])


def test_a_stopped_tuning_repeats_only_the_training_in_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domains, "GRIDS", {name: grid[:2] for name, grid in domains.GRIDS.items()})
    whole, stopped = two_runs(tmp_path, "domains", monkeypatch)
    training = Counted(domains.training)
    monkeypatch.setattr(domains, "training", training)
    config = domains.Config(iterations=2, tasks=2, test_domains=2)
    expected = domains.recipe.run(config, whole)
    assert training.calls == 6 + 3  # settings, and what is trained by those that were chosen
    training.again(stop=3)
    with pytest.raises(KeyboardInterrupt):
        domains.recipe.run(config, stopped)
    training.again()
    stopped.resume = True
    assert domains.recipe.run(config, stopped) == expected
    assert training.calls == 3 + 3


@pytest.mark.parametrize(("name", "hidden"), [("blind", True), ("pool", False)])
def test_the_pool_without_the_hint_is_tuned_as_the_others_are_and_never_sees_it(
    name: str, hidden: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len({len(grid) for grid in domains.GRIDS.values()}) == 1 and domains.GRIDS.keys() == domains.TITLES.keys()
    hints, errors = [], domains.errors
    monkeypatch.setattr(domains, "GRIDS", {name: domains.GRIDS[name][:2]})
    monkeypatch.setattr(domains, "errors", lambda models, data: hints.append(data[0][..., -1]) or errors(models, data))
    sample = domains.Batches.sample
    seen = lambda *how: hints.append(sample(*how)[0][..., -1]) or sample(*how)
    monkeypatch.setattr(domains.Batches, "sample", seen)
    config = domains.Config(iterations=2, tasks=2)
    assert domains.tuned(config, Run(tmp_path, "domains", quiet=True)).keys() == {name}
    assert len(hints) == 2 * (2 + 2) and any(hint.any() for hint in hints) != hidden


def test_a_run_can_be_measured_again(tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert main(["run", "domains", "--iterations", "2", "--set", "tasks=4", "--out", str(out), "--quiet"]) == 0
    assert main(["eval", str(out), "--quiet"]) == 0
    first, again = (json.loads((out / name).read_text(encoding="utf-8")) for name in ("result.json", "eval.json"))
    assert set(first["metrics"]) == set(again["metrics"])
    assert first["metrics"]["MLDG"]["falling"]["n"] == 4


def test_holding_out_all_domains_is_told_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "domains", "--set", "held_out=8", "--out", str(tmp_path / "run"), "--quiet"]) == 2
    assert "leaves none of 8 domains" in capsys.readouterr().err
