"""Measuring what was meta-learned: one number per test task, after each number of steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinymeta.compile import compile
from tinymeta.engine import tree
from tinymeta.engine.tensor import Array, Tensor
from tinymeta.engine.vmap import vmap
from tinymeta.meta.core.adapt import Loss, adapt
from tinymeta.meta.core.learner import Learner, Model
from tinymeta.ops.shape import concat, stack
from tinymeta.optim.optimizer import Optimizer

Measure = Callable[[Any, Any, Any], Tensor]  # (model, support, query) → scalar
Score = Callable[[Tensor, Tensor], Tensor]  # (outputs, y) → scalar


def evaluate(
    learner: Learner, measure: Measure, phi: Any, episodes: Any, *, at_once: int = 25, compiled: bool = False
) -> Array:
    """`measure(model, support, query)` for every task and every model that the learner makes of its support set.

    Parameters
    ----------
    measure
        Such as `on_query(loss)`, `transductive(score)` or `inductive(score)`.
    episodes
        A batch of tasks (arrays with a leading task axis).
    at_once
        How many tasks to learn together: bounds the memory.
    compiled
        Record the measuring of `at_once` tasks and replay it (`tm.compile`): worth it for images and many tasks.

    Returns
    -------
    Array
        Shape (tasks, stages): for a `GradientLearner` after 0, 1, …, `test_steps` steps, for others one.
    """
    return _measured(learner.models, measure, phi, episodes, at_once, compiled)


def adaptation_curve(
    loss: Loss,
    measure: Measure,
    params: Any,
    episodes: Any,
    *,
    rule: Optimizer,
    steps: int,
    at_once: int = 25,
    **options: Any,
) -> Array:
    """`evaluate` for a loss and parameters of your own: shape (tasks, steps + 1). `options` go to `adapt`."""

    def models(params: Any, support: Any) -> list[Any]:
        return adapt(loss, params, support, rule=rule, steps=steps, path=True, **options)  # type: ignore[no-any-return]

    return _measured(models, measure, params, episodes, at_once)


def _measured(
    models: Callable[[Any, Any], list[Any]],
    measure: Measure,
    phi: Any,
    episodes: Any,
    at_once: int,
    compiled: bool = False,
) -> Array:
    def one(phi: Any, episode: Any) -> Tensor:
        return stack([measure(model, episode.support, episode.query) for model in models(phi, episode.support)])

    together: Callable[[Any, Any], Tensor] = vmap(one, in_axes=(None, 0))
    if compiled:
        together = compile(together)
    count = len(tree.leaves(episodes)[0])
    rows = []
    with np.errstate(all="ignore"):  # a step size may be too large for a method; the table then says inf or nan
        for start in range(0, count, at_once):
            part = tree.map(lambda a, start=start: a[start : start + at_once], episodes)
            rows.append(together(phi, part).numpy())
    return np.concatenate(rows)


def on_query(loss: Loss) -> Measure:
    """The loss on the query set, all of it at once."""
    return lambda model, support, query: loss(model, query)


def transductive(score: Score) -> Measure:
    """`score(outputs, y)` of the query set, its examples normalised together: they see each other."""
    return lambda model, support, query: score(model(query[0]), query[1])


def inductive(score: Score) -> Measure:
    """`score(outputs, y)` of the query set, each example on its own: what a user with one new image has.

    (Nichol et al. 2018, § 6.1, call the other way transductive.)
    """
    return lambda model, support, query: score(one_by_one(model, support[0])(query[0]), query[1])


def one_by_one(model: Model, company: Any) -> Model:
    """`model` for examples that do not see each other: each is normalised together with `company`, the support x."""

    def alone(x: Tensor) -> Any:
        return model(concat([company, x.expand_dims(0)]))[-1]

    return lambda x: vmap(alone)(x)
