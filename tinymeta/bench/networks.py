"""What workloads are made of: networks, losses and Adam, written once against a backend's namespace."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinymeta.engine.typing import DTypeLike, Function, Tree

Backend = Any  # the array functions of one contender, under the names of all
Foreign = Any  # its arrays
Draw = Callable[[np.random.Generator, Any], tuple[Tree, tuple[Any, ...]]]
Made = tuple[Draw, Callable[[Backend], Function]]  # the `draw` and `build` of a workload


@dataclass(frozen=True)
class Workload:
    """`draw(rng, dtype)` gives (params, batch); `build(backend)` gives step(params, state, *batch).

    The step returns (params, state, gradients): the gradients are what the contenders must agree on.
    """

    name: str
    what: str
    draw: Draw
    build: Callable[[Backend], Function]


def dense(rng: np.random.Generator, dtype: DTypeLike, widths: tuple[int, ...], norm: bool) -> Tree:
    """Weights of a dense network, layer by layer; with a scale and a shift per hidden unit if normalised."""
    layers: list[Tree] = []
    for k, (n, m) in enumerate(zip(widths, widths[1:]), 2):
        layers.append({"w": rng.standard_normal((n, m)) * np.sqrt(2 / n), "b": 0.1 * rng.standard_normal(m)})
        if norm and k < len(widths):
            layers[-1] |= _scales(rng, m)
    return _cast(layers, dtype)


def convolutions(
    rng: np.random.Generator, dtype: DTypeLike, inputs: int, filters: int, head: tuple[int, int], bias: bool = False
) -> Tree:
    """Weights of four layers of so many 3 × 3 filters, and of a dense one of the shape `head`."""
    layers: list[Tree] = []
    for c in (inputs, filters, filters, filters):
        layers.append({"w": rng.standard_normal((filters, c, 3, 3)) * np.sqrt(2 / (9 * c))})
        layers[-1] |= ({"b": 0.1 * rng.standard_normal(filters)} if bias else {}) | _scales(rng, filters)
    layers.append({"w": rng.standard_normal(head) / math.isqrt(head[0]), "b": np.zeros(head[1])})
    return _cast(layers, dtype)


def _scales(rng: np.random.Generator, units: int) -> Tree:
    return {"gain": rng.uniform(0.5, 1.5, units), "shift": 0.1 * rng.standard_normal(units)}


def _cast(layers: list[Tree], dtype: DTypeLike) -> Tree:
    return [{name: a.astype(dtype) for name, a in layer.items()} for layer in layers]


def one_hot(rng: np.random.Generator, dtype: DTypeLike, *shape: int, classes: int) -> Tree:
    return np.eye(classes, dtype=dtype)[rng.integers(0, classes, shape)]


def vectors(count: int, widths: tuple[int, ...], norm: bool) -> Draw:
    """So many labelled vectors, and a dense network for them."""

    def draw(rng: np.random.Generator, dtype: DTypeLike) -> Tree:
        batch = rng.random((count, widths[0])).astype(dtype), one_hot(rng, dtype, count, classes=widths[-1])
        return dense(rng, dtype, widths, norm), batch

    return draw


def normalised(b: Backend, x: Foreign, layer: Tree, axes: Tree) -> Foreign:
    """Batch normalisation, from primitives."""
    centred = x - b.mean(x, axes, keepdims=True)
    form = (1, -1) if x.ndim == 2 else (1, -1, 1, 1)
    spread = b.sqrt(b.mean(b.square(centred), axes, keepdims=True) + 1e-5)
    return centred / spread * b.reshape(layer["gain"], form) + b.reshape(layer["shift"], form)


def dense_net(b: Backend, layers: Tree, x: Foreign) -> Foreign:
    for layer in layers[:-1]:
        x = x @ layer["w"] + layer["b"]
        x = b.relu(normalised(b, x, layer, 0) if "gain" in layer else x)
    return x @ layers[-1]["w"] + layers[-1]["b"]


def conv_net(b: Backend, layers: Tree, x: Foreign) -> Foreign:
    """Normalised convolutions, halved by their stride, or, with a bias, by the largest of 2 × 2."""
    for layer in layers[:-1]:
        if "b" in layer:
            x = b.conv2d(x, layer["w"], 1) + b.reshape(layer["b"], (1, -1, 1, 1))
            x = b.max_pool(b.relu(normalised(b, x, layer, (0, 2, 3))))
        else:
            x = b.relu(normalised(b, b.conv2d(x, layer["w"], 2), layer, (0, 2, 3)))
    return b.reshape(x, (x.shape[0], -1)) @ layers[-1]["w"] + layers[-1]["b"]


def adam(b: Backend, params: Tree, grads: Tree, state: Tree) -> tuple[Tree, Tree]:
    """Adam with bias correction left to the step size, as the paper's section 2 allows."""
    first = b.tree_map(lambda m, g: 0.9 * m + 0.1 * g, state[0], grads)
    second = b.tree_map(lambda v, g: 0.999 * v + 0.001 * g * g, state[1], grads)
    params = b.tree_map(lambda p, m, v: p - 0.001 * m / (b.sqrt(v) + 1e-8), params, first, second)
    return params, (first, second)


def descent(b: Backend, objective: Function) -> Function:
    """The gradient of `objective(params, *batch)` and an Adam step."""

    def step(params: Tree, state: Tree, *batch: Tree) -> Tree:
        _, grads = b.value_and_grad(objective)(params, *batch)
        return *adam(b, params, grads, state), grads

    return step


def squared_error(b: Backend, params: Tree, x: Foreign, y: Foreign) -> Foreign:
    return b.mean(b.square(dense_net(b, params, x) - y))


def cross_entropy(b: Backend, params: Tree, x: Foreign, y: Foreign) -> Foreign:
    return label_error(b, dense_net(b, params, x) if x.ndim == 2 else conv_net(b, params, x), y)


def label_error(b: Backend, logits: Foreign, y: Foreign) -> Foreign:
    """The mean cross-entropy of logits (…, classes) and one-hot labels."""
    return -b.mean(b.sum(y * b.log_softmax(logits), -1))
