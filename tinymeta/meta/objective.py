"""Outer objectives: from a loss per task to a number for a batch of tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinymeta.engine.tensor import Tensor
from tinymeta.engine.vmap import vmap
from tinymeta.meta.adapt import Loss, adapt


def over_tasks(one: Callable[[Any, Any], Tensor]) -> Callable[[Any, Any], Tensor]:
    """The mean of `one(phi, episode)` over a batch of episodes, computed for all of them at once."""
    return lambda phi, episodes: vmap(one, in_axes=(None, 0))(phi, episodes).mean()


def maml(loss: Loss, **options: Any) -> Callable[[Any, Any], Tensor]:
    """MAML's objective: the mean query loss after adapting to the support set (Finn et al. 2017, eq. 1).

    `options` go to `adapt` (`rule=`, `steps=`, `differentiate=`, `only=`).
    """
    return over_tasks(lambda phi, episode: loss(adapt(loss, phi, episode.support, **options), episode.query))


def joint(loss: Loss) -> Callable[[Any, Any], Tensor]:
    """Joint training: the mean loss with no adaptation, on support and query sets alike."""
    return over_tasks(lambda phi, episode: 0.5 * (loss(phi, episode.support) + loss(phi, episode.query)))
