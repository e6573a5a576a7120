"""One strategy for every operation of the compiler: what it is applied to in a random program.

A strategy is given a generator and the values so far and returns steps, each an operation and the places it reads (the
first step of several is read by the second as the value after the last). Elementwise operations take operands of one
rank, as the translation writes them: so a reshape may go before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from tinymeta_kernels.special import LOOPS

from tinymeta.compile.program.calls import Part
from tinymeta.compile.program.operations import Cast, Contract, Copy, Reduce, Scale, Special, Ufunc, Where
from tinymeta.compile.program.views import Broadcast, Gather, Permute, Reshape, Scatter, Slice, Windows
from tinymeta.engine.primitive import Primitive


class Kernel(NamedTuple):
    """A `Call` by the name of its primitive."""

    name: str
    static: dict[str, Any]


class Misfit(Exception):
    """No value that is wanted is there."""


Steps: TypeAlias = list[tuple[Any, tuple[int, ...]]]
Kind: TypeAlias = Callable[[np.random.Generator, list[Any]], Steps]

FLOAT_UFUNCS = sorted(
    {
        p.kernel.__name__
        for p in Primitive.registry.values()
        if p.__module__.startswith("tinymeta.") and isinstance(p.kernel, np.ufunc) and p.kernel.nout == 1
    }
    | {"absolute", "sqrt", "tanh", "logaddexp"}
)


def _arrays(values: list[Any], wanted: Callable[[Any], bool]) -> list[int]:
    return [i for i, x in enumerate(values) if not isinstance(x, tuple) and wanted(x)]


def _one(r: np.random.Generator, values: list[Any], wanted: Callable[[Any], bool] = lambda x: True) -> int:
    places = _arrays(values, wanted)
    if not places:
        raise Misfit
    return places[max(int(r.integers(len(places))) for _ in range(2))]


def _is_float(x: Any) -> bool:
    """float32 or float64; NumPy makes float16 of an exponential of booleans."""
    return x.dtype.char in "fd"


def _like(r: np.random.Generator, values: list[Any], shape: tuple[int, ...], wanted: Any = lambda x: True) -> int:
    def fits(x: Any) -> bool:
        try:
            np.broadcast_shapes(x.shape, shape)
        except ValueError:
            return False
        return bool(wanted(x))

    return _one(r, values, fits)


def _of_one_rank(values: list[Any], inputs: tuple[int, ...], op: Any) -> Steps:
    """The operation, with reshapes in front that bring its operands to one rank."""
    rank = max(values[i].ndim for i in inputs)
    steps: Steps = []
    places = []
    for i in inputs:
        if values[i].ndim < rank:
            steps.append((Reshape((1,) * (rank - values[i].ndim) + values[i].shape), (i,)))
            i = len(values) + len(steps) - 1
        places.append(i)
    return [*steps, (op, tuple(places))]


def _ufunc(r: np.random.Generator, values: list[Any]) -> Steps:
    ufunc: np.ufunc = getattr(np, str(r.choice(FLOAT_UFUNCS)))
    x = _one(r, values)
    if ufunc.nin == 1:
        return [(Ufunc(ufunc), (x,))]
    return _of_one_rank(values, (x, _like(r, values, values[x].shape)), Ufunc(ufunc))


def _linear(r: np.random.Generator, values: list[Any]) -> Steps:
    """What the factoring takes apart, oftener than by chance."""
    x = _one(r, values, _is_float)
    ufunc = (np.add, np.subtract, np.multiply, np.negative)[r.integers(4)]
    if ufunc is np.negative:
        return [(Ufunc(ufunc), (x,))]
    alike = lambda y: y.dtype == values[x].dtype
    return _of_one_rank(values, (x, _like(r, values, values[x].shape, alike)), Ufunc(ufunc))


def _scale(r: np.random.Generator, values: list[Any]) -> Steps:
    x = _one(r, values, _is_float)
    return _of_one_rank(values, (x, _like(r, values, values[x].shape, _is_float)), Scale())


def _where(r: np.random.Generator, values: list[Any]) -> Steps:
    c = _one(r, values, lambda x: x.dtype.kind == "b")
    a = _like(r, values, values[c].shape)
    both = np.broadcast_shapes(values[c].shape, values[a].shape)
    return _of_one_rank(values, (c, a, _like(r, values, both)), Where())


def _special(r: np.random.Generator, values: list[Any]) -> Steps:
    return [(Special(str(r.choice(sorted(LOOPS)))), (_one(r, values, _is_float),))]


def _cast(r: np.random.Generator, values: list[Any]) -> Steps:
    """To another dtype: the translation writes no cast that changes nothing."""
    to = np.dtype(str(r.choice(["float32", "float64", "int64", "int32"])))
    return [(Cast(to), (_one(r, values, lambda x: x.dtype != to),))]


def _copy(r: np.random.Generator, values: list[Any]) -> Steps:
    return [(Copy(), (_one(r, values),))]


def _reduce(r: np.random.Generator, values: list[Any]) -> Steps:
    x = _one(r, values, lambda x: x.ndim > 0 and (_is_float(x) or x.dtype == np.int64))
    ndim = values[x].ndim
    axes = tuple(sorted(int(a) for a in r.permutation(ndim)[: r.integers(1, ndim + 1)]))
    ufunc = np.add if r.random() < 0.7 or values[x].size == 0 else np.maximum
    return [(Reduce(ufunc, axes), (x,))]


def _contract(r: np.random.Generator, values: list[Any]) -> Steps:
    """Any letters: shared ones are summed, or stay as a batch; an operand's own letters stay."""
    a = _one(r, values, lambda x: _is_float(x) and x.ndim < 5)
    b = _one(r, values, lambda x: x.dtype == values[a].dtype and x.ndim < 5)
    letters_a = "abcdefgh"[: values[a].ndim]
    letters_b = list("klmnopqr"[: values[b].ndim])
    free = list(range(values[a].ndim))
    for j, n in enumerate(values[b].shape):
        for i in r.permutation(free):
            if values[a].shape[i] == n and r.random() < 0.7:
                letters_b[j] = letters_a[i]
                free.remove(i)
                break
    shared = [x for x in letters_a if x in letters_b]
    kept = [x for x in dict.fromkeys([*letters_a, *letters_b]) if x not in shared or r.random() < 0.3]
    out = "".join(kept[i] for i in r.permutation(len(kept)))
    return [(Contract(letters_a, "".join(letters_b), out), (a, b))]


def _reshape(r: np.random.Generator, values: list[Any]) -> Steps:
    x = _one(r, values)
    shape = list(values[x].shape)
    kind = int(r.integers(4))
    if kind == 0 and len(shape) > 1:
        k = int(r.integers(len(shape) - 1))
        shape[k : k + 2] = [shape[k] * shape[k + 1]]
    elif kind == 1:
        shape.insert(int(r.integers(len(shape) + 1)), 1)
    elif kind == 2:
        shape = [n for n in shape if n != 1]
    elif values[x].size:
        d = int(r.choice([d for d in range(1, 9) if values[x].size % d == 0]))
        shape = [d, values[x].size // d]
    return [(Reshape(tuple(shape)), (x,))]


def _permute(r: np.random.Generator, values: list[Any]) -> Steps:
    x = _one(r, values, lambda x: x.ndim > 1)
    return [(Permute(tuple(int(a) for a in r.permutation(values[x].ndim))), (x,))]


def _broadcast(r: np.random.Generator, values: list[Any]) -> Steps:
    x = _one(r, values, lambda x: 1 in x.shape)
    return [(Broadcast(tuple(int(r.integers(1, 5)) if n == 1 else n for n in values[x].shape)), (x,))]


def _slice_of(r: np.random.Generator, shape: tuple[int, ...], integers: bool = True) -> Slice:
    """An integer, or a slice with a step of either sign, for every axis."""
    key: list[Any] = []
    for n in shape:
        kind = int(r.integers(5))
        if kind == 0 and n and integers:
            key.append(int(r.integers(-n, n)))
        elif kind == 1:
            key.append((None, None, int(r.choice([-1, -2, 2, 3]))))
        elif kind == 2:
            key.append((int(r.integers(0, n + 1)), None, int(r.choice([1, 2, -1]))))
        else:
            key.append((None, None, None))
    return Slice(tuple(key))


def _slice(r: np.random.Generator, values: list[Any]) -> Steps:
    x = _one(r, values, lambda x: x.ndim > 0)
    return [(_slice_of(r, values[x].shape), (x,))]


def _views(r: np.random.Generator, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """A chain: a slice, or windows of one axis or of two, with a permutation after them."""
    if not shape or r.random() < 0.4:
        return (_slice_of(r, shape, integers=bool(r.integers(2))),)
    chain: list[Any] = []
    at = tuple(shape)
    for _ in range(int(r.integers(1, 3))):
        axis = int(r.integers(len(at)))
        stride, dilation = int(r.integers(1, 3)), int(r.integers(1, 3))
        width = int(r.integers(1, 4))
        extent = dilation * (width - 1) + 1
        if at[axis] < extent:
            continue
        view = Windows(axis, (at[axis] - extent) // stride + 1, width, stride, dilation)
        chain.append(view)
        at = view.shape(at)
    if not chain:
        raise Misfit
    return (*chain, Permute(tuple(int(a) for a in r.permutation(len(at)))))


def _gather(r: np.random.Generator, values: list[Any]) -> Steps:
    x = _one(r, values, lambda x: 0 < x.ndim < 5 and x.size > 0 and _is_float(x))
    return [(Gather(_views(r, values[x].shape)), (x,))]


def _scatter(r: np.random.Generator, values: list[Any]) -> Steps:
    """Numbers added into a larger array: a gather's adjoint, of what the gather gave."""
    x = _one(r, values, lambda x: 0 < x.ndim < 5 and x.size > 0 and _is_float(x))
    views = _views(r, values[x].shape)
    return [(Gather(views), (x,)), (Scatter(values[x].shape, views), (len(values),))]


_KERNELS: dict[str, Callable[[np.random.Generator, Any], dict[str, Any]]] = {
    "argsort_axis": lambda r, x: {"axis": -1},
    "cumulative_sum_axis": lambda r, x: {"axis": -int(r.integers(1, x.ndim + 1))},
    "logsumexp_axes": lambda r, x: {"axes": (-1,)},
    "max_axes": lambda r, x: {"axes": (-1,)},
    "prod_last": lambda r, x: {},
}


def _call(r: np.random.Generator, values: list[Any]) -> Steps:
    """The kernel of a primitive that has no simpler form."""
    name = str(r.choice(list(_KERNELS)))
    x = _one(r, values, lambda x: x.ndim > 0 and x.size > 0 and _is_float(x))
    return [(Kernel(name, _KERNELS[name](r, values[x])), (x,))]


def _part(r: np.random.Generator, values: list[Any]) -> Steps:
    """Both results of a kernel that has two."""
    x = _one(r, values, lambda x: x.ndim > 0 and x.size > 0 and _is_float(x))
    call = Kernel("normalize", {"axes": (-1,), "eps": 1e-2})
    return [(call, (x,)), (Part(0), (len(values),)), (Part(1), (len(values),))]


VOCABULARY: dict[str, Kind] = {
    "Ufunc": _ufunc,
    "a linear Ufunc": _linear,
    "a linear Ufunc, again": _linear,
    "Scale": _scale,
    "Where": _where,
    "Special": _special,
    "Cast": _cast,
    "Copy": _copy,
    "Reduce": _reduce,
    "a Reduce, again": _reduce,
    "Contract": _contract,
    "a Contract, again": _contract,
    "Reshape": _reshape,
    "Permute": _permute,
    "Broadcast": _broadcast,
    "Slice": _slice,
    "Gather": _gather,
    "Scatter": _scatter,
    "Call": _call,
    "Part": _part,
}
OTHERS = {
    "Check": "no number: array programs draw the checks of values",
    "Input": "drawn first",
    "Loop": "a program of its own: tests/compile/loop_programs.py draws loops",
    "Constant": "some of the inputs",
    "Windows": "a view within Gather and Scatter",
}
