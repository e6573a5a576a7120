"""Networks in words, made here and, by the same words, in PyTorch (`in_torch.py`); some are drawn at random."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinymeta as tm

HOW: Any = {"rng": np.random.default_rng(0), "dtype": np.float64}
OURS: dict[str, Any] = {
    "linear": lambda i, o, bias: tm.nn.Linear(i, o, bias=bias, **HOW),
    "conv": lambda i, o, window, how: tm.nn.Conv2d(i, o, window, **how, **HOW),
    "batch_norm": lambda n, axes: tm.nn.BatchNorm(n, dtype=np.float64),
    "frozen_norm": lambda n, axes: tm.nn.FrozenBatchNorm(n, dtype=np.float64),
    "layer_norm": lambda n: tm.nn.LayerNorm(n, dtype=np.float64),
    "group_norm": lambda groups, n: tm.nn.GroupNorm(groups, n, dtype=np.float64),
    "embedding": lambda n, width: tm.nn.Embedding(n, width, **HOW),
    "gru": lambda i, width: tm.nn.GRU(i, width, **HOW),
    "lstm": lambda i, width: tm.nn.LSTM(i, width, **HOW),
    "gru_cell": lambda i, width: tm.nn.GRUCell(i, width, **HOW),
    "lstm_cell": lambda i, width: tm.nn.LSTMCell(i, width, **HOW),
    "attention": lambda width, heads: tm.nn.MultiHeadAttention(width, heads, **HOW),
    "relu": lambda: tm.nn.relu,
    "tanh": lambda: tm.nn.tanh,
    "flatten": lambda: _flat,
    "block": lambda parts: tm.nn.Sequential(*map(_made, parts)),
}


def _made(part: list[Any]) -> Any:
    return OURS[part[0]](*part[1:])


def _flat(x: Any) -> Any:
    return x.reshape((x.shape[0], -1))


class Net(tm.nn.Module):
    """`parts` one after the other."""

    def __init__(self, parts: list[Any]) -> None:
        self.parts = [part if isinstance(part, tm.nn.Module) else tm.nn.Sequential(part) for part in map(_made, parts)]

    def __call__(self, x: Any) -> Any:
        for part in self.parts:
            if isinstance(part, tm.nn.GRUCell | tm.nn.LSTMCell):
                x = part(x, part(x, part.start(len(x))))  # from a state that is not 0
                x = x[0] if isinstance(x, tuple) else x
            else:
                x = part(x)[0] if isinstance(part, tm.nn.GRU | tm.nn.LSTM) else part(x)
        return x


def drawn(seed: int) -> dict[str, Any]:
    """A network at random: two to five parts for rows, images or sequences."""
    rng = np.random.default_rng(seed)
    count = lambda low, high: int(rng.integers(low, high + 1))
    kind, parts, told = ("rows", "images", "sequences", "words")[seed % 4], list[Any](), dict[str, Any]()
    examples, width = count(3, 5), count(2, 4)
    if kind == "words":
        told, parts, shape = {"entries": 6}, [["embedding", 6, width]], [examples, 4]
    else:
        shape = {"rows": [examples, width], "images": [examples, width, 6, 7], "sequences": [examples, 4, width]}[kind]
    for _ in range(count(2, 5)):
        part, width = _part(kind, rng, width)
        parts.append(["block", [part, ["tanh"]]] if rng.random() < 0.3 and part[0] in INSIDE else part)
        if kind == "images" and part[0] == "flatten":
            break
    return {"seed": seed, "input": shape, "parts": parts, **told}


INSIDE = {"linear", "conv", "layer_norm", "group_norm", "batch_norm", "frozen_norm"}


def _part(kind: str, rng: np.random.Generator, width: int) -> tuple[list[Any], int]:
    """A part for what has `width` features, and the number of those after it."""
    new = int(rng.integers(2, 5))
    if kind == "images":
        how = {"stride": int(rng.integers(1, 3)), "padding": int(rng.integers(1, 3)), "bias": bool(rng.integers(2))}
        grouped = ["conv", width, 2 * width, [3, 2], {**how, "groups": width, "dilation": 1}]
        parts = [(["conv", width, new, 3, how], new), (grouped, 2 * width), (["group_norm", 1, width], width)]
        parts += [([norm, width, 4], width) for norm in ("batch_norm", "frozen_norm")]
    elif kind == "rows":
        parts = [(["linear", width, new, bool(rng.integers(2))], new), (["linear", width, width, True], width)]
        parts += [([cell, width, new], new) for cell in ("gru_cell", "lstm_cell")]
        parts += [([norm, width, 2], width) for norm in ("batch_norm", "frozen_norm")] + [
            (["layer_norm", width], width)
        ]
    else:
        parts = [([kind, width, new], new) for kind in ("gru", "lstm")] + [(["attention", width, 1], width)]
        parts += [(["linear", width, 4, True], 4), (["layer_norm", width], width)]
        parts += [(["attention", width, 2], width)] * (width % 2 == 0)
    return parts[rng.integers(len(parts))]
