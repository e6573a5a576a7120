"""Programs on symbols: integers modulo 2⁶⁴ stand for numbers, so that equal means equal, bit by bit, in any order.

Sums and products are those of the ring, in which every order of a sum gives the same. Any other function of numbers
is a fixed, arbitrary function of symbols. The symbols of arguments, constants and kernels' results are drawn: two
programs that make the same of them make the same of all numbers, all but certainly.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from tinymeta_kernels import addresses

from tinymeta.compile.program.operations import Cast, Copy, Operation, Scale, Special, Ufunc, Where
from tinymeta.compile.program.program import Node, Program
from tinymeta.compile.program.views import Gather
from tinymeta.engine.tensor import Array
from tinymeta.engine.typing import DType

Loop = tuple[int, int]  # a loop's address and its data

RING = {"add", "subtract", "multiply", "negative", "positive", "maximum", "minimum", "logical_or"}


def drawn(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """New symbols."""
    return rng.integers(-(2**63), 2**63, shape)


def applied(name: str, *xs: Array) -> Array:
    """A ufunc on symbols."""
    with np.errstate(over="ignore"):
        if name in RING:
            return np.asarray(getattr(np, name.replace("logical", "bitwise"))(*xs))
        y = np.full(np.broadcast_shapes(*(x.shape for x in xs)), zlib.crc32(name.encode()))
        for x in xs:
            y = np.asarray((y ^ x) * 0x1E3779B97F4A7C15)
            y = np.asarray(y ^ ((y >> 29) & 0x7FFFFFFFF))  # the sign is as arbitrary as the rest
        return y


class Loops:
    """Which of NumPy's loops a program may call: their names and the bytes of their operands, by address."""

    def __init__(self, program: Program) -> None:
        self.sizes: dict[Loop, list[int]] = {}
        self.names: dict[Loop, str] = {}
        if not addresses.callable_from_loops():
            return  # there is no Numba: nothing is called by its address
        from tinymeta.compile.place.instructions import COPY, bits

        for dtype in {n.dtype for n in program.nodes if n.dtype is not None}:
            if dtype.kind in "fiub":
                for f, dtypes in ((COPY.ufunc, (bits(dtype),) * 2), (np.add, (dtype,) * 3), (np.maximum, (dtype,) * 3)):
                    self.name(f.__name__, dtypes)
        for node in program.nodes:
            if isinstance(node.op, (Ufunc, Special)):
                self.name(node.op.name, (*(program.nodes[x].dtype for x in node.inputs), node.dtype))

    def name(self, name: str, dtypes: tuple[DType, ...]) -> str:
        """A ufunc's name, or that of another that is the same loop."""
        if not addresses.callable_from_loops():
            return name
        from tinymeta_kernels import contract

        found = contract.loop(name, dtypes)
        if found is None:
            return name
        self.sizes[found.address, found.data] = [np.dtype(d).itemsize for d in dtypes]
        return self.names.setdefault((found.address, found.data), name)


def value(program: Program, node: Node, given: list[Array], loops: Loops) -> Array:
    """What a node that the machine runs makes of symbols."""
    op: Any = node.op
    if isinstance(op, (Ufunc, Special)):
        return applied(loops.name(op.name, (*(program.nodes[x].dtype for x in node.inputs), node.dtype)), *given)
    if type(op) in _DONE:
        return done(_DONE[type(op)], "", given)
    if isinstance(op, Copy):
        return given[0]
    with np.errstate(over="ignore"):
        found: Array = np.asarray(op(*given))
    return found.copy() if isinstance(op, Gather) else found


def done(kind: str, name: str, given: list[Array]) -> Array:
    """What an instruction of this kind makes of symbols; `name` is that of its ufunc, if it calls one."""
    if kind == "GEMM":
        return np.asarray(np.matmul(*given))
    if kind == "WHERE":
        return np.where(given[0] < 0, *given[1:])
    if kind in ("SUM", "CAST"):
        return given[0]
    return applied("multiply" if kind == "SCALE" else name, *given)


_DONE: dict[type[Operation], str] = {Scale: "SCALE", Where: "WHERE", Cast: "CAST"}
