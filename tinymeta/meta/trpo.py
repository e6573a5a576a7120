"""Trust-region policy optimization (Schulman et al. 2015), for parameters of any kind.

A step solves   min g·s   subject to   ½ s·H s ≤ radius,   where g is the gradient of the loss and H the Hessian of
the mean KL divergence between the policy that gathered the data and the new one (ibid., eq. 14 and appendix C).
For a meta-policy both go through the inner step: H is the Hessian of KL(π_θ'old ‖ π_θ'(θ)) as a function of θ, so
a product with it holds third derivatives of the inner loss, and the engine makes them like all others.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from tinymeta.engine import tree
from tinymeta.engine.tensor import Tensor
from tinymeta.engine.transforms import grad, value_and_grad, vjp
from tinymeta.meta.conjugate import conjugate_gradients


class Report(NamedTuple):
    """What a step did: the loss before it, how much lower it is now (0 where no step was accepted), and the KL."""

    loss: float
    gain: float
    kl: float


def trpo(
    objective: Callable[[Any], tuple[Tensor, Tensor]],
    params: Any,
    *,
    curvature: Callable[[Any], Tensor] | None = None,
    radius: float = 0.01,
    iterations: int = 10,
    damping: float = 1e-5,
    shrink: float = 0.8,
    backtracks: int = 15,
) -> tuple[Any, Report]:
    """One step down a surrogate loss that stays within a radius of the policies which gathered the data.

    Parameters
    ----------
    objective
        From parameters to `(loss, kl)`: the surrogate, −mean of (π_new/π_old) · advantage, and the mean divergence
        from the old policies, whose minimum, 0, is at `params`.
    curvature
        A cheaper estimate of `kl` for the products with its Hessian, as of a tenth of the steps; `kl` by default.
        The line search measures the true one.
    radius
        The largest `kl` after the step.
    iterations, damping
        Of conjugate gradients: H + damping · I is what is inverted.
    shrink, backtracks
        The line search tries 1, shrink, shrink², … of the step, and leaves `params` where none lowers the loss
        within the radius.
    """
    (before, _), g = value_and_grad(objective, has_aux=True)(params)
    # tm.hvp(kl, params, v) records the gradient of the KL and sweeps it; here one record serves all products.
    _, pullback = vjp(grad(curvature or (lambda params: objective(params)[1])), params)
    product = lambda v: tree.map(lambda hv, v: hv + damping * v, pullback(v)[0], v)
    s = conjugate_gradients(product, g, iterations)
    length = math.sqrt(2 * radius / max(dot(s, product(s)), 1e-30))
    for k in range(backtracks):
        new = tree.map(lambda p, s, t=length * shrink**k: p - t * s, params, s)
        loss, kl = objective(new)
        if loss < before and kl <= radius:
            return new, Report(float(before), float(before - loss), float(kl))
    return params, Report(float(before), 0.0, 0.0)


def dot(a: Any, b: Any) -> float:
    """Σ a b over all leaves."""
    return math.fsum(float((x * y).sum()) for x, y in zip(tree.leaves(a), tree.leaves(b)))
