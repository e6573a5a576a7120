"""Optimizer steps as one operation each: a single pass over memory of what `plain` says in a dozen operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tinymeta_kernels.optim as kernels

from tinymeta.engine.convert import as_tensors
from tinymeta.engine.domain import Sample, reals
from tinymeta.engine.primitive import Primitive
from tinymeta.engine.tensor import Array, ArrayLike, Tensor
from tinymeta.ops.elementwise import square
from tinymeta.optim.optimizer import Row, Setting, bias, root, setting, used

_any = reals(-2, 2)


def in_one(primitive: type[Primitive], *operands: ArrayLike, **settings: Setting) -> Row:
    """The step as one operation; as its plain form where something is differentiated, which needs those operations
    anyway, or may be: a setting that is a Tensor is no static argument."""
    xs = as_tensors(operands)
    followed = any(isinstance(s, Tensor) for s in settings.values()) or any(x.requires_grad for x in xs)
    run: Callable[..., Row] = primitive.plain if followed else primitive  # type: ignore[assignment]
    return run(*xs, **settings)


def _of_one_shape(*arrays: Array) -> tuple[Array, ...]:
    """Inside `vmap` some may be the same for all examples."""
    return arrays if len({a.shape for a in arrays}) == 1 else np.broadcast_arrays(*arrays)


class sgd_step(Primitive):
    """v' = μ v + g + λ p,   p' = p − η v'   (Nesterov: p' = p − η (g + λ p + μ v'))."""

    @staticmethod
    def plain(p: Tensor, g: Tensor, v: Tensor, lr: Tensor, momentum: Setting, nesterov: bool, decay: Setting) -> Row:
        momentum, decay = setting(momentum, p), setting(decay, p)
        g = g + decay * p if used(decay) else g
        v = momentum * v + g
        return p - lr * (g + momentum * v if nesterov else v), v

    @staticmethod
    def kernel(p: Array, g: Array, v: Array, lr: Array, **how: Any) -> Any:
        if lr.size > 1:
            return sgd_step.reference(p, g, v, lr, **how)
        p, g, v = _of_one_shape(p, g, v)
        return kernels.sgd_update(p, g, v, lr.item(), how["momentum"], how["nesterov"], how["decay"])

    domain, kinks = (_any, _any, _any, reals(0.01, 0.1)), ()
    samples = (
        Sample(((3,), (3,), (3,), ()), {"momentum": 0.9, "nesterov": False, "decay": 0.1}),
        Sample(((2, 3), (2, 3), (2, 3), ()), {"momentum": 0.5, "nesterov": True, "decay": 0.0}),
    )


class adam_step(Primitive):
    """m' = β₁ m + (1 − β₁) g,   v' = β₂ v + (1 − β₂) g²,   p' = p − η ((m'/(1 − β₁ᵗ))/(√(v'/(1 − β₂ᵗ)) + ε) + λ p).

    With `decoupled=False` λ p is added to g instead.
    """

    @staticmethod
    def plain(
        p: Tensor, g: Tensor, m: Tensor, v: Tensor, count: Tensor, lr: Tensor,
        b1: Setting, b2: Setting, eps: Setting, decay: Setting, decoupled: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        seen = bias(b1, count, p.dtype), bias(b2, count, p.dtype)
        b1, b2, eps, decay = (setting(number, p) for number in (b1, b2, eps, decay))
        if used(decay) and not decoupled:
            g = g + decay * p
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * square(g)
        direction = (m / seen[0]) / (root(v / seen[1]) + eps)
        if used(decay) and decoupled:
            direction = direction + decay * p
        return p - lr * direction, m, v

    @staticmethod
    def kernel(p: Array, g: Array, m: Array, v: Array, count: Array, lr: Array, **how: Any) -> Any:
        if lr.size > 1 or count.size > 1:
            return adam_step.reference(p, g, m, v, count, lr, **how)
        p, g, m, v = _of_one_shape(p, g, m, v)
        betas, decay = (how["b1"], how["b2"], how["eps"]), (how["decay"], how["decoupled"])
        return kernels.adam_update(p, g, m, v, count.item(), lr.item(), *betas, *decay)

    domain, kinks = (_any, _any, _any, reals(0.1, 2), reals(1, 9), reals(0.01, 0.1)), ()
    samples = (
        Sample(
            ((3,), (3,), (3,), (3,), (), ()), {"b1": 0.9, "b2": 0.99, "eps": 1e-8, "decay": 0.1, "decoupled": False}
        ),
        Sample(
            ((2, 3), (2, 3), (2, 3), (2, 3), (), ()),
            {"b1": 0.5, "b2": 0.9, "eps": 1e-3, "decay": 0.1, "decoupled": True},
        ),
    )
