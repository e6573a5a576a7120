"""Local matching, against its definition place by place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tests.meta.learners import LEARNERS, WAYS, episodes, matcher, start
from tinymeta.meta.learners.local import both_ways


def drawn(seed: int = 0, side: int = 3, m: int = 2, n: int = 4) -> tuple[Any, Any, Any]:
    """A matcher whose every number is random, and maps of two collections of pictures."""
    rng = np.random.default_rng(seed)
    phi = tm.meta.LocalMatcher(lambda x: x, 2, side, rng=rng, depth=5, dtype=np.float64)
    phi = tm.tree.map(lambda p: tm.tensor(p.numpy() + 0.3 * rng.normal(size=p.shape)), phi)
    return phi, rng.normal(size=(m, 2, side, side)), rng.normal(size=(n, 2, side, side))


def by_definition(phi: Any, a: Any, b: Any) -> float:
    """The score of one pair of maps (channels, side, side), in loops."""
    side, places = phi.side, list(np.ndindex(phi.side, phi.side))

    def described(maps: Any) -> tuple[list[Any], Any]:
        columns = [maps[:, i, j] for i, j in places]
        project, weigh = (layer.weight.numpy()[..., 0, 0] for layer in (phi.project, phi.weigh))
        directions = [project @ x + phi.project.bias.numpy() for x in columns]
        weights = np.log1p(np.exp([(weigh @ x + phi.weigh.bias.numpy())[0] for x in columns]))
        return [x / (np.linalg.norm(x) + 1e-8) for x in directions], weights / weights.sum()

    (u, w), (v, z) = described(a), described(b)
    sharpness, scale = np.exp(float(phi.log_sharpness)), np.exp(float(phi.log_scale))
    near = phi.nearness.numpy().reshape(2 * side - 1, 2 * side - 1)
    answers = np.empty((len(places), len(places)))
    for k, p in enumerate(places):
        for l, q in enumerate(places):
            b_qp = near[q[0] - p[0] + side - 1, q[1] - p[1] + side - 1]
            answers[k, l] = np.exp(sharpness * (u[k] @ v[l] + b_qp))
    there, back = w @ np.log(answers.sum(1)), z @ np.log(answers.sum(0))
    return float(scale / (2 * sharpness) * (there + back))


@pytest.mark.parametrize("side", [1, 2, 3])
def test_each_pair_has_the_score_of_the_definition(side: int) -> None:
    phi, a, b = drawn(side=side)
    expected = [[by_definition(phi, x, y) for y in b] for x in a]
    np.testing.assert_allclose(phi(a, b).numpy(), expected, rtol=1e-12)


def test_where_to_look_is_from_the_first_picture_s_place_to_the_second_s() -> None:
    """A table that allows one step to the right: the second picture must be the first one moved to the right."""
    phi, x, _ = drawn(side=3)
    only = np.full((5, 5), -5.0)
    only[2, 3] = 0.0
    phi.nearness, phi.log_sharpness = tm.tensor(only.reshape(-1)), tm.tensor(np.log(30.0))
    right, left = np.roll(x, 1, axis=-1), np.roll(x, -1, axis=-1)
    assert (np.diag(phi(x, right).numpy()) > np.diag(phi(x, left).numpy()) + 10).all()


def test_a_sharp_score_is_that_of_the_best_partners() -> None:
    phi, a, b = drawn()
    phi.nearness, phi.log_sharpness = tm.zeros(25), tm.tensor(np.log(500.0))
    (u, w), (v, z) = ([part.numpy() for part in phi.places(x)] for x in (a, b))
    cosine = np.einsum("mpd,nqd->mnpq", u, v)
    best = np.einsum("mp,mnp->mn", w, cosine.max(3)) + np.einsum("nq,mnq->mn", z, cosine.max(2))
    # A soft maximum of 9 lies between the maximum and log 9/τ above it.
    excess = phi(a, b).numpy() / np.exp(float(phi.log_scale)) - best / 2
    assert (excess >= -1e-12).all() and (excess <= np.log(9) / 500).all()


def test_weights_are_shares_and_directions_have_length_1() -> None:
    phi, a, _ = drawn()
    directions, weights = phi.places(a)
    np.testing.assert_allclose(weights.numpy().sum(-1), 1, rtol=1e-12)
    np.testing.assert_allclose(
        np.linalg.norm(directions.numpy(), axis=-1), 1, rtol=1e-7
    )  # 1e-8 is added to each length


def test_a_class_of_several_examples_has_the_mean_of_their_scores() -> None:
    learner, episode = LEARNERS["local"], next(tm.tasks.unstack(episodes(tasks=1, shots=3, query=1)))
    phi, (x, labels), (queries, _) = start(learner), episode.support, episode.query
    each = phi(queries, x).numpy()
    expected = np.stack([each[:, labels == k].mean(1) for k in range(WAYS)], 1)
    np.testing.assert_allclose(learner.learn(phi, (x, labels))(queries).numpy(), expected, rtol=1e-12)


def test_the_loss_asks_in_both_directions_if_each_class_has_one_query() -> None:
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=(4, 4)), np.array([2, 0, 3, 1])
    log_share = lambda x, axis: x - np.log(np.exp(x).sum(axis, keepdims=True))
    right = np.arange(4), labels
    expected = -(log_share(scores, 1)[right].mean() + log_share(scores, 0)[right].mean()) / 2
    assert float(both_ways(lambda x: tm.tensor(x), (scores, labels))) == pytest.approx(expected, rel=1e-12)
    more = np.concatenate([scores, scores]), np.concatenate([labels, labels])
    assert float(both_ways(lambda x: tm.tensor(x), more)) == float(tm.nn.cross_entropy(*more))


def test_a_class_without_an_example_is_told() -> None:
    phi = matcher(np.random.default_rng(0))
    with pytest.raises(tm.UserError, match="no example of \\[2\\]"):
        tm.meta.LocalMatching(ways=3).learn(phi, (np.ones((2, 2)), np.array([0, 1])))
