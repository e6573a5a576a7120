"""One strategy for every learner of `tm.meta`: an objective of φ and data, a φ to start from, and the data.

A strategy is given a generator and a `Task` (what network and loss were drawn), and returns a `Learned`, or None where
such a learner does not fit. `OTHERS` says why the rest of `tm.meta` has none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinymeta as tm
from tests.fuzz import objectives
from tests.fuzz.task import Learned, Strategy, Task, features_of
from tinymeta import meta, nn
from tinymeta.meta.learners.metasgd import WeightsAndSteps
from tinymeta.optim import SGD

DIFFERENTIATE = ("exact", "exact", "first_order", "reptile", meta.Implicit(2.0, 2))


def _rule(r: Any) -> Any:
    return (SGD(0.1), SGD(0.05, momentum=0.9), SGD(0.05, 0.5, True), tm.optim.Adam(0.05, eps=1e-3))[r.integers(4)]


def _learner(learner: Any, r: Any, task: Task) -> Learned:
    return Learned(learner, learner.init(r), task.episodes)


def _maml(r: Any, task: Task) -> Learned:
    how: Any = DIFFERENTIATE[r.integers(len(DIFFERENTIATE))]
    steps, parts = int(r.integers(1, 4)), 2 if task.shots > 1 and r.random() < 0.2 else 1
    kinds = {"rule": _rule(r), "steps": steps, "differentiate": how, "parts": parts, "network": task.network}
    return _learner(meta.MAML(task.loss.of, **kinds), r, task)


def _anil(r: Any, task: Task) -> Learned:
    return _learner(
        meta.ANIL(task.loss.of, rule=_rule(r), steps=int(r.integers(1, 4)), only=task.head, network=task.network),
        r,
        task,
    )


def _joint(r: Any, task: Task) -> Learned:
    return _learner(meta.Joint(task.loss.of, rule=_rule(r), network=task.network), r, task)


def _metasgd(r: Any, task: Task) -> Learned:
    how = ("exact", "first_order")[r.integers(2)]
    learner = meta.MetaSGD(task.loss.of, steps=int(r.integers(1, 3)), differentiate=how, network=task.network)
    return _learner(learner, r, task)


def _mamlpp(r: Any, task: Task) -> Learned:
    how = {"multi_step": int(r.choice([0, 10])), "second_order_from": int(r.choice([0, 5]))}
    learner = meta.MAMLPlusPlus(task.loss.of, steps=int(r.integers(1, 4)), network=task.network, **how)
    data = lambda r: (task.episodes(r), np.float64(r.integers(8)))
    return Learned(lambda phi, data: learner(phi, *data), learner.init(r), data)


def _metaadam(r: Any, task: Task) -> Learned:
    return _learner(meta.MetaAdam(task.loss.of, steps=int(r.integers(1, 3)), network=task.network), r, task)


def _cavia(r: Any, task: Task) -> Learned | None:
    if len(task.flow.shape) != 1 or task.flow.ids or len(task.output) != 1:
        return None
    context, width = int(r.integers(1, 5)), task.flow.shape[0]
    sizes = [width + context, int(r.choice([3, 17])), *task.output]
    network = lambda rng: nn.MLP(sizes, rng=rng, activation=(nn.tanh, nn.relu)[width % 2], dtype=task.dtype)
    learner = meta.CAVIA(task.loss.of, context=context, steps=int(r.integers(1, 3)), network=network)
    return _learner(learner, r, task)


def _of_classes(make: Callable[[int, Task], Any]) -> Strategy:
    def strategy(r: Any, task: Task) -> Learned:
        ways = int(r.integers(2, 5))
        learner = make(ways, task)
        return Learned(learner, learner.init(r), lambda r: task.labelled(r, ways))

    return strategy


def _relation(ways: int, task: Task) -> Any:
    size = int(np.prod(task.output))
    compare = lambda rng: nn.MLP([2 * size, 5, 1], rng=rng, activation=nn.tanh, dtype=task.dtype)
    network = lambda rng: meta.Relation(features_of(task)(rng), compare(rng))
    return meta.RelationNet(ways=ways, network=network)


def _matcher(ways: int, task: Task) -> Any:
    """Maps of 1 to 3 channels and as many places to a side as a random matrix makes of the features."""
    side, channels, size = 1 + ways % 3, 1 + task.shots % 3, int(np.prod(task.output))
    maps = lambda x: x.reshape((len(x), channels, side, side))
    widened = lambda rng: nn.Linear(size, channels * side**2, rng=rng, dtype=task.dtype)
    embed = lambda rng: nn.Sequential(features_of(task)(rng), widened(rng), maps)
    network = lambda rng: meta.LocalMatcher(embed(rng), channels, side, depth=3, rng=rng, dtype=task.dtype)
    return meta.LocalMatching(ways=ways, network=network)


def _reader(ways: int, task: Task) -> Any:
    size = int(np.prod(task.output))
    sizes = {"width": 4, "heads": 2, "layers": 1, "dtype": task.dtype}
    network = lambda rng: meta.Reader(features_of(task)(rng), size, ways, ways, rng=rng, **sizes)
    return meta.InContext(ways=ways, network=network)


def _plain(r: Any, task: Task) -> Learned:
    return Learned(task.loss.of, task.network(r), lambda r: task.batch(r, task.shots))


def _path_of_losses(r: Any, task: Task) -> Learned:
    """The losses of all models on the way, as `evaluate` measures them."""
    learner = meta.MetaSGD(task.loss.of, network=task.network)
    measure = meta.on_query(task.loss.of)

    def one(phi: Any, e: Any) -> Any:
        models = learner.path(phi, e.support, 2)
        return tm.stack([measure(model, *e) for model in models]).mean()

    phi: WeightsAndSteps = learner.init(r)
    return Learned(meta.over_tasks(one), phi, task.episodes)


LEARNERS: dict[str, Strategy] = {
    "plain training": _plain,
    "ANIL": _anil,
    "CAVIA": _cavia,
    "MAML": _maml,
    "TRPO": objectives.trpo,
    "Carrying": objectives.carrying,
    "CategoricalPolicy": objectives.policy(meta.CategoricalPolicy),
    "Distillation": objectives.teacher,
    "GaussianPolicy": objectives.policy(meta.GaussianPolicy),
    "Hypergradient": objectives.hypergradient,
    "InContext": _of_classes(_reader),
    "Joint": _joint,
    "LSTMRule": objectives.learned_rule(meta.LSTMRule, width=3, layers=1),
    "LossNetwork": objectives.learned_loss,
    "LocalMatching": _of_classes(_matcher),
    "MAMLPlusPlus": _mamlpp,
    "MLPRule": objectives.learned_rule(meta.MLPRule, width=4),
    "MatchingNet": _of_classes(lambda ways, task: meta.MatchingNet(ways=ways, network=features_of(task))),
    "MetaAdam": _metaadam,
    "MetaSGD": _metasgd,
    "OnlineMetaSGD": objectives.online,
    "ProtoNet": _of_classes(lambda ways, task: meta.ProtoNet(ways=ways, network=features_of(task))),
    "RelationNet": _of_classes(_relation),
    "Synthetic": objectives.synthetic,
    "WeightNet": objectives.reweight,
    "mldg": objectives.mldg,
    "on_query": _path_of_losses,
    "unrolled": objectives.unrolled,
}
WITHIN: dict[str, str] = {
    "GradientLearner": "MAML",
    "Learner": "ProtoNet",
    "Implicit": "MAML",
    "conjugate_gradients": "MAML",
    "adapt": "MAML",
    "query_loss": "MAML",
    "over_tasks": "MAML",
    "maml": "Carrying",
    "joint": "Joint",
    "Carried": "Carrying",
    "Trial": "Synthetic",
    "Trials": "Synthetic",
    "distillation": "Synthetic",
    "distilled": "Synthetic",
    "Problem": "unrolled",
    "Reader": "InContext",
    "LocalMatcher": "LocalMatching",
    "Relation": "RelationNet",
    "shaped_loss": "LossNetwork",
    "regression": "LossNetwork",
    "LearnedRule": "MLPRule",
    "descend": "MLPRule",
    "window_loss": "MLPRule",
    "classification": "ProtoNet",
    "policy_gradient": "CategoricalPolicy",
    "PolicySearch": "TRPO",
    "agreement": "WeightNet",
    "clean_weights": "WeightNet",
    "look_ahead": "WeightNet",
    "weight_net_loss": "WeightNet",
}
OTHERS = {
    "Cactus": "draws tasks, in NumPy",
    "Umtra": "draws tasks, in NumPy",
    "k_means": "NumPy",
    "partitions_of": "NumPy",
    "GradientMemory": "NumPy",
    "Workers": "an executor",
    "Dask": "an executor",
    "fit": "a loop around an objective",
    "Validation": "a loop's look at tasks held out",
    "trained": "a loop around an objective",
    "evaluate": "a loop around on_query",
    "adaptation_curve": "a loop around on_query",
    "inductive": "a model of one example at a time",
    "one_by_one": "a model of one example at a time",
    "transductive": "a score in place of a loss, like on_query",
    "meta_gradient_errors": "a report",
    "rescaled": "a loss in other coordinates: a product",
}
