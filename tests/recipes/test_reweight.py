"""Weights on examples: the slopes behind them are exact, and wrong labels lose theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tests.meta.slopes import central_differences
from tests.recipes.interrupted import Counted, check_stop, two_runs
from tinymeta.recipes import flipped, reweight
from tinymeta.recipes.run import Run

RATE = 0.1


def each(model: Any, batch: Any) -> tm.Tensor:
    return tm.nn.cross_entropy_each(model(batch[0]), batch[1])


@pytest.fixture
def problem() -> dict[str, Any]:
    """A small network, ten noisy and six clean examples, in float64."""
    rng = np.random.default_rng(0)
    noisy = rng.standard_normal((10, 4)), rng.integers(3, size=10)
    clean = rng.standard_normal((6, 4)), rng.integers(3, size=6)
    theta = tm.nn.MLP([4, 7, 3], rng=rng, activation=tm.tanh, dtype=np.float64)
    net = tm.meta.WeightNet(5, rng=rng, dtype=np.float64)
    net.network.head.weight = tm.tensor(rng.standard_normal((5, 1)))
    return {"theta": theta, "noisy": noisy, "clean": clean, "net": net}


def clean_loss(problem: dict[str, Any], eps: Any) -> tm.Tensor:
    return each(tm.meta.look_ahead(each, problem["theta"], eps, problem["noisy"], RATE), problem["clean"]).mean()


def test_agreement_is_the_slope_of_the_clean_loss_in_every_weight(problem: dict[str, Any]) -> None:
    found = tm.meta.agreement(each, problem["theta"], problem["noisy"], problem["clean"], RATE).numpy()
    slopes = central_differences(lambda eps: clean_loss(problem, eps), np.zeros(10))
    np.testing.assert_allclose(found, -slopes, rtol=0, atol=1e-8)


def test_agreement_is_the_product_of_an_examples_gradient_and_the_clean_one(problem: dict[str, Any]) -> None:
    theta, noisy = problem["theta"], problem["noisy"]
    towards = tm.grad(lambda model: each(model, problem["clean"]).mean())(theta)
    _, products = tm.jvp(lambda model: each(model, noisy), (theta,), (towards,))
    found = tm.meta.agreement(each, theta, noisy, problem["clean"], RATE).numpy()
    np.testing.assert_allclose(found, RATE * products.numpy(), rtol=1e-10, atol=1e-13)


def test_the_weights_are_the_positive_agreements_over_their_sum(problem: dict[str, Any]) -> None:
    arguments = each, problem["theta"], problem["noisy"], problem["clean"]
    slopes = tm.meta.agreement(*arguments, RATE).numpy()
    weights = tm.meta.clean_weights(*arguments).numpy()
    assert (slopes < 0).any() and (slopes > 0).any()
    np.testing.assert_allclose(weights, np.maximum(slopes, 0) / np.maximum(slopes, 0).sum(), rtol=1e-10)


def test_weights_are_0_where_no_example_helps(problem: dict[str, Any]) -> None:
    x, y = problem["clean"]
    # A model that is sure and right about all of them has no gradient left that another could agree with.
    sure = lambda theta, batch: 0.0 * each(theta, batch)
    assert not tm.meta.clean_weights(sure, problem["theta"], (x, y), (x, y)).numpy().any()


def test_the_weight_nets_meta_gradient_is_exact(problem: dict[str, Any]) -> None:
    def loss(net: Any) -> tm.Tensor:
        return tm.meta.weight_net_loss(net, each, problem["theta"], problem["noisy"], problem["clean"], RATE)

    found, net = tm.grad(loss)(problem["net"]), problem["net"]
    leaves, structure = tm.tree.flatten(net)
    rng, h = np.random.default_rng(1), 1e-5
    way = [rng.standard_normal(leaf.shape) for leaf in leaves]
    up, down = (
        float(loss(tm.tree.unflatten(structure, [leaf + sign * h * w for leaf, w in zip(leaves, way)])))
        for sign in (1, -1)
    )
    slope = sum(float((g * w).sum()) for g, w in zip(tm.tree.leaves(found), way))
    assert abs(slope) > 1e-4
    assert slope == pytest.approx((up - down) / (2 * h), abs=1e-8)


def test_a_new_weight_net_weighs_all_examples_alike(problem: dict[str, Any]) -> None:
    net = tm.meta.WeightNet(5, rng=np.random.default_rng(0), dtype=np.float64)
    weights = net.weights(each, problem["theta"], problem["noisy"]).numpy()
    np.testing.assert_allclose(weights, 0.1, rtol=1e-12)


def test_separation_is_the_share_of_pairs_in_order_with_ties_as_halves() -> None:
    rng = np.random.default_rng(0)
    weights, wrong = rng.integers(5, size=40) / 5, rng.random(40) < 0.4
    right, bad = weights[~wrong][:, None], weights[wrong]
    expected = ((right > bad) + 0.5 * (right == bad)).mean()
    assert reweight.separation(weights, wrong) == pytest.approx(expected, abs=1e-12)


def test_only_labels_are_flipped_and_only_as_many_as_asked() -> None:
    images = flipped.draw(seed=3, repetitions=2, each=(100, 2, 2))
    data = flipped.labelled(images, "one class", 0.4, np.random.default_rng(0))
    true = np.tile(np.repeat(np.arange(10), 100), (2, 1))
    given = data.pool[1][:, :1000]
    np.testing.assert_array_equal(data.wrong, given != true)
    assert (given[data.wrong] == 0).all()
    # 1,800 labels that a flip to 0 changes: the standard deviation of the share is 0.012.
    assert data.wrong[true != 0].mean() == pytest.approx(0.4, abs=0.05)
    np.testing.assert_array_equal(data.pool[1][:, 1000:], data.clean[1])


def test_plain_training_can_end_on_the_clean_examples_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = reweight.Config(iterations=5, tasks=1, shots=4, clean=1, query=2, batch=4, width=4)
    data, _ = flipped.divided(0, (1, 1), (4, 1, 2), 0.4, {"one class": np.random.default_rng(0)})
    learned, training = [], reweight.training

    def watched(method: Any) -> Any:
        begin, step = training(method)
        return begin, lambda state, noisy, clean, rate: learned.append(noisy[1]) or step(state, noisy, clean, rate)

    monkeypatch.setattr(reweight, "training", watched)
    for label, method in reweight.VARIANTS["plain, then clean alone"].items():
        learned.clear()
        how = reweight.Setting(method, label, 0.01, "one class")
        reweight.fit(config, Run(tmp_path, "reweight", quiet=True), how, data)
        clean = [labels.shape[1] == flipped.CLASSES for labels in learned]  # one each, where a batch has four
        assert clean == sorted(clean) and sum(clean) == round(5 * method.last) > 0


def test_a_stopped_run_goes_on_with_the_training_that_was_not_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brief = reweight.Config(iterations=2, tasks=2, validation=1, shots=4, clean=1, query=2, batch=4, width=4)
    methods = ("plain training", "Ren et al.")
    monkeypatch.setattr(reweight, "VARIANTS", {name: dict([*reweight.VARIANTS[name].items()][:1]) for name in methods})
    draws = Counted(flipped.shifted)
    monkeypatch.setattr(flipped, "shifted", draws)
    one = 2 * brief.iterations  # batches of a training: noisy and clean ones
    whole = 2 * 2 * 3 * one  # flips, methods, two rates and the test
    runs = two_runs(tmp_path, "reweight", monkeypatch)
    check_stop(reweight, brief, runs, draws, whole, stop=8 * one + 3)
    assert draws.calls == whole - 8 * one
    assert [line["iteration"] for line in runs[1].lines()] == [*range(1, 13)]
