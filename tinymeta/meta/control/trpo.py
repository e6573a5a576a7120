"""Trust-region policy optimization (Schulman et al. 2015), for parameters of any kind.

A step solves   min g·s   subject to   ½ s·H s ≤ radius,   where g is the gradient of the loss and H the Hessian of
the mean KL divergence between the policy that gathered the data and the new one (ibid., eq. 14 and appendix C).
For a meta-policy both go through the inner step: H is the Hessian of KL(π_θ'old ‖ π_θ'(θ)) as a function of θ, so
a product with it holds third derivatives of the inner loss, and the engine makes them like all others.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from tinymeta.compile import compile
from tinymeta.engine.tensor import Tensor
from tinymeta.engine.transforms import value_and_grad
from tinymeta.engine.typing import Function, Tree, X
from tinymeta.meta.core.conjugate import conjugate_gradients
from tinymeta.meta.core.settings import Settings
from tinymeta.ops.derivatives import hvp
from tinymeta.ops.tree import add_scaled, dot

Objective = Callable[[Tree, Tree], tuple[Tensor, Tensor]]


class Report(NamedTuple):
    """What a step did: the loss before it, how much lower it is now (0 where no step was accepted; NaN where loss,
    gradient or curvature isn't finite, so that there was none to try), and the KL."""

    loss: float
    gain: float
    kl: float


@dataclass(frozen=True)
class TRPO(Settings):
    """Steps down a surrogate loss that stay within a radius of the policies which gathered the data.

    Shapes: parameters any tree → the same.
    Source: Schulman et al. 2015, eq. 14 and appendix C.

    Parameters
    ----------
    objective
        From parameters and a batch to `(loss, kl)`: the surrogate, −mean of (π_new/π_old) · advantage, and the mean
        divergence from the old policies, whose minimum, 0, is at the parameters they had. It is recorded once and
        replayed, so it decides nothing by values.
    radius
        The largest `kl` of a step.
    iterations, damping
        Of conjugate gradients: H + damping · I is what is inverted.
    shrink, backtracks
        The line search tries 1, shrink, shrink², … of the step, and stays where none lowers the loss within the
        radius.

    Examples
    --------
    >>> rule = tm.meta.TRPO(lambda theta, slope: (-(theta * slope).sum(), 0.5 * (theta**2).sum()), radius=0.02)
    >>> rule.update(tm.zeros(2), np.array([3.0, 4.0]))[0]  # as far as ½‖θ‖² = 0.02
    tensor([0.12, 0.16])
    """

    objective: Objective
    radius: float = 0.01
    iterations: int = 10
    damping: float = 1e-5
    shrink: float = 0.8
    backtracks: int = 15

    def update(self, params: X, batch: Tree, few: Tree | None = None) -> tuple[X, Report]:
        """The parameters after a step, and what it did. H is estimated on `few`, part of the batch, if given."""
        few = batch if few is None else few
        (before, _), g = self.slope(params, batch)
        product: Callable[[Tree], Tree] = lambda v: add_scaled(self.curvature(params, few, v), v, self.damping)
        s = conjugate_gradients(product, g, self.iterations)
        square = float(dot(s, product(s)))
        if not math.isfinite(float(before) + square):
            return params, Report(float(before), math.nan, math.nan)
        length = math.sqrt(2 * self.radius / max(square, 1e-30))
        for k in range(self.backtracks):
            new = add_scaled(params, s, -length * self.shrink**k)
            loss, kl = self.judge(new, batch)
            if loss < before and kl <= self.radius:
                return new, Report(float(before), float(before - loss), float(kl))
        return params, Report(float(before), 0.0, 0.0)

    @cached_property
    def judge(self) -> Function:
        """(params, batch) ↦ (loss, kl)."""
        return compile(self.objective)

    @cached_property
    def slope(self) -> Function:
        """(params, batch) ↦ ((loss, kl), gradient of the loss)."""
        return compile(value_and_grad(self.objective, has_aux=True))

    @cached_property
    def curvature(self) -> Function:
        """(params, batch, v) ↦ the Hessian of the KL times v."""
        return compile(lambda params, batch, v: hvp(lambda params: self.objective(params, batch)[1], params, v))
