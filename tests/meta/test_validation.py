"""A validation curve: training stops where it no longer helps, keeps what was best, and does so after a stop, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tinymeta as tm
from tests.meta.interrupted_fit import Folder
from tinymeta.meta.core.validation import best_at

GOAL, RATE = 1.0, 0.1


def loss(phi: Any, _: Any) -> Any:
    return (phi - GOAL) ** 2


def trained(run: Any = None, iterations: int = 50, **how: Any) -> float:
    """From 0 to 1, each step 0.8 of the way that is left; the score is best half way, at 1 − 0.8³ = 0.488."""
    nearest = tm.meta.Validation(lambda phi: -abs(float(phi) - 0.5), **{"every": 1, "patience": 2, **how})
    rule: Any = {"optimizer": tm.optim.SGD(RATE), "iterations": iterations, "meta_batch": 1}
    return float(tm.meta.fit(loss, tm.tensor(0.0), tm.tasks.Sinusoids(), run=run, validation=nearest, **rule))


def test_training_ends_with_what_did_best() -> None:
    assert trained() == pytest.approx(1 - 0.8**3, rel=1e-6)
    assert trained(iterations=3) == pytest.approx(1 - 0.8**3, rel=1e-6)
    assert trained(every=2, patience=1) == pytest.approx(1 - 0.8**4, rel=1e-6)
    assert trained(iterations=0) == 0.0


def test_a_training_that_was_stopped_ends_as_one_that_was_not(tmp_path: Path) -> None:
    whole, seen = Folder(tmp_path / "whole.npz"), []

    def stopped(phi: Any) -> float:
        seen.append(float(phi))
        if len(seen) == 3:
            raise KeyboardInterrupt
        return -abs(float(phi) - 0.5)

    rule: Any = {"optimizer": tm.optim.SGD(RATE), "iterations": 50, "meta_batch": 1}
    part = Folder(tmp_path / "part.npz")
    with pytest.raises(KeyboardInterrupt):
        interrupted = tm.meta.Validation(stopped, every=1, patience=2)
        tm.meta.fit(loss, tm.tensor(0.0), tm.tasks.Sinusoids(), run=part, validation=interrupted, **rule)
    assert trained(Folder(part.checkpoint, resume=True)) == trained(whole)
    assert best_at(part.checkpoint) == best_at(whole.checkpoint) == 3
    assert float(tm.meta.trained(whole.checkpoint, tm.tensor(0.0))) == trained()


def test_the_curve_is_in_the_journal(tmp_path: Path) -> None:
    lines = []
    run = Folder(tmp_path / "run.npz")
    run.log = lambda iteration, **metrics: lines.append((iteration, metrics["validation"]))  # type: ignore[method-assign]
    trained(run)
    assert [iteration for iteration, _ in lines] == [1, 2, 3, 4, 5]  # two looks after the best
    assert [value for _, value in lines] == pytest.approx([-abs(0.5 - 0.8**k) for k in range(1, 6)], rel=1e-5)
