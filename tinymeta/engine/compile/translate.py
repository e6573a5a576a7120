"""From primitives to the compiler's vocabulary: one short rule for each primitive that has a simpler form.

A primitive whose kernel is a NumPy ufunc needs no rule, and one that has none stays as it is, a `Call` of its
kernel. The rules do what the kernels do, with every axis visible.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from tinymeta.engine.compile import formulas
from tinymeta.engine.compile.formulas import of_one_rank
from tinymeta.engine.compile.operations import (
    Broadcast,
    Call,
    Contract,
    Part,
    Permute,
    Shape,
    Slice,
    Ufunc,
    Where,
    comparable,
)
from tinymeta.engine.compile.program import Builder, squeezed
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
    rule = _RULES.get(primitive.__name__) if _is_ours(primitive) else None
    found: Any = None
    if rule is not None:
        found = rule(b, *inputs, **static)
    elif isinstance(primitive.kernel, np.ufunc) and primitive.kernel.nout == 1:
        found = b.add(Ufunc(primitive.kernel.__name__), *of_one_rank(b, inputs))
    if isinstance(found, int) and _fits(b, found, y):
        return int(found)
    shape, dtype = ((), None) if type(y) is tuple else (y.shape, y.dtype)
    call = b.add(Call(primitive, comparable(static), static, hidden), *inputs, shape=shape, dtype=dtype)
    if isinstance(found, tuple) and all(_fits(b, i, yi) for i, yi in zip(found, y)):
        b.parts[call] = found  # nobody reads the call itself
    return call


def _fits(b: Builder, i: int, y: Array) -> bool:
    """Whether the node has the shape and dtype that were recorded."""
    return (b.nodes[i].shape, b.nodes[i].dtype) == (y.shape, y.dtype)


def _is_ours(primitive: type[Primitive]) -> bool:
    return primitive.__module__.startswith("tinymeta.")


def _elementwise(op: Any) -> Rule:
    return lambda b, *xs: b.add(op, *of_one_rank(b, xs))


def _matmul(b: Builder, left: int, right: int) -> int:
    """A product over the last two axes. Axes of size 1 have no letter, so a matrix shared by all tasks has none
    for the tasks, and whatever broadcasts needs no copy."""
    left, right = of_one_rank(b, (left, right))
    a, c = b.nodes[left].shape, b.nodes[right].shape
    letters = [chr(ord("A") + i) for i in range(len(a) - 2)]

    def named(names: list[str], shape: Shape) -> str:
        return "".join(i for i, n in zip(names, shape) if n != 1)

    lead = np.broadcast_shapes(a[:-2], c[:-2])
    la, lc = named([*letters, "m", "k"], a), named([*letters, "k", "n"], c)
    out = named([*letters, "m", "n"], (*lead, a[-2], c[-1]))
    operands = (b.reshape(left, squeezed(a)), b.reshape(right, squeezed(c)))
    return b.reshape(contract(b, la, operands[0], lc, operands[1], out), (*lead, a[-2], c[-1]))


def contract(b: Builder, la: str, left: int, lb: str, right: int, out: str) -> int:
    """A contraction that reads its operands as they lie in memory: transposes become letters in another order."""
    la, left = _untransposed(b, la, left)
    lb, right = _untransposed(b, lb, right)
    names = {ord(old): chr(ord("a") + i) for i, old in enumerate(dict.fromkeys(la + lb))}
    return b.add(Contract(la.translate(names), lb.translate(names), out.translate(names)), left, right)


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
    hidden = len(b.nodes[x].shape) - len(key)
    plain = [(k.start, k.stop, k.step) if isinstance(k, slice) else int(k) for k in key]
    return b.add(Slice((*((None, None, None),) * hidden, *plain)), x)


_RULES: dict[str, Rule] = {
    "astype": formulas.astype,
    "broadcast_to": _broadcast,
    "enter": _enter,
    "index": _index,
    "leave": _leave,
    "lift": _lift,
    "log_softmax_axis": formulas.log_softmax_axis,
    "matmul_matrices": _matmul,
    "normalize": formulas.normalize,
    "normalize_input": formulas.normalize_input,
    "normalize_input_grad": formulas.normalize_input_grad,
    "permute": _permute,
    "reciprocal": formulas.reciprocal,
    "relu": formulas.relu,
    "repeat_axes": formulas.repeat_axes,
    "reshape": _reshape,
    "scale": formulas.scale,
    "sigmoid": formulas.sigmoid,
    "softmax_axis": formulas.softmax_axis,
    "softplus": formulas.softplus,
    "spread": _spread,
    "unrecorded": lambda b, *xs, rule, n: xs[:n],
    "stop_gradient": lambda b, x: x,
    "sum_axes": formulas.sum_axes,
    "sum_tasks": formulas.sum_tasks,
    "sum_to": formulas.sum_to,
    "where": _elementwise(Where()),
}
