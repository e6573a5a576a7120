"""Folders that earlier versions wrote are read by this one: evaluated, gone on with, put to use.

`old_runs/VERSION/RECIPE` are short runs of small networks, without their pictures (the weights of the three
convolutional ones are rounded to eight bits, so that they pack). Those of 0.1.0 are from before the modules moved.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.recipes.test_images import write, write_folder
from tinymeta import __version__, recipes
from tinymeta.cli import main
from tinymeta.io.files import FORMAT
from tinymeta.io.save import contents
from tinymeta.recipes import run as runs
from tinymeta.recipes.classify import probabilities
from tinymeta.recipes.report import student

OLD = Path(__file__).with_name("old_runs")
FOLDERS = sorted(path.parent for path in OLD.glob("*/*/config.json"))
# Trainings that 0.1.0 did not keep.
TUNED = "distill-data domains games language learned-loss learned-optimizer navigation stream unsupervised"
KEPT_SINCE = {"hypergradient": {"checkpoint-online.npz"}, **dict.fromkeys(TUNED.split(), {"checkpoint-tuning.npz"})}
NEW = {"table"}  # recipes that no version before this one had
ANOTHER_MODEL = {"strategy"}  # it is one since
REDEFINED = {"stream": {"meta-learned weights and step sizes"}}  # step sizes are bounded since


def named(path: Path) -> str:
    return f"{path.parent.name}-{path.name}"


@pytest.fixture(autouse=True)
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs.Run, "draw", lambda *_, **__: None)
    monkeypatch.delenv("TINYMETA_DATA", raising=False)


def copy(old: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(old, tmp_path / old.name))


def read(folder: Path, file: str) -> dict[str, Any]:
    return dict(json.loads((folder / file).read_text(encoding="utf-8")))


def states(folder: Path) -> dict[str, set[str]]:
    """The names of what each checkpoint holds."""
    return {path.name: set(contents(path)[0]) for path in folder.glob("checkpoint*.npz")}


def test_every_recipe_has_an_old_run() -> None:
    assert {path.name for path in FOLDERS} == set(recipes.RECIPES) - NEW


@pytest.mark.parametrize("old", [old for old in FOLDERS if recipes.find(old.name).evaluate is not None], ids=named)
def test_an_old_run_is_evaluated(old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = copy(old, tmp_path)
    status = main(["eval", str(folder), "--quiet"])
    if old.name in ANOTHER_MODEL:
        assert status == 2 and "train anew" in capsys.readouterr().err
    else:
        result = read(folder, "eval.json")
        assert status == 0 and result["metrics"]
        assert (result["format"], result["version"]) == (FORMAT, __version__)


@pytest.mark.parametrize("old", FOLDERS, ids=named)
def test_an_old_run_goes_on_or_is_refused_in_words(
    old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy(old, tmp_path)
    version, before = read(old, "config.json")["version"], states(old)
    verb = [] if old.name == "main" else ["run", old.name]
    status = main([*verb, "--out", str(folder), "--resume"])
    said = capsys.readouterr().err
    if version != __version__:
        assert version in said and __version__ in said
    assert status in ((2,) if old.name in ANOTHER_MODEL else (0, 2))
    if status == 0:
        went_on(old, folder, before)


def went_on(old: Path, folder: Path, before: dict[str, set[str]]) -> None:
    """What was trained is used, and measured as it was."""
    after = states(folder)
    assert after.keys() - before.keys() == KEPT_SINCE.get(old.name, set()), (
        "what was trained is in other files now, and was trained again"
    )
    assert all(held <= after[file] for file, held in before.items())
    assert read(folder, "config.json")["begun"] == read(old, "config.json")["version"]
    told, now = (read(path, "result.json")["metrics"] for path in (old, folder))
    assert told.keys() <= now.keys()  # rivals may have come in
    for name in told.keys() - REDEFINED.get(old.name, set()):
        _same(told[name], now[name], UNSTEADY.get(old.name, 1e-4))


# Measured between versions whose sigmoids round in other places: an order of nearly equal weights, and a learned
# rule, which is unrolled and turns with the signs of small slopes. Fresh weights are off by far more.
UNSTEADY = {"reweight": 2e-2, "learned-optimizer": 2e-2}


def _same(old: Any, new: Any, rel: float, size: float = 0.0) -> None:
    """The same weights on the same episodes: float32 rounds some thousand sums, 2^11 · 6e-8 = 1e-4 of the result, of
    whose `size` an interval's half is a difference, and a mean may be: their spread tells how large the terms are."""
    if isinstance(old, dict):
        assert set(old) == set(new)
        if old.get("half") is not None:  # those of earlier versions are 1.96 standard errors
            old = old | {"half": old["half"] * student(old["n"] - 1) / 1.96}
        for name in old:
            _same(old[name], new[name], rel, max(abs(old.get("mean") or 0.0), old.get("half") or 0.0))
    elif isinstance(old, float):
        assert new == pytest.approx(old, rel=rel, abs=1e-12 + rel * size)
    else:
        assert new == old


def test_an_old_run_is_trained_further(tmp_path: Path) -> None:
    folder = copy(OLD / "0.1.0" / "sine", tmp_path)
    assert main(["run", "sine", "--out", str(folder), "--resume", "--iterations", "6", "--quiet"]) == 0
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    before = (OLD / "0.1.0" / "sine" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert lines[: len(before)] == [json.loads(line) for line in before]
    assert [line["iteration"] for line in lines] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("old", [old for old in FOLDERS if old.name == "images"], ids=named)
def test_an_old_run_of_images_tells_new_classes_apart(old: Path, tmp_path: Path) -> None:
    support = write_folder(tmp_path / "new", range(8, 12))
    query = [write(tmp_path / f"query{c}.png", c, 4) for c in range(8, 12)]
    names, chances = probabilities(old, support, query)
    assert names == ["class10", "class11", "class8", "class9"]
    np.testing.assert_allclose(chances.sum(1), 1, atol=1e-5)


def test_what_does_not_fit_an_old_run_is_refused_and_names_both_versions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy(OLD / "0.1.0" / "sine", tmp_path)
    shutil.copy(OLD / "0.1.0" / "images" / "checkpoint.npz", folder / "checkpoint.npz")
    for command in (["run", "sine", "--out", str(folder), "--resume", "--quiet"], ["eval", str(folder), "--quiet"]):
        assert main(command) == 2
        said = capsys.readouterr().err
        assert "begun by tinymeta 0.1.0" in said and f"this is {__version__}" in said and said.count("\n") == 1


def test_a_folder_of_a_later_format_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = copy(OLD / "0.1.0" / "sine", tmp_path)
    config = read(folder, "config.json") | {"format": FORMAT + 1}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert main(["eval", str(folder), "--quiet"]) == 2
    assert f"has format {FORMAT + 1}" in capsys.readouterr().err
