"""Primitives with a kernel of their own, written out in the compiler's elementwise operations and sums.

Each formula does what the kernel does. Written out, it can be cut along the tasks, share subexpressions with
its neighbours, and run without Python.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinymeta.compile.program.operations import Cast, Reduce, Scale, Shape, Ufunc, Where
from tinymeta.compile.program.program import Builder
from tinymeta.compile.program.views import Broadcast


def number(b: Builder, value: float, like: int, dtype: Any = None) -> int:
    """A constant in the rank and, unless another is given, the dtype of node `like`."""
    node = b.nodes[like]
    return b.constant(np.full((1,) * len(node.shape), value, dtype or node.dtype))


def scale(b: Builder, g: int, d: int) -> int:
    value = b.nodes[d].value
    plain = value is not None and bool(np.isfinite(value).all() and np.all(value))  # then 0 needs no special care
    return b.add(Ufunc(np.multiply) if plain else Scale(), *of_one_rank(b, (g, d)))


def relu(b: Builder, x: int) -> int:
    return b.add(Ufunc(np.maximum), x, number(b, 0, x))


def sigmoid(b: Builder, x: int) -> int:
    """1/(1 + e⁻ˣ), which is 0 where only numbers below the normal ones would be nearer."""
    e = _decay(b, x)
    return b.add(Ufunc(np.divide), number(b, 1, e), b.add(Ufunc(np.add), number(b, 1, e), e))


def logistic_density(b: Builder, x: int) -> int:
    """(e⁻ˣ σ(x)) σ(x), in which e⁻ˣ = ∞ times σ(x) = 0 is 0. Both are there already in a gradient."""
    y = sigmoid(b, x)
    return b.add(Ufunc(np.multiply), b.add(Scale(), _decay(b, x), y), y)


def _decay(b: Builder, x: int) -> int:
    return b.add(Ufunc(np.exp), b.add(Ufunc(np.multiply), number(b, -1, x), x))


def tanh(b: Builder, x: int) -> int:
    """Its slope stands behind it, and goes if nobody asks for it: a sweep that made it would keep x alive, not y."""
    y = b.add(Ufunc(np.tanh), x)
    tanh_slope(b, x)
    return y


def tanh_slope(b: Builder, x: int) -> int:
    cosh = b.add(Ufunc(np.cosh), x)
    return b.add(Ufunc(np.square), b.add(Ufunc(np.divide), number(b, 1, cosh), cosh))


def softplus(b: Builder, x: int) -> int:
    return b.add(Ufunc(np.logaddexp), x, number(b, 0, x))


def sum_axes(b: Builder, x: int, axes: tuple[int, ...], keepdims: bool = False, count: float = 1) -> int:
    shape = b.nodes[x].shape
    gone = tuple(a % len(shape) for a in axes)
    total = b.add(Reduce(np.add, gone), x)
    if keepdims:
        total = b.reshape(total, tuple(1 if i in gone else n for i, n in enumerate(shape)))
    return _divided(b, total, count)


def _divided(b: Builder, x: int, count: float) -> int:
    return x if count == 1 else b.add(Ufunc(np.divide), x, number(b, count, x))


def repeat_axes(b: Builder, x: int, axes: tuple[int, ...], shape: Shape, keepdims: bool, count: float) -> int:
    before = b.nodes[x].shape
    hidden = before[: len(before) - (len(shape) if keepdims else len(shape) - len(axes))]
    gone = tuple(a % len(shape) for a in axes)
    single = b.reshape(_divided(b, x, count), (*hidden, *(1 if i in gone else n for i, n in enumerate(shape))))
    return b.add(Broadcast((*hidden, *shape)), single)


def sum_to(b: Builder, x: int, axes: tuple[int, ...], shape: Shape, ndim: int) -> int:
    before = b.nodes[x].shape
    return b.reshape(sum_axes(b, x, axes) if axes else x, before[: len(before) - ndim] + shape)


def sum_tasks(b: Builder, x: int, at: int, rise: int) -> int:
    return b.add(Reduce(np.add, tuple(range(at, at - rise))), x)


def _keeping(b: Builder, ufunc: np.ufunc, x: int, axis: int) -> int:
    """A reduction along one axis, which stays with size 1."""
    shape = b.nodes[x].shape
    a = axis % len(shape)
    return b.reshape(b.add(Reduce(ufunc, (a,)), x), (*shape[:a], 1, *shape[a + 1 :]))


def _shifted(b: Builder, x: int, axis: int) -> int:
    """x less its maximum, which is taken as 0 where it is infinite."""
    top = _keeping(b, np.maximum, x, axis)
    finite = b.add(Ufunc(np.less), b.add(Ufunc(np.absolute), top), number(b, np.inf, x))
    return b.add(Ufunc(np.subtract), x, b.add(Where(), finite, top, number(b, 0, x)))


def softmax_axis(b: Builder, x: int, axis: int) -> int:
    e = b.add(Ufunc(np.exp), _shifted(b, x, axis))
    return b.add(Ufunc(np.divide), e, _keeping(b, np.add, e, axis))


def log_softmax_axis(b: Builder, x: int, axis: int) -> int:
    """The maxima, which count 1 each, are told from the rest: log1p takes one of them (see `ops/softmax.py`)."""
    shifted = _shifted(b, x, axis)
    zero, one = number(b, 0, shifted), number(b, 1, shifted)
    top = b.add(Ufunc(np.equal), shifted, zero)
    others = _keeping(b, np.add, b.add(Where(), top, zero, b.add(Ufunc(np.exp), shifted)), axis)
    tops = _keeping(b, np.add, b.add(Where(), top, one, zero), axis)
    more = b.add(Ufunc(np.subtract), tops, number(b, 1, tops))
    total = b.add(Ufunc(np.log1p), b.add(Ufunc(np.add), others, more))
    return b.add(Ufunc(np.subtract), shifted, total)


def astype(b: Builder, x: int, dtype: Any) -> int:
    return x if b.nodes[x].dtype == dtype else b.add(Cast(np.dtype(dtype)), x)


def normalize(b: Builder, x: int, axes: tuple[int, ...], eps: float) -> tuple[int, int]:
    centred = b.add(Ufunc(np.subtract), x, _mean(b, x, axes))
    variance = _mean(b, b.add(Ufunc(np.multiply), centred, centred), axes)
    root = b.add(Ufunc(np.sqrt), b.add(Ufunc(np.add), variance, number(b, eps, variance)))
    s = b.add(Ufunc(np.divide), number(b, 1, root), root)
    return b.add(Ufunc(np.multiply), centred, s), s


def normalize_input(b: Builder, g: int, y: int, s: int, axes: tuple[int, ...]) -> int:
    a = _mean(b, b.add(Ufunc(np.multiply), g, y), axes)
    return b.add(Ufunc(np.multiply), s, _without(b, g, y, a, axes))


def normalize_input_grad(b: Builder, h: int, g: int, y: int, s: int, axes: tuple[int, ...]) -> tuple[int, int]:
    times = Ufunc(np.multiply)
    of_g, of_h = (_mean(b, b.add(times, z, y), axes) for z in (g, h))
    both = b.add(Ufunc(np.add), b.add(times, h, of_g), b.add(times, g, of_h))
    gs = sum_axes(b, b.add(times, h, _without(b, g, y, of_g, axes)), axes, keepdims=True)
    return b.add(times, b.add(Ufunc(np.negative), s), both), gs


def _without(b: Builder, g: int, y: int, a: int, axes: tuple[int, ...]) -> int:
    """g − mean g − y a."""
    centred = b.add(Ufunc(np.subtract), g, _mean(b, g, axes))
    return b.add(Ufunc(np.subtract), centred, b.add(Ufunc(np.multiply), y, a))


def _mean(b: Builder, x: int, axes: tuple[int, ...]) -> int:
    shape = b.nodes[x].shape
    return sum_axes(b, x, axes, keepdims=True, count=math.prod(shape[a] for a in axes))


def reciprocal(b: Builder, x: int) -> int:
    return b.add(Ufunc(np.divide), number(b, 1, x), x)


def of_one_rank(b: Builder, inputs: tuple[int, ...]) -> list[int]:
    """The inputs with leading axes of size 1, so that all have the same number of axes."""
    rank = max((len(b.nodes[i].shape) for i in inputs), default=0)
    return [b.reshape(i, (1,) * (rank - len(b.nodes[i].shape)) + b.nodes[i].shape) for i in inputs]
