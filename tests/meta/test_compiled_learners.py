"""Every learner's meta-gradient is the same compiled as eager, on networks of realistic form."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

import tinymeta as tm

MLP = partial(tm.nn.MLP, [1, 12, 12, 1], activation=tm.tanh, dtype=np.float64)
SINE: dict[str, Any] = {
    "maml": tm.meta.MAML(tm.meta.regression, rule=tm.optim.SGD(0.01), network=lambda rng: MLP(rng=rng)),
    "joint": tm.meta.Joint(tm.meta.regression, rule=tm.optim.SGD(0.01), network=lambda rng: MLP(rng=rng)),
    "meta-sgd": tm.meta.MetaSGD(tm.meta.regression, network=lambda rng: MLP(rng=rng)),
    "reptile": tm.meta.MAML(
        tm.meta.regression, rule=tm.optim.SGD(0.01), differentiate="reptile", steps=3, network=lambda rng: MLP(rng=rng)
    ),
    "adam inside": tm.meta.MAML(
        tm.meta.regression, rule=tm.optim.Adam(0.01), steps=2, network=lambda rng: MLP(rng=rng)
    ),
}
SINE |= {
    "first-order": replace(SINE["maml"], differentiate="first_order"),
    "two steps": replace(SINE["maml"], steps=2),
    "five steps": replace(SINE["maml"], steps=5),
    "implicit": replace(SINE["maml"], differentiate="implicit"),
}


def agree(learner: Any, phi: Any, episodes: Any) -> None:
    both = tm.value_and_grad(learner)
    eager_value, eager = both(phi, episodes)
    value, grads = tm.compile(both)(phi, episodes)
    assert float(value) == pytest.approx(float(eager_value), rel=1e-10)
    scale = max(float(np.abs(g.numpy()).max()) for g in tm.tree.leaves(eager))
    for path, a, b in zip(tm.tree.paths(eager), tm.tree.leaves(eager), tm.tree.leaves(grads)):
        np.testing.assert_allclose(b.numpy(), a.numpy(), rtol=1e-8, atol=1e-9 * scale, err_msg=path)


@pytest.mark.parametrize("tasks", [1, 4, 25])
@pytest.mark.parametrize("name", SINE)
def test_on_sinusoids(name: str, tasks: int) -> None:
    family = tm.tasks.Sinusoids(shots=5, query=7, dtype=np.float64)
    learner = SINE[name]
    agree(learner, learner.init(np.random.default_rng(0)), family.sample(np.random.default_rng(1), tasks))


@pytest.mark.parametrize("differentiate", ["exact", "first_order"])
@pytest.mark.parametrize("ways", [2, 5])
def test_on_a_normalised_classifier(ways: int, differentiate: str) -> None:
    network = lambda rng: tm.nn.MLP([16, 12, 8, ways], rng=rng, norm=True, dtype=np.float64)
    learner = tm.meta.MAML(rule=tm.optim.SGD(0.1), steps=2, differentiate=differentiate, network=network)
    rng = np.random.default_rng(2)
    labels = np.tile(np.arange(ways), (3, 1))
    episodes = tm.tasks.Episode((rng.random((3, ways, 16)), labels), (rng.random((3, ways, 16)), labels))
    agree(learner, learner.init(np.random.default_rng(0)), episodes)


@pytest.mark.parametrize("kind", ["maml", "protonet"])
def test_on_a_convolutional_network(kind: str) -> None:
    class Net(tm.nn.Module):
        def __init__(self, rng: np.random.Generator) -> None:
            self.filters = tm.tensor(0.3 * rng.standard_normal((4, 1, 3, 3)))
            self.head = tm.nn.Linear(4 * 16, 3, rng=rng, dtype=np.float64)

        def __call__(self, x: tm.Tensor) -> tm.Tensor:
            h = tm.relu(tm.nn.batch_norm(tm.nn.conv2d(x, self.filters, stride=2, padding=1)))
            return self.head(h.reshape((h.shape[0], -1)))

    learner: Any = (
        tm.meta.MAML(rule=tm.optim.SGD(0.1), network=Net) if kind == "maml" else tm.meta.ProtoNet(ways=3, network=Net)
    )
    rng = np.random.default_rng(3)
    labels = np.tile(np.arange(3), (2, 1))
    episodes = tm.tasks.Episode((rng.random((2, 3, 1, 8, 8)), labels), (rng.random((2, 3, 1, 8, 8)), labels))
    agree(learner, learner.init(np.random.default_rng(0)), episodes)
