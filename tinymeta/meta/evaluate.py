"""Measuring what was meta-learned: one number per test task, after each number of steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinymeta.engine import tree
from tinymeta.engine.tensor import Array, Tensor
from tinymeta.engine.vmap import vmap
from tinymeta.meta.adapt import Loss, adapt
from tinymeta.ops.shape import concat, stack
from tinymeta.optim.optimizer import Optimizer

Measure = Callable[[Any, Any, Any], Tensor]  # (model, support, query) → scalar


def adaptation_curve(
    loss: Loss,
    measure: Measure,
    params: Any,
    episodes: Any,
    *,
    rule: Optimizer,
    steps: int,
    at_once: int = 100,
    **options: Any,
) -> Array:
    """`measure(model, support, query)` for every task after 0, 1, …, `steps` inner steps.

    Parameters
    ----------
    episodes
        A batch of tasks (arrays with a leading task axis).
    at_once
        How many tasks to adapt together: bounds the memory.
    options
        Go to `adapt`.

    Returns
    -------
    Array
        Shape (tasks, steps + 1).
    """

    constant = {"differentiate": "first_order"}  # nothing differentiates the result

    def one(params: Any, episode: Any) -> Tensor:
        trail = adapt(loss, params, episode.support, rule=rule, steps=steps, path=True, **constant, **options)
        return stack([measure(model, episode.support, episode.query) for model in trail])

    count = len(tree.leaves(episodes)[0])
    rows = []
    with np.errstate(all="ignore"):  # a step size may be too large for a method; the table then says inf or nan
        for start in range(0, count, at_once):
            part = tree.map(lambda a, start=start: a[start : start + at_once], episodes)
            rows.append(vmap(one, in_axes=(None, 0))(params, part).numpy())
    return np.concatenate(rows)


def on_query(loss: Loss) -> Measure:
    """The loss on the query set, all of it at once."""
    return lambda model, support, query: loss(model, query)


def transductive(score: Callable[[Tensor, Tensor], Tensor]) -> Measure:
    """`score(logits, labels)` of the query set, its examples normalised together: they see each other."""
    return lambda model, support, query: score(model(query[0]), query[1])


def inductive(score: Callable[[Tensor, Tensor], Tensor]) -> Measure:
    """`score(logits, labels)` of the query set, each example normalised with the support set alone.

    This is what a user with one new image has. Batch statistics are those of the support set and the
    one example (Nichol et al. 2018, § 6.1, call the other way transductive).
    """

    def measure(model: Any, support: Any, query: Any) -> Tensor:
        def alone(x: Tensor) -> Any:
            return model(concat([support[0], x.expand_dims(0)]))[-1]

        return score(vmap(alone)(query[0]), query[1])

    return measure
