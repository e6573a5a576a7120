"""Initial weights: random Tensors whose scale keeps signals from growing or dying through layers.

An initializer is called `(rng, shape, fan_in, fan_out, dtype)`; the fans are how many inputs one output
sums over, and the other way round.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tinymeta.engine.errors import ShapeError, user_site
from tinymeta.engine.options import counted, wholes
from tinymeta.engine.tensor import Array, Tensor
from tinymeta.engine.typing import DTypeLike, Shape

Initializer = Callable[[np.random.Generator, Shape, int, int, DTypeLike], Tensor]


def he_normal(rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int, dtype: DTypeLike) -> Tensor:
    """N(0, 2/fan_in), for ReLU.

    Shapes: `shape`.
    Raises: UserError for fans below 1: `tm.nn.init.he_normal(np.random.default_rng(0), (0, 2), 0, 2, float)`.
    Source: He et al. 2015, eq. 10.

    >>> w = tm.nn.init.he_normal(np.random.default_rng(0), (200, 50), 200, 50, np.float32)
    >>> w.shape, round(float(w.std()), 2)
    ((200, 50), 0.1)
    """
    return _gaussian(rng, shape, math.sqrt(2.0 / _fan(fan_in)), dtype)


def he_uniform(rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int, dtype: DTypeLike) -> Tensor:
    """U(−a, a) with a² = 6/fan_in: the variance of `he_normal`.

    Shapes: `shape`.
    Raises: UserError for fans below 1: `tm.nn.init.he_uniform(np.random.default_rng(0), (0, 2), 0, 2, float)`.
    Source: He et al. 2015, eq. 10, for its variance.

    >>> w = tm.nn.init.he_uniform(np.random.default_rng(0), (200, 50), 200, 50, np.float32)
    >>> w.shape, round(float(w.std()), 2)
    ((200, 50), 0.1)
    """
    return _uniform(rng, shape, math.sqrt(6.0 / _fan(fan_in)), dtype)


def glorot_normal(rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int, dtype: DTypeLike) -> Tensor:
    """N(0, 2/(fan_in + fan_out)), for tanh and sigmoid.

    Shapes: `shape`.
    Raises: UserError for fans below 1: `tm.nn.init.glorot_normal(np.random.default_rng(0), (0, 0), 0, 0, float)`.
    Source: Glorot & Bengio 2010, eq. 12.

    >>> w = tm.nn.init.glorot_normal(np.random.default_rng(0), (150, 50), 150, 50, np.float32)
    >>> w.shape, round(float(w.std()), 2)
    ((150, 50), 0.1)
    """
    return _gaussian(rng, shape, math.sqrt(2.0 / _fan(fan_in, fan_out)), dtype)


def glorot_uniform(rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int, dtype: DTypeLike) -> Tensor:
    """U(−a, a) with a² = 6/(fan_in + fan_out), for tanh and sigmoid.

    Shapes: `shape`.
    Raises: UserError for fans below 1: `tm.nn.init.glorot_uniform(np.random.default_rng(0), (0, 0), 0, 0, float)`.
    Source: Glorot & Bengio 2010, eq. 16.

    >>> w = tm.nn.init.glorot_uniform(np.random.default_rng(0), (150, 50), 150, 50, np.float32)
    >>> w.shape, round(float(w.std()), 2)
    ((150, 50), 0.1)
    """
    return _uniform(rng, shape, math.sqrt(6.0 / _fan(fan_in, fan_out)), dtype)


def lecun_normal(rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int, dtype: DTypeLike) -> Tensor:
    """N(0, 1/fan_in), for linear outputs.

    Shapes: `shape`.
    Raises: UserError for fans below 1: `tm.nn.init.lecun_normal(np.random.default_rng(0), (0, 2), 0, 2, float)`.
    Source: LeCun et al. 1998, § 4.6.

    >>> w = tm.nn.init.lecun_normal(np.random.default_rng(0), (100, 100), 100, 100, np.float32)
    >>> w.shape, round(float(w.std()), 2)
    ((100, 100), 0.1)
    """
    return _gaussian(rng, shape, math.sqrt(1.0 / _fan(fan_in)), dtype)


def orthogonal(rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int, dtype: DTypeLike) -> Tensor:
    """A random matrix with orthonormal rows or columns, for recurrent weights.

    A wide matrix of several square blocks side by side (the gates of a cell) gets one such block each.

    Shapes: `shape`, (rows, columns).
    Raises: ShapeError for other than matrices:
    `tm.nn.init.orthogonal(np.random.default_rng(0), (2, 2, 2), 2, 2, float)`.
    Source: Saxe et al. 2014.

    >>> w = tm.nn.init.orthogonal(np.random.default_rng(0), (2, 2), 2, 2, float)
    >>> tm.abs(w.T @ w)
    tensor([[1., 0.],
            [0., 1.]])
    """
    if len(shape) != 2:
        raise ShapeError(f"orthogonal weights are matrices, not of shape {shape} ({user_site()})")
    rows, columns = wholes(shape, "a size")
    if columns > rows and columns % rows == 0:
        return Tensor(np.hstack([_rotation(rng, rows, rows) for _ in range(columns // rows)]).astype(dtype))
    return Tensor(_rotation(rng, rows, columns).astype(dtype))


def _rotation(rng: np.random.Generator, rows: int, columns: int) -> Array:
    q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
    q = q * np.sign(np.diag(r))  # makes the decomposition unique, hence the distribution uniform
    return q if rows >= columns else q.T


def normal(std: float) -> Initializer:
    """An initializer that draws from N(0, std²).

    Shapes: the `shape` that it is called with.

    >>> draw = tm.nn.init.normal(0.1)
    >>> draw(np.random.default_rng(0), (3,), 1, 1, np.float32).shape
    (3,)
    """
    return lambda rng, shape, fan_in, fan_out, dtype: _gaussian(rng, shape, std, dtype)


def truncated_normal(std: float) -> Initializer:
    """N(0, std²) redrawn until within two standard deviations: the MAML paper's fully connected networks use 0.01.

    Shapes: the `shape` that it is called with.
    Source: Finn et al. 2017, for the 0.01.

    >>> w = tm.nn.init.truncated_normal(0.01)(np.random.default_rng(0), (1000,), 1, 1, float)
    >>> bool(tm.all(tm.abs(w) <= 0.02))
    True
    """

    def draw(rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int, dtype: DTypeLike) -> Tensor:
        x = rng.standard_normal(wholes(shape, "a size"))
        while (far := np.abs(x) > 2).any():
            x[far] = rng.standard_normal(int(far.sum()))
        return Tensor((std * x).astype(dtype))

    return draw


def zeros(shape: Shape, dtype: DTypeLike) -> Tensor:
    """All 0: biases and shifts.

    Shapes: `shape`.

    >>> tm.nn.init.zeros((2,), np.float32)
    tensor([0., 0.], dtype=float32)
    """
    return Tensor(np.zeros(wholes(shape, "a size"), dtype))


def ones(shape: Shape, dtype: DTypeLike) -> Tensor:
    """All 1: scales.

    Shapes: `shape`.

    >>> tm.nn.init.ones((2,), np.float32)
    tensor([1., 1.], dtype=float32)
    """
    return Tensor(np.ones(wholes(shape, "a size"), dtype))


def _fan(*fans: int) -> int:
    return counted(sum(wholes(fans, "a fan")), "a fan, as a layer's inputs,", 1)


def _gaussian(rng: np.random.Generator, shape: Shape, std: float, dtype: DTypeLike) -> Tensor:
    return Tensor((rng.standard_normal(wholes(shape, "a size")) * std).astype(dtype))


def _uniform(rng: np.random.Generator, shape: Shape, a: float, dtype: DTypeLike) -> Tensor:
    return Tensor(rng.uniform(-a, a, wholes(shape, "a size")).astype(dtype))
