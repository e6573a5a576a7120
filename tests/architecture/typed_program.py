"""A user's program, for type checkers alone: what an editor knows of each expression (see `test_types.py`)."""

from __future__ import annotations

from typing import assert_type

import numpy as np

import tinymeta as tm
from tinymeta import Tensor

x, y = tm.tensor([1.0, 2.0]), tm.tensor([3.0, 4.0])

assert_type(x.sum(), Tensor)
assert_type(x.reshape(2, 1).T, Tensor)
assert_type(x.argmax(axis=0, keepdims=True), Tensor)
assert_type(x + y, Tensor)
assert_type(2.0 / x, Tensor)
assert_type(x @ y < 1, Tensor)
assert_type(x == y, Tensor)
assert_type(-x[0], Tensor)
assert_type(list(x), list[Tensor])
assert_type(tm.sum(x), Tensor)
assert_type(tm.exp(x), Tensor)
assert_type(x.shape, tuple[int, ...])


def length(x: Tensor) -> Tensor:
    return (x * x).sum()


assert_type(tm.grad(length)(x), Tensor)
assert_type(tm.value_and_grad(length)(x), tuple[Tensor, Tensor])
assert_type(tm.hvp(length, x, y), Tensor)
assert_type(tm.vmap(length)(x), Tensor)
assert_type(tm.checkpoint(length)(x), Tensor)
assert_type(tm.compile(length)(x), Tensor)
assert_type(tm.compile(length).report(), str)
assert_type(tm.gradient(length(x), x), Tensor)
assert_type(tm.gradient(length(x), [x, y]), list[Tensor])

model = tm.nn.MLP([2, 3, 1], rng=np.random.default_rng(0))


def loss(model: tm.nn.MLP, batch: tuple[Tensor, Tensor]) -> Tensor:
    x, y = batch
    return tm.nn.mse_loss(model(x), y)


slopes = tm.grad(loss)(model, (x, y))
adam = tm.optim.Adam(1e-3)
assert_type(model(x), Tensor)
assert_type(slopes, tm.nn.MLP)
assert_type(slopes.head.weight.mean(), Tensor)
assert_type(adam.update(slopes, adam.init(model), model)[0], tm.nn.MLP)
assert_type(tm.load("model.npz", like=model), tm.nn.MLP)


@tm.compile
def step(model: tm.nn.MLP, batch: tuple[Tensor, Tensor]) -> tuple[tm.nn.MLP, Tensor]:
    value, slopes = tm.value_and_grad(loss)(model, batch)
    return tm.tree.add_scaled(model, slopes, -0.1), value


@tm.compile(static_argnames="steps")
def repeated(model: tm.nn.MLP, steps: int) -> tm.nn.MLP:
    return model


assert_type(step(model, (x, y)), tuple[tm.nn.MLP, Tensor])
assert_type(repeated(model, steps=3), tm.nn.MLP)

# Functions without types, of which nothing is known, are no errors either.
tm.grad(lambda x: x * x)(2.0)
tm.compile(tm.vmap(tm.grad(lambda x, y: (x * y).sum())))(x, y)
tm.grad(lambda x, y: (x * y, 1), argnums=(0, 1), has_aux=True)(x, y)
