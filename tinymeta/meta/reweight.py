"""Learning the data: how much every training example should count, by the gradient of a clean validation loss.

Ren, Zeng, Yang & Urtasun 2018 ("Learning to reweight examples"), a weight per example and step:

    θ̂(ε) = θ − α ∇ Σᵢ εᵢ fᵢ(θ)                            a step on the noisy batch            (eq. 4, 5)
    wᵢ ∝ max(0, −∂/∂εᵢ mean_j f_j(θ̂(ε)) at ε = 0)          judged by the clean batch            (eq. 6–8)

so an example counts as much as its gradient agrees with the clean one. Shu et al. 2019 (Meta-Weight-Net), a
network V from an example's loss to its weight, trained along with the model:

    θ̂(Θ) = θ − α · 1/n Σᵢ V(fᵢ(θ); Θ) ∇fᵢ(θ)              V's input is a constant              (eq. 3)
    Θ ← Θ − β ∇_Θ mean_j f_j(θ̂(Θ))                                                             (eq. 4)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinymeta.engine.structure import stop_gradient
from tinymeta.engine.tensor import Tensor
from tinymeta.engine.transforms import grad
from tinymeta.meta.adapt import adapt
from tinymeta.nn import init
from tinymeta.nn.layers import MLP
from tinymeta.nn.module import Module
from tinymeta.ops.elementwise import sigmoid
from tinymeta.ops.reduce import mean, sum
from tinymeta.ops.select import maximum, where
from tinymeta.optim.sgd import SGD

Each = Callable[[Any, Any], Tensor]  # (model, batch) → the loss of every example, (n,)


def look_ahead(each: Each, theta: Any, weights: Tensor, batch: Any, rate: float) -> Any:
    """θ̂: one SGD step on the weighted sum of losses, differentiable in the weights (Ren et al. eq. 4, 5)."""
    return adapt(lambda model, batch: sum(weights * each(model, batch)), theta, batch, rule=SGD(rate), steps=1)


def agreement(each: Each, theta: Any, noisy: Any, clean: Any, rate: float) -> Tensor:
    """−∂/∂ε of the clean loss after a step on Σ ε f, at ε = 0: rate · ∇fᵢ · ∇mean f_clean per example (eq. 6)."""
    start = 0.0 * stop_gradient(each(theta, noisy))
    judged = lambda weights: mean(each(look_ahead(each, theta, weights, noisy, rate), clean))
    return -grad(judged)(start)


def clean_weights(each: Each, theta: Any, noisy: Any, clean: Any, rate: float) -> Tensor:
    """The weights of a noisy batch, none negative, their sum 1 (or 0 where none helps; eq. 7, 8)."""
    helpful = maximum(agreement(each, theta, noisy, clean, rate), 0.0)
    total = sum(helpful)
    return helpful / where(total > 0, total, 1.0)


class WeightNet(Module):
    """V: an example's loss to its weight in (0, 1) through one hidden layer (Shu et al. § 3.1)."""

    def __init__(self, width: int, *, rng: np.random.Generator, dtype: Any = np.float32) -> None:
        self.network = MLP([1, width, 1], rng=rng, dtype=dtype)
        self.network.head.weight = init.zeros((width, 1), dtype)

    def __call__(self, losses: Tensor) -> Tensor:
        return sigmoid(self.network(losses.expand_dims(-1)))[..., 0]

    def weights(self, each: Each, theta: Any, batch: Any) -> Tensor:
        """V(fᵢ(θ)) of every example over their sum; the losses count as constants."""
        values = self(stop_gradient(each(theta, batch)))
        return values / sum(values)  # type: ignore[no-any-return]


def weight_net_loss(net: WeightNet, each: Each, theta: Any, noisy: Any, clean: Any, rate: float) -> Tensor:
    """The clean loss of θ̂(Θ): what Θ goes down (Shu et al. eq. 4)."""
    weights = net.weights(each, theta, noisy)
    ahead = look_ahead(each, theta, weights, noisy, rate)
    return mean(each(ahead, clean))
