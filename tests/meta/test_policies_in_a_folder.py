"""Policies are trained in a folder as anything else: gone on with to the same bits, and refused otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tinymeta.engine.errors import UserError

LEARNER = tm.meta.MAML(
    tm.meta.policy_gradient,
    network=lambda rng: tm.meta.GaussianPolicy([2, 4, 2], rng=rng, scale=0.1),
    rule=tm.optim.SGD(0.1),
)
SEARCH = tm.meta.PolicySearch(tm.tasks.Navigation(horizon=5), LEARNER, trajectories=4, thin=2)


def fitted(iterations: int, folder: Path | None, search: tm.meta.PolicySearch = SEARCH, **how: Any) -> list[Any]:
    phi = search.fit(LEARNER.init(np.random.default_rng(0)), iterations=iterations, tasks=2, folder=folder, **how)
    return [leaf.numpy() for leaf in tm.tree.leaves(phi)]


def test_a_policy_goes_on_from_its_folder_to_the_same_bits(tmp_path: Path) -> None:
    fitted(2, tmp_path / "run")
    for a, b, c in zip(fitted(4, tmp_path / "run"), fitted(4, None), fitted(2, None)):
        np.testing.assert_array_equal(a, b)
        assert (a != c).any()
    assert (tmp_path / "run" / "metrics.jsonl").read_text(encoding="utf-8").count("\n") == 4


def test_a_policy_does_not_go_on_as_if_it_had_been_trained_otherwise(tmp_path: Path) -> None:
    fitted(1, tmp_path)
    other = tm.meta.PolicySearch(tm.tasks.Navigation(horizon=5), LEARNER, trajectories=5, thin=2)
    with pytest.raises(UserError, match="was trained with trajectories 4, which is 5"):
        fitted(2, tmp_path, other)
    with pytest.raises(UserError, match="was trained with seed 0"):
        fitted(2, tmp_path, seed=1)
