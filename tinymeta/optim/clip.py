"""Clipping: gradients no longer than a given length, or within given limits."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import mul

import numpy as np

from tinymeta.engine import tree
from tinymeta.engine.convert import as_tensor
from tinymeta.engine.structure import stop_gradient
from tinymeta.engine.tensor import Tensor
from tinymeta.engine.typing import Tree, X
from tinymeta.ops.elementwise import sqrt
from tinymeta.ops.extrema import max
from tinymeta.ops.logic import isfinite
from tinymeta.ops.select import abs, clip, where
from tinymeta.ops.shape import stack
from tinymeta.ops.tree import norm
from tinymeta.ops.widen import double, floating
from tinymeta.optim.optimizer import Optimizer, Setting, setting

global_norm = norm  # the field's name for it


def clip_by_global_norm(grads: Tree, limit: Setting) -> Tree:
    """The gradients, shortened together to length `limit` if they are longer.

    If one of them is infinite or NaN they have no direction, and all that comes out is NaN; so it is for a limit that
    is NaN or negative. It is computed in float64, where the squares of narrower numbers fit in.

    Shapes: any tree → the same, and its dtypes.
    Source: Pascanu et al. 2013, algorithm 1.

    >>> tm.optim.clip_by_global_norm({"w": np.array([6.0, 8.0])}, 5.0)
    {'w': tensor([3., 4.])}
    """
    wide = tree.map(double, grads)
    if any(as_tensor(g).dtype == w.dtype for g, w in zip(tree.leaves(grads), tree.leaves(wide))):
        shares: tuple[Tensor, ...] = _in_units(wide, limit)
    else:
        length = norm(wide)
        shares = (_only_if_clear(_share(length, limit), length, limit),)
    return tree.map(lambda g, w: reduce(mul, shares, w).astype(floating(g).dtype), grads, wide)


def _in_units(grads: Tree, limit: Setting) -> tuple[Tensor, Tensor]:
    """Two numbers, both at most 1, that shorten float64 gradients, whose length may be too large even for that.

    With u the largest entry and s the length of g/u, what comes out is g · limit/(s u): times h, and times
    limit/(s u)/h, for some h with which nothing overflows, and vanishes only where the result does. u and h are
    constants: in exact numbers the result does not depend on them.
    """
    unit = _largest(grads)
    length = norm(tree.map(lambda g: g / unit, grads))
    long = length > limit / unit
    per_unit = limit / where(long, length, 1.0)  # limit/s
    some = long & (per_unit > 0)
    half = stop_gradient(where(some, sqrt(where(some, per_unit, 1.0)) / sqrt(unit), 1.0))
    return half, _only_if_clear(where(long, per_unit / (half * unit), 1.0), length, limit)


def _share(length: Tensor, limit: Setting) -> Tensor:
    long = length > limit
    return where(long, limit / where(long, length, 1.0), 1.0)


def _only_if_clear(share: Tensor, length: Tensor, limit: Setting) -> Tensor:
    return where(isfinite(length) & (as_tensor(limit) >= 0), share, np.nan)


def _largest(grads: Tree) -> Tensor:
    """The size of the largest entry, a constant; 1 if there is none, or no finite one."""
    sizes = [max(abs(stop_gradient(g))) for g in tree.leaves(grads) if g.size]
    largest = max(stack(sizes)) if sizes else as_tensor(1.0)
    return where(isfinite(largest) & (largest > 0), largest, 1.0)


def clip_by_value(grads: Tree, limit: Setting) -> Tree:
    """Every entry of the gradients brought into [−limit, limit].

    Shapes: any tree → the same.

    >>> tm.optim.clip_by_value({"w": np.array([6.0, -0.5])}, 1.0)
    {'w': tensor([ 1. , -0.5])}
    """
    return tree.map(lambda g: clip(g, -setting(limit, g), setting(limit, g)), tree.map(floating, grads))


class Clipped:
    """An optimizer that sees clipped gradients, as in `Clipped(Adam(1e-3), partial(clip_by_global_norm, limit=10))`.

    Shapes: parameters a pytree; gradients are like it.

    >>> optimizer = tm.optim.Clipped(tm.optim.SGD(0.1), lambda g: tm.optim.clip_by_value(g, 1.0))
    >>> optimizer.update(tm.tensor(50.0), optimizer.init(tm.tensor(1.0)), tm.tensor(1.0))[0]
    tensor(0.9)
    """

    def __init__(self, optimizer: Optimizer, clip: Callable[[Tree], Tree]) -> None:
        self.optimizer, self.clip = optimizer, clip

    def init(self, params: Tree) -> Tree:
        return self.optimizer.init(params)

    def update(self, grads: Tree, state: Tree, params: X) -> tuple[X, Tree]:
        return self.optimizer.update(self.clip(grads), state, params)
