"""Navigation, bandits and the grid game, and the loop that runs them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinymeta.tasks import Bandits, GridGame, Navigation, Trajectories, regret, rollout
from tinymeta.tasks.gridgame import MOVES, STEP_COST, Board, Game


def walk_to(goals):
    """The best policy of navigation, which is told the goals: step straight at them."""
    return lambda position: goals[:, None] - position


def random_policy(environment, seed):
    rng = np.random.default_rng(seed)
    if isinstance(environment, Navigation):
        return lambda seen: rng.uniform(-1, 1, (*seen.shape[:2], 2))
    return lambda seen: rng.integers(getattr(environment, "arms", 4), size=seen.shape[:2])


ENVIRONMENTS = [Navigation(horizon=12), Bandits(horizon=12), Bandits(kind="gaussian", horizon=12), GridGame(horizon=12)]


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda e: type(e).__name__)
@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 2**32))
def test_a_rollout_is_whole_reproducible_and_silent_after_its_end(environment, seed):
    def play():
        rng = np.random.default_rng(seed)
        return rollout(environment, rng, environment.draw(rng, 3), random_policy(environment, seed), 5)

    first, again = play(), play()
    for one, other in zip(first, again):
        assert one.shape[:3] == (3, 5, 12)
        np.testing.assert_array_equal(one, other)
    assert first.observations.dtype == first.rewards.dtype == np.float32
    assert first.alive[:, :, 0].all()
    assert (first.alive[:, :, :-1] >= first.alive[:, :, 1:]).all(), "nobody returns from the end"
    assert (first.rewards[~first.alive] == 0).all()


def test_returns_are_discounted_sums_of_what_is_still_to_come():
    rewards = np.array([[[1.0, 2.0, 4.0]]])
    trajectories = Trajectories(rewards, rewards, rewards, rewards > 0)
    assert trajectories.returns(0.5).tolist() == [[[1 + 1 + 1, 2 + 2, 4]]]


def test_a_point_walks_at_most_a_step_and_is_paid_its_distance():
    navigation = Navigation(dtype=np.float64)
    goals, position = np.array([[0.3, 0.0]]), np.zeros((1, 1, 2))
    rng = np.random.default_rng(0)
    position, reward, done = navigation.step(rng, goals, position, np.array([[[9.0, -0.04]]]))
    np.testing.assert_array_equal(position, [[[0.1, -0.04]]])
    np.testing.assert_allclose(reward, -np.hypot(0.2, 0.04), rtol=1e-15)
    assert not done


def test_a_point_arrives_when_both_coordinates_are_within_a_hundredth():
    navigation, goals = Navigation(dtype=np.float64), np.zeros((1, 2))
    positions = np.array([[[0.009, -0.009], [0.011, 0.0]]])
    _, _, done = navigation.step(np.random.default_rng(0), goals, positions, np.zeros((1, 2, 2)))
    assert done.tolist() == [[True, False]]


def test_who_knows_the_goal_is_there_in_five_steps_and_no_policy_does_better(rng):
    navigation = Navigation()
    goals = navigation.draw(rng, 50)
    assert np.abs(goals).max() <= 0.5
    best = rollout(navigation, rng, goals, walk_to(goals), 2)
    steps = np.ceil(np.abs(goals).max(axis=1) / 0.1 - 0.1)
    assert (best.alive.sum(axis=2) <= steps[:, None] + 1).all() and best.alive.sum(axis=2).max() <= 5
    blind = rollout(navigation, rng, goals, random_policy(navigation, 0), 2)
    assert (best.returns()[..., 0] > blind.returns()[..., 0]).all()


def test_random_starts_spread_over_their_square(rng):
    start = Navigation(start_extent=0.5).start(rng, np.zeros((4, 2)), 500)
    # 4000 uniform draws: the extremes are within 0.01 of the border but for a chance of 0.99^4000.
    assert 0.49 < np.abs(start).max() <= 0.5
    assert not Navigation().start(rng, np.zeros((4, 2)), 5).any()


@pytest.mark.parametrize("kind, deviation", [("bernoulli", 0.5), ("gaussian", 1.0)])
def test_an_arm_pays_its_mean(rng, kind, deviation):
    bandits = Bandits(arms=3, horizon=4000, kind=kind)
    means = bandits.draw(rng, 4)
    arm = np.array([0, 1, 2, 1])
    played = rollout(bandits, rng, means, lambda seen: np.tile(arm[:, None], (1, 2)), 2)
    # 8000 pulls of a standard deviation of at most `deviation`: five standard errors.
    np.testing.assert_allclose(
        played.rewards.mean(axis=(1, 2)), means[np.arange(4), arm], atol=5 * deviation / np.sqrt(8000)
    )
    assert kind == "gaussian" or set(np.unique(played.rewards)) <= {0.0, 1.0}


def test_the_observation_is_the_last_arm_and_its_payment(rng):
    bandits = Bandits(arms=3, horizon=5)
    played = rollout(bandits, rng, bandits.draw(rng, 2), random_policy(bandits, 1), 4)
    assert not played.observations[:, :, 0].any()
    np.testing.assert_array_equal(played.observations[:, :, 1:, :3], np.eye(3)[played.actions[:, :, :-1]])
    np.testing.assert_array_equal(played.observations[:, :, 1:, 3], played.rewards[:, :, :-1])


def test_regret_counts_what_the_best_arm_would_have_paid_more():
    means, actions = np.array([[0.2, 0.9]]), np.array([[[0, 1, 0], [1, 1, 1]]])
    np.testing.assert_allclose(regret(means, actions), [[1.4, 0.0]], atol=1e-15)


def press(player, button, colour=0, buttons=(0, 1, 2, 3), cells=(4, 20)):
    """One step on a 5 x 5 board, as (player, reward, done)."""
    rules = Game(np.array([colour]), np.array([buttons]))
    board = Board(np.array([[player]]), np.array([[cells]]))
    game = GridGame(colours=2, dtype=np.float64)
    after, reward, done = game.step(np.random.default_rng(0), rules, board, np.array([[button]]))
    return after.player[0, 0].tolist(), reward[0, 0], done[0, 0]


@pytest.mark.parametrize("button", range(4))
def test_a_button_moves_as_the_rules_of_the_task_say(button):
    buttons = (2, 0, 3, 1)
    assert press((2, 2), button, buttons=buttons)[0] == [2 + MOVES[buttons[button]][0], 2 + MOVES[buttons[button]][1]]


def test_walls_stop_the_player_and_steps_cost():
    assert press((0, 0), 0) == ([0, 0], -STEP_COST, False)


def test_the_winning_colour_pays_and_the_other_costs_and_both_end_the_game():
    # Colour 0 is on cell 4 = (0, 4), colour 1 on cell 20 = (4, 0).
    assert press((0, 3), 1, colour=0) == ([0, 4], 1.0, True)
    assert press((0, 3), 1, colour=1) == ([0, 4], -1.0, True)


@given(st.integers(0, 2**32))
@settings(deadline=None)
def test_player_and_colours_start_on_different_cells_and_are_all_seen(seed):
    rng = np.random.default_rng(seed)
    game = GridGame(side=3, colours=4)
    board = game.start(rng, game.draw(rng, 2), 3)
    planes = game.observe(board).reshape(2, 3, 5, 9)
    assert (planes.sum(axis=3) == 1).all() and (planes.sum(axis=2) <= 1).all()
    np.testing.assert_array_equal(planes[:, :, 0].argmax(-1), board.player @ [3, 1])
    np.testing.assert_array_equal(planes[:, :, 1:].argmax(-1), board.cells)


def test_rules_differ_between_tasks_and_buttons_only_if_asked(rng):
    rules = GridGame(colours=3).draw(rng, 200)
    assert set(rules.colour) == {0, 1, 2} and len({tuple(b) for b in rules.buttons}) == 24
    assert (np.sort(rules.buttons) == np.arange(4)).all()
    assert (GridGame(shuffle_buttons=False).draw(rng, 200).buttons == np.arange(4)).all()


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Bandits(arms=1), "Bandits needs arms >= 2, and got arms=1"),
        (lambda: Bandits(kind="poisson"), "not 'poisson'"),
        (lambda: GridGame(side=2, colours=4), "colours=4 on a board of 2 x 2"),
    ],
)
def test_impossible_environments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
