"""Plain training, which a student writes first: the gradient of a loss and an Adam step, on four kinds of networks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from tinymeta.bench.networks import (
    Backend,
    Draw,
    Foreign,
    Made,
    Workload,
    cross_entropy,
    descent,
    label_error,
    one_hot,
    vectors,
)
from tinymeta.engine.typing import DTypeLike, Function, Tree

SYMBOLS = 64  # that a text is made of


def training(loss: Function) -> Callable[[Backend], Function]:
    """The gradient of `loss(backend, params, *batch)` and an Adam step."""
    return lambda b: descent(b, partial(loss, b))


def weights(rng: np.random.Generator, dtype: DTypeLike, **shapes: tuple[int, ...]) -> Tree:
    """Normal weights of deviation 1/√(all axes but the last); vectors are biases."""
    scale = {name: 1 / np.sqrt(np.prod(shape[:-1])) if len(shape) > 1 else 0.1 for name, shape in shapes.items()}
    return {name: (scale[name] * rng.standard_normal(shape)).astype(dtype) for name, shape in shapes.items()}


def pictures(batch: int, side: int) -> Draw:
    """Images of one channel, and two layers of 3 × 3 filters for them, each halved afterwards."""

    def draw(rng: np.random.Generator, dtype: DTypeLike) -> Tree:
        shapes = {"w": (1, 3, 3, 32), "v": (32, 3, 3, 64), "out": (64 * (side // 4) ** 2, 10), "a": (32,), "b": (64,)}
        layers = weights(rng, dtype, **shapes, c=(10,))
        layers |= {name: np.ascontiguousarray(np.moveaxis(layers[name], -1, 0)) for name in "wv"}
        return layers, (rng.random((batch, 1, side, side)).astype(dtype), one_hot(rng, dtype, batch, classes=10))

    return draw


def small_convnet(b: Backend, p: Tree, x: Foreign, y: Foreign) -> Foreign:
    for w, bias in (("w", "a"), ("v", "b")):
        x = b.max_pool(b.relu(b.conv2d(x, p[w], 1) + b.reshape(p[bias], (1, -1, 1, 1))))
    return label_error(b, b.reshape(x, (x.shape[0], -1)) @ p["out"] + p["c"], y)


def texts(count: int, length: int, **shapes: tuple[int, ...]) -> Function:
    """Texts as numbers of symbols, time first where a network reads them in turn, and what comes next."""

    def draw(rng: np.random.Generator, dtype: DTypeLike) -> Tree:
        ids = rng.integers(0, SYMBOLS, (count, length))
        return weights(rng, dtype, **shapes), (ids, one_hot(rng, dtype, count, length, classes=SYMBOLS))

    return draw


def gru(b: Backend, p: Tree, ids: Foreign, y: Foreign) -> Foreign:
    """A gated recurrent unit (Cho et al. 2014) over texts (time, texts)."""
    width = p["h"].shape[0]

    def turn(h: Foreign, drive: Foreign) -> Foreign:
        pull = h @ p["h"]
        r, z = (b.sigmoid(drive[:, k : k + width] + pull[:, k : k + width]) for k in (0, width))
        n = b.tanh(drive[:, 2 * width :] + r * (pull[:, 2 * width :] + p["d"]))
        h = (1 - z) * n + z * h
        return h, h

    drives = b.take(p["table"], ids) @ p["x"] + p["b"]
    hs = b.scan(turn, b.zeros((ids.shape[1], width), drives), drives)
    return label_error(b, hs @ p["out"] + p["c"], y)


def layer_norm(b: Backend, x: Foreign, gain: Foreign, shift: Foreign) -> Foreign:
    centred = x - b.mean(x, -1, keepdims=True)
    return centred / b.sqrt(b.mean(b.square(centred), -1, keepdims=True) + 1e-5) * (1 + gain) + shift


def block(b: Backend, p: Tree, ids: Foreign, y: Foreign) -> Foreign:
    """One pre-norm transformer block (Xiong et al. 2020) over texts (texts, positions), which looks back only."""
    n, heads = ids.shape[1], 4
    x = b.take(p["table"], ids) + p["places"]
    qkv = b.reshape(layer_norm(b, x, p["g1"], p["s1"]) @ p["qkv"], (*x.shape[:2], 3, heads, -1))
    q, k, v = (b.transpose(qkv[:, :, i], (0, 2, 1, 3)) for i in range(3))
    scores = q @ b.transpose(k, (0, 1, 3, 2)) / float(np.sqrt(q.shape[-1]))
    mask = b.array(np.where(np.tril(np.ones((n, n), bool)), 0.0, -1e9).astype(b.dtype(x)))
    seen = b.transpose(b.softmax(scores + mask) @ v, (0, 2, 1, 3))
    x = x + b.reshape(seen, x.shape) @ p["o"]
    x = x + b.gelu(layer_norm(b, x, p["g2"], p["s2"]) @ p["up"] + p["u"]) @ p["down"]
    return label_error(b, x @ p["out"] + p["c"], y)


def mlp(batch: int = 128, width: int = 256) -> Made:
    """T1."""
    return vectors(batch, (784, width, width, 10), False), training(cross_entropy)


def convnet(batch: int = 64, side: int = 28) -> Made:
    """T2."""
    return pictures(batch, side), training(small_convnet)


def recurrent(batch: int = 32, length: int = 64, width: int = 128) -> Made:
    """T3."""
    turn = {"x": (32, 3 * width), "b": (3 * width,), "h": (width, 3 * width), "d": (width,)}
    return texts(length, batch, table=(SYMBOLS, 32), **turn, out=(width, SYMBOLS), c=(SYMBOLS,)), training(gru)


def transformer(batch: int = 16, length: int = 64, width: int = 64) -> Made:
    """T4."""
    shapes = {"table": (SYMBOLS, width), "places": (length, width), "qkv": (width, 3 * width), "o": (width, width)}
    shapes |= {"up": (width, 4 * width), "down": (4 * width, width), "out": (width, SYMBOLS)}
    ends = {"u": (4 * width,), "c": (SYMBOLS,)} | dict.fromkeys(("g1", "s1", "g2", "s2"), (width,))
    return texts(batch, length, **shapes, **ends), training(block)


TRAINING = (
    Workload("T1", "MLP 784-256-256-10, batch 128", *mlp()),
    Workload("T2", "conv net, 64 images of 28 x 28", *convnet()),
    Workload("T3", "GRU of 128, 32 texts of 64 letters", *recurrent()),
    Workload("T4", "transformer block of 64, 16 texts of 64", *transformer()),
)
