"""Normalisation layers: a learned scale and shift around `batch_norm`, `layer_norm` and `group_norm`."""

from __future__ import annotations

import math

import numpy as np

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.errors import ShapeError, user_site
from tinymeta.engine.options import wholes
from tinymeta.engine.tensor import ArrayLike, Tensor
from tinymeta.engine.typing import DTypeLike
from tinymeta.nn import init
from tinymeta.nn.module import Module, constant
from tinymeta.ops.norm import batch_norm, group_norm, layer_norm
from tinymeta.ops.shape import reshape


class BatchNorm(Module):
    """y = weight (x − mean)/√(var + eps) + bias per channel, with the statistics of the batch at hand.

    There is no running average: a few-shot task normalises with its own examples, and a hidden state
    would leak from task to task. Channels are axis 1 for x of three axes or more, else the last.

    Shapes: (N, C, …) → the same; `weight` and `bias` (C,).
    Raises: ShapeError for statistics of one number each: `tm.nn.BatchNorm(2)([[1.0, 2.0]])`, or other channels.
    Source: Ioffe & Szegedy 2015, algorithm 1.

    >>> tm.nn.BatchNorm(1, eps=0.0)([[1.0], [3.0]])
    tensor([[-1.],
            [ 1.]])
    """

    def __init__(self, channels: int, *, eps: float = 1e-5, dtype: DTypeLike = np.float32) -> None:
        self.weight = init.ones((channels,), dtype)
        self.bias = init.zeros((channels,), dtype)
        self.eps = eps

    def __call__(self, x: ArrayLike) -> Tensor:
        return batch_norm(x, self.weight, self.bias, self.eps)


class FrozenBatchNorm(Module):
    """`BatchNorm` with a mean and a variance that are given, as PyTorch's uses its running ones in `eval()`.

    They are constants: `tm.nn.load_torch` brings them and `tm.nn.save_torch` writes them, `tm.save` does not.

    Shapes: (N, C, …) → the same; `weight`, `bias`, `mean` and `var` (C,).
    Raises: ValueError where they have not been given yet: `tm.nn.FrozenBatchNorm(1)([[1.0]])`, or a variance is below
        0; ShapeError for other channels.
    Source: Ioffe & Szegedy 2015, algorithm 2.

    >>> tm.nn.FrozenBatchNorm(1, mean=[1.0], var=[4.0], eps=0.0)([[1.0], [3.0]])
    tensor([[0.],
            [1.]])
    """

    def __init__(
        self,
        channels: int,
        *,
        mean: ArrayLike = math.nan,
        var: ArrayLike = math.nan,
        eps: float = 1e-5,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.weight, self.bias = init.ones((channels,), dtype), init.zeros((channels,), dtype)
        self.mean, self.var = (constant(np.full((channels,), given, dtype)) for given in (mean, var))
        self.eps = eps

    def __call__(self, x: ArrayLike) -> Tensor:
        if np.isnan(self.mean).any() or not (self.var >= 0).all():
            raise ValueError(
                f"FrozenBatchNorm has no mean and variance (of 0 or more) yet ({user_site()}): load_torch brings those "
                "of a state_dict, FrozenBatchNorm(channels, mean=…, var=…) takes yours, and BatchNorm uses the batch's"
            )
        x = as_tensor(x)
        if x.shape[1:2] != self.weight.shape:
            raise ShapeError(f"FrozenBatchNorm: x has shape {x.shape}, not (N, {len(self.mean)}, …) ({user_site()})")
        each = (-1, *[1] * (x.ndim - 2))  # of the channels
        scale = reshape(self.weight, each) / np.reshape(np.sqrt(self.var + self.eps), each)
        return (x - np.reshape(self.mean, each)) * scale + reshape(self.bias, each)


class LayerNorm(Module):
    """`BatchNorm` over the last axis of every example instead: no example sees another one.

    Shapes: (…, width) → the same; `weight` and `bias` (width,).
    Raises: ShapeError for statistics of one number each: `tm.nn.LayerNorm(1)([[1.0], [2.0]])`, or another width.
    Source: Ba et al. 2016, eq. 3–4.

    >>> tm.nn.LayerNorm(2, eps=0.0)([[1.0, 3.0], [10.0, 30.0]])
    tensor([[-1.,  1.],
            [-1.,  1.]])
    """

    def __init__(self, width: int, *, eps: float = 1e-5, dtype: DTypeLike = np.float32) -> None:
        self.weight = init.ones((width,), dtype)
        self.bias = init.zeros((width,), dtype)
        self.eps = eps

    def __call__(self, x: ArrayLike) -> Tensor:
        return layer_norm(x, self.weight, self.bias, self.eps)


class GroupNorm(Module):
    """`BatchNorm` over each of `groups` groups of channels of every example instead: no example sees another one.

    Shapes: (N, C, …) → the same; `weight` and `bias` (C,).
    Raises: ValueError where the groups don't divide the channels: `tm.nn.GroupNorm(2, 3)`.
    Source: Wu & He 2018, eq. 1–4.

    >>> tm.nn.GroupNorm(2, 4, eps=0.0)([[1.0, 3.0, 10.0, 30.0]])
    tensor([[-1.,  1., -1.,  1.]])
    """

    def __init__(self, groups: int, channels: int, *, eps: float = 1e-5, dtype: DTypeLike = np.float32) -> None:
        groups, channels = wholes((groups, channels), "a number of groups or channels")
        if groups < 1 or channels % groups:
            raise ValueError(f"GroupNorm can't divide {channels} channels into {groups} equal groups ({user_site()})")
        self.groups, self.eps = groups, eps
        self.weight = init.ones((channels,), dtype)
        self.bias = init.zeros((channels,), dtype)

    def __call__(self, x: ArrayLike) -> Tensor:
        return group_norm(x, self.groups, self.weight, self.bias, self.eps)
