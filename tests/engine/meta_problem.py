"""A small MAML problem, for the tests of what a whole meta-gradient does: a tanh network on a random line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinymeta as tm

Params = dict[str, Any]


def start(seed: int = 0, width: int = 4) -> Params:
    rng = np.random.default_rng(seed)
    return {"w1": rng.normal(size=(1, width)), "b1": rng.normal(size=width), "w2": rng.normal(size=(width, 1))}


def task(seed: int, points: int = 5) -> tuple[Any, Any, Any, Any]:
    """Support inputs and targets, query inputs and targets."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2, points, 1))
    y = rng.normal() * x + rng.normal()
    return x[0], y[0], x[1], y[1]


def loss(params: Params, x: Any, y: Any) -> Any:
    difference = tm.tanh(x @ params["w1"] + params["b1"]) @ params["w2"] - y
    return (difference * difference).mean()


def step(params: Params, x: Any, y: Any, change: Callable[[Any], Any] = lambda g: g) -> Params:
    grads = tm.grad(loss)(params, x, y)
    adapted: Params = tm.tree.map(lambda p, g: p - 0.1 * change(g), params, grads)
    return adapted


def objective(params: Params, seed: int, steps: int, wrap: Callable[..., Any] = lambda f: f, **how: Any) -> Any:
    """The query loss after `steps` steps on the support; `wrap` may checkpoint a step, `change` detach gradients."""
    x, y, query_x, query_y = task(seed)
    one = wrap(lambda p, x, y: step(p, x, y, **how))
    for _ in range(steps):
        params = one(params, x, y)
    return loss(params, query_x, query_y)
