"""Plain training, which a student writes first: the gradient of a loss and an Adam step, on four kinds of networks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from tinymeta.bench.networks import Backend, Foreign, Workload, cross_entropy, descent, label_error, one_hot, vectors
from tinymeta.engine.typing import DTypeLike, Function, Tree

SYMBOLS = 64  # that a text is made of


def training(loss: Function) -> Callable[[Backend], Function]:
    """The gradient of `loss(backend, params, *batch)` and an Adam step."""
    return lambda b: descent(b, partial(loss, b))


def weights(rng: np.random.Generator, dtype: DTypeLike, **shapes: tuple[int, ...]) -> Tree:
    """Normal weights of deviation 1/√(all axes but the last); vectors are biases."""
    scale = {name: 1 / np.sqrt(np.prod(shape[:-1])) if len(shape) > 1 else 0.1 for name, shape in shapes.items()}
    return {name: (scale[name] * rng.standard_normal(shape)).astype(dtype) for name, shape in shapes.items()}


def pictures(rng: np.random.Generator, dtype: DTypeLike) -> Tree:
    layers = weights(rng, dtype, w=(1, 3, 3, 32), v=(32, 3, 3, 64), out=(3136, 10), a=(32,), b=(64,), c=(10,))
    layers |= {name: np.ascontiguousarray(np.moveaxis(layers[name], -1, 0)) for name in "wv"}
    return layers, (rng.random((64, 1, 28, 28)).astype(dtype), one_hot(rng, dtype, 64, classes=10))


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


_GRU = {"table": (SYMBOLS, 32), "x": (32, 384), "b": (384,), "h": (128, 384), "d": (128,), "out": (128, 64), "c": (64,)}
_BLOCK = {
    **{"table": (SYMBOLS, 64), "places": (64, 64), "qkv": (64, 192), "o": (64, 64), "up": (64, 256), "u": (256,)},
    **{"down": (256, 64), "out": (64, 64), "c": (64,), "g1": (64,), "s1": (64,), "g2": (64,), "s2": (64,)},
}
TRAINING = (
    Workload("T1", "MLP 784-256-256-10, batch 128", vectors(128, (784, 256, 256, 10), False), training(cross_entropy)),
    Workload("T2", "conv net, 64 images of 28 x 28", pictures, training(small_convnet)),
    Workload("T3", "GRU of 128, 32 texts of 64 letters", texts(64, 32, **_GRU), training(gru)),
    Workload("T4", "transformer block of 64, 16 texts of 64", texts(16, 64, **_BLOCK), training(block)),
)
