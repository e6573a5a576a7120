"""What workloads are made of: networks, losses and Adam, written once against a backend's namespace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinymeta.engine.typing import DTypeLike, Function, Tree

Backend = Any  # the array functions of one contender, under the names of all
Foreign = Any  # its arrays
Draw = Callable[[np.random.Generator, Any], tuple[Tree, tuple[Any, ...]]]


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
    layers = []
    for n, m in zip(widths, widths[1:]):
        layer = {"w": rng.standard_normal((n, m)) * np.sqrt(2 / n), "b": 0.1 * rng.standard_normal(m)}
        if norm and m is not widths[-1]:
            layer |= {"gain": rng.uniform(0.5, 1.5, m), "shift": 0.1 * rng.standard_normal(m)}
        layers.append({name: a.astype(dtype) for name, a in layer.items()})
    return layers


def normalised(b: Backend, x: Foreign, layer: Tree, axes: Tree) -> Foreign:
    """Batch normalisation, from primitives."""
    centred = x - b.mean(x, axes, True)
    form = (1, -1) if x.ndim == 2 else (1, -1, 1, 1)
    spread = b.sqrt(b.mean(b.square(centred), axes, True) + 1e-5)
    return centred / spread * b.reshape(layer["gain"], form) + b.reshape(layer["shift"], form)


def dense_net(b: Backend, layers: Tree, x: Foreign) -> Foreign:
    for layer in layers[:-1]:
        x = x @ layer["w"] + layer["b"]
        x = b.relu(normalised(b, x, layer, 0) if "gain" in layer else x)
    return x @ layers[-1]["w"] + layers[-1]["b"]


def conv_net(b: Backend, layers: Tree, x: Foreign) -> Foreign:
    for layer in layers[:-1]:
        x = b.relu(normalised(b, b.conv2d(x, layer["w"], 2), layer, (0, 2, 3)))
    return b.reshape(x, (x.shape[0], -1)) @ layers[-1]["w"] + layers[-1]["b"]


def pooled_net(b: Backend, layers: Tree, x: Foreign) -> Foreign:
    """Convolutions with bias, each normalised, rectified, and halved by the largest of 2 × 2."""
    for layer in layers[:-1]:
        x = b.conv2d(x, layer["w"], 1) + b.reshape(layer["b"], (1, -1, 1, 1))
        x = b.max_pool(b.relu(normalised(b, x, layer, (0, 2, 3))))
    return b.reshape(x, (x.shape[0], -1)) @ layers[-1]["w"] + layers[-1]["b"]


def adam(b: Backend, params: Tree, grads: Tree, state: Tree) -> tuple[Tree, Tree]:
    """Adam with bias correction left to the step size, as the paper's section 2 allows."""
    first = b.tree_map(lambda m, g: 0.9 * m + 0.1 * g, state[0], grads)
    second = b.tree_map(lambda v, g: 0.999 * v + 0.001 * g * g, state[1], grads)
    params = b.tree_map(lambda p, m, v: p - 0.001 * m / (b.sqrt(v) + 1e-8), params, first, second)
    return params, (first, second)


def squared_error(b: Backend, params: Tree, x: Foreign, y: Foreign) -> Foreign:
    return b.mean(b.square(dense_net(b, params, x) - y))


def cross_entropy(b: Backend, params: Tree, x: Foreign, y: Foreign) -> Foreign:
    return label_error(b, dense_net(b, params, x) if x.ndim == 2 else conv_net(b, params, x), y)


def pooled_cross_entropy(b: Backend, params: Tree, x: Foreign, y: Foreign) -> Foreign:
    return label_error(b, pooled_net(b, params, x), y)


def label_error(b: Backend, logits: Foreign, y: Foreign) -> Foreign:
    """The mean cross-entropy of logits (…, classes) and one-hot labels."""
    return -b.mean(b.sum(y * b.log_softmax(logits), -1))
