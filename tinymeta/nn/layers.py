"""Layers: modules of a line or two of mathematics. The axes in front of the last one may be anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinymeta.engine.tensor import Tensor
from tinymeta.nn import init
from tinymeta.nn.module import Module
from tinymeta.ops.norm import batch_norm
from tinymeta.ops.select import relu


class Linear(Module):
    """y = x W + b for x of shape (…, inputs).

    Parameters
    ----------
    inputs, outputs
        Sizes of the last axis before and after; `weight` has shape (inputs, outputs).
    rng
        Draws the weights.
    bias
        Whether to add `b`.
    weight_init
        How to draw the weights (`tm.nn.init`); He's normal by default.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        rng: np.random.Generator,
        bias: bool = True,
        weight_init: init.Initializer = init.he_normal,
        dtype: Any = np.float32,
    ) -> None:
        self.weight = weight_init(rng, (inputs, outputs), inputs, outputs, dtype)
        self.bias = init.zeros((outputs,), dtype) if bias else None

    def __call__(self, x: Tensor) -> Tensor:
        y = x @ self.weight
        return y if self.bias is None else y + self.bias


class BatchNorm(Module):
    """y = weight (x − mean)/√(var + eps) + bias per channel, with the statistics of the batch at hand.

    There is no running average: a few-shot task normalises with its own examples, and a hidden state
    would leak from task to task. Channels are axis 1 for x of three axes or more, else the last.
    """

    def __init__(self, channels: int, *, eps: float = 1e-5, dtype: Any = np.float32) -> None:
        self.weight = init.ones((channels,), dtype)
        self.bias = init.zeros((channels,), dtype)
        self.eps = eps

    def __call__(self, x: Tensor) -> Tensor:
        return batch_norm(x, self.weight, self.bias, self.eps)


class Sequential(Module):
    """Modules and functions one after the other."""

    def __init__(self, *layers: Callable[[Any], Any]) -> None:
        self.layers = list(layers)

    def __call__(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return x


class MLP(Module):
    """Linear layers of the given sizes with an activation between them, and batch norm before it if asked.

    Parameters
    ----------
    sizes
        `[inputs, hidden…, outputs]`.
    norm
        Normalise each hidden layer with batch statistics, as in the Omniglot network of Finn et al. (2017).
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        rng: np.random.Generator,
        activation: Callable[[Tensor], Tensor] = relu,
        norm: bool = False,
        weight_init: init.Initializer = init.he_normal,
        dtype: Any = np.float32,
    ) -> None:
        pairs = zip(sizes, sizes[1:])
        self.layers = [Linear(i, o, rng=rng, weight_init=weight_init, dtype=dtype) for i, o in pairs]
        self.norms = [BatchNorm(n, dtype=dtype) for n in sizes[1:-1]] if norm else None
        self.activation = activation

    def __call__(self, x: Tensor) -> Tensor:
        for k, layer in enumerate(self.layers[:-1]):
            x = layer(x)
            x = self.activation(x if self.norms is None else self.norms[k](x))
        return self.layers[-1](x)
