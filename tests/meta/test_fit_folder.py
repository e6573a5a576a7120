"""`fit(folder=...)`: progress, journal, checkpoint and resume for who writes no class, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinymeta as tm
from tests.meta.learners import LEARNERS, Blobs, flat, start
from tinymeta.io.folder import sole_writer

LEARNER = LEARNERS["maml, 1 step"]
HOW: dict[str, Any] = {"optimizer": tm.optim.Adam(0.01), "iterations": 6, "meta_batch": 2}


class Stopping:
    """The same tasks, until somebody presses Ctrl-C while they are drawn for the so manieth time."""

    def __init__(self, after: int) -> None:
        self.after = after

    def sample(self, rng: np.random.Generator, tasks: int) -> Any:
        self.after -= 1
        if self.after < 0:
            raise KeyboardInterrupt
        return Blobs().sample(rng, tasks)


def fitted(tasks: Any = None, **options: Any) -> Any:
    return flat(tm.meta.fit(LEARNER, start(LEARNER), tasks or Blobs(), **(HOW | options)))


def journal(folder: Path) -> list[Any]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [{n: x for n, x in json.loads(line).items() if n != "seconds"} for line in lines]


@settings(max_examples=10)
@given(stops=st.lists(st.integers(0, 4), min_size=1, max_size=4), seed=st.integers(0, 2**31))
def test_a_training_that_was_stopped_anywhere_ends_in_the_same_bits(
    stops: list[int], seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    how: Any = {"seed": seed}
    whole, stopped = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("stopped")
    for after in stops:
        try:
            fitted(Stopping(after), folder=stopped, **how)
        except KeyboardInterrupt as stop:
            assert "the same call goes on" in stop.__notes__[0]
    np.testing.assert_array_equal(fitted(folder=stopped, **how), fitted(folder=whole, **how))
    assert journal(stopped) == journal(whole)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_training_that_is_over_is_read(tmp_path: Path, compiled: bool) -> None:
    alone = fitted(compiled=compiled)
    np.testing.assert_array_equal(fitted(folder=tmp_path, compiled=compiled), alone)
    np.testing.assert_array_equal(fitted(Stopping(0), folder=tmp_path, compiled=compiled), alone)  # nothing is drawn
    np.testing.assert_array_equal(flat(tm.meta.trained(tmp_path / "checkpoint.npz", start(LEARNER))), alone)


def test_it_goes_on_to_more_iterations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fitted(folder=str(tmp_path / "new" / "mine"), iterations=4)
    np.testing.assert_array_equal(fitted(folder=tmp_path / "new" / "mine"), fitted())
    assert "mine: 6/6  loss" in capsys.readouterr().err


CHANGED: dict[str, tuple[dict[str, Any], str]] = {
    "another seed": ({"seed": 3}, "trained with seed 0, which is 3"),
    "another step size": ({"optimizer": tm.optim.Adam(0.02)}, "trained with lr 0.01, which is 0.02"),
    "another average": ({"optimizer": tm.optim.Adam(0.01, b1=0.8)}, "trained with b1 0.9, which is 0.8"),
    "another rule": ({"optimizer": tm.optim.SGD(0.01)}, "saved from another structure"),
    "another number of tasks": ({"meta_batch": 3}, "trained with meta_batch 2, which is 3"),
    "fewer iterations": ({"iterations": 3}, "holds 6 iterations, and 3 are asked for"),
    "a seed, and more iterations": ({"seed": 3, "iterations": 20}, "seed 0, which for 20 iterations is 3"),
}


@pytest.mark.parametrize("name", CHANGED)
def test_what_was_trained_otherwise_is_refused_and_left_alone(tmp_path: Path, name: str) -> None:
    options, words = CHANGED[name]
    fitted(folder=tmp_path)
    before = (tmp_path / "checkpoint.npz").read_bytes()
    with pytest.raises(tm.UserError, match=words):
        fitted(folder=tmp_path, **options)
    assert (tmp_path / "checkpoint.npz").read_bytes() == before


def _of_a_recipe(folder: Path) -> None:
    (folder / "config.json").write_text("{}")


def _of_a_user(folder: Path) -> None:
    (folder / "thesis.txt").write_text("")


REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "a run's": (_of_a_recipe, "goes on by --resume"),
    "a user's": (_of_a_user, r"holds other files \(thesis.txt\)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path, name: str) -> None:
    fill, words = REFUSED[name]
    fill(tmp_path)
    with pytest.raises(tm.UserError, match=words):
        fitted(folder=tmp_path)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_of_ones_own_may_lie_beside_a_training(tmp_path: Path) -> None:
    fitted(folder=tmp_path)
    _of_a_user(tmp_path)
    np.testing.assert_array_equal(fitted(folder=tmp_path), fitted())


def test_two_trainings_do_not_write_to_one_folder(tmp_path: Path) -> None:
    with sole_writer(tmp_path), pytest.raises(tm.UserError, match="is being written by process"):
        fitted(folder=tmp_path)


def test_a_path_is_no_record(tmp_path: Path) -> None:
    with pytest.raises(tm.UserError, match="a path is given as folder="):
        fitted(run=str(tmp_path))
