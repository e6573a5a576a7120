"""PyTorch's update rules in NumPy, each written as a loop over gradients: what the optimizers are measured by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def sgd(p: Any, grads: Sequence[Any], lr: float, momentum: float, nesterov: bool, weight_decay: float) -> Any:
    velocity = np.zeros_like(p)
    for g in grads:
        g = g + weight_decay * p
        if momentum:
            velocity = momentum * velocity + g
            g = g + momentum * velocity if nesterov else velocity
        p = p - lr * g
    return p


def adam(p: Any, grads: Sequence[Any], lr: float, b1: float, b2: float, eps: float, weight_decay: float) -> Any:
    m, v = np.zeros_like(p), np.zeros_like(p)
    for t, g in enumerate(grads, 1):
        g = g + weight_decay * p
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        p = p - lr / (1 - b1**t) * m / (np.sqrt(v) / np.sqrt(1 - b2**t) + eps)
    return p


def adamw(p: Any, grads: Sequence[Any], lr: float, b1: float, b2: float, eps: float, weight_decay: float) -> Any:
    m, v = np.zeros_like(p), np.zeros_like(p)
    for t, g in enumerate(grads, 1):
        p = p * (1 - lr * weight_decay)
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        p = p - lr / (1 - b1**t) * m / (np.sqrt(v) / np.sqrt(1 - b2**t) + eps)
    return p


def rmsprop(
    p: Any,
    grads: Sequence[Any],
    lr: float,
    decay: float,
    eps: float,
    weight_decay: float,
    momentum: float,
    centered: bool,
) -> Any:
    v, mean, buffer = np.zeros_like(p), np.zeros_like(p), np.zeros_like(p)
    for g in grads:
        g = g + weight_decay * p
        v = decay * v + (1 - decay) * g**2
        mean = decay * mean + (1 - decay) * g
        average = np.sqrt(v - mean**2 if centered else v) + eps
        buffer = momentum * buffer + g / average
        p = p - lr * buffer
    return p


def adagrad(
    p: Any, grads: Sequence[Any], lr: float, lr_decay: float, eps: float, weight_decay: float, initial: float
) -> Any:
    total = np.full_like(p, initial)
    for t, g in enumerate(grads, 1):
        g = g + weight_decay * p
        total = total + g**2
        p = p - lr / (1 + (t - 1) * lr_decay) * g / (np.sqrt(total) + eps)
    return p
