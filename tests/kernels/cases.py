"""One strategy per kernel: small arguments of every shape that it takes, sizes 0 and 1 included."""

import math
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import numpy as np
import tinymeta_kernels as tk

from tests.kernels.case import Case, Windows, broadcastable, random, sizes, windows


def _convolution(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, Windows, dict[str, Any]]:
    at = windows(draw)
    groups = draw(st.integers(1, 2))
    n, c, o = draw(st.integers(0, 3)), draw(st.integers(1, 2)), groups * draw(st.integers(1, 3))
    first, second = broadcastable(draw, 2)
    lead = np.broadcast_shapes(first, second)
    x = random(draw, *first, n, groups * c, *at.size)
    w = random(draw, *second, o, c, *at.window)
    g = random(draw, *draw(st.sampled_from([first, lead])), n, o, *at.output)
    return x, w, g, at, {"stride": at.stride, "padding": at.padding, "dilation": at.dilation, "groups": groups}


@st.composite
def conv2d(draw: st.DrawFn) -> Case:
    x, w, _, _, rest = _convolution(draw)
    return Case(tk.conv2d, [x, w], rest, terms=math.prod(w.shape[-3:]))


@st.composite
def conv2d_input(draw: st.DrawFn) -> Case:
    _, w, g, at, rest = _convolution(draw)
    terms = w.shape[-4] * math.prod(at.window)
    return Case(tk.conv2d_input, [g, w], dict(size=at.size, **rest), terms=terms)


@st.composite
def conv2d_weight(draw: st.DrawFn) -> Case:
    x, _, g, at, rest = _convolution(draw)
    terms = g.shape[-4] * math.prod(at.output)
    return Case(tk.conv2d_weight, [x, g], dict(size=at.window, **rest), terms=terms)


def _pooling(draw: st.DrawFn) -> tuple[np.ndarray, Windows, dict[str, Any]]:
    at = windows(draw, min_size=1, dilated=False)
    x = random(draw, *broadcastable(draw, 1)[0], draw(sizes), *at.size)
    return x, at, {"window": at.window, "stride": at.stride, "padding": at.padding}


@st.composite
def max_pool2d_index(draw: st.DrawFn) -> Case:
    x, _, rest = _pooling(draw)
    return Case(tk.max_pool2d_index, [np.round(x)], rest)  # rounded: with ties


@st.composite
def take_flat(draw: st.DrawFn) -> Case:
    x, _, rest = _pooling(draw)
    return Case(tk.take_flat, [x], {"index": tk.max_pool2d_index(x, **rest)})


@st.composite
def scatter_flat(draw: st.DrawFn) -> Case:
    x, at, rest = _pooling(draw)
    index = tk.max_pool2d_index(x, **rest)
    return Case(tk.scatter_flat, [random(draw, *index.shape)], {"index": index, "size": at.size}, terms=9)


@st.composite
def avg_pool2d(draw: st.DrawFn) -> Case:
    x, at, rest = _pooling(draw)
    return Case(tk.avg_pool2d, [x], rest, terms=math.prod(at.window))


@st.composite
def avg_pool2d_input(draw: st.DrawFn) -> Case:
    x, at, rest = _pooling(draw)
    g = random(draw, *x.shape[:-2], *at.output)
    return Case(tk.avg_pool2d_input, [g], dict(size=at.size, **rest), terms=math.prod(at.window))


@st.composite
def softmax_cross_entropy(draw: st.DrawFn) -> Case:
    k = draw(st.integers(1, 9))
    first, second = broadcastable(draw, 2)
    labels = np.random.default_rng(draw(st.integers(0, 99))).integers(0, k, second)
    return Case(tk.softmax_cross_entropy, [random(draw, *first, k)], {"labels": labels}, terms=k)


@st.composite
def softmax_cross_entropy_grad(draw: st.DrawFn) -> Case:
    k = draw(st.integers(1, 9))
    first, second, third = broadcastable(draw, 3)
    labels = np.random.default_rng(draw(st.integers(0, 99))).integers(0, k, second)

    def function(logits: np.ndarray, g: np.ndarray) -> np.ndarray:
        return tk.softmax_cross_entropy_grad(logits, labels, g)

    return Case(function, [random(draw, *first, k), random(draw, *third)], terms=k)


def _normalisation(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    shape = draw(st.lists(st.integers(1, 6), min_size=1, max_size=5).map(tuple))
    axes = draw(st.sets(st.integers(-len(shape), -1), min_size=1).map(lambda s: tuple(sorted(s))))
    if draw(st.booleans()):  # an empty axis that is kept
        kept = [axis for axis in range(-len(shape), 0) if axis not in axes]
        shape = tuple(0 if kept and axis == kept[0] else n for axis, n in zip(range(-len(shape), 0), shape))
    return shape, axes


@st.composite
def normalize(draw: st.DrawFn) -> Case:
    shape, axes = _normalisation(draw)
    eps = 0.1
    return Case(tk.normalize, [random(draw, *shape)], {"axes": axes, "eps": eps}, terms=math.prod(shape), scale=1 / eps)


def _with_statistics(draw: st.DrawFn, n: int) -> tuple[list[np.ndarray], tuple[int, ...]]:
    shape, axes = _normalisation(draw)
    s_shape = tuple(1 if axis in axes else size for axis, size in zip(range(-len(shape), 0), shape))
    return [random(draw, *shape) for _ in range(n)] + [np.abs(random(draw, *s_shape))], axes


@st.composite
def normalize_input(draw: st.DrawFn) -> Case:
    arrays, axes = _with_statistics(draw, 2)
    return Case(tk.normalize_input, arrays, {"axes": axes}, terms=arrays[0].size, scale=10)


@st.composite
def normalize_input_grad(draw: st.DrawFn) -> Case:
    arrays, axes = _with_statistics(draw, 3)
    return Case(tk.normalize_input_grad, arrays, {"axes": axes}, terms=arrays[0].size, scale=10)


@st.composite
def matmul(draw: st.DrawFn) -> Case:
    m, k, n = draw(sizes), draw(sizes), draw(sizes)
    first, second = broadcastable(draw, 2)
    ta, tb = draw(st.booleans()), draw(st.booleans())
    a = random(draw, *first, k, m).mT if ta else random(draw, *first, m, k)
    b = random(draw, *second, n, k).mT if tb else random(draw, *second, k, n)
    return Case(tk.matmul, [a, b], terms=k)


@st.composite
def linear_relu(draw: st.DrawFn) -> Case:
    m, k, n = draw(sizes), draw(sizes), draw(sizes)
    x, w, b = broadcastable(draw, 3)
    arrays = [random(draw, *x, m, k), random(draw, *w, k, n), random(draw, *b, n)]
    return Case(tk.linear_relu, arrays, terms=k + 1)


def elementwise(function: Callable[..., Any]) -> st.SearchStrategy[Case]:
    @st.composite
    def case(draw: st.DrawFn) -> Case:
        return Case(function, [random(draw, *broadcastable(draw, 1)[0])])

    return case()


@st.composite
def relu_input(draw: st.DrawFn) -> Case:
    first, second = broadcastable(draw, 2)
    return Case(tk.relu_input, [random(draw, *first), random(draw, *second)])


@st.composite
def scatter_add(draw: st.DrawFn) -> Case:
    n, size = draw(st.integers(0, 6)), draw(st.integers(1, 4))
    first, second = broadcastable(draw, 2)
    rest = draw(st.lists(sizes, max_size=2).map(tuple))
    index = np.random.default_rng(draw(st.integers(0, 99))).integers(-size, size, (*second, n))
    values = random(draw, *first, n, *rest)
    return Case(tk.scatter_add, [values], {"index": index, "size": size, "axis": -1 - len(rest)}, terms=n)


@st.composite
def sgd_update(draw: st.DrawFn) -> Case:
    shape = broadcastable(draw, 1)[0]
    rest = {
        "lr": 0.1,
        "momentum": 0.9,
        "nesterov": draw(st.booleans()),
        "weight_decay": draw(st.sampled_from([0.0, 0.1])),
    }
    return Case(tk.sgd_update, [random(draw, *shape) for _ in range(3)], rest, terms=4)


@st.composite
def adam_update(draw: st.DrawFn) -> Case:
    shape = broadcastable(draw, 1)[0]
    p, g, m, v = (random(draw, *shape) for _ in range(4))
    rest = {"step": draw(st.integers(1, 9)), "lr": 0.1, "weight_decay": 0.1, "decoupled": draw(st.booleans())}
    return Case(tk.adam_update, [p, g, m, v * v], rest, terms=4, scale=10)


CASES: dict[str, st.SearchStrategy[Case]] = {
    "adam_update": adam_update(),
    "avg_pool2d": avg_pool2d(),
    "avg_pool2d_input": avg_pool2d_input(),
    "conv2d": conv2d(),
    "conv2d_input": conv2d_input(),
    "conv2d_weight": conv2d_weight(),
    "erf": elementwise(tk.erf),
    "erfc": elementwise(tk.erfc),
    "linear_relu": linear_relu(),
    "matmul": matmul(),
    "max_pool2d_index": max_pool2d_index(),
    "normalize": normalize(),
    "normalize_input": normalize_input(),
    "normalize_input_grad": normalize_input_grad(),
    "relu_input": relu_input(),
    "scatter_add": scatter_add(),
    "scatter_flat": scatter_flat(),
    "sgd_update": sgd_update(),
    "softmax_cross_entropy": softmax_cross_entropy(),
    "softmax_cross_entropy_grad": softmax_cross_entropy_grad(),
    "take_flat": take_flat(),
}
