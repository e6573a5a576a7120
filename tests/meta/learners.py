"""One small learner of every kind, on two-dimensional classes, in float64: what the tests of this folder share.

Everything is at module level, so that worker processes can import it. Networks have smooth activations:
finite differences know no kinks.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

import tinymeta as tm
from tinymeta.meta import classification

WAYS = 3
SGD = tm.optim.SGD


def network(rng: np.random.Generator) -> Any:
    return tm.nn.MLP([2, 5, WAYS], rng=rng, activation=tm.tanh, dtype=np.float64)


def normalised_network(rng: np.random.Generator) -> Any:
    return tm.nn.MLP([2, 5, WAYS], rng=rng, activation=tm.tanh, norm=True, dtype=np.float64)


def context_network(rng: np.random.Generator) -> Any:
    return tm.nn.MLP([5, 5, WAYS], rng=rng, activation=tm.tanh, dtype=np.float64)


def relation(rng: np.random.Generator) -> Any:
    embed = tm.nn.MLP([2, 5, 4], rng=rng, activation=tm.tanh, dtype=np.float64)
    return tm.meta.Relation(embed, tm.nn.MLP([8, 5, 1], rng=rng, activation=tm.tanh, dtype=np.float64))


def pictures(maps: Any) -> Any:
    return maps.reshape((len(maps), 3, 2, 2))


def matcher(rng: np.random.Generator) -> Any:
    embed = tm.nn.Sequential(tm.nn.MLP([2, 5, 12], rng=rng, activation=tm.tanh, dtype=np.float64), pictures)
    return tm.meta.LocalMatcher(embed, 3, 2, rng=rng, depth=4, dtype=np.float64)


def reader(rng: np.random.Generator) -> Any:
    sizes = {"width": 8, "heads": 2, "layers": 2}
    return tm.meta.Reader(tm.tanh, 2, WAYS, WAYS, rng=rng, dtype=np.float64, **sizes)


def shrunk(model: Any, batch: Any) -> Any:
    """Cross-entropy and weight decay: an inner problem curved enough to be solved to rounding."""
    return classification(model, batch) + 2.0 * sum(tm.sum(p * p) for p in tm.tree.leaves(model))


class Blobs:
    """Three classes around (k, k), as a task family."""

    def __init__(self, shots: int = 2, query: int = 2) -> None:
        self.shots, self.query = shots, query

    def sample(self, rng: np.random.Generator, tasks: int) -> tm.tasks.Episode:
        def draw(each: int) -> Any:
            labels = np.tile(np.repeat(np.arange(WAYS), each), (tasks, 1))
            return rng.normal(size=(tasks, WAYS * each, 2)) + labels[..., None], labels

        return tm.tasks.Episode(draw(self.shots), draw(self.query))


EXACT: dict[str, Any] = {
    "maml, 1 step": tm.meta.MAML(rule=SGD(0.1), steps=1, network=network),
    "maml, 3 steps": tm.meta.MAML(rule=SGD(0.1), steps=3, network=network),
    "maml, batch norm": tm.meta.MAML(rule=SGD(0.1), steps=2, network=normalised_network),
    "maml, momentum inside": tm.meta.MAML(rule=SGD(0.1, momentum=0.9), steps=3, network=network),
    "maml, adam inside": tm.meta.MAML(rule=tm.optim.Adam(0.1), steps=2, network=network),
    "maml, minibatches": tm.meta.MAML(rule=SGD(0.1), steps=2, parts=2, network=network),
    "imaml": tm.meta.MAML(shrunk, rule=SGD(0.1), steps=120, differentiate=tm.meta.Implicit(2.0, 33), network=network),
    "anil": tm.meta.ANIL(rule=SGD(0.1), steps=3, network=network),
    "meta-sgd": tm.meta.MetaSGD(steps=2, network=network),
    "maml++": tm.meta.MAMLPlusPlus(steps=3, multi_step=10, network=network),
    "cavia": tm.meta.CAVIA(steps=2, context=3, network=context_network),
    "protonet": tm.meta.ProtoNet(ways=WAYS, network=network),
    "matching": tm.meta.MatchingNet(ways=WAYS, network=network),
    "relation": tm.meta.RelationNet(ways=WAYS, network=relation),
    "local": tm.meta.LocalMatching(ways=WAYS, network=matcher),
    "in-context": tm.meta.InContext(ways=WAYS, network=reader),
    "joint": tm.meta.Joint(rule=SGD(0.1), steps=2, network=network),
}
BIASED: dict[str, Any] = {
    "first-order": replace(EXACT["maml, 3 steps"], differentiate="first_order"),
    "reptile": replace(EXACT["maml, 3 steps"], differentiate="reptile"),
    "maml++, before its second derivatives": replace(EXACT["maml++"], second_order_from=5),
}
LEARNERS = EXACT | BIASED


def start(learner: Any) -> Any:
    return learner.init(np.random.default_rng(1))


def episodes(tasks: int = 4, **sizes: int) -> tm.tasks.Episode:
    return Blobs(**sizes).sample(np.random.default_rng(2), tasks)


def objective(learner: Any) -> Any:
    """The learner's objective, in iteration 3 for those that ask."""
    if isinstance(learner, tm.meta.MAMLPlusPlus):
        return lambda phi, episodes: learner(phi, episodes, tm.tensor(3.0))
    return learner


def flat(tree: Any) -> Any:
    """All numbers of a tree in one vector."""
    return np.concatenate([np.asarray(leaf, float).ravel() for leaf in tm.tree.leaves(tree)])
