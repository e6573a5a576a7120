"""Games with changing rules: what the players see, and a fair count of the episodes they practise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tinymeta.meta.control.policy import steps
from tinymeta.recipes import games
from tinymeta.recipes.run import Run
from tinymeta.tasks.gridgame import Board

CONFIG = games.Config(iterations=1, tasks=3, meta_batch=2, episodes=4, pulls=2, widths=(4,), arms=3)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path, "games", quiet=True)


def test_the_player_of_the_grid_sees_how_far_and_on_which_side_colours_lie() -> None:
    game = games.Facing(5, colours=2)
    board = Board(np.array([[[2, 1]]]), np.array([[[4, 12]]]))  # player (2, 1), colours (0, 4) and (2, 2)
    np.testing.assert_allclose(game.observe(board)[0, 0], [-0.4, 0.6, -1, 1, 0, 0.2, 0, 1], rtol=1e-6)


def test_the_right_arm_of_a_lamp_pays_nearly_always_and_the_others_nearly_never() -> None:
    lamps, rng = tm.tasks.SignalBandits(arms=3, lamps=7, horizon=200), np.random.default_rng(0)
    shifts = lamps.draw(rng, 4)
    knows = lambda seen: (seen.argmax(-1) + shifts[:, None]) % 3
    errs = lambda seen: (seen.argmax(-1) + shifts[:, None] + 1) % 3
    for policy, chance in ((knows, 0.9), (errs, 0.1)):
        rewards = tm.tasks.rollout(lamps, rng, shifts, policy, 25).rewards
        # 20,000 pulls: five standard errors of a share.
        assert rewards.mean() == pytest.approx(chance, abs=5 * 0.3 / np.sqrt(20_000))


def test_bandits_with_one_arm_are_refused() -> None:
    with pytest.raises(ValueError, match="arms=1"):
        tm.tasks.SignalBandits(arms=1)


def test_the_rival_practises_ten_times_the_episodes_and_no_more() -> None:
    for game in games.games(games.Config()).values():
        few = game.search.trajectories
        for rounds in games.ROUNDS:
            assert rounds * (games.MORE * few // rounds) <= games.MORE * few
        assert max(rounds * (games.MORE * few // rounds) for rounds in games.ROUNDS) == games.MORE * few


@pytest.mark.parametrize("name", ["grid", "bandits"])
def test_practice_plays_as_many_episodes_as_it_says(name: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    game = games.games(CONFIG)[name]
    played: list[int] = []
    act = tm.meta.PolicySearch.act

    def counted(*args: Any, trajectories: int, **kwargs: Any) -> Any:
        played.append(trajectories)
        return act(*args, trajectories=trajectories, **kwargs)

    monkeypatch.setattr(tm.meta.PolicySearch, "act", counted)
    rules = game.search.environment.draw(np.random.default_rng(0), 3)
    policy, rule = games.start(run, game), tm.optim.SGD(1.0)
    assert games.practise(run, game, rules, policy, rule, 2, 5).shape == (3, 3)
    assert played == [games.JUDGED, 5, games.JUDGED, 5, games.JUDGED]
    played.clear()
    assert games.practise(run, game, rules, policy, rule, 2, 5, last=True).shape == (1, 3)
    assert played == [5, 5, games.JUDGED]


def test_one_round_of_practice_is_the_inner_step_of_the_learner(run: Run) -> None:
    """So that the adapted policy of the table is the one that meta-training trained."""
    game = games.games(CONFIG)["bandits"]
    search, policy = game.search, games.start(run, game)
    rng = np.random.default_rng(0)
    seen = search.act(rng, search.environment.draw(rng, 3), policy)
    batch = search.steps(seen)
    learned = search.learned(policy, batch)
    one = lambda p, b: tm.tree.map(lambda p, g: p - CONFIG.inner_lr * g, p, tm.grad(tm.meta.policy_gradient)(p, b))
    written = tm.vmap(one, in_axes=(None, 0))(policy, batch)
    for a, b in zip(tm.tree.leaves(learned), tm.tree.leaves(written), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-6)


def test_a_baseline_of_time_alone_does_not_know_observations() -> None:
    rng = np.random.default_rng(0)
    shape = (2, 3, 5)
    seen = tm.tasks.Trajectories(
        rng.normal(size=(*shape, 4)), rng.integers(3, size=shape), rng.normal(size=shape), np.ones(shape, bool)
    )
    other = seen._replace(observations=rng.normal(size=(*shape, 4)))
    advantages = [steps(each, 0.9, watching=False).advantages for each in (seen, other)]
    np.testing.assert_array_equal(*advantages)
