"""From primitives to the compiler's vocabulary: one short rule for each primitive that has a simpler form.

A primitive whose kernel is a NumPy ufunc needs no rule, and one that has none stays as it is, a `Call` of its
kernel. The rules do what the kernels do, with every axis visible.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from tinymeta.compile.key import frozen
from tinymeta.compile.program.calls import Call, Part
from tinymeta.compile.program.operations import Erf, Shape, Ufunc, Where
from tinymeta.compile.program.program import Builder
from tinymeta.compile.program.views import Broadcast, Permute, Scatter, Slice
from tinymeta.compile.record import convolution, formulas, pooling
from tinymeta.compile.record.formulas import of_one_rank
from tinymeta.compile.record.products import matmul
from tinymeta.engine.primitive import Primitive, part
from tinymeta.engine.tensor import Array

Rule: TypeAlias = Callable[..., Any]  # the place of the result, or of all of several results


def translate(
    b: Builder, primitive: type[Primitive], inputs: tuple[int, ...], static: dict[str, Any], y: Any, hidden: int
) -> int:
    """The place of `primitive(*inputs, **static)`, whose recorded result is the array (or the arrays) `y`.

    The inputs have `hidden` leading axes of `vmap`.
    """
    if primitive is part:
        if inputs[0] in b.parts:
            return int(b.parts[inputs[0]][static["index"]])
        return b.add(Part(static["index"]), *inputs, shape=y.shape, dtype=y.dtype)
    rule = _rule(b, primitive, inputs)
    found: Any = None
    kernel: Any = primitive.kernel
    if rule is not None:
        found = rule(b, *inputs, **static)
    elif _is_numpys(kernel) and not _may_refuse(b, primitive, inputs):
        found = b.add(Ufunc(kernel), *of_one_rank(b, inputs))
    if isinstance(found, int) and _fits(b, found, y):
        return int(found)
    shape, dtype = ((), None) if type(y) is tuple else (y.shape, y.dtype)
    call = b.add(Call(primitive, frozen(static), static, hidden), *inputs, shape=shape, dtype=dtype)
    if isinstance(found, tuple) and all(_fits(b, i, yi) for i, yi in zip(found, y)):
        b.parts[call] = found  # nobody reads the call itself
    return call


def _fits(b: Builder, i: int, y: Array) -> bool:
    """Whether the node has the shape and dtype that were recorded."""
    return (b.nodes[i].shape, b.nodes[i].dtype) == (y.shape, y.dtype)


def _rule(b: Builder, primitive: type[Primitive], inputs: tuple[int, ...]) -> Rule | None:
    """How to write out a primitive of the package on these inputs, if there is a way."""
    if not primitive.__module__.startswith("tinymeta."):
        return None
    found = _MOVES.get(primitive.__name__)
    if found is None and all(b.nodes[i].dtype is not None and b.nodes[i].dtype.kind == "f" for i in inputs):
        found = _FORMULAS.get(primitive.__name__)
    return found


def _is_numpys(kernel: Any) -> bool:
    """Whether a kernel is a function of NumPy's that works number by number (as `matmul` and others' don't)."""
    plain = isinstance(kernel, np.ufunc) and kernel.nout == 1 and kernel.signature is None
    return plain and getattr(np, kernel.__name__, None) is kernel


def _may_refuse(b: Builder, primitive: type[Primitive], inputs: tuple[int, ...]) -> bool:
    """Whether a ufunc's loop may raise an error, which takes Python: NumPy's do so for integers alone (2⁻¹)."""
    return primitive.raises and all(b.nodes[i].dtype.kind in "iub" for i in inputs)


def _elementwise(op: Any) -> Rule:
    return lambda b, *xs: b.add(op, *of_one_rank(b, xs))


def _permute(b: Builder, x: int, axes: tuple[int, ...]) -> int:
    rank = len(b.nodes[x].shape)
    hidden = rank - len(axes)
    return b.add(Permute((*range(hidden), *(a % rank for a in axes))), x)


def _reshape(b: Builder, x: int, shape: Shape, ndim: int) -> int:
    before = b.nodes[x].shape
    return b.reshape(x, before[: len(before) - ndim] + shape)


def _broadcast(b: Builder, x: int, shape: Shape) -> int:
    before = b.nodes[x].shape
    return b.add(Broadcast(before[: len(before) - len(shape)] + shape), x)


def _lift(b: Builder, x: int, at: int, rise: int) -> int:
    shape = b.nodes[x].shape
    return b.reshape(x, (*shape[:at], *(1,) * rise, *shape[at:]))


def _spread(b: Builder, x: int, at: int, sizes: Shape, rise: int) -> int:
    lifted = _lift(b, x, at, rise)
    shape = b.nodes[lifted].shape
    return b.add(Broadcast((*np.broadcast_shapes(shape[: len(sizes)], sizes), *shape[len(sizes) :])), lifted)


def _enter(b: Builder, x: int, axis: int, at: int, rise: int) -> int:
    return _lift(b, _moved(b, x, axis, at), at, rise - 1)


def _leave(b: Builder, x: int, axis: int, at: int, size: int, rise: int) -> int:
    shape = b.nodes[x].shape
    return _moved(b, b.add(Broadcast((*shape[:at], size, *shape[at + 1 :])), x), at, axis)


def _moved(b: Builder, x: int, source: int, to: int) -> int:
    rank = len(b.nodes[x].shape)
    order = [i for i in range(rank) if i != source % rank]
    order.insert(to % rank, source % rank)
    return b.add(Permute(tuple(order)), x)


def _index(b: Builder, x: int, key: tuple[Any, ...]) -> int:
    return b.add(_slice(key, len(b.nodes[x].shape) - len(key)), x)


def _place(b: Builder, x: int, key: tuple[Any, ...], shape: Shape, ndim: int) -> int:
    hidden = b.nodes[x].shape[: len(b.nodes[x].shape) - ndim]
    return b.add(Scatter((*hidden, *shape), (_slice(key, len(hidden)),)), x)


def _slice(key: tuple[Any, ...], hidden: int) -> Slice:
    plain = [(k.start, k.stop, k.step) if isinstance(k, slice) else int(k) for k in key]
    return Slice((*((None, None, None),) * hidden, *plain))


# For numbers of any dtype.
_MOVES: dict[str, Rule] = {
    "astype": formulas.astype,
    "broadcast_to": _broadcast,
    "enter": _enter,
    "index": _index,
    "leave": _leave,
    "lift": _lift,
    "permute": _permute,
    "place": _place,
    "put_pixels": pooling.put,
    "reshape": _reshape,
    "scale": formulas.scale,
    "spread": _spread,
    "stop_gradient": lambda b, x: x,
    "take_pixels": pooling.take,
    "unrecorded": lambda b, *xs, rule, n: xs[:n],
    "where": _elementwise(Where()),
    "widen": lambda b, x, at, rise, tail: _lift(b, x, at, rise),
}

# For floating point: constants and sums are in the dtype of an operand, which a boolean or an integer can't hold.
_FORMULAS: dict[str, Rule] = {
    "conv2d_images": convolution.images,
    "conv2d_input": convolution.input_,
    "conv2d_weight": convolution.weight,
    "erf": lambda b, x: b.add(Erf(), x),
    "logistic_density": formulas.logistic_density,
    "log_softmax_axis": formulas.log_softmax_axis,
    "matmul_matrices": lambda b, *xs: matmul(b, *of_one_rank(b, xs)),
    "mean_windows": pooling.mean,
    "normalize": formulas.normalize,
    "normalize_input": formulas.normalize_input,
    "normalize_input_grad": formulas.normalize_input_grad,
    "reciprocal": formulas.reciprocal,
    "relu": formulas.relu,
    "repeat_axes": formulas.repeat_axes,
    "sigmoid": formulas.sigmoid,
    "softmax_axis": formulas.softmax_axis,
    "softplus": formulas.softplus,
    "spread_windows": pooling.spread,
    "tanh": formulas.tanh,
    "tanh_slope": formulas.tanh_slope,
    "sum_axes": formulas.sum_axes,
    "sum_tasks": formulas.sum_tasks,
    "sum_to": formulas.sum_to,
}
