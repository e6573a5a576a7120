"""Tables from the command line: what they learn, beside rivals that are what they are called, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinymeta.cli import main
from tinymeta.recipes.table import linear

BRIEFLY = ["--iterations", "20", "--quiet"]


def written(file: Path, label: Any, tasks: int = 8, rows: int = 12) -> Path:
    rng = np.random.default_rng(0)
    lines = ["town,size,floor,y"]
    for t in range(tasks):
        slope = rng.normal(size=2) + 1
        for _ in range(rows):
            x = rng.normal(size=2)
            lines.append(f"t{t},{x[0]:.6f},{x[1]:.6f},{label(x @ slope)}")
    file.write_text("\n".join(lines))
    return file


def run(file: Path, out: Path, *more: str) -> int:
    return main(["run", "table", "--data", str(file), *BRIEFLY, "--out", str(out), *more])


ASKED = ["--set", "task=town", "target=y", "test_draws=3"]
KINDS = {"regression": lambda y: f"{100 * y:.5f}", "classification": lambda y: "high" if y > 0 else "low"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_is_learned_measured_and_gone_on_with(kind: str, tmp_path: Path) -> None:
    file, whole, parts = written(tmp_path / "t.csv", KINDS[kind]), tmp_path / "whole", tmp_path / "parts"
    assert run(file, whole, *ASKED) == 0
    assert run(file, parts, *ASKED, "--iterations", "7") == 0
    assert run(file, parts, "--resume", "--iterations", "20") == 0
    results = [json.loads((folder / "result.json").read_text())["metrics"] for folder in (whole, parts)]
    assert results[0] == results[1] and all(each["n"] == 2 for each in results[0].values())
    linear_rivals = [name for name in results[0] if "known rows" in name and "MAML" not in name]
    assert len(linear_rivals) == 3
    if kind == "regression":  # which has no noise: a rule of three numbers is found in six rows, up to its decay
        known = results[0]["ridge of the known rows"]["mean"]
        assert known < results[0]["the mean of the known rows"]["mean"] / 20
    assert main(["eval", str(whole), "--quiet", "--set", "test_draws=2"]) == 0


def test_other_rows_than_at_the_beginning_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = written(tmp_path / "t.csv", KINDS["regression"]), tmp_path / "run"
    assert run(file, out, *ASKED) == 0
    written(file, KINDS["regression"], rows=13)
    assert main(["eval", str(out), "--quiet"]) == 2
    assert "holds other rows than when" in capsys.readouterr().err


MISTAKES = {
    "no columns named": ([], "--set task=COLUMN target=COLUMN"),
    "another column": (["--set", "task=city", "target=y"], "there is no column 'city'"),
    "more shots than rows": (["--set", "task=town", "target=y", "shots=30"], "30 shots"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_sentence(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options, words = MISTAKES[name]
    assert run(written(tmp_path / "t.csv", KINDS["regression"]), tmp_path / "run", *options) == 2
    message = capsys.readouterr().err
    assert words in message and message.count("\n") == 1


def test_too_few_tasks_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(written(tmp_path / "t.csv", KINDS["regression"], tasks=3), tmp_path / "run", *ASKED) == 2
    assert "names 3 tasks, and four are needed" in capsys.readouterr().err


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("strength", [0.01, 1.0])
def test_a_rival_is_at_the_optimum_of_what_it_minimises(outputs: int, strength: float) -> None:
    """A rule of the least loss is no better anywhere around it."""
    rng = np.random.default_rng(1)
    x, prior = np.c_[rng.normal(size=(2, 30, 2)), np.ones((2, 30, 1))], rng.normal(size=(3, outputs))
    y = rng.normal(size=(2, 30, 1)) if outputs == 1 else np.eye(3)[rng.integers(3, size=(2, 30))]
    weight = np.array([1, 1, 0.01])[:, None] * strength / 2

    def loss(w: Any) -> Any:
        z = x @ w
        each = ((z - y) ** 2 / 2)[..., 0] if outputs == 1 else np.log(np.exp(z).sum(-1)) - (z * y).sum(-1)
        return each.mean(-1) + (weight * (w - prior) ** 2).sum((-1, -2))

    found = linear(x, y, strength, prior)
    least = loss(found)
    for _ in range(50):
        assert (loss(found + 0.03 * rng.normal(size=found.shape)) > least).all()
