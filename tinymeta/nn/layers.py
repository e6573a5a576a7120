"""Layers: modules of a line or two of mathematics. The axes in front of the last one may be anything."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.errors import ShapeError, user_site
from tinymeta.engine.options import wholes
from tinymeta.engine.primitive import bind
from tinymeta.engine.tensor import ArrayLike, Tensor
from tinymeta.engine.typing import DTypeLike, Function, Tree
from tinymeta.nn import init
from tinymeta.nn.module import Module
from tinymeta.nn.normalization import BatchNorm
from tinymeta.ops.draws import for_each
from tinymeta.ops.embedding import embedding
from tinymeta.ops.fused import linear_relu
from tinymeta.ops.select import relu, where
from tinymeta.ops.shape import reshape


class Linear(Module):
    """y = x W + b.

    Shapes: (…, inputs) → (…, outputs); `weight` (inputs, outputs), `bias` (outputs,).
    Raises: ShapeError for an x that doesn't fit: `tm.nn.Linear(2, 3, rng=np.random.default_rng(0))([1.0])`.

    Parameters
    ----------
    inputs, outputs
        Sizes of the last axis before and after.
    rng
        Draws the weights.
    bias
        Whether to add `b`.
    weight_init
        How to draw the weights (`tm.nn.init`); He's normal by default.

    Examples
    --------
    >>> tm.nn.Linear(2, 3, rng=np.random.default_rng(0))(np.ones((5, 2))).shape
    (5, 3)
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        rng: np.random.Generator,
        bias: bool = True,
        weight_init: init.Initializer = init.he_normal,
        dtype: DTypeLike = np.float32,
    ) -> None:
        inputs, outputs = wholes((inputs, outputs), "a layer's size")
        self.weight = weight_init(rng, (inputs, outputs), inputs, outputs, dtype)
        self.bias = init.zeros((outputs,), dtype) if bias else None

    def __call__(self, x: ArrayLike, activation: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """The layer, and an `activation` after it if one is named: with ReLU the two are one pass over memory."""
        x = as_tensor(x)
        inputs, outputs = self.weight.shape
        if x.ndim == 0 or x.shape[-1] != inputs:
            raise ShapeError(
                f"Linear({inputs}, {outputs}) needs x of shape (…, {inputs}) and got {x.shape} ({user_site()}): "
                "to flatten examples, x.reshape((len(x), -1))"
            )
        if activation is relu and self.bias is not None:
            w, b = as_tensor(self.weight), as_tensor(self.bias)
            if x.dtype == w.dtype == b.dtype:
                rows = x if x.ndim == 2 else reshape(x, (math.prod(x.shape[:-1]), inputs))
                y = bind(linear_relu, rows, w, b)
                return y if x.ndim == 2 else reshape(y, (*x.shape[:-1], outputs))
        y = x @ self.weight
        y = y if self.bias is None else y + self.bias
        return y if activation is None else activation(y)


class Embedding(Module):
    """Rows of a learned table.

    Shapes: integers (…) from 0 to entries − 1 → (…, width); `weight` (entries, width).
    Raises: IndexError for a number that is no row: `tm.nn.Embedding(2, 3, rng=np.random.default_rng(0))([2])`.

    >>> tm.nn.Embedding(10, 3, rng=np.random.default_rng(0))([[1, 2], [2, 1]]).shape
    (2, 2, 3)
    """

    def __init__(
        self,
        entries: int,
        width: int,
        *,
        rng: np.random.Generator,
        weight_init: init.Initializer = init.normal(1.0),
        dtype: DTypeLike = np.float32,
    ) -> None:
        entries, width = wholes((entries, width), "a table's size")
        self.weight = weight_init(rng, (entries, width), entries, width, dtype)

    def __call__(self, ids: ArrayLike) -> Tensor:
        return embedding(self.weight, ids)


class Dropout(Module):
    """Each entry is 0 with probability `rate`, and the others divided by 1 − rate.

    It acts only where a call passes `rng`, so a model has no mode to be switched. Inside `vmap` each
    example drops its own entries, also of what the examples share.

    Shapes: any → the same.
    Raises: ValueError for a rate outside of [0, 1): `tm.nn.Dropout(1.0)`; TypeError for a Tensor, in which it would
    have no derivative: `tm.nn.Dropout(tm.tensor(0.5))`.
    Source: Srivastava et al. 2014, § 10.

    >>> sorted({*tm.nn.Dropout(0.5)(np.ones(100), np.random.default_rng(0)).tolist()})
    [0.0, 2.0]
    """

    def __init__(self, rate: float) -> None:
        if isinstance(rate, Tensor):
            raise TypeError(
                f"Dropout's rate is a Python number ({user_site()}): which entries are dropped has no derivative in it"
            )
        if not 0 <= rate < 1:
            raise ValueError(f"Dropout needs a rate from 0 to just below 1, not {rate} ({user_site()})")
        self.rate = rate

    def __call__(self, x: ArrayLike, rng: np.random.Generator | None = None) -> Tensor:
        x = as_tensor(x)
        if rng is None or not self.rate:
            return x
        kept = for_each(rng, lambda examples: rng.random((*examples, *x.shape)) >= self.rate)
        return where(kept, x * (1 / (1 - self.rate)), 0)


class Sequential(Module):
    """Modules and functions one after the other; `rng`, if passed, goes to those that drop.

    Shapes: what the first takes → what the last gives.

    >>> net = tm.nn.Sequential(tm.nn.Linear(2, 3, rng=np.random.default_rng(0)), tm.nn.relu)
    >>> net(np.ones((5, 2))).shape
    (5, 3)
    """

    def __init__(self, *layers: Function) -> None:
        self.layers = [layer if isinstance(layer, Module) else _Function(layer) for layer in layers]

    def __call__(self, x: Tree, rng: np.random.Generator | None = None) -> Tree:
        for layer in self.layers:
            x = layer(x, rng) if rng is not None and isinstance(layer, (Dropout, Sequential)) else layer(x)
        return as_tensor(x) if isinstance(x, np.ndarray) else x  # the caller's own, if no layer did anything


class _Function(Module):
    """A function among layers: static, so that a model's leaves are its weights alone."""

    def __init__(self, function: Function) -> None:
        self.function = function

    def __call__(self, x: Tree) -> Tree:
        return self.function(x)


class MLP(Module):
    """Linear layers of the given sizes with an activation between them, and batch norm before it if asked.

    The last layer is called `head`, so that ANIL can adapt it alone (`only="head.*"`).

    Shapes: (…, inputs) → (…, outputs).
    Raises: ValueError for fewer than two sizes: `tm.nn.MLP([1], rng=np.random.default_rng(0))`.

    Parameters
    ----------
    sizes
        `[inputs, hidden…, outputs]`.
    norm
        Normalise each hidden layer with batch statistics, as in the Omniglot network of Finn et al. (2017).

    Examples
    --------
    >>> tm.nn.MLP([1, 40, 40, 1], rng=np.random.default_rng(0))(np.ones((5, 1))).shape
    (5, 1)
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        rng: np.random.Generator,
        activation: Callable[[Tensor], Tensor] = relu,
        norm: bool = False,
        weight_init: init.Initializer = init.he_normal,
        dtype: DTypeLike = np.float32,
    ) -> None:
        if len(sizes) < 2:
            raise ValueError(f"MLP needs at least the sizes [inputs, outputs], not {list(sizes)} ({user_site()})")
        *hidden, head = [Linear(i, o, rng=rng, weight_init=weight_init, dtype=dtype) for i, o in zip(sizes, sizes[1:])]
        self.layers, self.head = hidden, head
        self.norms = [BatchNorm(n, dtype=dtype) for n in sizes[1:-1]] if norm else None
        self.activation = activation

    def __call__(self, x: ArrayLike) -> Tensor:
        return self.head(self.features(x))

    def features(self, x: ArrayLike) -> Tensor:
        """What the head sees: the last hidden layer."""
        for k, layer in enumerate(self.layers):
            x = layer(x, self.activation) if self.norms is None else self.activation(self.norms[k](layer(x)))
        return as_tensor(x)
