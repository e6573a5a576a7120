"""The machine's instructions, as lists of integers (their form is told in `tinymeta_kernels/machine.py`)."""

from __future__ import annotations

import math
from itertools import product as product_of
from typing import Any

import numpy as np
from tinymeta_kernels import contract, machine
from tinymeta_kernels.machine import ORDINARY, TRANSPOSED

from tinymeta.compile.place.layout import Dim, Layout, Unplaceable, inner_choices, nested, with_long_inner
from tinymeta.compile.program.operations import Cast, Contract, Erf, Operation, Reduce, Scale, Shape, Ufunc, Where

TYPICAL = 8  # tasks in a block
TRAFFIC, CALL = 8, 200  # multiplications in the time of moving a number, and of calling the BLAS


def elementwise(
    op: Operation, dtypes: list[Any], given: list[Layout], out: Layout, shape: Shape, tasks: int | None, block: int
) -> list[int]:
    """`out = op(*given)`, with every operand broadcast to `shape`; dtypes are those of the inputs and the result."""
    layouts = [*given, out]
    dims = nested(shape, [x.strides for x in layouts], tasks)
    if isinstance(op, Ufunc):
        return _loop(op.name, dtypes, layouts, dims, block)
    opcode = {Scale: machine.SCALE, Where: machine.WHERE, Erf: machine.ERF, Cast: machine.CAST}[type(op)]
    return _instruction(opcode, 0, dtypes[-2].itemsize, layouts, with_long_inner(dims, block))


def _loop(name: str, dtypes: list[Any], layouts: list[Layout], dims: list[Dim], block: int) -> list[int]:
    """A ufunc's loop along the axis that serves best, of those along which it has been found to be right."""
    found = contract.loop(name, tuple(dtypes))
    *given, out = layouts
    in_place = tuple(k for k, x in enumerate(given) if x == out)
    neighbours = Dim(1, False, tuple(d.itemsize for d in dtypes))  # one number a call, where nothing else is right
    for choice in (with_long_inner(dims, block), *inner_choices(dims, block), [*dims, neighbours]):
        if found and choice and contract.holds(name, tuple(dtypes), choice[-1].strides, in_place):
            return _instruction(machine.LOOP, *found, layouts, choice)
    raise Unplaceable(f"NumPy's loop of {name} for {', '.join(map(str, dtypes))} is not right even for single numbers")


def copy(dtype: Any, x: Layout, out: Layout, shape: Shape, tasks: int | None, block: int) -> list[int]:
    """`out = x`."""
    name, dtypes = copying(dtype)
    return elementwise(Ufunc(name), [*dtypes], [x], out, shape, tasks, block)


def copying(dtype: Any) -> tuple[str, tuple[Any, Any]]:
    """The loop that copies numbers of this dtype: as bits, for NumPy's loops of integers begin more quickly."""
    bits = np.dtype(f"u{dtype.itemsize}") if dtype.itemsize <= 8 else dtype
    return "positive", (bits, bits)


def reduction(op: Reduce, dtype: Any, x: Layout, out: Layout, shape: Shape, tasks: int | None, block: int) -> list[int]:
    """`out = op(out, x)` along the axes of `shape` that `out` lacks."""
    kept = iter(out.strides)
    strides = tuple(0 if k in op.axes else next(kept) for k in range(len(shape)))
    layouts = [out._replace(strides=strides), x, out._replace(strides=strides)]
    dims = nested(shape, [y.strides for y in layouts], tasks, lead=1)
    if op.name == "add" and len(dims) > 1 and dtype.char in "fd":
        rows, run = dims[-2].strides, dims[-1].strides
        if run == (dtype.itemsize,) * 3 and rows[0] == 0 and rows[1] > 0:
            dims = [d._replace(strides=d.strides[1:]) for d in dims]
            return _instruction(machine.SUM, 0, dtype.itemsize, layouts[1:], dims)
    return _loop(op.name, [dtype] * 3, layouts, dims, block)


def _instruction(opcode: int, address: int, data: int, layouts: list[Layout], dims: list[Dim]) -> list[int]:
    dims = dims or [Dim(1, False, (0,) * len(layouts))]
    code = [opcode, 0, address, data, len(layouts), len(dims), *(-d.size if d.tasks else d.size for d in dims)]
    for k, x in enumerate(layouts):
        code += [x.slot, x.offset, x.step, *(d.strides[k] for d in dims)]
    code[1] = len(code)
    return code


def product(
    op: Contract, dtype: Any, layouts: list[Layout], size: dict[str, int], tasks: str | None, accumulate: bool
) -> tuple[float, list[int]]:
    """`out = a b` (`out += a b` with `accumulate`): what it takes, see `effort`, infinite where the BLAS can't read or
    write the matrices as they lie, and the instruction.

    `size` gives each letter's length (1 for that of the tasks).
    """
    item = dtype.itemsize
    a, b, out = layouts
    sa, sb, so = dict(zip(op.a, a.strides)), dict(zip(op.b, b.strides)), dict(zip(op.out, out.strides))
    batch, m, n, k = op.groups()

    def dims(letters: str) -> list[Dim]:
        table = [tuple(s.get(i, 0) for i in letters) for s in (sa, sb, so)]
        where = next((j for j, i in enumerate(letters) if i == tasks), None)
        return nested(tuple(size[i] for i in letters), table, where, lead=0 if letters == k else 2)

    choices = sorted(product_of(_picked(dims(m)), _picked(dims(n)), _picked(dims(k))), key=_inside, reverse=True)
    for choice in choices:
        (m_dim, more_m), (n_dim, more_n), (k_dim, more_k) = choice
        a_form, b_form = _form(m_dim, k_dim, 0, item), _form(k_dim, n_dim, 1, item)
        out_form = _form(m_dim, n_dim, 2, item)
        if a_form and b_form and out_form and (accumulate or not more_k):
            break
    else:
        return math.inf, []
    loops = dims(batch) + more_m + more_n + more_k
    operands, sizes, places = [a, b, out], [m_dim, n_dim, k_dim], (0, 1, 2)
    if out_form[0] == TRANSPOSED:  # outᵀ = bᵀ aᵀ
        swap = {ORDINARY: TRANSPOSED, TRANSPOSED: ORDINARY}
        a_form, b_form = (swap[b_form[0]], b_form[1]), (swap[a_form[0]], a_form[1])
        operands, sizes, places = [b, a, out], [n_dim, m_dim, k_dim], (1, 0, 2)
    address = contract.gemm(dtype)
    if address is None:
        return math.inf, []
    loops = [Dim(d.size, d.tasks, tuple(d.strides[p] for p in places)) for d in loops]
    code = _instruction(machine.GEMM, address, item, operands, [*loops, Dim(1, False, (0, 0, 0))])
    code += [a_form[0], b_form[0], *(-d.size if d.tasks else d.size for d in sizes)]
    code += [a_form[1], b_form[1], out_form[1], 1, int(accumulate)]
    code[1] = len(code)
    return effort(_length(loops), *(_length([d]) for d in (m_dim, n_dim, k_dim))), code


def least_effort(op: Contract, size: dict[str, int], tasks: str | None) -> float:
    """What the product would take if its matrices lay as the BLAS likes them best."""
    return effort(*(math.prod(TYPICAL if i == tasks else size[i] for i in letters) for letters in op.groups()))


def effort(calls: int, m: int, n: int, k: int) -> float:
    """What products (m, k) @ (k, n) take, in multiplications: long vectors are moved, not multiplied."""
    return calls * (m * n * k + TRAFFIC * (m * k + k * n + m * n) + CALL)


def _length(dims: list[Dim]) -> int:
    return math.prod(TYPICAL if d.tasks else d.size for d in dims)


def _picked(dims: list[Dim]) -> list[tuple[Dim, list[Dim]]]:
    """Each way to leave one loop to the BLAS, or none, with the loops that remain around it."""
    none: tuple[Dim, list[Dim]] = (Dim(1, False, (0, 0, 0)), dims)
    return [*((d, dims[:i] + dims[i + 1 :]) for i, d in enumerate(dims)), none]


def _inside(choice: tuple[tuple[Dim, list[Dim]], ...]) -> int:
    """How much work one call of the BLAS does."""
    return _length([d for d, _ in choice])


def _form(rows: Dim, columns: Dim, operand: int, item: int) -> tuple[int, int] | None:
    """How a matrix lies: (ordinary or transposed, distance between its rows), or None if neither way."""
    r, c = rows.strides[operand], columns.strides[operand]
    one_row, one_column = _single(rows), _single(columns)
    for form, inner, outer, few, many, width in (
        (ORDINARY, c, r, one_column, one_row, columns),
        (TRANSPOSED, r, c, one_row, one_column, rows),
    ):
        if inner != item and not few:
            continue
        if many:  # the distance between rows doesn't matter, but the BLAS wants it to be long enough
            return form, 1 << 40 if width.tasks else max(1, width.size)
        if outer % item == 0 and outer >= width.size * item:
            return form, outer // item
    return None


def _single(dim: Dim) -> bool:
    return dim.size == 1 and not dim.tasks
