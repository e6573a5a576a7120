"""Learning the data: how much every training example should count, by the gradient of a clean loss.

Ren, Zeng, Yang & Urtasun 2018 ("Learning to reweight examples for robust deep learning"): a weight for every
example of the batch at hand, found anew in every step,

    θ̂(ε) = θ − α ∇ Σᵢ εᵢ fᵢ(θ)                              a step on the noisy batch            (eq. 4)
    uᵢ = −∂/∂εᵢ  mean_j f_j(θ̂(ε))  at ε = 0                  judged by the clean examples         (eq. 6)
    wᵢ = max(uᵢ, 0) / Σ max(u, 0)                                                               (eq. 7, 8)

so an example counts as much as its gradient agrees with the clean one: uᵢ = α ∇fᵢ · ∇mean f_clean.

Shu et al. 2019 (Meta-Weight-Net): a network V from an example's loss to its weight, trained along with the model,

    θ̂(Θ) = θ − α ∇ Σᵢ V(fᵢ; Θ) fᵢ(θ) / Σᵢ V(fᵢ; Θ)            V's input counts as a constant       (eq. 3)
    Θ ← Θ − β ∇_Θ mean_j f_j(θ̂(Θ))                                                              (eq. 4)
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinymeta.engine.structure import stop_gradient
from tinymeta.engine.tensor import Tensor
from tinymeta.engine.transforms import grad
from tinymeta.engine.typing import DTypeLike, Tree
from tinymeta.meta.core.adapt import adapt
from tinymeta.nn import init
from tinymeta.nn.layers import MLP
from tinymeta.nn.module import Module
from tinymeta.ops.logistic import sigmoid
from tinymeta.ops.reduce import mean, sum
from tinymeta.ops.select import maximum, where
from tinymeta.optim.sgd import SGD

Each = Callable[[Tree, Tree], Tensor]  # (model, batch) → the loss of every example, (n,)


def look_ahead(each: Each, theta: Tree, weights: Tensor, batch: Tree, rate: float) -> Tree:
    """θ̂: one gradient step of size `rate` down the weighted sum of losses, differentiable in `weights`.

    Shapes: weights (n,), a batch of n examples → θ̂ like theta.
    Source: Ren et al. 2018, eq. 4.

    >>> each = lambda theta, goals: (theta - goals) ** 2
    >>> tm.meta.look_ahead(each, tm.tensor(0.0), tm.tensor([1.0, 0.0]), np.array([1.0, -1.0]), rate=0.25)
    tensor(0.5)
    """
    return adapt(lambda model, batch: sum(weights * each(model, batch)), theta, batch, rule=SGD(rate), steps=1)


def agreement(each: Each, theta: Tree, noisy: Tree, clean: Tree, rate: float = 1.0) -> Tensor:
    """uᵢ, the slope of the clean loss down along example i's own step, for every example of `noisy`.

    Shapes: n noisy examples → (n,).
    Source: Ren et al. 2018, eq. 6.

    >>> each = lambda theta, goals: (theta - goals) ** 2
    >>> tm.meta.agreement(each, tm.tensor(0.0), np.array([1.0, -1.0]), np.array([1.0]))
    tensor([ 4., -4.])
    """
    none = 0.0 * stop_gradient(each(theta, noisy))
    slopes: Tensor = grad(lambda eps: mean(each(look_ahead(each, theta, eps, noisy, rate), clean)))(none)
    return -slopes


def clean_weights(each: Each, theta: Tree, noisy: Tree, clean: Tree) -> Tensor:
    """The weights of `noisy`, not negative, of sum 1; all 0 if no example helps.

    Shapes: n noisy examples → (n,).
    Source: Ren et al. 2018, eq. 7, 8.

    >>> each = lambda theta, goals: (theta - goals) ** 2
    >>> tm.meta.clean_weights(each, tm.tensor(0.0), np.array([1.0, -1.0]), np.array([1.0]))
    tensor([1., 0.])
    """
    helpful = maximum(agreement(each, theta, noisy, clean), 0.0)
    total = sum(helpful)
    return helpful / where(total > 0, total, 1.0)


class WeightNet(Module):
    """V: the loss of an example to its weight in (0, 1), through one hidden layer.

    It starts as a constant, so that training starts as if there were no weights.

    Shapes: losses (n,) → (n,).
    Source: Shu et al. 2019, § 3.1.

    >>> tm.meta.WeightNet(8, rng=np.random.default_rng(0))(tm.tensor(np.array([0.1, 5.0], np.float32)))
    tensor([0.5, 0.5], dtype=float32)
    """

    def __init__(self, width: int, *, rng: np.random.Generator, dtype: DTypeLike = np.float32) -> None:
        self.network = MLP([1, width, 1], rng=rng, dtype=dtype)
        self.network.head.weight = init.zeros((width, 1), dtype)

    def __call__(self, losses: Tensor) -> Tensor:
        return sigmoid(self.network(losses.expand_dims(-1)))[..., 0]

    def weights(self, each: Each, theta: Tree, batch: Tree) -> Tensor:
        """V of every example over their sum: (n,), of sum 1."""
        values = self(stop_gradient(each(theta, batch)))
        return values / sum(values)


def weight_net_loss(net: WeightNet, each: Each, theta: Tree, noisy: Tree, clean: Tree, rate: float) -> Tensor:
    """The clean loss after a step with the weights of `net`: what its parameters Θ descend.

    Shapes: n noisy and m clean examples → ().
    Source: Shu et al. 2019, eq. 4.

    >>> each, net = lambda theta, goals: (theta - goals) ** 2, tm.meta.WeightNet(8, rng=np.random.default_rng(0))
    >>> tm.meta.weight_net_loss(net, each, tm.tensor(0.0), np.array([1.0, 1.0]), np.array([1.0]), rate=0.25)
    tensor(0.25)
    """
    return mean(each(look_ahead(each, theta, net.weights(each, theta, noisy), noisy, rate), clean))
