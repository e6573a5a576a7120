"""A comparison chooses in validation, measures on the test, and does no trial twice."""

from __future__ import annotations

import threading
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinymeta.meta.spread.gather import Unsendable
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
    assert tried == [1.0, 2.0, 3.0, 1.0, 3.0]


def test_what_was_over_before_a_stop_is_not_done_again(tmp_path: Path) -> None:
    run = Run(tmp_path, "comparison", quiet=True)
    with pytest.raises(KeyboardInterrupt):
        compare(run, [], stop=3)
    run.resume, tried = True, []
    assert compare(run, tried) == {"a": (1.0, 1, 101.0), "b": (3.0, 1, 103.0)}
    assert tried == [1.0, 3.0]
    assert [line["iteration"] for line in run.lines()] == [1, 2, 3, 4, 5]


class Refusing(Executor):
    """As processes do with a function that has no name."""

    def submit(self, f: Any, /, *args: Any, **options: Any) -> Any:
        raise Unsendable("no name")


def test_trials_are_computed_by_workers_where_they_can_be_sent_and_here_where_not(tmp_path: Path) -> None:
    where: set[int] = set()

    def trial(setting: float, data: float) -> np.ndarray:
        where.add(threading.get_ident())
        return np.array([setting]) + data

    def chosen(folder: str, executor: Executor) -> Any:
        run = Run(tmp_path / folder, "comparison", quiet=True, executor=executor)
        run.folder.mkdir()
        outcomes = Comparison(run, 1).of(METHODS, trial, like=0, score=lambda x: x, validation=0.0, test=100.0)
        assert [line["iteration"] for line in run.lines()] == [1, 2, 3, 4, 5]
        return {name: (o.setting, float(o.found[0])) for name, o in outcomes.items()}

    here = chosen("here", Refusing())
    assert where == {threading.get_ident()} and here == {"a": (2.0, 102.0), "b": (3.0, 103.0)}
    where.clear()
    with ThreadPoolExecutor(2) as pool:
        assert chosen("there", pool) == here
    assert where and threading.get_ident() not in where  # the tests, too


def scores(run: Run, stop: int = -1) -> tuple[dict[str, int], int]:
    """What is best of two grids, and how many scores were computed for it."""
    computed = 0

    def score(setting: float) -> float:
        nonlocal computed
        if computed == stop:
            raise KeyboardInterrupt
        computed += 1
        return float(setting)

    comparison = Comparison(run, 1)
    found = {name: best(comparison.scores(name, grid, score)) for name, grid in (("a", (1, 2, 3)), ("b", (1, 2)))}
    return found, computed


def test_a_grid_goes_on_with_the_setting_that_was_in_hand(tmp_path: Path) -> None:
    run = Run(tmp_path, "comparison", quiet=True)
    with pytest.raises(KeyboardInterrupt):
        scores(run, stop=4)
    run.resume = True
    assert scores(run) == ({"a": 3, "b": 2}, 1)
    assert scores(run) == ({"a": 3, "b": 2}, 0)


def test_a_second_comparison_of_a_session_knows_the_first_and_one_of_a_new_run_knows_nothing(tmp_path: Path) -> None:
    run = Run(tmp_path, "comparison", quiet=True)
    assert [scores(run)[1], scores(run)[1]] == [5, 0]
    assert scores(Run(tmp_path, "comparison", quiet=True))[1] == 5


def test_an_evaluation_has_a_grid_of_its_own_and_leaves_that_of_the_run_alone(tmp_path: Path) -> None:
    run = Run(tmp_path, "comparison", quiet=True)
    scores(run)
    kept, lines = run.checkpoint.read_bytes(), run.lines()
    later = Run(tmp_path, "comparison", quiet=True, resume=True, purpose="eval")
    assert scores(later)[1] == 5
    assert (run.checkpoint.read_bytes(), run.lines()) == (kept, lines)


def test_each_number_of_steps_has_the_setting_that_is_best_for_it(tmp_path: Path) -> None:
    losses = {"slow": [9.0, 5.0, 1.0], "fast": [9.0, 3.0, 2.0], "wild": [9.0, np.nan, np.inf]}
    curve = lambda setting, data: data[:, None] * losses[setting]
    comparison = Comparison(Run(tmp_path, "comparison", quiet=True), 1)
    found = comparison.tuned("descent", losses, curve, np.array([1.0, 3.0]), np.array([10.0, 20.0, 30.0]), (0, 1, 2))
    assert {k: one.setting for k, one in found.items()} == {0: "slow", 1: "fast", 2: "slow"}
    np.testing.assert_array_equal(found[1].found, [30.0, 60.0, 90.0])
