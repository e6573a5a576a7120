"""The machine's instructions, as lists of integers (their form is told in `tinymeta_kernels/machine.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tinymeta_kernels import contract, machine

from tinymeta.compile.place.layout import (
    ONES,
    ROW,
    ZERO,
    Dim,
    Layout,
    Unplaceable,
    inner_choices,
    nested,
    with_long_inner,
)
from tinymeta.compile.program.operations import (
    Cast,
    Contract,
    Copy,
    Elementwise,
    Operation,
    Reduce,
    Scale,
    Special,
    Ufunc,
    Where,
)
from tinymeta.compile.program.program import Node
from tinymeta.compile.program.views import Gather, Scatter
from tinymeta.engine.typing import DType, Shape

SHORT = 16  # numbers of a row from which on it is added up by a product
ADD, COPY = Ufunc(np.add), Ufunc(np.positive)
_OPCODES: dict[type[Operation], int] = {
    Scale: machine.SCALE, Where: machine.WHERE, Cast: machine.CAST
}  # fmt: skip


def callable_(node: Node, given: Sequence[Node]) -> bool:
    """Whether the machine has an instruction for a node with these inputs."""
    op, dtype, dtypes = node.op, node.dtype, [x.dtype for x in given]
    if dtype is None or any(0 in x.shape for x in (node, *given)):
        return False
    if isinstance(op, (Copy, Gather)):
        return contract.loop(COPY.name, (bits(dtype),) * 2) is not None
    if isinstance(op, (Ufunc, Special)):
        return contract.loop(op.name, (*dtypes, dtype)) is not None
    if dtype.char not in "fd":
        return False
    if isinstance(op, Cast):
        return dtypes[0].char in "fd" and dtypes[0] != dtype
    if isinstance(op, (Reduce, Scatter)):
        return contract.loop(op.name if isinstance(op, Reduce) else ADD.name, (dtype,) * 3) is not None
    if isinstance(op, Where) and dtypes.pop(0).kind != "b":
        return False
    same = all(d == dtype for d in dtypes)
    if isinstance(op, Contract):
        return same and contract.gemm(dtype) is not None
    return same and type(op) in _OPCODES


def elementwise(
    op: Elementwise, dtypes: list[DType], given: list[Layout], out: Layout, shape: Shape, tasks: int | None, block: int
) -> list[int]:
    """`out = op(*given)`, with every operand broadcast to `shape`; dtypes are those of the inputs and the result."""
    layouts = [*given, out]
    dims = nested(shape, [x.strides for x in layouts], tasks)
    if isinstance(op, (Ufunc, Special)):
        return _loop(op.name, dtypes, layouts, dims, block)
    return written(_OPCODES[type(op)], 0, dtypes[-2].itemsize, layouts, with_long_inner(dims, block))


def copy(dtype: DType, x: Layout, out: Layout, shape: Shape, tasks: int | None, block: int) -> list[int]:
    """`out = x`."""
    return elementwise(COPY, [bits(dtype)] * 2, [x], out, shape, tasks, block)


def bits(dtype: DType) -> Any:
    """The dtype as which numbers of this one are copied: as bits, for NumPy's loops of integers begin more quickly."""
    return np.dtype(f"u{dtype.itemsize}") if dtype.itemsize <= 8 else dtype


def zeros(dtype: DType, out: Layout, shape: Shape, tasks: int | None, block: int) -> list[int]:
    """`out = 0`."""
    return copy(dtype, Layout(ZERO, 0, 0, (0,) * len(shape)), out, shape, tasks, block)


def sum_of(dtype: DType, x: Layout, out: Layout, shape: Shape, tasks: int | None, block: int) -> list[int]:
    """`out = out + x`."""
    return elementwise(ADD, [dtype] * 3, [out, x], out, shape, tasks, block)


def reduction(
    op: Reduce, dtype: DType, x: Layout, out: Layout, shape: Shape, tasks: int | None, block: int
) -> list[int]:
    """`out = op(out, x)` along the axes of `shape` that `out` lacks."""
    kept = iter(out.strides)
    out = out._replace(strides=tuple(0 if k in op.axes else next(kept) for k in range(len(shape))))
    layouts = [out, x, out]
    dims = nested(shape, [y.strides for y in layouts], tasks, lead=1)
    if op.adds and len(dims) > 1 and dtype.char in "fd":
        rows, run = dims[-2].strides, dims[-1].strides
        if run == (dtype.itemsize,) * 3 and rows[0] == 0 and rows[1] > 0:
            dims = [d._replace(strides=d.strides[1:]) for d in dims]
            return written(machine.SUM, 0, dtype.itemsize, layouts[1:], dims)
        if (
            contract.gemm(dtype) is not None
            and run == (0, dtype.itemsize, 0)
            and SHORT <= dims[-1].size <= ROW
            and _are_rows(dims, dtype.itemsize)
        ):
            return _sums_of_rows(dtype, x, out, dims)
    return _loop(op.name, [dtype] * 3, layouts, dims, block)


def _are_rows(dims: list[Dim], item: int) -> bool:
    """Whether the innermost loop runs along a row of a matrix, and the next from row to row and result to result."""
    to, step, _ = dims[-2].strides
    return not dims[-1].tasks and to > 0 == to % item and step % item == 0 and step >= dims[-1].size * item


def _sums_of_rows(dtype: DType, x: Layout, out: Layout, dims: list[Dim]) -> list[int]:
    """`out = out + x·(1, …, 1)`: the BLAS adds up a short row in half the time of NumPy's loop, which begins anew for
    each (a softmax's, a layer norm's)."""
    *outer, rows, run = dims
    item = dtype.itemsize
    ones = Layout(ONES, 0 if item == 4 else 4 * ROW, 0, ())
    loops = [*(d._replace(strides=(d.strides[1], 0, d.strides[0])) for d in outer), Dim(1, False, (0, 0, 0))]
    more = [machine.ORDINARY, machine.ORDINARY, rows.signed, 1, run.size]
    more += [rows.strides[1] // item, 1, rows.strides[0] // item, 1, 1]
    return written(machine.GEMM, contract.gemm(dtype) or 0, item, [x, ones, out], loops, more)


def _loop(name: str, dtypes: list[DType], layouts: list[Layout], dims: list[Dim], block: int) -> list[int]:
    """A ufunc's loop along the axis that serves best, of those along which it has been found to be right."""
    found = contract.loop(name, tuple(dtypes))
    *given, out = layouts
    in_place = tuple(k for k, x in enumerate(given) if x == out)
    neighbours = Dim(1, False, tuple(d.itemsize for d in dtypes))  # one number a call, where nothing else is right
    for choice in (with_long_inner(dims, block), *inner_choices(dims, block), [*dims, neighbours]):
        if found and choice and contract.holds(name, tuple(dtypes), choice[-1].strides, in_place):
            return written(machine.LOOP, *found, layouts, choice)
    raise Unplaceable(f"NumPy's loop of {name} for {', '.join(map(str, dtypes))} is not right even for single numbers")


def written(
    opcode: int, address: int, data: int, layouts: list[Layout], dims: list[Dim], more: Sequence[int] = ()
) -> list[int]:
    """An instruction; what `more` says stands behind its operands."""
    dims = dims or [Dim(1, False, (0,) * len(layouts))]
    code = [opcode, 0, address, data, len(layouts), len(dims), *(d.signed for d in dims)]
    for k, x in enumerate(layouts):
        code += [x.slot, x.offset, x.task_stride, *(d.strides[k] for d in dims)]
    code += more
    code[1] = len(code)
    return code
