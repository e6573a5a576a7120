"""Every recipe in the table runs from the command line, briefly, and leaves a whole folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from tinymeta import recipes
from tinymeta.cli import main
from tinymeta.recipes.comparison import Comparison


def briefly(name: str) -> list[str]:
    """Options that make a run short, of those keys that the recipe has."""
    known = {entry.name for entry in fields(recipes.find(name).config)}
    small = {"iterations": 2, "tasks": 4, "meta_batch": 4, "length": 6, "seeds": 2}
    small |= {"steps": 2} if name == "strategy" else {}
    return ["--set", *[f"{key}={value}" for key, value in small.items() if key in known]]


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_a_short_run_writes_result_and_config(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TINYMETA_DATA", raising=False)
    assert main(["run", name, *briefly(name), "--out", str(tmp_path / "run"), "--quiet"]) == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text(encoding="utf-8"))
    assert result["recipe"] == name
    assert result["metrics"] and result["protocol"] and result["seconds"] > 0
    assert (tmp_path / "run" / "config.json").is_file()


def test_a_stop_while_rivals_are_tuned_loses_the_trial_in_hand_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TINYMETA_DATA", raising=False)
    once, done, stop = Comparison.once, [], -1

    def counted(self: Comparison, what: str, like: Any, job: Callable[..., Any], *args: Any) -> Any:
        def trial(*args: Any) -> Any:
            if len(done) == stop:
                raise KeyboardInterrupt
            done.append(what)
            return job(*args)

        return once(self, what, like, trial, *args)

    def means(folder: Path, *options: str) -> dict[tuple[str, str], float]:
        main(["run", "distill-data", *options, "--out", str(folder), "--quiet"])
        metrics = json.loads((folder / "result.json").read_text(encoding="utf-8"))["metrics"]
        return {(row, column): one["mean"] for row, line in metrics.items() for column, one in line.items()}

    monkeypatch.setattr(Comparison, "once", counted)
    expected, trials = means(tmp_path / "whole", *briefly("distill-data")), done[:]
    stop = len(trials) // 2
    done.clear()
    with pytest.raises(FileNotFoundError):
        means(tmp_path / "stopped", *briefly("distill-data"))
    stop = -1
    done.clear()
    # Sums of some thousand float32 numbers, which BLAS may cut in other places: 2^11 · 6e-8.
    assert means(tmp_path / "stopped", "--resume") == pytest.approx(expected, rel=1e-4)
    assert done == trials[len(trials) // 2 :]


def test_the_linear_recipe_matches_the_closed_form(tmp_path: Path) -> None:
    assert main(["run", "linear", "--iterations", "1", "--out", str(tmp_path / "run"), "--quiet"]) == 0
    metrics = json.loads((tmp_path / "run" / "result.json").read_text(encoding="utf-8"))["metrics"]
    rows = [row for name, row in metrics.items() if name.startswith("meta-gradient")]
    assert len(rows) == 5
    for row in rows:
        assert row["error of exact"] < 1e-12
        assert row["error of first-order"] < 1e-12
        assert row["|Hessian part|"] > 1e-3 * row["|first-order part|"]


def test_the_main_job_compares_three_methods(tmp_path: Path) -> None:
    assert main(["--iterations", "2", "--out", str(tmp_path / "run"), "--quiet"]) == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text(encoding="utf-8"))
    ahead = {"MAML − first-order MAML", "MAML − joint training"}
    assert set(result["metrics"]) == {"MAML", "first-order MAML", "joint training", *ahead}
    rows = [row for name, row in result["metrics"].items() if name not in ahead]
    assert all(set(row) == {"0 steps", "1 step", "5 steps", "10 steps"} for row in rows)


def test_inner_adam_and_outer_sgd_train_too(tmp_path: Path) -> None:
    out = tmp_path / "run"
    options = ["--iterations", "2", "--set", "inner=adam", "outer=sgd", "source=glyphs", "tasks=4"]
    assert main(["run", "omniglot", *options, "--out", str(out), "--quiet"]) == 0
    assert (out / "result.json").is_file()
