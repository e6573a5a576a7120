"""Features of one's own go the way of pictures: divisions, heads, intervals, calibration, and `classify`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.recipes.pictures import BRIEFLY
from tinymeta.cli import main
from tinymeta.recipes.classify import answered, probabilities
from tinymeta.recipes.features import Projection

WIDTH = 12


def write(path: Path, classes: range, each: int = 8, seed: int = 0) -> Path:
    """Classes that lie far apart, each around a place of its own."""
    places = np.random.default_rng(7).normal(size=(40, WIDTH)) * 3
    rng = np.random.default_rng(seed)
    y = np.repeat(list(classes), each)
    np.savez(path, X=places[y] + rng.normal(size=(len(y), WIDTH)), y=np.array([f"kind{k}" for k in y]))
    return path


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("features")
    file = write(folder / "train.npz", range(30))
    command = ["run", "images", *BRIEFLY, "--features", str(file), "--out", str(folder / "run"), "--quiet"]
    assert main(command) == 0
    return folder / "run"


def test_features_are_learned_from_and_measured_beside_their_baselines(learned: Path) -> None:
    result = json.loads((learned / "result.json").read_text(encoding="utf-8"))
    assert result["protocol"]["images"] == f"1 × {WIDTH}"
    assert {name for name, value in result["metrics"].items() if "accuracy" in str(value)} == {
        "features, nearest neighbour",
        "features, class means",
        "features, logistic regression",
    }
    assert result["metrics"]["accuracy on new classes"]["mean"] > 60  # chance is 20
    assert main(["eval", str(learned), "--quiet"]) == 0


def test_a_correction_begins_with_none() -> None:
    x = np.random.default_rng(0).normal(size=(5, 1, 1, WIDTH)).astype(np.float32)
    z = Projection(np.random.default_rng(0), WIDTH)(x).numpy()
    flat = x.reshape(5, -1)
    np.testing.assert_allclose(z, 3 * flat / np.linalg.norm(flat, axis=1, keepdims=True), rtol=1e-5)


def test_new_features_are_classified(learned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    support, asked = write(tmp_path / "new.npz", range(30, 36)), write(tmp_path / "asked.npz", range(30, 36), 3, 1)
    names, chances = probabilities(learned, support, [asked])
    assert names == [f"kind{k}" for k in range(30, 36)] and chances.shape == (18, 6)
    assert (chances.argmax(1) == np.repeat(range(6), 3)).mean() > 0.9
    answers = answered(learned, support, [asked])
    assert str(answers.query[2]).endswith("asked.npz[2]") and answers.truth[2] == "kind30"
    assert main(["classify", str(learned), "--support", str(support), "--query", str(asked), "--quiet"]) == 0
    assert "right: " in capsys.readouterr().out
    sheet = ["--sheet", str(tmp_path / "sheet.png")]
    assert main(["classify", str(learned), "--support", str(support), "--query", str(asked), *sheet]) == 2
    assert "queries are features" in capsys.readouterr().err and not (tmp_path / "sheet.png").exists()


X, Y = np.arange(24.0).reshape(8, 3), np.repeat(range(4), 2)
MISTAKES = {
    "and no X": {"features": X, "labels": Y},
    "has no y": {"X": X},
    "has NaN or infinities in 1 of its 8 examples": {"X": X * np.r_[np.nan, np.ones(7)][:, None], "y": Y},
    "y in": {"X": X, "y": Y[:5]},
    "whole numbers or texts": {"X": X, "y": Y + 0.5},
    "X in": {"X": X[:, :, None], "y": Y},
    "numbers of shape (examples, features)": {"X": X.astype(str), "y": Y},
    "no array of numbers": {"X": X.astype(object), "y": Y},
    "holds 2 classes of two examples or more, and four are needed": {"X": X[:4], "y": Y[:4]},
    "cannot make 7-way tasks": {"X": X, "y": Y},
    "but of objects": {"X": X, "y": Y.astype(str).astype(object)},
    "score=local and head=edges look at pictures": {"X": X, "y": Y},
}


@pytest.mark.parametrize("words", MISTAKES)
def test_mistakes_in_features_are_one_sentence(words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "x.npz", allow_pickle=True, **MISTAKES[words])
    keys = {"cannot make 7-way tasks": "ways=7", "score=local and head=edges look at pictures": "head=edges"}
    keys = [keys[words]] if words in keys else []
    command = ["run", "images", *BRIEFLY, *keys, "--features", str(tmp_path / "x.npz"), "--out", str(tmp_path / "run")]
    assert main(command) == 2
    told = capsys.readouterr().err
    assert words in told and told.count("\n") == 1, told
    assert not (tmp_path / "run").exists()


def test_other_files_than_features_are_refused(
    learned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.npz").write_text("no archive")
    (tmp_path / "x.csv").write_text("1,2")
    support = write(tmp_path / "new.npz", range(30, 36))
    np.savez(tmp_path / "wide.npz", X=np.ones((2, WIDTH + 1)))
    mistakes = {
        "no .npz file": ("run", "images", "--features", str(tmp_path / "x.npz")),
        "names an .npz file": ("run", "images", "--features", str(tmp_path)),
        "takes the place of --data, in the recipe images": ("run", "sine", "--features", str(tmp_path / "x.npz")),
        f"has {WIDTH + 1} features and": (
            *("classify", str(learned), "--support", str(support), "--query", str(tmp_path / "wide.npz")),
        ),
        "there is no folder or file": ("run", "images", "--features", str(tmp_path / "nowhere.npz")),
    }
    for words, command in mistakes.items():
        out = ("--out", str(tmp_path / "run")) if command[0] == "run" else ()
        assert main([*command, *out]) == 2
        told = capsys.readouterr().err
        assert words in told and told.count("\n") == 1, told
