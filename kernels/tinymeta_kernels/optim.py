"""Optimizer steps in one pass: parameters, gradients and state are read once and written once.

    SGD     v' = μ v + g                       p' = p - η v'       (Nesterov: p' = p - η (g + μ v'))
    Adam    m' = β₁ m + (1 - β₁) g             v' = β₂ v + (1 - β₂) g²
            p' = p - η (m' / (1 - β₁ᵗ)) / (sqrt(v' / (1 - β₂ᵗ)) + ε)

Weight decay λ adds λ p to g; decoupled (AdamW), it takes η λ p off p instead. Nothing changes in place: new
arrays come out, and whoever holds the old ones keeps them. NumPy needs a dozen passes for the same Adam.

Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1. Loshchilov and Hutter,
"Decoupled weight decay regularization", ICLR 2019, algorithm 2. Sutskever et al., "On the importance of
initialization and momentum in deep learning", ICML 2013, equations 3 and 4 (in the field's form above).
"""

import numpy as np

from ._jit import has_kernel, jit
from ._layout import Array, common, in_memory_order

__all__ = ["adam_update", "sgd_update"]


def sgd_update(
    params: Array,
    grads: Array,
    velocity: Array,
    lr: float,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> tuple[Array, Array]:
    """One step of gradient descent with momentum: new params and new velocity.

    Shapes: all arrays (…) → (…), twice.
    Raises: ValueError where the shapes differ: `kernels.sgd_update(np.ones(2), np.ones(3), np.ones(2), lr=0.1)`.

    >>> kernels.sgd_update(np.array([1.0]), np.array([2.0]), np.array([10.0]), lr=0.1, momentum=0.5)
    (array([0.3]), array([7.]))
    """
    p, g, v = common(params, grads, velocity)
    if not has_kernel(p.dtype):
        g = g + weight_decay * p
        v = momentum * v + g
        return p - lr * (g + momentum * v if nesterov else v), v
    number = p.dtype.type
    vectors, restore = in_memory_order(p, g, v)
    new_p, new_v = np.empty_like(vectors[0]), np.empty_like(vectors[0])
    scalars = (number(s) for s in (lr, momentum, weight_decay))
    _sgd(*vectors, *scalars, bool(nesterov), new_p, new_v)
    return restore(new_p), restore(new_v)


def adam_update(
    params: Array,
    grads: Array,
    m: Array,
    v: Array,
    step: int,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
) -> tuple[Array, Array, Array]:
    """One step of Adam: new params, new m and new v. The first ``step`` is 1.

    Shapes: all arrays (…) → (…), three times.
    Raises: ValueError where the shapes differ:
    `kernels.adam_update(np.ones(2), np.ones(3), np.ones(2), np.ones(2), step=1, lr=0.1)`.
    Source: Kingma & Ba 2015, algorithm 1.

    >>> kernels.adam_update(np.array([1.0]), np.array([2.0]), np.zeros(1), np.zeros(1), step=1, lr=0.1)[0]
    array([0.9])
    """
    p, g, m, v = common(params, grads, m, v)
    correction1, correction2 = 1 - beta1**step, 1 - beta2**step
    coupled_decay, decoupled_decay = (0.0, lr * weight_decay) if decoupled else (weight_decay, 0.0)
    if not has_kernel(p.dtype):
        g = g + coupled_decay * p
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * (g * g)
        p = p - decoupled_decay * p
        return p - lr * (m / correction1) / (np.sqrt(v / correction2) + eps), m, v
    number = p.dtype.type
    vectors, restore = in_memory_order(p, g, m, v)
    new_p, new_m, new_v = (np.empty_like(vectors[0]) for _ in range(3))
    decays = number(coupled_decay), number(decoupled_decay)
    scalars = (number(s) for s in (lr, beta1, 1 - beta1, beta2, 1 - beta2, eps, correction1, correction2))
    _adam(*vectors, *scalars, *decays, new_p, new_m, new_v)
    return restore(new_p), restore(new_m), restore(new_v)


@jit
def _sgd(
    p: Array, g: Array, v: Array, lr: float, momentum: float, decay: float, nesterov: bool, out_p: Array, out_v: Array
) -> None:
    for i in range(p.size):
        gradient = g[i] + decay * p[i]
        velocity = momentum * v[i] + gradient
        out_v[i] = velocity
        out_p[i] = p[i] - lr * (gradient + momentum * velocity if nesterov else velocity)


@jit
def _adam(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    lr: float,
    beta1: float,
    rest1: float,
    beta2: float,
    rest2: float,
    eps: float,
    correction1: float,
    correction2: float,
    coupled_decay: float,
    decoupled_decay: float,
    out_p: Array,
    out_m: Array,
    out_v: Array,
) -> None:
    for i in range(p.size):
        gradient = g[i] + coupled_decay * p[i]
        mean = beta1 * m[i] + rest1 * gradient
        square = beta2 * v[i] + rest2 * (gradient * gradient)
        out_m[i] = mean
        out_v[i] = square
        decayed = p[i] - decoupled_decay * p[i]
        out_p[i] = decayed - lr * (mean / correction1) / (np.sqrt(square / correction2) + eps)
