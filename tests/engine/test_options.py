"""Options that are whole numbers: of every public operation, layer and transform, whatever kind of integer comes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tinymeta import nn

X, CUBE, MATRIX = np.arange(12.0).reshape(3, 4), np.arange(8.0).reshape(2, 2, 2), np.arange(16.0).reshape(4, 4)
IMAGES, SIGNALS = np.arange(64.0).reshape(2, 2, 4, 4), np.arange(16.0).reshape(2, 2, 4)
FILTERS, KERNELS, IDS = np.ones((2, 2, 2, 2)), np.ones((2, 2, 2)), np.array([1, 0, 2])


def _draws(f: Callable[..., Any]) -> Callable[..., Any]:
    """An initializer with its generator and dtype."""
    return lambda **options: f(np.random.default_rng(0), **options, dtype=float)


def _built(f: Callable[..., Any]) -> Callable[..., Any]:
    """A layer's weights, all that its sizes make; of a convolution, which keeps its options, the result."""
    random = {"rng": np.random.default_rng(0)} if "rng" in inspect.signature(f).parameters else {}
    made = (lambda layer: layer(IMAGES)) if f is nn.Conv2d else tm.tree.leaves
    return lambda **options: made(f(**random, **options))


def _derived(transform: Callable[..., Any]) -> Callable[..., Any]:
    return lambda **options: transform(lambda a, b: tm.sum(a * b * b), **options)(X, X + 1.0)


def _mapped(**options: Any) -> Any:
    return tm.vmap(lambda a: a * 2.0, **options)(X)


AXIS = {"axis": 1}
WINDOWS = {"window": 2, "stride": 1, "padding": 1}
STRIDES = {"stride": 2, "padding": 1, "dilation": 1, "groups": 1}
FANS = {"shape": (3, 3), "fan_in": 200, "fan_out": 100}
ARGNUMS = {"argnums": 1}

# Functions, what they are called with, and an example of each option; of layers and transforms, the call itself.
CALLS: list[tuple[list[Any], tuple[Any, ...] | Callable[[Any], Callable[..., Any]], dict[str, Any]]] = [
    ([tm.all, tm.any, tm.count_nonzero, tm.max, tm.min, tm.mean, tm.sum, tm.prod, tm.std, tm.var], (X,), AXIS),
    ([tm.logsumexp, tm.vector_norm, tm.flip, tm.argmax, tm.argmin, tm.argsort, tm.sort, tm.unstack], (X,), AXIS),
    ([tm.expand_dims, tm.softmax, tm.log_softmax, tm.cumulative_sum, tm.cumulative_prod], (X,), AXIS),
    ([tm.concat, tm.stack], ([X, X],), AXIS),
    ([tm.take], (X, IDS), AXIS),
    ([tm.take_along_axis], (X, IDS[:, None]), AXIS),
    ([tm.vecdot], (X, X), {"axis": -1}),
    ([tm.squeeze], (X[:, None],), AXIS),
    ([tm.topk], (X,), {"k": 2, "axis": 1}),
    ([tm.roll], (X,), {"shift": 2, "axis": 1}),
    ([tm.repeat], (X,), {"repeats": 100, "axis": 1}),
    ([tm.split], (X,), {"sections": 2, "axis": 1}),
    ([tm.tile], (X,), {"repetitions": 100}),
    ([tm.pad], (X,), {"width": 2}),
    ([tm.moveaxis], (CUBE,), {"source": 0, "destination": 2}),
    ([tm.permute_dims], (CUBE,), {"axes": (2, 0, 1)}),
    ([tm.broadcast_to], (X,), {"shape": (2, 3, 4)}),
    ([tm.reshape], (X,), {"shape": (2, 6)}),
    ([tm.tensordot], (CUBE, CUBE), {"axes": 2}),
    ([tm.diagonal], (MATRIX,), {"offset": 1, "axes": (0, 1)}),
    ([tm.matrix_trace], (MATRIX,), {"offset": 1}),
    ([tm.tril, tm.triu], (MATRIX,), {"k": 2}),
    ([tm.zeros, tm.ones], (), {"shape": 3}),
    ([tm.full], (), {"shape": 3, "value": 1.5}),
    ([tm.eye], (), {"rows": 3, "columns": 4, "k": 1}),
    ([tm.linspace], (0.0, 1.0), {"num": 5}),
    ([tm.nn.one_hot], (IDS,), {"classes": 3}),
    ([tm.layer_norm], (X,), {"axes": 1}),
    ([tm.group_norm], (IMAGES,), {"groups": 2}),
    ([tm.max_pool1d, tm.avg_pool1d], (SIGNALS,), WINDOWS),
    ([tm.max_pool2d, tm.avg_pool2d], (IMAGES,), WINDOWS),
    ([tm.adaptive_avg_pool1d], (SIGNALS,), {"size": 2}),
    ([tm.adaptive_avg_pool2d], (IMAGES,), {"size": 2}),
    ([tm.conv1d], (SIGNALS, KERNELS), STRIDES),
    ([tm.conv2d], (IMAGES, FILTERS), STRIDES),
    ([tm.conv_transpose1d], (SIGNALS, KERNELS), {**STRIDES, "output_padding": 1}),
    ([tm.conv_transpose2d], (IMAGES, FILTERS), {**STRIDES, "output_padding": 1}),
    ([nn.init.he_normal, nn.init.he_uniform, nn.init.lecun_normal], _draws, FANS),
    ([nn.init.glorot_normal, nn.init.glorot_uniform, nn.init.orthogonal], _draws, FANS),
    ([nn.init.zeros, nn.init.ones], lambda f: lambda **options: f(**options, dtype=float), {"shape": (3, 2)}),
    ([nn.Linear], _built, {"inputs": 200, "outputs": 100}),
    ([nn.Embedding], _built, {"entries": 3, "width": 2}),
    ([nn.BatchNorm], _built, {"channels": 3}),
    ([nn.FrozenBatchNorm], _built, {"channels": 3}),
    ([nn.LayerNorm], _built, {"width": 3}),
    ([nn.GroupNorm], _built, {"groups": 2, "channels": 4}),
    ([nn.LSTMCell, nn.GRUCell, nn.LSTM, nn.GRU], _built, {"inputs": 3, "width": 100}),
    ([nn.MultiHeadAttention], _built, {"width": 4, "heads": 2}),
    ([nn.MLP], _built, {"sizes": (3, 4, 2)}),
    ([nn.ConvNet4], _built, {"outputs": 3, "image": (1, 255, 4), "channels": 2, "halvings": 1}),
    ([nn.Conv2d], _built, {"inputs": 2, "outputs": 4, "window": 3, **STRIDES}),
    ([nn.ResidualBlock], _built, {"inputs": 3, "outputs": 4, "stride": 2, "groups": 2}),
    ([tm.grad, tm.value_and_grad, tm.jacobian, tm.hessian], _derived, ARGNUMS),
    ([tm.scan], (lambda carry, x: (2 * carry, carry), 1.0), {"length": 3, "checkpoint": 2}),
    ([tm.vmap], lambda f: _mapped, {"in_axes": 1, "out_axes": 1}),
]
# What an initializer takes because others need it.
UNUSED = {nn.init.he_normal: {"fan_out"}, nn.init.he_uniform: {"fan_out"}, nn.init.lecun_normal: {"fan_out"}}
UNUSED[nn.init.orthogonal] = {"fan_in", "fan_out"}
OPTIONS = [(f, given, options, name) for functions, given, options in CALLS for f in functions for name in options]
OPTIONS = [(f, *rest, name) for f, *rest, name in OPTIONS if name not in UNUSED.get(f, {"value"})]


class Index:
    """An integer that can do nothing but say which: all arithmetic with it must be done on a Python integer."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __index__(self) -> int:
        return self.n


each_option = pytest.mark.parametrize(
    ("f", "given", "options", "name"), OPTIONS, ids=[f"{f.__name__} {name}" for f, _, _, name in OPTIONS]
)


def _called(f: Any, given: Any, options: dict[str, Any], name: str, kind: Callable[[int], Any]) -> Any:
    """The call with the integers of one option as `kind` makes them."""
    n = options[name]
    return _call(f, given, {**options, name: tuple(map(kind, n)) if isinstance(n, tuple) else kind(n)})


def _call(f: Any, given: Any, options: dict[str, Any]) -> Any:
    return given(f)(**options) if callable(given) else f(*given, **options)


def _bytes(result: Any) -> list[tuple[Any, ...]]:
    return [(np.shape(y), np.asarray(y).dtype, np.asarray(y).tobytes()) for y in tm.tree.leaves(result)]


def _of_whole_numbers(f: Callable[..., Any]) -> set[str]:
    """The options that a signature says are whole numbers, or lists of them."""
    words = {"int", "Axis", "Shape"}
    of = inspect.signature(f).parameters.items()
    named = {name for name, p in of if words & set(re.findall(r"\w+", str(p.annotation)))}
    return named | {name for name, _ in of if name in ("in_axes", "out_axes")}


def test_every_option_of_a_public_function_is_tried_here() -> None:
    tried: dict[Any, set[str]] = {f: set(names) for f, names in UNUSED.items()}
    for f, _, _, name in OPTIONS:
        tried.setdefault(f, set()).add(name)
    homes = ("tinymeta.ops", "tinymeta.nn", "tinymeta.engine.transforms", "tinymeta.engine.vmap")
    named = [f for space in (tm, tm.ops, nn, nn.init) for name, f in vars(space).items() if not name.startswith("_")]
    public = {f for f in named if callable(f) and getattr(f, "__module__", "").startswith(homes)}
    assert len(public) > 150
    assert {f: names for f in public if (names := _of_whole_numbers(f) - tried.get(f, set()))} == {}


@each_option
def test_any_kind_of_integer_gives_what_pythons_gives(f: Any, given: Any, options: Any, name: str) -> None:
    right = _bytes(_called(f, given, options, name, int))
    kinds: list[Any] = [Index, np.int8, np.uint64, np.array, tm.tensor]
    for kind in kinds if np.min(options[name]) >= 0 and np.max(options[name]) < 128 else [Index, np.int64, np.array]:
        assert _bytes(_called(f, given, options, name, kind)) == right, kind


LISTED = [(f, given, options, name) for f, given, options, name in OPTIONS if isinstance(options[name], tuple)]


@pytest.mark.parametrize(("f", "given", "options", "name"), LISTED, ids=[f"{f.__name__} {n}" for f, _, _, n in LISTED])
def test_numbers_may_be_listed_in_an_array(f: Any, given: Any, options: Any, name: str) -> None:
    right = _bytes(_call(f, given, options))
    for kind in (list, np.array):
        assert _bytes(_call(f, given, {**options, name: kind(options[name])})) == right


@each_option
def test_what_is_no_integer_is_refused_in_a_sentence(f: Any, given: Any, options: Any, name: str) -> None:
    for kind in (float, np.float64):
        with pytest.raises(TypeError, match=r"whole number, not .*1?\.0.*test_options\.py"):
            _called(f, given, options, name, kind)


@each_option
def test_an_argument_of_a_compiled_function_is_told_to_be_static(f: Any, given: Any, options: Any, name: str) -> None:
    n = np.ravel(options[name])[0].item()
    compiled = tm.compile(lambda n: _called(f, given, options, name, lambda i: n))
    with pytest.raises(tm.UserError, match="static_argnames"):
        compiled(n)
