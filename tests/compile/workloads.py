"""The workloads of the compiler's tests, written with plain array functions: MAML steps on dense networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinymeta as tm

Tree = Any


def dense(widths: tuple[int, ...], rng: np.random.Generator, dtype: Any, norm: bool = False) -> list[dict[str, Any]]:
    """The parameters of a dense network; with `norm`, batch normalisation after every hidden layer."""
    layers = []
    for i, o in zip(widths, widths[1:]):
        layer = {"w": rng.normal(size=(i, o)) * np.sqrt(2 / i), "b": 0.1 * rng.normal(size=o)}
        if norm and o != widths[-1]:
            layer |= {"gain": rng.uniform(0.5, 1.5, o), "shift": 0.1 * rng.normal(size=o)}
        layers.append({k: v.astype(dtype) for k, v in layer.items()})
    return layers


def network(layers: Tree, x: Any) -> Any:
    for layer in layers[:-1]:
        x = x @ layer["w"] + layer["b"]
        if "gain" in layer:
            centred = x - tm.mean(x, axis=0, keepdims=True)
            spread = tm.sqrt(tm.mean(tm.square(centred), axis=0, keepdims=True) + 1e-5)
            x = centred / spread * layer["gain"] + layer["shift"]
        x = tm.relu(x)
    return x @ layers[-1]["w"] + layers[-1]["b"]


def squared_error(layers: Tree, batch: Tree) -> Any:
    x, y = batch
    return tm.mean(tm.square(network(layers, x) - y))


def cross_entropy(layers: Tree, batch: Tree) -> Any:
    """`batch` holds the labels as one-hot rows."""
    x, y = batch
    return -tm.mean(tm.sum(y * tm.log_softmax(network(layers, x), axis=-1), axis=-1))


def objective(loss: Callable[..., Any], steps: int, lr: float = 0.01) -> Callable[..., Any]:
    """The query loss after `steps` inner steps, averaged over tasks."""

    def one(layers: Tree, support: Tree, query: Tree) -> Any:
        for _ in range(steps):
            layers = tm.tree.map(lambda p, g: p - lr * g, layers, tm.grad(loss)(layers, support))
        return loss(layers, query)

    return lambda layers, support, query: tm.mean(tm.vmap(one, in_axes=(None, 0, 0))(layers, support, query))


def adam(params: Tree, grads: Tree, state: Tree, lr: float = 1e-3) -> tuple[Tree, Tree]:
    first, second, count = state
    count = count + 1
    first = tm.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, grads)
    second = tm.tree.map(lambda v, g: 0.999 * v + 0.001 * tm.square(g), second, grads)
    rate = lr * tm.sqrt(1 - 0.999**count) / (1 - 0.9**count)
    params = tm.tree.map(lambda p, m, v: p - rate * m / (tm.sqrt(v) + 1e-8), params, first, second)
    return params, (first, second, count)


def meta_step(loss: Callable[..., Any], steps: int) -> Callable[..., Any]:
    """One step of second-order MAML with Adam outside: `(params, state, support, query) -> (params, state, loss)`."""
    outer = tm.value_and_grad(objective(loss, steps))

    def step(params: Tree, state: Tree, support: Tree, query: Tree) -> Any:
        value, grads = outer(params, support, query)
        params, state = adam(params, grads, state)
        return params, state, value

    return step


def start(params: Tree) -> Tree:
    """Adam's first state."""
    zeros = tm.tree.map(np.zeros_like, params)
    return zeros, tm.tree.map(np.copy, zeros), np.zeros((), np.float32)


def sine(steps: int = 1, tasks: int = 25, dtype: Any = np.float32) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """W1 (and W2 with 5 steps): regression with a 1-40-40-1 ReLU network, 10 + 10 points."""
    rng = np.random.default_rng(0)
    params = dense((1, 40, 40, 1), rng, dtype)
    draw = lambda: tuple(rng.normal(size=(tasks, 10, 1)).astype(dtype) for _ in range(2))
    return meta_step(squared_error, steps), (params, start(params), draw(), draw())


def omniglot(steps: int = 1, tasks: int = 32, dtype: Any = np.float32) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """W3: 5-way 1-shot classification with a 784-256-128-64-64-5 network and batch normalisation."""
    rng = np.random.default_rng(0)
    params = dense((784, 256, 128, 64, 64, 5), rng, dtype, norm=True)

    def draw() -> Tree:
        labels = np.stack([rng.permutation(5) for _ in range(tasks)])
        return rng.normal(size=(tasks, 5, 784)).astype(dtype), np.eye(5, dtype=dtype)[labels]

    return meta_step(cross_entropy, steps), (params, start(params), draw(), draw())
