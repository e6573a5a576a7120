"""Strategies for what `tm.meta` offers besides learners; `learners.py` has the table."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinymeta as tm
from tests.fuzz.layers import flattened
from tests.fuzz.task import Learned, Strategy, Task, features_of
from tinymeta import meta, nn
from tinymeta.meta.control.policy import Steps
from tinymeta.meta.stream.online import StartAndPace
from tinymeta.optim import SGD
from tinymeta.tasks import Episode


def carrying(r: Any, task: Task) -> Learned:
    rule = meta.Carrying(tm.optim.Adam(0.05, b1=0.0, eps=1e-3))
    pulled = meta.maml(task.loss.of, rule=rule, steps=2, differentiate="reptile")
    return Learned(lambda phi, episodes: pulled(rule.carried(phi), episodes), task.network(r), task.episodes)


def synthetic(r: Any, task: Task) -> Learned | None:
    if task.flow.ids:
        return None
    x, labels = task.batch(r, 3)
    phi = meta.Synthetic(tm.Tensor(x), tm.Tensor(np.full(2, -3.0, task.dtype)))
    trials = meta.Trials(task.network, *task.batch(r, 5), 4)
    return Learned(meta.distillation(task.loss.of, labels), phi, lambda r: trials.sample(r, task.tasks))


def hypergradient(r: Any, task: Task) -> Learned:
    rule = meta.Hypergradient(lambda lr: SGD(lr), 0.1, relative=bool(r.integers(2)))
    objective = meta.maml(task.loss.of, rule=rule, steps=2, differentiate=("exact", "first_order")[r.integers(2)])
    return Learned(objective, task.network(r), task.episodes)


def unrolled(r: Any, task: Task) -> Learned:
    phi = {"lr": tm.Tensor(np.asarray(0.05, task.dtype))}
    start = task.network(r)
    rule = lambda lr: SGD(lr)

    def objective(phi: Any, episodes: Any) -> Any:
        one = lambda phi, e: meta.unrolled(task.loss.of, rule, 2, phi["lr"], meta.Problem(phi["start"], *e))
        return meta.over_tasks(one)(phi, episodes)

    return Learned(objective, {**phi, "start": start}, task.episodes)


def learned_loss(r: Any, task: Task) -> Learned | None:
    if len(task.flow.shape) != 1 or task.flow.ids or len(task.output) != 1:
        return None
    network = meta.LossNetwork(task.flow.shape[0], task.output[0], rng=r, width=5, dtype=task.dtype)
    squares = task._replace(loss=task.loss._replace(targets=lambda r, n, s, d: r.normal(size=(*n, *s)).astype(d)))

    def objective(phi: Any, episodes: Any) -> Any:
        def one(phi: Any, e: Any) -> Any:
            problem = meta.Problem(phi[1], *e)
            return meta.shaped_loss(meta.regression, phi[0], problem, rule=SGD(0.05), steps=2)

        return meta.over_tasks(one)(phi, episodes)

    return Learned(objective, [network, task.network(r)], squares.episodes)


def learned_rule(kind: Any, **sizes: int) -> Strategy:
    def strategy(r: Any, task: Task) -> Learned:
        rule = kind(r, **sizes)
        warm = int(r.integers(2))

        def objective(phi: Any, batch: Any) -> Any:
            return meta.window_loss(phi[0], _above_zero(task.loss.of), phi[1], batch, warm=warm, steps=2)

        return Learned(objective, [rule, task.network(r)], lambda r: task.batch(r, task.shots))

    return strategy


def _above_zero(loss: Any) -> Any:
    """What a logarithm is taken of."""
    return lambda model, batch: loss(model, batch) + 1.0


def online(r: Any, task: Task) -> Learned:
    theta = task.network(r)
    phi = StartAndPace(theta, tm.tree.map(lambda p: tm.Tensor(np.full(p.shape, -3.0, p.dtype)), theta))
    return Learned(meta.OnlineMetaSGD(task.loss.of), phi, lambda r: task.batch(r, task.tasks, 2, task.shots))


def mldg(r: Any, task: Task) -> Learned:
    each = lambda model, batch: tm.vmap(task.loss.of, in_axes=(None, 0))(model, batch).mean()
    objective = meta.mldg(each, held_out=1, alpha=0.05)
    return Learned(objective, task.network(r), lambda r: task.batch(r, task.tasks + 1, task.shots))


def _each(model: Any, batch: Any) -> Any:
    """Cross-entropies of flattened outputs, one per example."""
    return nn.cross_entropy_each(flattened(model(batch[0])), batch[1])


def _labels_of_all(task: Task, r: Any, n: int) -> Any:
    return task.x(r, n), r.integers(0, int(np.prod(task.output)), n)


def reweight(r: Any, task: Task) -> Learned:
    net = meta.WeightNet(4, rng=r, dtype=task.dtype)

    def objective(phi: Any, data: Any) -> Any:
        shares = meta.clean_weights(_each, phi[1], *data)
        return meta.weight_net_loss(phi[0], _each, phi[1], *data, 0.1) + tm.sum(shares * _each(phi[1], data[0]))

    data = lambda r: (_labels_of_all(task, r, task.shots + 2), _labels_of_all(task, r, 3))
    return Learned(objective, [net, task.network(r)], data)


def teacher(r: Any, task: Task) -> Learned:
    distillation = meta.Distillation(float(r.choice([1.0, 2.0])), 0.3)
    phi = [features_of(task)(r), features_of(task)(r)]
    objective = lambda phi, data: distillation.quiz_loss(*phi, *data, 0.1)
    data = lambda r: (_labels_of_all(task, r, task.shots), _labels_of_all(task, r, 3))
    return Learned(objective, phi, data)


def policy(kind: Any) -> Strategy:
    def strategy(r: Any, task: Task) -> Learned:
        width = int(r.choice([1, 2, 5]))
        phi = kind([width, 7, 3], rng=r, dtype=task.dtype)
        learner = meta.MAML(meta.policy_gradient, rule=SGD(0.1), steps=int(r.integers(1, 3)))

        def steps(r: Any) -> Any:
            lead = task.tasks, task.shots + 1
            action: Any = r.integers(0, 3, lead)
            if kind is meta.GaussianPolicy:
                action = r.normal(size=(*lead, 3)).astype(task.dtype)
            share = np.full(lead, 1 / lead[1], task.dtype)
            seen = r.normal(size=(*lead, width)).astype(task.dtype)
            return Steps(seen, action, r.normal(size=lead).astype(task.dtype), share)

        return Learned(learner, phi, lambda r: Episode(steps(r), steps(r)))

    return strategy


def trpo(r: Any, task: Task) -> Learned:
    """What TRPO asks of an objective: the surrogate and the KL, here added."""
    phi = meta.CategoricalPolicy([3, 7, 2], rng=r, dtype=task.dtype)
    search = meta.PolicySearch(None, meta.MAML(meta.policy_gradient, rule=SGD(0.1), steps=1))  # type: ignore[arg-type]

    def objective(phi: Any, data: Any) -> Any:
        loss, kl = search.judge(phi, data)
        return loss + 0.5 * kl

    def data(r: Any) -> Any:
        lead = task.tasks, task.shots + 1
        seen = lambda *more: r.normal(size=(*lead, *more)).astype(task.dtype)
        steps = lambda: Steps(seen(3), r.integers(0, 2, lead), seen(), np.full(lead, 1 / lead[1], task.dtype))
        return steps(), steps(), type(phi(np.zeros((1, 3), task.dtype)))(seen(2))

    return Learned(objective, phi, data)
