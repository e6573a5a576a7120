"""What is measured: a second-order meta-gradient and an Adam step, mostly, at sizes from tiny to a conv net.

Each workload draws its weights and data with NumPy from one seed, so all frameworks get the same numbers, and is
written once against a backend's namespace.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tinymeta.bench.networks import (
    Backend,
    Draw,
    Foreign,
    Made,
    Workload,
    convolutions,
    cross_entropy,
    dense,
    descent,
    squared_error,
    vectors,
)
from tinymeta.bench.training import TRAINING, convnet, mlp, recurrent, transformer
from tinymeta.engine.typing import DTypeLike, Function, Tree


def maml(loss: Function, steps: int, lr: float) -> Callable[[Backend], Function]:
    """The meta-gradient of MAML and an Adam step."""

    def build(b: Backend) -> Function:
        def one(params: Tree, xs: Foreign, ys: Foreign, xq: Foreign, yq: Foreign) -> Tree:
            for _ in range(steps):
                grads = b.grad(lambda p: loss(b, p, xs, ys))(params)
                params = b.tree_map(lambda p, g: p - lr * g, params, grads)
            return loss(b, params, xq, yq)

        return meta_step(b, one)

    return build


def meta_step(b: Backend, one: Function) -> Function:
    """The gradient of the mean over tasks of `one(params, four parts of a task)`, and an Adam step."""
    return descent(b, lambda params, *batch: b.mean(b.vmap(one, (None, 0, 0, 0, 0))(params, *batch)))


def sinusoids(tasks: int, width: int) -> Draw:
    def draw(rng: np.random.Generator, dtype: DTypeLike) -> Tree:
        arrays = [rng.standard_normal((tasks, 10, 1)).astype(dtype) for _ in range(4)]
        return dense(rng, dtype, (1, width, width, 1), False), tuple(arrays)

    return draw


def few_shot(tasks: int, ways: int, each: tuple[int, int], shape: tuple[int, ...], layers: Function) -> Draw:
    """Tasks of images of a shape, with so many `each` of a class to adapt on and to judge by."""

    def draw(rng: np.random.Generator, dtype: DTypeLike) -> Tree:
        batch: list[Any] = []
        for count in each:
            labels = np.tile(np.repeat(np.arange(ways), count), (tasks, 1))
            batch += [rng.random((tasks, ways * count, *shape)).astype(dtype), np.eye(ways, dtype=dtype)[labels]]
        return layers(rng, dtype), tuple(batch)

    return draw


def characters(tasks: int, ways: int, shots: int, flat: bool) -> Draw:
    if flat:
        layers = partial(dense, widths=(784, 256, 128, 64, 64, ways), norm=True)
        return few_shot(tasks, ways, (shots, 1), (784,), layers)
    return few_shot(tasks, ways, (shots, 1), (1, 28, 28), partial(convolutions, inputs=1, filters=64, head=(256, ways)))


# mini-ImageNet's shapes: 4 tasks, 5-way 1-shot, 15 queries a class, 32 filters a layer (Finn et al. 2017).
photographs = few_shot(
    4, 5, (1, 15), (3, 84, 84), partial(convolutions, inputs=3, filters=32, head=(800, 5), bias=True)
)


def hvp_step(b: Backend) -> Function:
    """The Hessian of the loss times a vector, reverse over reverse."""

    def step(params: Tree, state: Tree, x: Foreign, y: Foreign) -> Tree:
        def along(p: Tree) -> Foreign:
            grads = b.grad(lambda q: cross_entropy(b, q, x, y))(p)
            parts = [b.sum(g[k] * v[k]) for g, v in zip(grads, state[0]) for k in sorted(g)]
            return sum(parts[1:], start=parts[0])

        return params, state, b.grad(along)(params)

    return step


def hessian_step(b: Backend) -> Function:
    """The whole Hessian of a small tanh network's loss, over its weights as one vector."""
    sizes = [(1, 20), (20,), (20, 20), (20,), (20, 1), (1,)]

    def loss(flat: Foreign, x: Foreign, y: Foreign) -> Foreign:
        parts, at = [], 0
        for shape in sizes:
            count = int(np.prod(shape))
            parts.append(b.reshape(flat[at : at + count], shape))
            at += count
        h = b.tanh(x @ parts[0] + parts[1])
        return b.mean(b.square(b.tanh(h @ parts[2] + parts[3]) @ parts[4] + parts[5] - y))

    return lambda params, state, x, y: (params, state, b.hessian(lambda p: loss(p, x, y))(params))


def l2l_step(b: Backend) -> Function:
    """The gradient of a coordinatewise LSTM optimizer through 20 unrolled steps on 128 quadratics."""

    def one(phi: Tree, w: Foreign, y: Foreign, theta: Tree, zero: Foreign) -> Tree:
        h = c = zero
        total = 0.0
        for _ in range(20):
            g = b.grad(lambda t: b.sum(b.square(w @ t - y)))(theta)
            gates = b.reshape(g, (-1, 1)) @ phi["x"] + h @ phi["h"] + phi["b"]
            i, f, o = (b.sigmoid(gates[:, 20 * k : 20 * k + 20]) for k in range(3))
            c = f * c + i * b.tanh(gates[:, 60:])
            h = o * b.tanh(c)
            theta = theta + 0.1 * b.reshape(h @ phi["out"], (-1,))
            total = total + b.sum(b.square(w @ theta - y))
        return total

    return meta_step(b, one)


def draw_hessian(rng: np.random.Generator, dtype: DTypeLike) -> Tree:
    return (0.3 * rng.standard_normal(481)).astype(dtype), tuple(rng.standard_normal((2, 100, 1)).astype(dtype))


def draw_l2l(rng: np.random.Generator, dtype: DTypeLike) -> Tree:
    shapes = {"x": (1, 80), "h": (20, 80), "b": (80,), "out": (20, 1)}
    phi = {k: (0.1 * rng.standard_normal(s)).astype(dtype) for k, s in shapes.items()}
    batch = (rng.random((128, 10, 10)), rng.random((128, 10)), 0.1 * rng.standard_normal((128, 10)))
    return phi, (*[a.astype(dtype) for a in batch], np.zeros((128, 10, 20), dtype))


def sine(tasks: int = 25, steps: int = 1, width: int = 40) -> Made:
    """W1."""
    return sinusoids(tasks, width), maml(squared_error, steps, 0.01)


def glyphs(tasks: int = 32, steps: int = 1) -> Made:
    """W3; more steps go as far as one."""
    return characters(tasks, 5, 1, True), maml(cross_entropy, steps, 0.4 / steps)


VARIED: dict[str, Callable[..., Made]] = {  # in the sizes that these take
    "W1": sine, "W3": glyphs, "T1": mlp, "T2": convnet, "T3": recurrent, "T4": transformer,
}  # fmt: skip
WORKLOADS = {
    w.name: w
    for w in (
        Workload("W1", "sine, 25 tasks, 1 inner step", *sine()),
        Workload("W2", "sine, 25 tasks, 5 inner steps", *sine(steps=5)),
        Workload("W2b", "sine, 100 tasks, 1 inner step", *sine(tasks=100)),
        Workload("W3", "MLP, 32 tasks 5-way 1-shot", *glyphs()),
        Workload(
            "W3b", "MLP, 16 tasks 20-way 5-shot, 5 steps", characters(16, 20, 5, True), maml(cross_entropy, 5, 0.1)
        ),
        Workload("W4", "conv, 32 tasks 5-way 1-shot", characters(32, 5, 1, False), maml(cross_entropy, 1, 0.4)),
        Workload("W4b", "conv, 16 tasks, 5 inner steps", characters(16, 5, 1, False), maml(cross_entropy, 5, 0.1)),
        Workload("W8", "photographs, 4 tasks 5-way 1-shot, 5 steps", photographs, maml(cross_entropy, 5, 0.01)),
        Workload(
            "hvp", "Hessian times vector, MLP, batch 512", vectors(512, (784, 256, 128, 64, 64, 5), True), hvp_step
        ),
        Workload("hessian", "Hessian, 1-20-20-1 tanh, 100 points", draw_hessian, hessian_step),
        Workload("l2l", "LSTM optimizer, 20 steps, 128 problems", draw_l2l, l2l_step),
        *TRAINING,
    )
}


def workload(name: str) -> Workload:
    """The workload of this name; `W1:tasks=4,width=16` is W1 with other sizes."""
    base, _, sizes = name.partition(":")
    if not sizes:
        return WORKLOADS[name]
    chosen = {axis: int(size) for axis, size in (part.split("=") for part in sizes.split(","))}
    return Workload(name, f"{WORKLOADS[base].what}, but {sizes}", *VARIED[base](**chosen))
