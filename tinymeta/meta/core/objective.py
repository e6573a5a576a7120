"""Outer objectives: from a loss per task to a number for a batch of tasks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tinymeta.engine.tensor import Tensor
from tinymeta.engine.typing import Tree
from tinymeta.meta.core.adapt import Differentiate, Loss, adapt, constant
from tinymeta.meta.learners.reptile import towards
from tinymeta.ops.draws import vmap
from tinymeta.tasks.episode import Episode

Objective = Callable[..., Tensor]  # (phi, episodes), or (phi, episodes, iteration)


def over_tasks(one: Callable[[Tree, Tree], Tensor]) -> Objective:
    """The mean of `one(phi, episode)` over a batch of episodes, computed for all of them at once.

    Shapes: (phi, episodes), the latter with a leading task axis → ().

    >>> tm.meta.over_tasks(lambda phi, x: phi * x)(2.0, np.array([1.0, 3.0]))
    tensor(4.)
    """
    return partial(_mean, one)


def _mean(one: Callable[[Tree, Tree], Tensor], phi: Tree, episodes: Episode) -> Tensor:
    return vmap(one, in_axes=(None, 0))(phi, episodes).mean()


@dataclass(frozen=True)
class Apart:
    """The mean of `one(phi, episode)` where each episode has a φ of its own: trainings that have nothing in common.

    Shapes: (phi, episodes), both with a leading axis → ().
    """

    one: Callable[[Tree, Tree], Tensor]

    def __call__(self, phi: Tree, episodes: Tree) -> Tensor:
        mean: Tensor = vmap(self.one)(phi, episodes).mean()
        return mean


def query_loss(
    loss: Loss, phi: Tree, episode: Episode, *, differentiate: Differentiate = "exact", **options: Any
) -> Tensor:
    """One task's query loss after adapting `phi` to its support set.

    Its gradient in `phi` is what `differentiate` says; with `"reptile"`, φ − φ̃. `options` go to `adapt`
    (`rule=`, `steps=`, `only=`, `parts=`).

    Shapes: phi any tree, one episode → ().
    Raises: ValueError as `adapt` does.
    Source: Finn et al. 2017, eq. 1.

    >>> loss = lambda theta, goal: (theta - goal) ** 2
    >>> tm.meta.query_loss(loss, 0.0, tm.tasks.Episode(1.0, 1.0), rule=tm.optim.SGD(0.25), steps=1)
    tensor(0.25)
    """
    start = constant(phi) if differentiate == "reptile" else phi
    adapted = adapt(loss, start, episode.support, differentiate=differentiate, **options)
    value = loss(adapted, episode.query)
    return towards(phi, adapted, value) if differentiate == "reptile" else value


def both_sets_loss(loss: Loss, phi: Tree, episode: Episode) -> Tensor:
    """One task's mean loss with no adaptation, on the support and the query set alike."""
    return 0.5 * (loss(phi, episode.support) + loss(phi, episode.query))


def maml(loss: Loss, **options: Any) -> Objective:
    """MAML's objective, the mean `query_loss`, for parameters of your own; see `tm.meta.MAML` for the whole learner.

    Shapes: (phi, episodes), the latter with a leading task axis → ().
    Source: Finn et al. 2017, eq. 1.

    >>> objective = tm.meta.maml(lambda theta, goal: (theta - goal) ** 2, rule=tm.optim.SGD(0.25), steps=1)
    >>> objective(0.0, tm.tasks.Episode(np.array([1.0, 2.0]), np.array([1.0, 2.0])))
    tensor(0.625)
    """
    return over_tasks(partial(query_loss, loss, **options))


def joint(loss: Loss) -> Objective:
    """Joint training's objective, the mean `both_sets_loss`: what meta-learning is compared with.

    Shapes: (phi, episodes), the latter with a leading task axis → ().

    >>> objective = tm.meta.joint(lambda theta, goal: (theta - goal) ** 2)
    >>> objective(0.0, tm.tasks.Episode(np.array([1.0, 2.0]), np.array([1.0, 2.0])))
    tensor(2.5)
    """
    return over_tasks(partial(both_sets_loss, loss))
