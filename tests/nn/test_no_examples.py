"""A batch of no examples goes through every layer, as an empty file or a mask that is nowhere true hands it over."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinymeta as tm

RNG = np.random.default_rng(0)
IMAGE: Any = {"image": (1, 8, 8), "channels": 2, "rng": RNG}
LAYERS: dict[str, tuple[Any, tuple[int, ...], tuple[int, ...]]] = {
    "linear": (tm.nn.Linear(3, 2, rng=RNG), (3,), (2,)),
    "mlp": (tm.nn.MLP([3, 4, 2], rng=RNG), (3,), (2,)),
    "convolution": (tm.nn.Conv2d(1, 2, 3, rng=RNG), (1, 5, 5), (2, 3, 3)),
    "convnet, pooling": (tm.nn.ConvNet4(3, pool=True, halvings=2, norm=None, **IMAGE), (1, 8, 8), (3,)),
    "convnet, features": (tm.nn.ConvNet4(pool=True, halvings=2, norm=None, **IMAGE), (1, 8, 8), (8,)),
    "convnet, strides": (tm.nn.ConvNet4(3, norm=None, **IMAGE), (1, 8, 8), (3,)),
    "residual": (tm.nn.ResidualBlock(1, 8, 2, rng=RNG), (1, 5, 5), (8, 3, 3)),
    "attention": (tm.nn.MultiHeadAttention(4, 2, rng=RNG), (3, 4), (3, 4)),
    "layer norm": (tm.nn.LayerNorm(3), (3,), (3,)),
    "group norm": (tm.nn.GroupNorm(2, 4), (4, 3, 3), (4, 3, 3)),
    "embedding": (tm.nn.Embedding(5, 2, rng=RNG), (), (2,)),
    "largest of windows": (lambda x: tm.nn.max_pool2d(x, 2), (1, 4, 4), (1, 2, 2)),
    "mean of windows": (lambda x: tm.nn.avg_pool2d(x, 2), (1, 4, 4), (1, 2, 2)),
    "largest of two axes": (lambda x: tm.max(x, (-2, -1)), (3, 4, 4), (3,)),
    "places": (tm.meta.LocalMatcher(lambda x: x, 2, 3, rng=RNG), (2, 3, 3), (0,)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_no_examples_come_out_as_none(name: str) -> None:
    layer, shape, out = LAYERS[name]
    x = np.zeros((0, *shape), np.int64 if name == "embedding" else np.float32)
    for f in (layer, tm.compile(layer)):
        y = f(x, x) if name == "places" else f(x)
        assert y.shape == (0, *out) and y.dtype == np.float32


@pytest.mark.parametrize("name", sorted(LAYERS.keys() - {"embedding"}))
def test_their_gradient_is_zero_or_empty(name: str) -> None:
    layer, shape, _ = LAYERS[name]
    f = lambda x: (layer(x, x) if name == "places" else layer(x)).sum()
    assert tm.grad(f)(np.zeros((0, *shape), np.float32)).shape == (0, *shape)
