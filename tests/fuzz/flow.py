"""What flows between the layers of a random network, and what a layer is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import tinymeta as tm
from tinymeta import nn

WIDTHS = (1, 2, 3, 5, 8, 16, 17, 33)


class Flow(NamedTuple):
    """What comes into a layer: the shape of one example, and how many ids there are if it holds ids."""

    shape: tuple[int, ...]
    ids: int = 0


class Apart(nn.Module):
    """A function with weights of its own, which `tm.nn` has as a function only."""

    def __init__(self, function: Callable[..., Any], *weights: Any, **how: Any) -> None:
        self.function, self.weights, self.how = function, list(weights), how

    def __call__(self, x: Any) -> Any:
        return self.function(x, *self.weights, **self.how)


def some_width(r: Any) -> int:
    return int(r.choice(WIDTHS))


def some_weights(r: Any, shape: tuple[int, ...], dtype: Any) -> tm.Tensor:
    fan = int(np.prod(shape[1:])) if len(shape) > 1 else shape[0]
    return tm.Tensor((r.normal(size=shape) / np.sqrt(max(fan, 1))).astype(dtype))
