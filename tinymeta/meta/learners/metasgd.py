"""Meta-SGD (Li, Zhou, Chen & Li 2017): learn where to start, and for every weight how far to go.

    θ' = θ − α ∘ ∇L_support(θ)                              (eq. 2; ∘: element by element)
    min over θ and α of  E[L_query(θ')]                     (eq. 3)

φ is the pair (θ, α). A negative entry of α climbs, so α holds directions as well as step sizes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from tinymeta.engine import tree
from tinymeta.engine.tensor import Tensor
from tinymeta.engine.typing import Options, Tree
from tinymeta.meta.core.adapt import Differentiate, adapt
from tinymeta.meta.core.learner import GradientLearner, Model
from tinymeta.optim.sgd import SGD


class WeightsAndSteps(NamedTuple):
    """φ: the initial weights θ and the step sizes α."""

    theta: Tree
    alpha: Tree


@dataclass(frozen=True)
class MetaSGD(GradientLearner):
    """Learn the initial weights and a step size for each of them.

    Shapes: called with phi and episodes of a leading task axis → ().
    Raises: ValueError (by `learn`) for another `differentiate` than `adapt` knows.
    Source: Li, Zhou, Chen & Li 2017, eq. 2 and 3.

    Parameters
    ----------
    alpha
        The first step sizes are uniform between these two, the same within a tensor; a pair of equal numbers
        starts all at one value.
    differentiate
        As in `adapt`; of a `"first_order"` gradient the part in α is still exact for one step.

    Examples
    --------
    >>> start = lambda rng: tm.nn.MLP([1, 8, 1], rng=rng)
    >>> learner, rng = tm.meta.MetaSGD(tm.meta.regression, network=start, alpha=(0.1, 0.1)), np.random.default_rng(0)
    >>> phi = learner.init(rng)
    >>> phi.alpha.head.bias, learner(phi, tm.tasks.Sinusoids().sample(rng, tasks=3)).shape
    (tensor([0.1], dtype=float32), ())
    """

    alpha: tuple[float, float] = field(default=(0.005, 0.1), kw_only=True)
    differentiate: Differentiate = field(default="exact", kw_only=True)

    def init(self, rng: np.random.Generator) -> WeightsAndSteps:
        theta = self.weights(rng)
        return WeightsAndSteps(theta, tree.map(lambda p: _filled(p, rng.uniform(*self.alpha)), theta))

    def path(self, phi: WeightsAndSteps, support: Tree, steps: int) -> list[Model]:
        how: Options = {"rule": SGD(phi.alpha), "differentiate": self.differentiate}
        return [*adapt(self.loss, phi.theta, support, steps=steps, path=True, **how)]


def _filled(p: Tensor, value: float) -> Tensor:
    return Tensor(np.full(p.shape, value, p.dtype))
