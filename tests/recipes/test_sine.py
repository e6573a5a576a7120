"""Sinusoids: every algorithm trains and is evaluated, and published figures stand beside the same protocol only."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tinymeta.cli import main
from tinymeta.recipes import sine
from tinymeta.recipes.recipe import train
from tinymeta.recipes.run import Run

BRIEFLY = ["--iterations", "2", "--set", "tasks=4", "meta_batch=4"]


def ran(out: Path, *keys: str) -> dict[str, Any]:
    assert main(["run", "sine", *BRIEFLY, *keys, "--out", str(out), "--quiet"]) == 0
    result: dict[str, Any] = json.loads((out / "result.json").read_text(encoding="utf-8"))
    return result


@pytest.mark.parametrize("algorithm", sine.ALGORITHMS)
def test_an_algorithm_trains_and_is_evaluated_after_0_to_10_steps(algorithm: str, tmp_path: Path) -> None:
    metrics = ran(tmp_path / "run", f"algorithm={algorithm}")["metrics"]
    (row,) = metrics.values()
    reads = algorithm == "in-context"  # and takes no step
    assert list(row) == (["0 steps"] if reads else ["0 steps", "1 step", "5 steps", "10 steps"])
    assert row["0 steps"]["n"] == 4
    assert main(["eval", str(tmp_path / "run"), "--tasks", "5", "--quiet"]) == 0
    fresh = json.loads((tmp_path / "run" / "eval.json").read_text(encoding="utf-8"))["metrics"]
    assert next(iter(fresh.values()))["0 steps"]["n"] == 5


@pytest.mark.parametrize("algorithm", sine.ALGORITHMS)
def test_three_hundred_iterations_teach_something(algorithm: str, tmp_path: Path) -> None:
    config = sine.Config(iterations=300, algorithm=algorithm, meta_batch=10, tasks=100)
    run = Run(tmp_path, "sine", quiet=True)
    before, after = sine.stage(config, run).start, train(sine.stages, config, run)[""]
    steps = sine.settled(config).steps
    untrained, trained = (sine.errors(config, run, phi)[:, steps].mean() for phi in (before, after))
    assert trained < 0.9 * untrained


def test_an_in_context_learner_has_no_steps_to_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys = ["--set", "algorithm=in-context", "steps=3"]
    assert main(["run", "sine", *keys, "--out", str(tmp_path / "run"), "--quiet"]) == 2
    assert "takes no inner steps" in capsys.readouterr().err


def test_the_grid_of_meta_sgd_has_its_published_figures_beside_it(tmp_path: Path) -> None:
    result = ran(tmp_path / "run", "algorithm=meta-sgd", "family=meta-sgd", "shots=5", "test_shots=5,10,20")
    published = {name: row["1 step"]["mean"] for name, row in result["published"].items()}
    assert published == {"Meta-SGD, 5 points": 0.90, "Meta-SGD, 10 points": 0.63, "Meta-SGD, 20 points": 0.50}
    assert list(result["metrics"]) == list(published)


def test_a_figure_is_quoted_for_its_own_protocol_only() -> None:
    grid = sine.Config(algorithm="maml", family="meta-sgd", shots=5)
    assert sine.beside(grid, 20) is not None
    for other in ({"family": "maml"}, {"algorithm": "reptile"}, {"steps": 5}, {"shots": 7}):
        assert sine.beside(replace(grid, **other), 20) is None
