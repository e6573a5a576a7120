"""PV and PC: what a primitive is under `vmap` and `compile`.

`vmap` is a loop, for the values, for gradients inside it and through it, and nested; a compiled function gives what the
eager one gives, and gives it again for other numbers.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinymeta.compile import compile
from tinymeta.engine import tree
from tinymeta.engine.primitive import bind, outputs_of
from tinymeta.engine.tensor import Array, Tensor
from tinymeta.engine.transforms import vjp
from tinymeta.engine.typing import Function
from tinymeta.ops.draws import vmap
from tinymeta.testing.case import Case, drawn
from tinymeta.testing.report import agree

SIZE = 3


def vmap_is_a_loop(case: Case) -> None:
    """PV: for every choice of which inputs are batched, and along which axis."""
    if case.batch or case.primitive.hides or not case.arrays:
        return  # the operations that move hidden axes are below `vmap`; P1 to P9 cover them
    rng = case.rng
    cases = [_sibling(case, k) for k in range(SIZE)]
    gs = [one.cotangents(rng) for one in cases]
    for batched in itertools.product((False, True), repeat=len(case.arrays)):
        if any(batched):
            axes = tuple((-1 if rng.random() < 0.3 else 0) if b else None for b in batched)
            _compare(case, cases, gs, axes)
    _nested(case, cases)


def _sibling(case: Case, k: int) -> Case:
    """Another case of the same shapes and static arguments."""
    other = drawn(case.primitive, None, [x.shape for x in case.arrays], case.seed + k)
    return Case(case.primitive, other.arrays, case.static, case.batch, case.seed + k)


def _compare(case: Case, cases: Sequence[Case], gs: Sequence[Sequence[Array]], axes: tuple[int | None, ...]) -> None:
    what = f"{case}: vmap(in_axes={axes})"
    stacked = _stacked([one.arrays for one in cases], axes)
    rows = [[x if a is None else np.take(x, k, axis=a) for x, a in zip(stacked, axes)] for k in range(SIZE)]
    f = user_function(case)
    _agree(vmap(f, in_axes=axes)(*stacked), _loop(f, rows), what)
    variables = case.variables
    if case.primitive.vjp is None or not variables or not gs[0]:
        return
    g = [np.stack(column) for column in zip(*gs)]

    def pulled(arrays: Sequence[Any], cotangent: Sequence[Any]) -> tuple[Any, ...]:
        return vjp(_only_floats(f, arrays, variables), *[arrays[i] for i in variables])[1](list(cotangent))

    def second(arrays: Sequence[Any], cotangent: Sequence[Any]) -> tuple[Any, ...]:
        def first(*xs: Any) -> Any:
            return list(pulled(_with(arrays, variables, xs), cotangent))

        return vjp(first, *[arrays[i] for i in variables])[1]([np.ones(np.shape(arrays[i])) for i in variables])

    inside: dict[str, list[Any]] = {}
    for which, derivative in (("gradient", pulled), ("second order", second)):
        inside[which] = [derivative(row, [h[k] for h in g]) for k, row in enumerate(rows)]
        mapped = vmap(derivative, in_axes=(list(axes), 0))(list(stacked), g)
        _agree(mapped, _stack(inside[which]), f"{what}, {which} inside")

    outside = vjp(
        _only_floats(lambda *xs: vmap(f, in_axes=axes)(*xs), stacked, variables), *[stacked[i] for i in variables]
    )[1](g)
    for j, i in enumerate(variables):
        column = [row[j].numpy() for row in inside["gradient"]]
        axis = axes[i]
        expected = np.sum(column, axis=0) if axis is None else np.stack(column, axis=axis)
        _agree(outside[j], expected, f"{what}, gradient through it")


def _nested(case: Case, cases: Sequence[Case]) -> None:
    """vmap of vmap against two loops: the first input in both, the others in the inner one (or the outer) alone."""
    f = user_function(case)
    n = len(case.arrays)
    inner, outer = (0,) * n, (0, *(None for _ in range(n - 1)))
    stacked = list(_stacked([one.arrays for one in cases], inner))
    stacked[0] = np.stack([stacked[0], stacked[0][::-1]])
    both = vmap(vmap(f, in_axes=inner), in_axes=outer)(*stacked)
    rows = [_loop(f, [[stacked[0][o, k], *(x[k] for x in stacked[1:])] for k in range(SIZE)]) for o in range(2)]
    _agree(both, _stack(rows), f"{case}: vmap of vmap")


def compiled_is_eager(case: Case) -> None:
    """PC: values, gradients and the mapped primitive, compiled, agree with eager execution to the rounding of sums.

    The second call replays, on other numbers, what the first recorded.
    """
    if case.batch or case.primitive.hides or not case.arrays:
        return  # the operations that move hidden axes are below the functions that a user compiles
    f = user_function(case)
    functions: dict[str, Function] = {"values": f, "mapped": lambda *xs: vmap(f)(*[x[None] for x in xs])}
    if case.primitive.vjp is not None and case.variables and case.cotangents(case.rng):

        def gradients(*xs: Any) -> Any:
            ys, pullback = vjp(_only_floats(f, xs, case.variables), *[xs[i] for i in case.variables])
            return pullback([y * 0.0 + 1.5 for y in ys])

        functions["gradients"] = gradients
    for name, eager in functions.items():
        compiled = compile(eager)
        for one in (case, _sibling(case, 1)):
            found, expected = compiled(*one.arrays), eager(*one.arrays)
            for a, b in zip(tree.leaves(found), tree.leaves(expected), strict=True):
                if np.asarray(a).dtype != np.asarray(b).dtype:
                    raise AssertionError(f"{one}: {name}, compiled: dtype {a.dtype}, and {b.dtype} when it is not")
            _agree(found, expected, f"{one}: {name}, compiled")


def user_function(case: Case) -> Function:
    """The primitive as its users call it: arrays or Tensors in, a list of Tensors out."""

    def f(*xs: Any) -> Any:
        inputs = [x if isinstance(x, Tensor) else Tensor(np.asarray(x)) for x in xs]
        return list(outputs_of(bind(case.primitive, *inputs, **case.static)))

    return f


def _only_floats(f: Function, arrays: Sequence[Any], variables: Sequence[int]) -> Function:
    """`f` as a function of its floating-point inputs, with only its floating-point outputs."""
    return lambda *xs: [y for y in f(*_with(arrays, variables, xs)) if y.dtype.kind == "f"]


def _with(arrays: Sequence[Any], places: Sequence[int], xs: Sequence[Any]) -> list[Any]:
    changed = list(arrays)
    for i, x in zip(places, xs):
        changed[i] = x
    return changed


def _stacked(rows: Sequence[Sequence[Array]], axes: Sequence[int | None]) -> list[Array]:
    return [x[0] if a is None else np.stack(x, axis=a) for x, a in zip(zip(*rows), axes)]


def _loop(f: Function, rows: Sequence[Sequence[Any]]) -> Any:
    return _stack([f(*row) for row in rows])


def _stack(results: Sequence[Any]) -> Any:
    return tree.map(lambda *ys: np.stack([np.asarray(y) for y in ys]), *results)


def _agree(found: object, expected: object, what: str) -> None:
    """Equal up to the order of sums, which differs where one product does the work of many, or where they are fused."""
    for a, b in zip(tree.leaves(found), tree.leaves(expected)):
        b = np.asarray(b)
        eps = 400 * float(np.finfo(b.dtype).eps) if b.dtype.kind == "f" else 0.0
        agree(np.asarray(a), b, eps * max(1.0, float(np.abs(b).max(initial=0))) if eps else 0.0, what)
