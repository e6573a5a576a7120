"""One strategy per kernel: small arguments of every shape that it takes, sizes 0 and 1 included.

A case is a function, its floating-point arrays, and all the rest (whole numbers, settings). The contract
tests turn the arrays into other layouts, other dtypes and other modes, and call the function again.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st
import numpy as np
import tinymeta_kernels as tk
from hypothesis.extra.numpy import mutually_broadcastable_shapes
from tinymeta_kernels import _jit


@dataclass
class Case:
    function: Callable[..., Any]
    arrays: list[np.ndarray]
    rest: dict[str, Any] = field(default_factory=dict)
    terms: int = 1
    """Length of the longest sum behind one entry of the answer."""
    scale: float = 1.0
    """How much the function can enlarge a rounding error of a sum, beyond multiplying by its arguments."""

    def __call__(self, *arrays: np.ndarray, **more: Any) -> list[np.ndarray]:
        answer = self.function(*arrays, **self.rest, **more)
        return list(answer) if isinstance(answer, tuple) else [answer]

    def tolerance(self, dtype: type) -> float:
        """Protocol P1 (4 ε log₂n Σ|x| for a sum), for two computations that both round, Σ|x| ≤ n · max|x|."""
        largest = math.prod(max(1.0, np.abs(a).max(initial=0)) for a in self.arrays)
        n = max(2, self.terms)
        return 8 * float(np.finfo(dtype).eps) * math.log2(n) * n * largest * self.scale


class Guarded(np.ndarray):
    """An array that refuses the negative indices which Python would wrap around and a compiled loop would not see."""

    def __getitem__(self, index):
        self._refuse(index)
        return super().__getitem__(index)

    def __setitem__(self, index, value):
        self._refuse(index)
        super().__setitem__(index, value)

    @staticmethod
    def _refuse(index) -> None:
        for i in index if isinstance(index, tuple) else (index,):
            if not isinstance(i, slice) and i < 0:
                raise IndexError(f"negative index {index}")


@contextmanager
def plain_python() -> Iterator[None]:
    """All loops as Python, with guarded arrays."""

    def guarded(kernel: _jit.Kernel) -> Callable[..., None]:
        return lambda *args: kernel.py_func(*(a.view(Guarded) if isinstance(a, np.ndarray) else a for a in args))

    before = {kernel: kernel.entries for kernel in _jit.KERNELS}
    try:
        for kernel in before:
            kernel.entries = dict.fromkeys("fd", guarded(kernel))
        with np.errstate(all="ignore"):
            yield
    finally:
        for kernel, entries in before.items():
            kernel.entries = entries


pairs = st.tuples(st.integers(1, 2), st.integers(1, 2))
sizes = st.integers(0, 4)


def random(draw: st.DrawFn, *shape: int) -> np.ndarray:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return np.asarray(rng.standard_normal(shape))


def broadcastable(draw: st.DrawFn, n: int) -> tuple[tuple[int, ...], ...]:
    shapes = mutually_broadcastable_shapes(num_shapes=n, max_dims=2, min_side=0, max_side=3)
    return draw(shapes).input_shapes


@dataclass
class Windows:
    """Sizes of an image and of windows that fit into it."""

    size: tuple[int, int]
    window: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]

    @property
    def output(self) -> tuple[int, int]:
        return tuple(
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, k, s, p, d in zip(self.size, self.window, self.stride, self.padding, self.dilation)
        )


def windows(draw: st.DrawFn, min_size: int = 0, dilated: bool = True) -> Windows:
    window = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    padding = tuple(draw(st.integers(0, 2 if dilated else k - 1)) for k in window)
    dilation = draw(pairs) if dilated else (1, 1)
    size = tuple(
        max(min_size, d * (k - 1) + 1 - 2 * p) + draw(st.integers(0, 3)) for k, p, d in zip(window, padding, dilation)
    )
    return Windows(size, window, draw(pairs), padding, dilation)


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


@st.composite
def im2col(draw: st.DrawFn) -> Case:
    at = windows(draw)
    x = random(draw, *broadcastable(draw, 1)[0], *at.size, draw(sizes))
    return Case(
        tk.im2col, [x], {"window": at.window, "stride": at.stride, "padding": at.padding, "dilation": at.dilation}
    )


@st.composite
def col2im(draw: st.DrawFn) -> Case:
    at = windows(draw)
    col = random(draw, *broadcastable(draw, 1)[0], *at.output, *at.window, draw(sizes))
    rest = {"size": at.size, "stride": at.stride, "padding": at.padding, "dilation": at.dilation}
    return Case(tk.col2im, [col], rest, terms=math.prod(at.window))


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


def _row(function: Callable[..., Any]) -> st.SearchStrategy[Case]:
    @st.composite
    def case(draw: st.DrawFn) -> Case:
        k = draw(st.integers(0, 9))
        return Case(function, [random(draw, *broadcastable(draw, 1)[0], k)], terms=k)

    return case()


@st.composite
def softmax_input(draw: st.DrawFn) -> Case:
    k = draw(st.integers(0, 9))
    first, second = broadcastable(draw, 2)
    return Case(tk.softmax_input, [random(draw, *first, k), random(draw, *second, k)], terms=k)


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

    def function(logits: np.ndarray, g: np.ndarray, **more: Any) -> np.ndarray:
        return tk.softmax_cross_entropy_grad(logits, labels, g, **more)

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
    a = random(draw, *first, *((k, m) if ta else (m, k)))
    b = random(draw, *second, *((n, k) if tb else (k, n)))
    return Case(tk.matmul, [a, b], {"transpose_a": ta, "transpose_b": tb}, terms=k)


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
def sum_to(draw: st.DrawFn) -> Case:
    shape = draw(st.lists(st.integers(0, 5), max_size=5).map(tuple))
    kept = tuple(draw(st.sampled_from([1, n])) for n in shape[draw(st.integers(0, len(shape))) :])
    return Case(tk.sum_to, [random(draw, *shape)], {"shape": kept}, terms=math.prod(shape))


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
    "col2im": col2im(),
    "conv2d": conv2d(),
    "conv2d_input": conv2d_input(),
    "conv2d_weight": conv2d_weight(),
    "erf": elementwise(tk.erf),
    "im2col": im2col(),
    "linear_relu": linear_relu(),
    "log_softmax": _row(tk.log_softmax),
    "logsumexp": _row(tk.logsumexp),
    "matmul": matmul(),
    "max_pool2d_index": max_pool2d_index(),
    "normalize": normalize(),
    "normalize_input": normalize_input(),
    "normalize_input_grad": normalize_input_grad(),
    "relu_input": relu_input(),
    "scatter_add": scatter_add(),
    "scatter_flat": scatter_flat(),
    "sgd_update": sgd_update(),
    "softmax": _row(tk.softmax),
    "softmax_cross_entropy": softmax_cross_entropy(),
    "softmax_cross_entropy_grad": softmax_cross_entropy_grad(),
    "softmax_input": softmax_input(),
    "sum_to": sum_to(),
    "take_flat": take_flat(),
}
