"""A comparison chooses in validation, measures on the test, and does no trial twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tinymeta.recipes.comparison import Comparison, best
from tinymeta.recipes.run import Run

METHODS = {"a": {"a, 1": 1.0, "a, 2": 2.0}, "b": {"b, 3": 3.0}}


def test_the_first_of_equals_is_the_best_and_what_diverged_is_not() -> None:
    assert best({"x": np.nan, "y": 2.0, "z": 2.0, "w": 1.0}) == "y"
    assert best({"x": np.nan, "y": 2.0, "z": 1.0, "w": 1.0}, least=True) == "z"
    assert best({"x": np.nan, "y": -np.inf}, least=True) == "y"


def compare(run: Run, tried: list[float], stop: int = -1) -> dict[str, tuple[float, int, float]]:
    """Setting, stage and what was found in the test; the score of a setting s in validation is (s, 10 − 2s)."""

    def trial(setting: float, data: float) -> np.ndarray:
        if len(tried) == stop:
            raise KeyboardInterrupt
        tried.append(setting)
        return np.array([setting, 10.0 - 2 * setting]) + data

    outcomes = Comparison(run, 1).of(METHODS, trial, like=0, score=lambda found: found, validation=0.0, test=100.0)
    return {name: (o.setting, o.stage, float(o.found[0])) for name, o in outcomes.items()}


def test_setting_and_stage_are_chosen_in_validation_and_the_test_is_only_measured(tmp_path: Path) -> None:
    tried: list[float] = []
    found = compare(Run(tmp_path, "comparison", quiet=True), tried)
    assert found == {"a": (1.0, 1, 101.0), "b": (3.0, 1, 103.0)}
    assert tried == [1.0, 2.0, 1.0, 3.0, 3.0]


def test_what_was_over_before_a_stop_is_not_done_again(tmp_path: Path) -> None:
    run = Run(tmp_path, "comparison", quiet=True)
    with pytest.raises(KeyboardInterrupt):
        compare(run, [], stop=3)
    run.resume, tried = True, []
    assert compare(run, tried) == {"a": (1.0, 1, 101.0), "b": (3.0, 1, 103.0)}
    assert tried == [3.0, 3.0]
    assert [line["iteration"] for line in run.lines()] == [1, 2, 3, 4, 5]
