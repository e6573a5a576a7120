"""From primitives to the compiler's vocabulary: one short rule for each primitive that has a simpler form.

A primitive whose kernel is a NumPy ufunc needs no rule, and one that has none stays as it is, a `Call` of its
kernel. The rules do what the kernels do, with every axis visible.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from tinymeta.compile.key import frozen
from tinymeta.compile.program.calls import Call, Part
from tinymeta.compile.program.operations import Cast, Reduce, Scale, Shape, Special, Ufunc, Where
from tinymeta.compile.program.program import Builder
from tinymeta.compile.program.views import Broadcast, Permute, Scatter, Slice
from tinymeta.compile.record import body, convolution, pooling
from tinymeta.compile.record.products import matmul
from tinymeta.engine import structure
from tinymeta.engine.primitive import Primitive, part
from tinymeta.engine.tensor import Array
from tinymeta.engine.typing import DType, Function, Static
from tinymeta.ops import (
    arrange,
    correlate,
    elementwise,
    extrema,
    index,
    linalg,
    logistic,
    pool,
    reduce,
    select,
    shape,
    special,
)
from tinymeta.ops.checkpoint import unrecorded
from tinymeta.ops.loop import loop

Rule: TypeAlias = Function  # the node of the result, or of all of several results; None: not for these


def translate(
    b: Builder, primitive: type[Primitive], inputs: tuple[int, ...], static: Static, y: Any, hidden: int
) -> int | tuple[int, ...]:
    """The node of `primitive(*inputs, **static)`, whose recorded result is the array (or the arrays) `y`.

    The inputs have `hidden` leading axes of `vmap`.
    """
    if primitive is part:
        return b.add(Part(static["index"]), *inputs, shape=y.shape, dtype=y.dtype)
    rule = _rule(b, primitive, inputs)
    found: Any = None
    kernel: Any = primitive.kernel
    if rule is not None:
        found = rule(b, *inputs, **static)
    elif _is_numpys(kernel) and not _may_refuse(b, primitive, inputs):
        found = b.add(Ufunc(kernel), *b.of_one_rank(*inputs))
    if isinstance(found, tuple) and all(fits(b, i, yi) for i, yi in zip(found, y)):
        return found
    if isinstance(found, int) and fits(b, found, y):
        return found
    shape, dtype = ((), None) if type(y) is tuple else (y.shape, y.dtype)
    return b.add(Call(primitive, frozen(static), static, hidden), *inputs, shape=shape, dtype=dtype)


def fits(b: Builder, i: int, y: Array) -> bool:
    """Whether the node has the shape and dtype that were recorded."""
    return (b.nodes[i].shape, b.nodes[i].dtype) == (y.shape, y.dtype)


def _rule(b: Builder, primitive: type[Primitive], inputs: tuple[int, ...]) -> Rule | None:
    """How to write a primitive on these inputs, if there is a way besides its kernel."""
    found = _MOVES.get(primitive)
    if found is None and all(b.nodes[i].dtype is not None and b.nodes[i].dtype.kind == "f" for i in inputs):
        found = _SUMS.get(primitive)
    return found


def _is_numpys(kernel: Any) -> bool:
    """Whether a kernel is a function of NumPy's that works number by number (as `matmul` and others' don't)."""
    plain = isinstance(kernel, np.ufunc) and kernel.nout == 1 and kernel.signature is None
    return plain and getattr(np, kernel.__name__, None) is kernel


def _may_refuse(b: Builder, primitive: type[Primitive], inputs: tuple[int, ...]) -> bool:
    """Whether a ufunc's loop may raise an error, which takes Python: NumPy's do so for integers alone (2⁻¹)."""
    return primitive.raises and all(b.nodes[i].dtype.kind in "iub" for i in inputs)


def _scale(b: Builder, g: int, d: int) -> int:
    value = b.nodes[d].value
    plain = value is not None and bool(np.isfinite(value).all() and np.all(value))  # then 0 needs no special care
    return b.add(Ufunc(np.multiply) if plain else Scale(), *b.of_one_rank(g, d))


def _astype(b: Builder, x: int, dtype: DType) -> int:
    return x if b.nodes[x].dtype == dtype else b.add(Cast(np.dtype(dtype)), x)


def _sum(b: Builder, x: int, axes: tuple[int, ...], keepdims: bool = False, count: float = 1) -> int:
    shape = b.nodes[x].shape
    gone = tuple(a % len(shape) for a in axes)
    total = b.add(Reduce(np.add, gone), x)
    if keepdims:
        total = b.reshape(total, tuple(1 if i in gone else n for i, n in enumerate(shape)))
    return _divided(b, total, count)


def _divided(b: Builder, x: int, count: float) -> int:
    return x if count == 1 else b.add(Ufunc(np.divide), x, b.constant_like(count, x))


def _repeat(b: Builder, x: int, axes: tuple[int, ...], shape: Shape, keepdims: bool, count: float) -> int:
    hidden = _hidden(b, x, len(shape) - len(axes) * (not keepdims))
    gone = tuple(a % len(shape) for a in axes)
    single = b.reshape(_divided(b, x, count), (*hidden, *(1 if i in gone else n for i, n in enumerate(shape))))
    return b.add(Broadcast((*hidden, *shape)), single)


def _sum_to(b: Builder, x: int, axes: tuple[int, ...], shape: Shape, ndim: int) -> int:
    return b.reshape(_sum(b, x, axes) if axes else x, _hidden(b, x, ndim) + shape)


def _largest(b: Builder, x: int, axes: tuple[int, ...]) -> int:
    rank = len(b.nodes[x].shape)
    return b.add(Reduce(np.maximum, tuple(a % rank for a in axes)), x)


def _tanh(b: Builder, x: int) -> int:
    """Its slope stands behind it, and goes if nobody asks for it: a sweep that made it would keep x alive, not y."""
    y, cosh = b.add(Ufunc(np.tanh), x), b.add(Ufunc(np.cosh), x)
    b.add(Ufunc(np.square), b.add(Ufunc(np.divide), b.constant_like(1, cosh), cosh))
    return y


def _bell(b: Builder, x: int, rate: float) -> int | None:
    name = {0.5: "normal_bell", 1.0: "erf_bell"}.get(rate)
    return None if name is None else b.add(Special(name), x)


def _permute(b: Builder, x: int, axes: tuple[int, ...]) -> int:
    rank = len(b.nodes[x].shape)
    hidden = rank - len(axes)
    return b.add(Permute((*range(hidden), *(a % rank for a in axes))), x)


def _hidden(b: Builder, x: int, visible: int) -> Shape:
    """The sizes of the axes in front of so many visible ones."""
    shape = b.nodes[x].shape
    return shape[: len(shape) - visible]


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
    order = list(range(rank))
    order.insert(to % rank, order.pop(source % rank))
    return b.add(Permute(tuple(order)), x)


def _index(b: Builder, x: int, key: tuple[Any, ...]) -> int:
    return b.add(_slice(key, len(b.nodes[x].shape) - len(key)), x)


def _slices(b: Builder, x: int, axis: int) -> tuple[int, ...]:
    shape = b.nodes[x].shape
    at = axis % len(shape)
    return tuple(b.add(_slice((i, *(slice(None),) * (len(shape) - at - 1)), at), x) for i in range(shape[at]))


def _put_at(b: Builder, x: int, key: tuple[Any, ...], shape: Shape, ndim: int) -> int:
    hidden = _hidden(b, x, ndim)
    return b.add(Scatter((*hidden, *shape), (_slice(key, len(hidden)),)), x)


def _slice(key: tuple[Any, ...], hidden: int) -> Slice:
    plain = [(k.start, k.stop, k.step) if isinstance(k, slice) else int(k) for k in key]
    return Slice((*((None, None, None),) * hidden, *plain))


# For numbers of any dtype.
_MOVES: dict[type[Primitive], Rule] = {
    arrange.slices: _slices,
    elementwise.scale: _scale,
    index.index: _index,
    index.put_at: _put_at,
    loop: body.translated,
    pool.put_pixels: pooling.put,
    pool.take_pixels: pooling.take,
    select.where: lambda b, *xs: b.add(Where(), *b.of_one_rank(*xs)),
    shape.permute: _permute,
    structure.astype: _astype,
    structure.broadcast_to: lambda b, x, shape: b.add(Broadcast(_hidden(b, x, len(shape)) + shape), x),
    structure.enter: _enter,
    structure.leave: _leave,
    structure.lift: _lift,
    structure.reshape: lambda b, x, shape, ndim: b.reshape(x, _hidden(b, x, ndim) + shape),
    structure.spread: _spread,
    structure.stop_gradient: lambda b, x: x,
    structure.widen: lambda b, x, at, rise, tail: _lift(b, x, at, rise),
    unrecorded: lambda b, *xs, rule, n: xs[:n],
}

# For floating point: sums, and the constants in them, are in the dtype of an operand, which a boolean can't hold.
_SUMS: dict[type[Primitive], Rule] = {
    correlate.conv2d_images: convolution.images,
    correlate.conv2d_input: convolution.input_,
    correlate.conv2d_weight: convolution.weight,
    extrema.max_axes: _largest,
    logistic.tanh: _tanh,
    linalg.matmul_matrices: lambda b, *xs: matmul(b, *b.of_one_rank(*xs)),
    pool.mean_windows: pooling.mean,
    pool.spread_windows: pooling.spread,
    reduce.repeat_axes: _repeat,
    reduce.sum_axes: _sum,
    special.erf: lambda b, x: b.add(Special("erf"), x),
    special.gaussian: _bell,
    special.normal_cdf: lambda b, x: b.add(Special("normal_cdf"), x),
    structure.sum_tasks: lambda b, x, at, rise: b.add(Reduce(np.add, tuple(range(at, at - rise))), x),
    structure.sum_to: _sum_to,
}
