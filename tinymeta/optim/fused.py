"""Optimizer steps as one operation each, for the case that nothing differentiates them.

They have no gradient, and compute what the optimizers' Tensor operations do in a single pass over memory. Their
references take the real parts: a complex step must not pass where a gradient doesn't.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tinymeta_kernels.optim as kernels

from tinymeta.engine.domain import Sample, reals
from tinymeta.engine.primitive import Primitive
from tinymeta.engine.tensor import Array

_any = reals(-2, 2)


def _of_one_shape(*arrays: Array) -> tuple[Array, ...]:
    """Inside `vmap` some may be the same for all examples."""
    return arrays if len({a.shape for a in arrays}) == 1 else np.broadcast_arrays(*arrays)


class sgd_step(Primitive):
    """v' = μ v + g + λ p,   p' = p − η v'   (Nesterov: p' = p − η (g + λ p + μ v'))."""

    @staticmethod
    def reference(p: Array, g: Array, v: Array, lr: Array, momentum: float, nesterov: bool, decay: float) -> Any:
        p, g, v, lr = (x.real for x in (p, g, v, lr))
        g = g + decay * p
        v = momentum * v + g
        return p - lr * (g + momentum * v if nesterov else v), v

    @staticmethod
    def kernel(p: Array, g: Array, v: Array, lr: Array, momentum: float, nesterov: bool, decay: float) -> Any:
        if lr.size > 1:
            return sgd_step.reference(p, g, v, lr, momentum, nesterov, decay)
        p, g, v = _of_one_shape(p, g, v)
        return kernels.sgd_update(p, g, v, lr.item(), momentum, nesterov, decay)

    domain, kinks, vjp = (_any, _any, _any, reals(0.01, 0.1)), (), None
    samples = (
        Sample(((3,), (3,), (3,), ()), {"momentum": 0.9, "nesterov": False, "decay": 0.1}),
        Sample(((2, 3), (2, 3), (2, 3), ()), {"momentum": 0.5, "nesterov": True, "decay": 0.0}),
    )


class adam_step(Primitive):
    """m' = β₁ m + (1 − β₁) g,   v' = β₂ v + (1 − β₂) g²,   p' = p − η ((m'/(1 − β₁ᵗ))/(√(v'/(1 − β₂ᵗ)) + ε) + λ p).

    With `decoupled=False` λ p is added to g instead.
    """

    @staticmethod
    def reference(p: Array, g: Array, m: Array, v: Array, count: Array, lr: Array, **how: Any) -> Any:
        b1, b2, eps, decay = how["b1"], how["b2"], how["eps"], how["decay"]
        p, g, m, v, count, lr = (x.real for x in (p, g, m, v, count, lr))
        g = g if how["decoupled"] else g + decay * p
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * (g * g)
        c1, c2 = (np.asarray(1 - b**count).astype(p.dtype) for b in (b1, b2))
        direction = (m / c1) / (np.sqrt(v / c2) + eps)
        return p - lr * (direction + decay * p if how["decoupled"] else direction), m, v

    @staticmethod
    def kernel(p: Array, g: Array, m: Array, v: Array, count: Array, lr: Array, **how: Any) -> Any:
        if lr.size > 1 or count.size > 1:
            return adam_step.reference(p, g, m, v, count, lr, **how)
        p, g, m, v = _of_one_shape(p, g, m, v)
        betas, decay = (how["b1"], how["b2"], how["eps"]), (how["decay"], how["decoupled"])
        return kernels.adam_update(p, g, m, v, count.item(), lr.item(), *betas, *decay)

    domain, kinks, vjp = (_any, _any, _any, reals(0.1, 2), reals(1, 9), reals(0.01, 0.1)), (), None
    samples = (
        Sample(
            ((3,), (3,), (3,), (3,), (), ()), {"b1": 0.9, "b2": 0.99, "eps": 1e-8, "decay": 0.1, "decoupled": False}
        ),
        Sample(
            ((2, 3), (2, 3), (2, 3), (2, 3), (), ()),
            {"b1": 0.5, "b2": 0.9, "eps": 1e-3, "decay": 0.1, "decoupled": True},
        ),
    )
