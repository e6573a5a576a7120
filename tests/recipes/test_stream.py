"""Following a stream: the gradient through all its steps, and losses that are counted before they are learned from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tinymeta.meta.stream.online import StartAndPace
from tinymeta.recipes import stream

CONFIG = stream.Config(shots=3)
online = tm.meta.OnlineMetaSGD(tm.meta.regression)


def phi(seed: int = 0) -> StartAndPace:
    """Weights and step sizes in float64, all of them different."""
    rng = np.random.default_rng(seed)
    theta = tm.nn.MLP([1, 6, 1], rng=rng, activation=tm.tanh, dtype=np.float64)
    return StartAndPace(theta, tm.tree.map(lambda p: tm.tensor(np.log(rng.uniform(0.005, 0.05, p.shape))), theta))


def told(times: int) -> Any:
    x, y = stream.streams(CONFIG, times).sample(np.random.default_rng(1), 4)
    return x.astype(np.float64), y.astype(np.float64)


def test_the_meta_gradient_goes_through_every_step_of_the_stream() -> None:
    start, streams, h = phi(), told(6), 1e-5
    rng = np.random.default_rng(2)
    direction = tm.tree.map(lambda p: rng.normal(size=p.shape), start)
    shifted = lambda t: float(online(tm.tree.map(lambda p, d: p + t * d, start, direction), streams))
    products = tm.tree.map(lambda g, d: float((g * d).sum()), tm.grad(online)(start, streams), direction)
    for part in (products.theta, products.log_alpha):
        assert max(map(abs, tm.tree.leaves(part))) > 1e-3
    assert sum(tm.tree.leaves(products)) == pytest.approx((shifted(h) - shifted(-h)) / (2 * h), rel=1e-6)


def test_following_in_recorded_parts_is_following_at_once() -> None:
    start, streams = phi(), told(7)
    whole = tm.vmap(online.follow, in_axes=(None, None, 0))(start.theta, start.log_alpha, streams)[0]
    np.testing.assert_allclose(online.losses(start, streams, at_once=3), whole.numpy(), rtol=1e-12)
    assert float(whole.mean()) == pytest.approx(float(online(start, streams)), rel=1e-12)


def test_a_loss_is_counted_before_the_step_that_learns_from_it() -> None:
    start, (x, y) = phi(), told(5)
    losses = online.losses(start, (x, y))
    y[:, 3] += 1.0  # what is told at time 3 changes its own loss and later ones, no earlier one
    changed = online.losses(start, (x, y))
    np.testing.assert_array_equal(losses[:, :3], changed[:, :3])
    assert (losses[:, 3:] != changed[:, 3:]).all()


def test_steps_of_size_0_leave_the_weights_alone() -> None:
    theta, (x, y) = phi().theta, told(5)
    still = online.losses(stream.with_rate(theta, 1e-300), (x, y))
    np.testing.assert_allclose(still, ((theta(x).numpy() - y) ** 2).mean((2, 3)), rtol=1e-12)


def test_a_diverging_step_size_is_not_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(stream, "RATES", (1e3, 0.001))
    monkeypatch.setattr(stream, "VALIDATION", 2)
    config = stream.Config(test_times=20)
    run = stream.Run(tmp_path, "stream", quiet=True)
    starts = {"random weights": stream.network(np.random.default_rng(0))}
    assert stream.tuned(config, run, starts) == {"random weights": 0.001}
