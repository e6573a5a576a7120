"""From primitives to the compiler's vocabulary: one short rule for each primitive that has a simpler form.

A primitive whose kernel is a NumPy ufunc needs no rule, and one that has none stays as it is, a `Call` of its
kernel. The rules do what the kernels do, with every axis visible.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from tinymeta.engine.compile.operations import (
    Broadcast,
    Call,
    Cast,
    Contract,
    Part,
    Permute,
    Reduce,
    Scale,
    Shape,
    Slice,
    Ufunc,
    Where,
    comparable,
)
from tinymeta.engine.compile.program import Builder, squeezed
from tinymeta.engine.primitive import Primitive

Rule: TypeAlias = Callable[..., int]


def translate(b: Builder, primitive: type[Primitive], inputs: tuple[int, ...], static: dict[str, Any], y: Any) -> int:
    """The place of `primitive(*inputs, **static)`, whose recorded result is the array (or the arrays) `y`."""
    known = [b.nodes[i].shape for i in inputs]
    if primitive.__name__ == "part":
        return b.add(Part(static["index"]), *inputs, shape=y.shape, dtype=y.dtype)
    rule = _RULES.get(primitive.__name__) if _is_ours(primitive) else None
    found = None
    if rule is not None:
        found = rule(b, *inputs, **static)
    elif isinstance(primitive.kernel, np.ufunc) and primitive.kernel.nout == 1 and len(known) == primitive.kernel.nin:
        found = b.add(Ufunc(primitive.kernel.__name__), *_of_one_rank(b, inputs))
    if found is not None and (b.nodes[found].shape, b.nodes[found].dtype) == (y.shape, y.dtype):
        return found
    shape, dtype = ((), None) if type(y) is tuple else (y.shape, y.dtype)
    return b.add(Call(primitive, comparable(static), static), *inputs, shape=shape, dtype=dtype)


def _is_ours(primitive: type[Primitive]) -> bool:
    return primitive.__module__.startswith("tinymeta.")


def _of_one_rank(b: Builder, inputs: tuple[int, ...]) -> list[int]:
    """The inputs with leading axes of size 1, so that all have the same number of axes."""
    rank = max((len(b.nodes[i].shape) for i in inputs), default=0)
    return [b.reshape(i, (1,) * (rank - len(b.nodes[i].shape)) + b.nodes[i].shape) for i in inputs]


def _number(b: Builder, value: float, like: int) -> int:
    """A constant in the dtype and rank of node `like`."""
    node = b.nodes[like]
    return b.constant(np.full((1,) * len(node.shape), value, node.dtype))


def _elementwise(op: Any) -> Rule:
    return lambda b, *xs: b.add(op, *_of_one_rank(b, xs))


def _scale(b: Builder, g: int, d: int) -> int:
    value = b.nodes[d].value
    plain = value is not None and bool(np.isfinite(value).all())  # then 0·d = 0 needs no special care
    return b.add(Ufunc("multiply") if plain else Scale(), *_of_one_rank(b, (g, d)))


def _relu(b: Builder, x: int) -> int:
    return b.add(Ufunc("maximum"), x, _number(b, 0, x))


def _sigmoid(b: Builder, x: int) -> int:
    half = _number(b, 0.5, x)
    return b.add(Ufunc("add"), b.add(Ufunc("multiply"), half, b.add(Ufunc("tanh"), b.add(Ufunc("multiply"), half, x))), half)


def _softplus(b: Builder, x: int) -> int:
    return b.add(Ufunc("logaddexp"), x, _number(b, 0, x))


def _positive(axes: tuple[int, ...], rank: int) -> tuple[int, ...]:
    return tuple(a % rank for a in axes)


def _sum(b: Builder, x: int, axes: tuple[int, ...], keepdims: bool = False, count: float = 1) -> int:
    shape = b.nodes[x].shape
    gone = _positive(axes, len(shape))
    total = b.add(Reduce("add", gone), x)
    if keepdims:
        total = b.reshape(total, tuple(1 if i in gone else n for i, n in enumerate(shape)))
    return _divided(b, total, count)


def _divided(b: Builder, x: int, count: float) -> int:
    return x if count == 1 else b.add(Ufunc("divide"), x, _number(b, count, x))


def _repeat(b: Builder, x: int, axes: tuple[int, ...], shape: Shape, keepdims: bool, count: float) -> int:
    before = b.nodes[x].shape
    hidden = before[: len(before) - (len(shape) if keepdims else len(shape) - len(axes))]
    gone = _positive(axes, len(shape))
    single = b.reshape(_divided(b, x, count), (*hidden, *(1 if i in gone else n for i, n in enumerate(shape))))
    return b.add(Broadcast((*hidden, *shape)), single)


def _sum_to(b: Builder, x: int, axes: tuple[int, ...], shape: Shape, ndim: int) -> int:
    before = b.nodes[x].shape
    return b.reshape(_sum(b, x, axes) if axes else x, before[: len(before) - ndim] + shape)


def _sum_tasks(b: Builder, x: int, at: int, rise: int) -> int:
    return b.add(Reduce("add", tuple(range(at, at - rise))), x)


def _keeping(b: Builder, name: str, x: int, axis: int) -> int:
    """A reduction along one axis, which stays with size 1."""
    shape = b.nodes[x].shape
    a = axis % len(shape)
    return b.reshape(b.add(Reduce(name, (a,)), x), (*shape[:a], 1, *shape[a + 1 :]))


def _shifted(b: Builder, x: int, axis: int) -> int:
    """x less its maximum, which is taken as 0 where it is infinite."""
    top = _keeping(b, "maximum", x, axis)
    finite = b.add(Ufunc("less"), b.add(Ufunc("absolute"), top), _number(b, np.inf, x))
    return b.add(Ufunc("subtract"), x, b.add(Where(), finite, top, _number(b, 0, x)))


def _softmax(b: Builder, x: int, axis: int) -> int:
    e = b.add(Ufunc("exp"), _shifted(b, x, axis))
    return b.add(Ufunc("divide"), e, _keeping(b, "add", e, axis))


def _log_softmax(b: Builder, x: int, axis: int) -> int:
    shifted = _shifted(b, x, axis)
    total = _keeping(b, "add", b.add(Ufunc("exp"), shifted), axis)
    return b.add(Ufunc("subtract"), shifted, b.add(Ufunc("log"), total))


def _matmul(b: Builder, left: int, right: int) -> int:
    """A product over the last two axes. Axes of size 1 have no letter, so a matrix shared by all tasks has none
    for the tasks, and whatever broadcasts needs no copy."""
    left, right = _of_one_rank(b, (left, right))
    a, c = b.nodes[left].shape, b.nodes[right].shape
    letters = [chr(ord("A") + i) for i in range(len(a) - 2)]
    named = lambda names, shape: "".join(i for i, n in zip(names, shape) if n != 1)
    lead = np.broadcast_shapes(a[:-2], c[:-2])
    la, lc = named([*letters, "m", "k"], a), named([*letters, "k", "n"], c)
    out = named([*letters, "m", "n"], (*lead, a[-2], c[-1]))
    operands = (b.reshape(left, squeezed(a)), b.reshape(right, squeezed(c)))
    return b.reshape(contract(b, la, operands[0], lc, operands[1], out), (*lead, a[-2], c[-1]))


def contract(b: Builder, la: str, left: int, lb: str, right: int, out: str) -> int:
    """A contraction that reads its operands as they lie in memory: transposes become letters in another order."""
    la, left = _untransposed(b, la, left)
    lb, right = _untransposed(b, lb, right)
    fresh = {old: chr(ord("a") + i) for i, old in enumerate(dict.fromkeys(la + lb))}
    spell = lambda letters: "".join(fresh[i] for i in letters)
    return b.add(Contract(spell(la), spell(lb), spell(out)), left, right)


def _untransposed(b: Builder, letters: str, x: int) -> tuple[str, int]:
    """`x` without a transpose around it; a reshape that drops axes of size 1 passes through."""
    node = b.nodes[x]
    inner = b.nodes[node.inputs[0]] if node.op.view else node
    if isinstance(node.op, Permute):
        back = dict(zip(node.op.axes, letters))
        return _untransposed(b, "".join(back[a] for a in range(len(letters))), node.inputs[0])
    if isinstance(inner.op, Permute) and squeezed(inner.shape) == node.shape:
        axes = [a for a in inner.op.axes if b.nodes[inner.inputs[0]].shape[a] != 1]
        back = dict(zip(axes, letters))
        source = inner.inputs[0]
        dropped = b.reshape(source, squeezed(b.nodes[source].shape))
        return _untransposed(b, "".join(back[a] for a in sorted(axes)), dropped)
    return letters, x


def _permute(b: Builder, x: int, axes: tuple[int, ...]) -> int:
    rank = len(b.nodes[x].shape)
    hidden = rank - len(axes)
    return b.add(Permute((*range(hidden), *_positive(axes, rank))), x)


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
    return b.add(Broadcast((*sizes, *b.nodes[x].shape[at:])), lifted)


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
    hidden = len(b.nodes[x].shape) - len(key)
    plain = [(k.start, k.stop, k.step) if isinstance(k, slice) else int(k) for k in key]
    return b.add(Slice((*((None, None, None),) * hidden, *plain)), x)


def _astype(b: Builder, x: int, dtype: Any) -> int:
    return x if b.nodes[x].dtype == dtype else b.add(Cast(np.dtype(dtype)), x)


_RULES: dict[str, Rule] = {
    "astype": _astype,
    "broadcast_to": _broadcast,
    "enter": _enter,
    "index": _index,
    "leave": _leave,
    "lift": _lift,
    "log_softmax_axis": _log_softmax,
    "matmul_matrices": _matmul,
    "permute": _permute,
    "relu": _relu,
    "repeat_axes": _repeat,
    "reshape": _reshape,
    "scale": _scale,
    "sigmoid": _sigmoid,
    "softmax_axis": _softmax,
    "softplus": _softplus,
    "spread": _spread,
    "stop_gradient": lambda b, x: x,
    "sum_axes": _sum,
    "sum_tasks": _sum_tasks,
    "sum_to": _sum_to,
    "where": _elementwise(Where()),
}
