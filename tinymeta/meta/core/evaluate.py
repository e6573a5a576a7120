"""Measuring what was meta-learned: one number per test task, after each number of steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinymeta.compile import compile
from tinymeta.engine import tree
from tinymeta.engine.options import counted
from tinymeta.engine.tensor import Array, Tensor
from tinymeta.engine.typing import Tree
from tinymeta.meta.core.adapt import Loss, adapt
from tinymeta.meta.core.learner import Learner, Model
from tinymeta.meta.core.mistakes import check_axes
from tinymeta.ops.draws import vmap
from tinymeta.ops.shape import concat, stack
from tinymeta.optim.optimizer import Optimizer
from tinymeta.tasks.episode import Episode

Measure = Callable[[Tree, Tree, Tree], Tensor]  # (model, support, query) → scalar
Score = Callable[[Tensor, Tensor], Tensor]  # (outputs, y) → scalar


def evaluate(
    learner: Learner, measure: Measure, phi: Tree, episodes: Episode, *, at_once: int = 25, compiled: bool = False
) -> Array:
    """`measure(model, support, query)` for every task and every model that the learner makes of its support set.

    Shapes: episodes with a leading task axis → (tasks, stages).
    Raises: UserError where that axis is missing, or no task or none at once is asked for.

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

    Examples
    --------
    >>> start = lambda rng: tm.nn.Linear(1, 1, rng=rng)
    >>> learner, rng = tm.meta.MAML(tm.meta.regression, network=start, rule=tm.optim.SGD(0.1)), np.random.default_rng(0)
    >>> episodes = tm.tasks.Sinusoids().sample(rng, tasks=3)
    >>> tm.meta.evaluate(learner, tm.meta.on_query(tm.meta.regression), learner.init(rng), episodes).shape
    (3, 2)
    """
    return _measured(learner.models, measure, phi, episodes, at_once, compiled)


def adaptation_curve(
    loss: Loss,
    measure: Measure,
    params: Tree,
    episodes: Episode,
    *,
    rule: Optimizer,
    steps: int,
    at_once: int = 25,
    **options: Any,
) -> Array:
    """`evaluate` for a loss and parameters of your own; `options` go to `adapt`.

    Shapes: episodes with a leading task axis → (tasks, steps + 1).
    Raises: ValueError as `adapt` does.

    >>> loss, episodes = lambda theta, goal: (theta - goal) ** 2, tm.tasks.Episode(np.ones(2), np.ones(2))
    >>> tm.meta.adaptation_curve(loss, tm.meta.on_query(loss), 0.0, episodes, rule=tm.optim.SGD(0.25), steps=2)
    array([[1.    , 0.25  , 0.0625],
           [1.    , 0.25  , 0.0625]])
    """

    def models(params: Tree, support: Tree) -> list[Tree]:
        return [*adapt(loss, params, support, rule=rule, steps=steps, path=True, **options)]

    return _measured(models, measure, params, episodes, at_once)


def _measured(
    models: Callable[[Tree, Tree], list[Tree]],
    measure: Measure,
    phi: Tree,
    episodes: Episode,
    at_once: int,
    compiled: bool = False,
) -> Array:
    def one(phi: Tree, episode: Episode) -> Tensor:
        return stack([measure(model, episode.support, episode.query) for model in models(phi, episode.support)])

    together: Callable[[Tree, Tree], Tensor] = vmap(one, in_axes=(None, 0))
    if compiled:
        together = compile(together)
    check_axes(episodes)
    counted(at_once, "at_once", 1)
    count = counted(len(tree.leaves(episodes)[0]), "the number of tasks", 1)
    rows = []
    with np.errstate(all="ignore"):  # a step size may be too large for a method; the table then says inf or nan
        for start in range(0, count, at_once):
            part = tree.map(lambda a, start=start: a[start : start + at_once], episodes)
            rows.append(together(phi, part).numpy())
    return np.concatenate(rows)


def on_query(loss: Loss) -> Measure:
    """The loss on the query set, all of it at once.

    Shapes: one task's model, support and query → ().

    >>> measure = tm.meta.on_query(tm.meta.regression)
    >>> measure(lambda x: 2.0 * x, None, (np.ones((3, 1)), np.ones((3, 1))))
    tensor(1.)
    """
    return lambda model, support, query: loss(model, query)


def transductive(score: Score) -> Measure:
    """`score(outputs, y)` of the query set, its examples normalised together: they see each other.

    Shapes: one task's model, support and query → ().

    >>> measure = tm.meta.transductive(tm.nn.accuracy)
    >>> measure(lambda x: x, None, (np.eye(3), np.array([0, 1, 0])))
    tensor(0.6667)
    """
    return lambda model, support, query: score(model(query[0]), query[1])


def inductive(score: Score) -> Measure:
    """`score(outputs, y)` of the query set, each example on its own: what a user with one new image has.

    (Nichol et al. 2018, § 6.1, call the other way transductive.)

    Shapes: one task's model, support and query → ().

    >>> measure, support = tm.meta.inductive(tm.nn.accuracy), (np.eye(3), np.arange(3))
    >>> measure(lambda x: x, support, (np.eye(3), np.array([0, 1, 0])))
    tensor(0.6667)
    """
    return lambda model, support, query: score(one_by_one(model, support[0])(query[0]), query[1])


def one_by_one(model: Model, company: Tree) -> Model:
    """`model` for examples that do not see each other: each is normalised together with `company`, the support x.

    Shapes: company (m, …) and x (n, …) → what the model makes of n examples.

    >>> centred = lambda x: x - tm.mean(x, 0)
    >>> tm.meta.one_by_one(centred, np.zeros(1))(tm.tensor([2.0, 4.0]))
    tensor([1., 2.])
    """

    def alone(x: Tensor) -> Tree:
        return model(concat([company, x.expand_dims(0)]))[-1]

    return lambda x: vmap(alone)(x)
