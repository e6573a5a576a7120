"""What a program is: each node as its operation makes it of its inputs, all of which stand before it.

Shapes are found out again from the operation, and dtypes by running it on arrays whose axes all have length 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinymeta.compile.program.operations import (
    Call,
    Cast,
    Check,
    Constant,
    Contract,
    Copy,
    Erf,
    Input,
    Operation,
    Part,
    Reduce,
    Scale,
    Shape,
    Ufunc,
    Where,
)
from tinymeta.compile.program.program import ELEMENTWISE, Node, Program
from tinymeta.compile.program.views import Broadcast, Gather, Permute, Reshape, Scatter, Slice, Windows
from tinymeta.compile.verify import Broken

COMPUTED = (*ELEMENTWISE, Reduce, Contract)  # operations that can be run on arrays of one element


def recorded(program: Program, stage: str = "recorded program") -> None:
    """Every node is right by itself, arguments are counted from 0, and results are there."""
    for i, node in enumerate(program.nodes):
        wrong = _wrong(program, i, node)
        if wrong:
            raise Broken(stage, f"node {i}, {node.op}", wrong)
    positions = sorted(n.op.position for n in program.nodes if isinstance(n.op, Input))
    if positions != list(range(len(positions))):
        raise Broken(stage, "the arguments", f"they should be counted from 0, and are {positions}")
    for i in program.results:
        if not 0 <= i < len(program.nodes) or program.nodes[i].dtype is None:
            raise Broken(stage, f"result {i}", "no array of the program")


def holds(program: Program) -> bool:
    """Whether it is one."""
    try:
        recorded(program)
    except Broken:
        return False
    return True


def _wrong(program: Program, i: int, node: Node) -> str | None:
    """What is wrong with a node, if something is."""
    if any(not 0 <= x < i for x in node.inputs):
        return f"its inputs {node.inputs} don't stand before it"
    given = [program.nodes[x] for x in node.inputs]
    if isinstance(node.op, Constant):
        same = node.value is not None and (node.value.shape, node.value.dtype) == (node.shape, node.dtype)
        return None if same else "its value has another shape or dtype"
    if isinstance(node.op, (Input, Call, Check)):
        return "it reads several arrays as one" if any(x.dtype is None for x in given) else None
    if isinstance(node.op, Part):
        return None if given[0].dtype is None else "it takes a part of what is one array"
    shapes = [x.shape for x in given]
    wrong = _RULES[type(node.op)](node.op, *shapes) if _arity(node.op) == len(given) else "it has other inputs"
    if wrong:
        return f"{wrong} (inputs of {shapes})"
    if node.op.shape(*shapes) != node.shape:
        return f"of {shapes} it makes {node.op.shape(*shapes)}, and not {node.shape}"
    dtype = _dtype(node.op, given)
    return None if dtype == node.dtype else f"it makes {dtype}, and not {node.dtype}"


def _arity(op: Operation) -> int:
    if isinstance(op, Ufunc):
        return int(getattr(np, op.name).nin)
    return {Scale: 2, Contract: 2, Where: 3}.get(type(op), 1)


def _dtype(op: Operation, given: list[Node]) -> Any:
    """The dtype that the operation itself makes."""
    if not isinstance(op, COMPUTED):
        return given[0].dtype
    with np.errstate(all="ignore"):
        return op(*(np.ones((1,) * len(x.shape), x.dtype) for x in given)).dtype


def _elementwise(op: Operation, *shapes: Shape) -> str | None:
    one_rank = len({len(shape) for shape in shapes}) == 1
    fit = one_rank and all(len(set(axis) - {1}) <= 1 for axis in zip(*shapes))
    return None if fit else "its inputs don't broadcast, axis by axis"


def _reduce(op: Any, x: Shape) -> str | None:
    fit = len(set(op.axes)) == len(op.axes) and all(0 <= k < len(x) for k in op.axes)
    return None if fit else "it reduces axes that aren't there"


def _contract(op: Any, a: Shape, b: Shape) -> str | None:
    for letters in (op.a, op.b, op.out):
        if len(set(letters)) != len(letters):
            return "a letter stands twice in one array"
    if (len(op.a), len(op.b)) != (len(a), len(b)):
        return "it names another number of axes"
    size = dict(zip(op.a, a))
    if any(size.get(letter, n) != n for letter, n in zip(op.b, b)):
        return "one letter has two lengths"
    if set(op.out) - set(op.a + op.b):
        return "the result has a letter that no operand has"
    return "a letter is summed in one operand alone" if (set(op.a) ^ set(op.b)) - set(op.out) else None


def _reshape(op: Any, x: Shape) -> str | None:
    return None if math.prod(x) == math.prod(op.to) and all(n >= 0 for n in op.to) else "it changes the size"


def _permute(op: Any, x: Shape) -> str | None:
    return None if sorted(op.axes) == list(range(len(x))) else "it isn't a permutation of the axes"


def _broadcast(op: Any, x: Shape) -> str | None:
    fit = len(x) == len(op.to) and all(m in (1, n) for m, n in zip(x, op.to))
    return None if fit else "it repeats more than axes of size 1"


def _slice(op: Any, x: Shape) -> str | None:
    if len(op.key) != len(x):
        return "it has a key for another number of axes"
    outside = any(isinstance(k, int) and not -n <= k < n for k, n in zip(op.key, x))
    return "an index lies outside" if outside else None


def _windows(op: Any, x: Shape) -> str | None:
    last = (op.count - 1) * op.stride + (op.width - 1) * op.dilation
    fit = 0 <= op.axis < len(x) and op.count > 0 and op.width > 0 and 0 <= last < x[op.axis]
    return None if fit else "a window reaches outside"


def _through(views: Any, x: Shape) -> tuple[str | None, Shape]:
    for view in views:
        wrong = _RULES[type(view)](view, x)
        if wrong:
            return wrong, x
        x = view.shape(x)
    return None, x


def _gather(op: Any, x: Shape) -> str | None:
    return _through(op.views, x)[0]


def _scatter(op: Any, x: Shape) -> str | None:
    wrong, seen = _through(op.views, op.to)
    return wrong or (None if seen == x else f"its places are {seen}")


_RULES: dict[type[Operation], Callable[..., str | None]] = {
    **dict.fromkeys((Ufunc, Scale, Where, Erf, Cast, Copy), _elementwise),
    Reduce: _reduce,
    Contract: _contract,
    Reshape: _reshape,
    Permute: _permute,
    Broadcast: _broadcast,
    Slice: _slice,
    Windows: _windows,
    Gather: _gather,
    Scatter: _scatter,
}
