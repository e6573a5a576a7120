"""One strategy for every layer and function of `tm.nn`: how it is drawn for what flows in.

A strategy is given a generator, what flows (`Flow`: the shape of one example, or whether it holds ids), and a dtype; it
returns something to call, or None where such a layer does not fit. `OTHERS` says why the rest of `tm.nn` has none.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import tinymeta as tm
from tests.fuzz import images
from tests.fuzz.flow import Apart, Flow, some_weights, some_width
from tinymeta import nn

INITIALIZERS = (
    nn.init.he_normal,
    nn.init.he_uniform,
    nn.init.glorot_normal,
    nn.init.glorot_uniform,
    nn.init.lecun_normal,
    nn.init.normal(0.3),
    nn.init.truncated_normal(0.3),
)


class Around(nn.Module):
    """x + f(x)."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __call__(self, x: Any) -> Any:
        return x + self.inner(x)


class Recurrent(nn.Module):
    """A cell led along a sequence (n, T, width); all its outputs, or the last one."""

    def __init__(self, cell: Any, whole: bool) -> None:
        self.cell, self.whole = cell, whole

    def __call__(self, x: Any) -> Any:
        state, seen = self.cell.start(*x.shape[:1]), []
        for t in range(x.shape[1]):
            state = self.cell(x[:, t], state)
            seen.append(state[0] if isinstance(state, tuple) else state)
        return tm.stack(seen, 1) if self.whole else seen[-1]


class Held:
    """An array that is no weight of the model."""

    def __init__(self, array: Any) -> None:
        self.array = array


def _linear(r: Any, flow: Flow, dtype: Any) -> Any:
    if not flow.shape or flow.ids:
        return None
    how = {"bias": bool(r.integers(2)), "weight_init": INITIALIZERS[r.integers(len(INITIALIZERS))]}
    return nn.Linear(flow.shape[-1], some_width(r), rng=r, dtype=dtype, **how)


def _mlp(r: Any, flow: Flow, dtype: Any) -> Any:
    if len(flow.shape) != 1 or flow.ids:
        return None
    sizes = [flow.shape[0], *(some_width(r) for _ in range(r.integers(1, 3))), some_width(r)]
    activation = (nn.relu, nn.tanh, nn.gelu)[r.integers(3)]
    return nn.MLP(sizes, rng=r, activation=activation, norm=bool(r.integers(2)), dtype=dtype)


def _batch_norm(r: Any, flow: Flow, dtype: Any) -> Any:
    if not flow.shape or flow.ids:
        return None
    return nn.BatchNorm(flow.shape[0] if len(flow.shape) > 1 else flow.shape[-1], dtype=dtype)


def _frozen_batch_norm(r: Any, flow: Flow, dtype: Any) -> Any:
    if not flow.shape or flow.ids:
        return None
    n = flow.shape[0] if len(flow.shape) > 1 else flow.shape[-1]
    return nn.FrozenBatchNorm(n, mean=r.normal(size=n), var=r.uniform(0.5, 2, n), dtype=dtype)


def _group_norm(r: Any, flow: Flow, dtype: Any) -> Any:
    if not flow.shape or flow.ids:
        return None
    groups = int(r.choice([g for g in range(1, flow.shape[0] + 1) if flow.shape[0] % g == 0]))
    return nn.GroupNorm(groups, flow.shape[0], dtype=dtype)


def _layer_norm(r: Any, flow: Flow, dtype: Any) -> Any:
    return nn.LayerNorm(flow.shape[-1], dtype=dtype) if flow.shape and not flow.ids else None


def _norm_function(name: str) -> Callable[..., Any]:
    """The function, with a weight, a bias, both or neither."""

    def strategy(r: Any, flow: Flow, dtype: Any) -> Any:
        if not flow.shape or flow.ids:
            return None
        channels = flow.shape[-1] if name == "layer_norm" else flow.shape[0]
        given = [some_weights(r, (channels,), dtype) if r.integers(2) else None for _ in range(2)]
        return Apart(_NORMS[name], *given)

    return strategy


def _one_group(x: Any, weight: Any, bias: Any) -> Any:
    return nn.group_norm(x, 1, weight, bias)


_NORMS = {"batch_norm": nn.batch_norm, "layer_norm": nn.layer_norm, "group_norm": _one_group}


def _embedding(r: Any, flow: Flow, dtype: Any) -> Any:
    return nn.Embedding(flow.ids, some_width(r), rng=r, dtype=dtype) if flow.ids else None


def _embedding_function(r: Any, flow: Flow, dtype: Any) -> Any:
    return Apart(_looked_up, some_weights(r, (flow.ids, some_width(r)), dtype)) if flow.ids else None


def _looked_up(ids: Any, table: Any) -> Any:
    return nn.embedding(table, ids)


def _one_hot(r: Any, flow: Flow, dtype: Any) -> Any:
    return partial(nn.one_hot, classes=flow.ids, dtype=dtype) if flow.ids else None


def _dropout(r: Any, flow: Flow, dtype: Any) -> Any:
    """Without a generator it does nothing, and with one it draws, which a compiled function may not: so a mask."""
    if flow.ids:
        return None
    rate = float(r.choice([0.2, 0.5]))
    kept = Held(np.asarray(r.random(flow.shape) >= rate))
    return nn.Sequential(nn.Dropout(rate), partial(_masked, kept=kept, rate=rate))


def _masked(x: Any, kept: Held, rate: float) -> Any:
    return tm.where(kept.array, x * (1 / (1 - rate)), 0)


class Along(nn.Module):
    """A recurrent layer's outputs, or the last one: forwards or backwards, with every k-th state kept."""

    def __init__(self, layer: Any, whole: bool, options: dict[str, Any]) -> None:
        self.layer, self.whole, self.options = layer, whole, tuple(options.items())

    def __call__(self, x: Any) -> Any:
        outputs, _ = self.layer(x, **dict(self.options))
        return outputs if self.whole else outputs[:, -1]


def _sequence(kind: Any) -> Callable[..., Any]:
    def strategy(r: Any, flow: Flow, dtype: Any) -> Any:
        if len(flow.shape) != 2 or flow.ids or flow.shape[0] > 5:
            return None
        layer = kind(flow.shape[1], int(r.choice([1, 3, 8])), rng=r, dtype=dtype)
        options = {"reverse": bool(r.integers(2)), "checkpoint": [False, True, 1, 2][r.integers(4)]}
        return Along(layer, bool(r.integers(2)), options)

    return strategy


def _cell(kind: Any) -> Callable[..., Any]:
    def strategy(r: Any, flow: Flow, dtype: Any) -> Any:
        if len(flow.shape) != 2 or flow.ids or flow.shape[0] > 5:
            return None
        width = int(r.choice([1, 3, 8]))
        return Recurrent(kind(flow.shape[1], width, rng=r, dtype=dtype), bool(r.integers(2)))

    return strategy


def _heads(r: Any, flow: Flow, dtype: Any) -> Any:
    if len(flow.shape) != 2 or flow.ids:
        return None
    heads = int(r.choice([h for h in (1, 2, 4) if flow.shape[1] % h == 0]))
    return nn.MultiHeadAttention(flow.shape[1], heads, rng=r, dtype=dtype)


def _attention(r: Any, flow: Flow, dtype: Any) -> Any:
    if len(flow.shape) != 2 or flow.ids:
        return None
    mask = np.tril(np.ones((flow.shape[0], flow.shape[0]), bool)) if r.integers(2) else None
    return partial(_looking, mask=None if mask is None else Held(mask))


def _looking(x: Any, mask: Held | None) -> Any:
    return nn.attention(x, x, x, None if mask is None else mask.array)


def _plain(name: str) -> Callable[..., Any]:
    return lambda r, flow, dtype: None if flow.ids else getattr(nn, name)


def _sequential(r: Any, flow: Flow, dtype: Any) -> Any:
    if not flow.shape or flow.ids:
        return None
    first = _linear(r, flow, dtype)
    return nn.Sequential(first, (nn.relu, nn.silu)[r.integers(2)], nn.LayerNorm(first.weight.shape[1], dtype=dtype))


# What a network is made of besides layers.


def _residual(r: Any, flow: Flow, dtype: Any) -> Any:
    if not flow.shape or flow.ids:
        return None
    width = flow.shape[-1]
    return Around(nn.Sequential(nn.Linear(width, width, rng=r, bias=bool(r.integers(2)), dtype=dtype), nn.tanh))


def _global_mean(r: Any, flow: Flow, dtype: Any) -> Any:
    if len(flow.shape) < 2 or flow.ids:
        return None
    return partial(tm.mean, axis=tuple(range(-len(flow.shape) + 1, 0)) if r.integers(2) else -2)


def _flatten(r: Any, flow: Flow, dtype: Any) -> Any:
    return flattened if len(flow.shape) > 1 and not flow.ids else None


def flattened(x: Any) -> Any:
    return x.reshape((x.shape[0], -1))


def _to_image(r: Any, flow: Flow, dtype: Any) -> Any:
    if len(flow.shape) != 2 or flow.ids:
        return None
    return as_image


def as_image(x: Any) -> Any:
    return x[:, None]


def _centred(r: Any, flow: Flow, dtype: Any) -> Any:
    return None if flow.ids else centred


def centred(x: Any) -> Any:
    return x - x.mean(0, keepdims=True)


LAYERS: dict[str, Callable[..., Any]] = {
    "MLP": _mlp,
    "BatchNorm": _batch_norm,
    "FrozenBatchNorm": _frozen_batch_norm,
    "Conv2d": images.convolution,
    "ConvNet4": images.convnet,
    "Dropout": _dropout,
    "Embedding": _embedding,
    "GRU": _sequence(nn.GRU),
    "GRUCell": _cell(nn.GRUCell),
    "GroupNorm": _group_norm,
    "LSTM": _sequence(nn.LSTM),
    "LSTMCell": _cell(nn.LSTMCell),
    "LayerNorm": _layer_norm,
    "Linear": _linear,
    "MultiHeadAttention": _heads,
    "ResidualBlock": images.residual,
    "Sequential": _sequential,
    "attention": _attention,
    "embedding": _embedding_function,
    "one_hot": _one_hot,
    **{f"conv{t}{d}d": images.convolved(f"conv{t}{d}d") for t in ("", "_transpose") for d in (1, 2)},
    **{name: _norm_function(name) for name in ("batch_norm", "group_norm", "layer_norm")},
    **{name: images.pooled(name) for name in images.POOLS},
    **{
        name: _plain(name)
        for name in ("gelu", "log_sigmoid", "log_softmax", "relu", "sigmoid", "silu", "softmax", "softplus", "tanh")
    },
    "a residual": _residual,
    "a global mean": _global_mean,
    "flattened": _flatten,
    "as an image": _to_image,
    "centred": _centred,
}
OTHERS = {
    "Module": "the base class of all",
    "load_torch": "a file's",
    "save_torch": "a file's",
    "constant": "declares what a model holds and nobody trains",
    "init": "drawn with Linear",
    "accuracy": "a score, drawn by `losses.py`",
    "bce_with_logits": "a loss",
    "cross_entropy": "a loss",
    "cross_entropy_each": "a loss",
    "kl_div": "a loss",
    "mse_loss": "a loss",
}
