"""Environments with Gymnasium's API: one per trajectory, silent after the end, and what answers otherwise is told."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import tinymeta as tm


class Counting:
    """Shows how often it was stepped and by what, and ends after `length` steps or when it is told 9."""

    made = 0

    def __init__(self, length: int) -> None:
        self.length, self.steps, self.seed = length, 0, -1
        Counting.made += 1

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        assert seed is not None and self.steps == 0
        self.seed = seed
        return np.array([[0.0, seed % 7]]), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.steps < self.length, "stepped after its end"
        self.steps += 1
        return np.array([[self.steps, float(action)]]), 1.0, self.steps == self.length, action == 9, {}


def rolled(make: Any = Counting, rules: Any = (2, 4), policy: Any = None, horizon: int = 5) -> tm.tasks.Trajectories:
    games = tm.tasks.Gymnasium(make, lambda rng, tasks: np.array(rules), horizon)
    rng = np.random.default_rng(0)
    return tm.tasks.rollout(games, rng, games.draw(rng, len(rules)), policy or (lambda seen: 3 + 0 * seen[..., 0]), 3)


def test_every_trajectory_has_an_environment_of_its_own_that_ends_by_itself() -> None:
    before = Counting.made
    found = rolled()
    assert Counting.made - before == 6
    assert found.alive.sum(-1).tolist() == [[2] * 3, [4] * 3] == found.rewards.sum(-1).tolist()
    assert found.observations[1, 0].tolist()[1:] == [[1, 3], [2, 3], [3, 3], [4, 3]]
    assert found.observations.dtype == found.rewards.dtype == np.float32
    assert len({*found.observations[:, :, 0, 1].ravel()}) > 1, "each is reset by a seed of its own"


def test_truncation_ends_a_trajectory_and_the_horizon_cuts_it() -> None:
    at_second = lambda seen: np.where(seen[..., 0] == 1, 9, 0)
    assert rolled(rules=(8,), policy=at_second).alive.sum(-1).tolist() == [[2] * 3]
    assert rolled(rules=(8,), horizon=6).alive.all()


def test_the_same_generator_gives_the_same_trajectories() -> None:
    for one, again in zip(rolled(), rolled()):
        np.testing.assert_array_equal(one, again)


class Line:
    """Walk to 1 or to -1, whichever a task pays for; actions are discrete."""

    def __init__(self, end: float) -> None:
        self.end, self.at = end, 0.0

    def reset(self, *, seed: int | None = None) -> tuple[Any, dict[str, Any]]:
        return [self.at], {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.at += 0.5 * (2 * int(action) - 1)
        return [self.at], self.end * self.at, False, False, {}


def test_a_policy_learns_to_learn_in_them() -> None:
    """Adapted policies walk the way that pays; before they have seen a reward they can't know it."""
    tasks = tm.tasks.Gymnasium(Line, lambda rng, n: np.resize([1.0, -1.0], n), horizon=4)
    start = lambda rng: tm.meta.CategoricalPolicy([1, 8, 2], rng=rng)
    learner = tm.meta.MAML(tm.meta.policy_gradient, network=start, rule=tm.optim.SGD(2.0))
    search = tm.meta.PolicySearch(tasks, learner, trajectories=10, radius=0.05)
    phi = search.fit(learner.init(np.random.default_rng(0)), iterations=15, tasks=6)
    before, after = search.returns(np.random.default_rng(1), phi, 20).T
    best, error = 0.5 + 1 + 1.5 + 2, 5 / np.sqrt(20 * 10)  # a sum's largest value, and of a mean over 200 of them
    assert abs(before.mean()) < 3 * error < 2 < after.mean() <= best


class Wrong:
    """Answers as it is told to."""

    def __init__(self, reset: Any, step: Any) -> None:
        self.reset, self.step = (lambda seed: reset), (lambda action: step)


GOOD = ([0.0], {})


@pytest.mark.parametrize(
    ("reset", "step", "said"),
    [
        ([0.0, 1.0, 2.0], None, r"reset\(\) of Wrong gave .* asks for \(observation, info\)"),
        (
            GOOD,
            ([0.0], 1.0, True, {}),
            r"step\(\) of Wrong gave .*\(observation, reward, terminated, truncated, info\)",
        ),
        (({"seen": 1}, {}), None, "an observation is {'seen': 1}, and policies see as many numbers each time"),
        (GOOD, ([0.0, 1.0], 0.0, False, False, {}), r"an observation is \[0.0, 1.0\]"),
        *[
            ((x, {}), None, "an observation is .*, all finite")
            for x in (None, "1.5", [np.nan], [1j], [1e300], [[1], []])
        ],
        *[
            (GOOD, ([0.0], r, False, False, {}), "a reward is .* one finite number")
            for r in (None, "x", np.inf, [1, 2])
        ],
        *[(GOOD, ([0.0], 0, end, False, {}), "two booleans are wanted") for end in (None, [True, False])],
    ],
)
def test_an_answer_of_another_kind_is_one_sentence(reset: Any, step: Any, said: str) -> None:
    with pytest.raises(tm.UserError, match=said):
        rolled(lambda rule: Wrong(reset, step))


def test_environments_that_show_rows_of_several_lengths_are_told() -> None:
    lengths = iter([1, 2] * 3)
    with pytest.raises(tm.UserError, match=r"an observation is \[0, 0\]"):
        rolled(lambda rule: Wrong(([0] * next(lengths), {}), None))


@pytest.mark.parametrize("wrong", [{"horizon": 0}, {"horizon": 2.5}, {"rules": ()}])
def test_counts_of_nothing_are_told(wrong: Any) -> None:
    with pytest.raises(tm.UserError, match="must be a whole number, 1 or more"):
        rolled(**wrong)


@pytest.mark.skipif(find_spec("gymnasium") is None, reason="gymnasium is not installed")
def test_gymnasiums_own_cart_and_pole_is_one_of_them() -> None:
    from gymnasium.envs.classic_control import CartPoleEnv

    found = rolled(lambda rule: CartPoleEnv(), policy=lambda seen: (seen[..., 2] > 0).astype(int), horizon=30)
    assert found.observations.shape == (2, 3, 30, 4) and (found.alive.sum(-1) > 20).all()
