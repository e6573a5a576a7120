"""Every recipe in the table runs from the command line, briefly, and leaves a whole folder."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest

from tinymeta import recipes
from tinymeta.cli import main


def briefly(name: str) -> list[str]:
    """Options that make a run short, of those keys that the recipe has."""
    known = {entry.name for entry in fields(recipes.find(name).config)}
    small = {"iterations": 2, "tasks": 4, "meta_batch": 4, "length": 6} | ({"steps": 2} if name == "strategy" else {})
    return ["--set", *[f"{key}={value}" for key, value in small.items() if key in known]]


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_a_short_run_writes_result_and_config(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TINYMETA_DATA", raising=False)
    assert main(["run", name, *briefly(name), "--out", str(tmp_path / "run"), "--quiet"]) == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text(encoding="utf-8"))
    assert result["recipe"] == name
    assert result["metrics"] and result["protocol"] and result["seconds"] > 0
    assert (tmp_path / "run" / "config.json").is_file()


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
    assert set(result["metrics"]) == {"MAML", "first-order MAML", "joint training"}
    assert all(set(row) == {"0 steps", "1 step", "5 steps", "10 steps"} for row in result["metrics"].values())


def test_inner_adam_and_outer_sgd_train_too(tmp_path: Path) -> None:
    out = tmp_path / "run"
    options = ["--iterations", "2", "--set", "inner=adam", "outer=sgd", "source=glyphs", "tasks=4"]
    assert main(["run", "omniglot", *options, "--out", str(out), "--quiet"]) == 0
    assert (out / "result.json").is_file()
