"""Outer objectives: from a loss per task to a number for a batch of tasks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from tinymeta.engine.tensor import Tensor
from tinymeta.engine.vmap import vmap
from tinymeta.meta.core.adapt import Differentiate, Loss, adapt, constant
from tinymeta.meta.learners.reptile import towards

Objective = Callable[..., Tensor]  # (phi, episodes), or (phi, episodes, iteration)


def over_tasks(one: Callable[[Any, Any], Tensor]) -> Objective:
    """The mean of `one(phi, episode)` over a batch of episodes, computed for all of them at once."""
    return partial(_mean, one)


def _mean(one: Callable[[Any, Any], Tensor], phi: Any, episodes: Any) -> Tensor:
    return vmap(one, in_axes=(None, 0))(phi, episodes).mean()


def query_loss(loss: Loss, phi: Any, episode: Any, *, differentiate: Differentiate = "exact", **options: Any) -> Tensor:
    """One task's query loss after adapting `phi` to its support set (Finn et al. 2017, eq. 1).

    Its gradient in `phi` is what `differentiate` says; with `"reptile"`, φ − φ̃. `options` go to `adapt`
    (`rule=`, `steps=`, `only=`, `parts=`).
    """
    start = constant(phi) if differentiate == "reptile" else phi
    adapted = adapt(loss, start, episode.support, differentiate=differentiate, **options)
    value = loss(adapted, episode.query)
    return towards(phi, adapted, value) if differentiate == "reptile" else value


def both_sets_loss(loss: Loss, phi: Any, episode: Any) -> Tensor:
    """One task's mean loss with no adaptation, on the support and the query set alike."""
    return 0.5 * (loss(phi, episode.support) + loss(phi, episode.query))


def maml(loss: Loss, **options: Any) -> Objective:
    """MAML's objective, the mean `query_loss`, for parameters of your own; see `tm.meta.MAML` for the whole learner."""
    return over_tasks(partial(query_loss, loss, **options))


def joint(loss: Loss) -> Objective:
    """Joint training's objective, the mean `both_sets_loss`: what meta-learning is compared with."""
    return over_tasks(partial(both_sets_loss, loss))
