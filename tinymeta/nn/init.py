"""Initial weights: random Tensors whose scale keeps signals from growing or dying through layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinymeta.engine.tensor import Tensor

Initializer = Callable[[np.random.Generator, tuple[int, ...], int, int, Any], Tensor]


def he_normal(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int, dtype: Any) -> Tensor:
    """N(0, 2/fan_in), for ReLU (He et al. 2015, eq. 10)."""
    return Tensor((rng.standard_normal(shape) * math.sqrt(2.0 / fan_in)).astype(dtype))


def glorot_uniform(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int, dtype: Any) -> Tensor:
    """U(−a, a) with a² = 6/(fan_in + fan_out), for tanh and sigmoid (Glorot & Bengio 2010, eq. 16)."""
    a = math.sqrt(6.0 / (fan_in + fan_out))
    return Tensor(rng.uniform(-a, a, shape).astype(dtype))


def truncated_normal(std: float) -> Initializer:
    """N(0, std²) redrawn until within two standard deviations: the MAML paper's fully connected networks use 0.01."""

    def draw(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int, dtype: Any) -> Tensor:
        x = rng.standard_normal(shape)
        while (far := np.abs(x) > 2).any():
            x[far] = rng.standard_normal(int(far.sum()))
        return Tensor((std * x).astype(dtype))

    return draw


def zeros(shape: tuple[int, ...], dtype: Any) -> Tensor:
    """All 0: biases and shifts."""
    return Tensor(np.zeros(shape, dtype))


def ones(shape: tuple[int, ...], dtype: Any) -> Tensor:
    """All 1: scales."""
    return Tensor(np.ones(shape, dtype))
