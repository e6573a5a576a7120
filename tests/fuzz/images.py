"""Strategies for the layers and functions that convolve and pool; `layers.py` has the table."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from tests.fuzz.flow import Apart, Flow, some_weights
from tinymeta import nn

POOLS = (*(f"{kind}_pool{d}d" for kind in ("max", "avg", "adaptive_avg") for d in (1, 2)), "global_avg_pool2d")


def is_image(flow: Flow) -> bool:
    return len(flow.shape) == 3 and not flow.ids


def convolution(r: Any, flow: Flow, dtype: Any) -> Any:
    if not is_image(flow):
        return None
    channels, height, width = flow.shape
    groups = int(r.choice([g for g in (1, 1, 2, 3) if channels % g == 0]))
    window = tuple(int(r.integers(1, min(n, 3) + 1)) for n in (height, width))
    padding: Any = ("same", 0, 1, (1, 0))[r.integers(4)]
    stride = 1 if padding == "same" else (1, 2, (2, 1))[r.integers(3)]
    dilation = 1 if min(height, width) < 6 else int(r.integers(1, 3))
    how = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "bias": bool(r.integers(2))}
    return nn.Conv2d(channels, groups * int(r.integers(1, 5)), window, rng=r, dtype=dtype, **how)


def convnet(r: Any, flow: Flow, dtype: Any) -> Any:
    if not is_image(flow) or min(flow.shape[1:]) < 5:
        return None
    norm = (nn.BatchNorm, None)[r.integers(2)]
    how = {"channels": int(r.integers(1, 6)), "pool": bool(r.integers(2)), "halvings": 2, "norm": norm}
    outputs = (None, 3)[r.integers(2)]
    return nn.ConvNet4(outputs, rng=r, image=flow.shape, dtype=dtype, **how)


def residual(r: Any, flow: Flow, dtype: Any) -> Any:
    if not is_image(flow):
        return None
    groups = int(r.integers(1, 3))
    outputs, stride = groups * int(r.integers(1, 4)), int(r.integers(1, 3))
    if groups == outputs and max(flow.shape[1:]) <= stride:
        return None  # statistics of one number each
    return nn.ResidualBlock(flow.shape[0], outputs, stride, rng=r, groups=groups, dtype=dtype)


def convolved(name: str) -> Callable[..., Any]:
    sides, transposed = int(name[-2]), "transpose" in name

    def strategy(r: Any, flow: Flow, dtype: Any) -> Any:
        if len(flow.shape) != 1 + sides or flow.ids:
            return None
        outputs, window = int(r.integers(1, 5)), int(r.integers(1, min(flow.shape[1:]) + 1) if sides else 1)
        window = min(window, 3)
        inputs = flow.shape[0]
        shape = (inputs, outputs) if transposed else (outputs, inputs)
        given = [some_weights(r, (*shape, *(window,) * sides), dtype)]
        if r.integers(2):
            given.append(some_weights(r, (outputs,), dtype))
        return Apart(getattr(nn, name), *given, stride=int(r.integers(1, 3)), padding=int(r.integers(0, window)))

    return strategy


def pooled(name: str) -> Callable[..., Any]:
    sides = 1 if name.endswith("1d") else 2

    def strategy(r: Any, flow: Flow, dtype: Any) -> Any:
        if len(flow.shape) != 1 + sides or flow.ids:
            return None
        if name == "global_avg_pool2d":
            return nn.global_avg_pool2d
        least = min(flow.shape[-sides:])
        if name.startswith("adaptive"):
            return partial(getattr(nn, name), size=int(r.integers(1, least + 1)))
        window = int(r.integers(1, min(3, least) + 1))
        return partial(getattr(nn, name), window=window, stride=int(r.integers(1, 3)), padding=int(r.integers(2)))

    return strategy
