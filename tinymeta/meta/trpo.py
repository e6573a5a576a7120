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
from tinymeta.engine.transforms import value_and_grad, grad, vjp

Vector = Any  # a pytree of arrays
Scalar = Callable[[Any], Tensor]


class Report(NamedTuple):
    """What a step did."""

    loss: float  # before
    gain: float  # how much lower the loss is now; 0 if no step was accepted
    kl: float


def trpo(
    loss: Scalar,
    kl: Scalar,
    params: Any,
    *,
    radius: float = 0.01,
    iterations: int = 10,
    damping: float = 1e-5,
    shrink: float = 0.8,
    backtracks: int = 15,
) -> tuple[Any, Report]:
    """One step down `loss` that keeps `kl` below `radius`.

    Parameters
    ----------
    loss
        The surrogate, −mean of (π_new/π_old) · advantage, as a function of the parameters.
    kl
        The mean divergence from the policies that gathered the data; its minimum, 0, is at `params`.
    radius
        The largest `kl` after the step.
    iterations, damping
        Of conjugate gradients: H + damping · I is what is inverted.
    shrink, backtracks
        The line search tries 1, shrink, shrink², … of the step, and leaves `params` where none lowers the loss
        within the radius.
    """
    before, g = value_and_grad(loss)(params)
    # The recorded gradient of the KL is swept once per product: tm.hvp without recording it anew each time.
    _, pullback = vjp(grad(kl), params)
    product = lambda v: tree.map(lambda hv, v: hv + damping * v, pullback(v)[0], v)
    s = conjugate_gradients(product, g, iterations)
    length = math.sqrt(2 * radius / max(dot(s, product(s)), 1e-30))
    for k in range(backtracks):
        t = length * shrink**k
        new = tree.map(lambda p, s, t=t: p - t * s, params, s)
        gain, moved = float(before - loss(new)), float(kl(new))
        if gain > 0 and moved <= radius:
            return new, Report(float(before), gain, moved)
    return params, Report(float(before), 0.0, 0.0)


def conjugate_gradients(
    product: Callable[[Vector], Vector], b: Vector, iterations: int, tolerance: float = 1e-10
) -> Vector:
    """Solve A x = b for a symmetric positive definite A that is known by its products (Hestenes & Stiefel 1952)."""
    x, r, p = tree.map(lambda b: 0.0 * b, b), b, b
    rr = dot(r, r)
    for _ in range(iterations):
        if rr < tolerance:
            break
        ap = product(p)
        a = rr / dot(p, ap)
        x = tree.map(lambda x, p, a=a: x + a * p, x, p)
        r = tree.map(lambda r, ap, a=a: r - a * ap, r, ap)
        rr, last = dot(r, r), rr
        p = tree.map(lambda r, p, c=rr / last: r + c * p, r, p)
    return x


def dot(a: Vector, b: Vector) -> float:
    """Σ a b over all leaves."""
    return math.fsum(float((x * y).sum()) for x, y in zip(tree.leaves(a), tree.leaves(b)))
