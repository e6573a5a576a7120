"""What rounding does to a program's results: how far apart two right runs of it may be.

Two runs that add in another order differ. Where nothing cancels, a number that a chain of n roundings made is off by
about √n of them (they have either sign), so two runs differ by

    |a − b|  ≤  4 ε √n · max |b|             ε: the dtype's; 4: standard deviations; n: operations and terms of sums

along the longest chain. Where numbers cancel, or a comparison turns over, more is right, and how much is found by
trying (Parker, *Monte Carlo Arithmetic*, 1997): the plain program is run in float64, and whatever rounds is moved at
random by a few roundings of the precision in question. If a difference is far beyond what that does to the results,
time and again, rounding hasn't made it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from tinymeta.compile.program.calls import Call, Check, Part
from tinymeta.compile.program.loop import Loop
from tinymeta.compile.program.operations import Cast, Constant, Contract, Copy, Input, Reduce, Ufunc, Where
from tinymeta.compile.program.program import Node, Program
from tinymeta.compile.program.views import Gather, Scatter
from tinymeta.compile.run.replay import Replay
from tinymeta.compile.run.terms import in_terms
from tinymeta.engine.tensor import Array
from tinymeta.engine.typing import DType, Function, Tree

DEVIATIONS = 4  # of a sum of roundings, which is normal: beyond it lies one in 16,000
MOVED = 4  # roundings by which each operation is moved: a comparison that rounding turns is turned half the time
FAR = 16  # times what moving did: beyond that, it isn't rounding
FEW = 3  # samples show how far rounding moves a smooth function; of 24,
SAMPLES = 24  # a comparison that one of two runs turned has gone unseen in all of them once in 10 million
# fmt: off
_STEPS = {
    np.sign, np.floor, np.ceil, np.rint, np.trunc, np.copysign, np.heaviside, np.floor_divide, np.remainder, np.fmod,
}
_EXACT = {
    np.absolute, np.fabs, np.negative, np.positive, np.conjugate, np.sign, np.signbit, np.copysign, np.maximum,
    np.minimum, np.fmax, np.fmin, np.floor, np.ceil, np.rint, np.trunc, np.equal, np.not_equal, np.less,
    np.less_equal, np.greater, np.greater_equal, np.isnan, np.isinf, np.isfinite, np.logical_and, np.logical_or,
    np.logical_not, np.logical_xor,
}
# fmt: on


def unit(program: Program) -> float:
    """The ε of the coarsest floating-point numbers in the program; 0 if it has none."""
    floats = {node.dtype for node in program.nodes if node.dtype is not None and node.dtype.kind in "fc"}
    return max((float(np.finfo(dtype).eps) for dtype in floats), default=0.0)


def wide(dtype: DType) -> Any:
    """float64 for a narrower floating-point dtype, complex128 for a complex one."""
    if dtype is None or dtype.kind not in "fc":
        return dtype
    return np.result_type(dtype, np.float64)


def widened(program: Program) -> Program:
    """The same operations on float64."""
    nodes: list[Node] = []
    for node in program.nodes:
        op, value, dtype = node.op, node.value, wide(node.dtype)
        if isinstance(op, Constant):
            op, value = Constant(("wide", op.key)), value.astype(dtype)
        elif isinstance(op, Cast):
            op = Cast(dtype)
        elif isinstance(op, Call):
            static = {k: wide(v) if isinstance(v, np.dtype) else v for k, v in op.static.items()}
            op = Call(op.primitive, ("wide", op.key), static, op.hidden)
        elif isinstance(op, Loop):
            op = replace(op, body=widened(op.body))
        elif not isinstance(op, Input) and (found := op.dtype(*(nodes[x].dtype for x in node.inputs))):
            dtype = found
        nodes.append(node._replace(op=op, value=value, dtype=dtype))
    return Program(nodes, program.results)


def apart(a: Array, b: Array) -> float:
    """The largest distance between two results: infinite where integers differ, or the places of NaN and infinities."""
    if (a.shape, a.dtype) != (b.shape, b.dtype):
        return math.inf
    if a.dtype.kind not in "fc":
        return 0.0 if np.array_equal(a, b) else math.inf
    with np.errstate(all="ignore"):
        distance = np.abs(a - b)
    if math.isfinite(largest := float(distance.max(initial=0.0))):
        return largest
    usual = np.isfinite(distance)
    if not np.array_equal(a[~usual], b[~usual], equal_nan=True):
        return math.inf
    return float(distance[usual].max(initial=0.0))


class Rounding:
    """The rounding of one program on the arguments at hand.

    `seen` makes results that can be compared of the program's; `longer` is by how much more terms the sums of the runs
    that are compared have than the program's.
    """

    def __init__(
        self, program: Program, arguments: Sequence[Array], seen: Callable[[list[Array]], list[Array]], longer: float
    ) -> None:
        self._given, self._arguments, self._seen = program, arguments, seen
        self._longer = math.sqrt(longer)
        self._chains = _chains(program, [True] * len(program.nodes))
        self._terms: list[float] = []  # of the last sums, once it matters: √(1 + c/n) max Σ|terms|
        self._tiny = [
            float(np.finfo(d).tiny) if (d := program.nodes[i].dtype).kind in "fc" else 0.0 for i in program.results
        ]
        self._right: list[Array] | None = None
        self._chosen: dict[tuple[int, ...], Array] = {}  # what was compared, counted or rounded to integers
        self.exact = True  # whether the program's float64 form computes in float64

    @cached_property
    def _program(self) -> Program:
        return widened(self._given)

    @cached_property
    def _pool(self) -> Array:
        """More random numbers than any array has."""
        return np.random.default_rng(0).uniform(-1, 1, 4096 + _largest(self._given))

    def plain(self, a: list[Array], b: list[Array], eps: float) -> bool:
        """Whether two runs are as close as when nothing cancels."""
        return all(map(_close, a, b, self._allowed(b, eps)))

    def explains(self, a: list[Array], b: list[Array], eps: float, kinks: bool = True) -> bool:
        """Whether rounding to ε may have made the difference of two runs; without `kinks`, whether it needn't have
        turned any comparison for that."""
        allowed = self._allowed(b, eps)
        if all(map(_close, a, b, allowed)) or all(map(_close, a, b, map(max, allowed, self._by_terms(eps)))):
            return True
        right, rng, spread = self.right(), np.random.default_rng(0), [0.0] * len(a)
        for _ in range(0 if not eps else SAMPLES if kinks else FEW):
            moved = self._moved(rng, MOVED * eps * self._longer, kinks)
            spread = [max(s, apart(x, y)) for s, x, y in zip(spread, moved, right)]
            if all(map(_close, a, b, (t + FAR * s for t, s in zip(allowed, spread)))):
                return True
        return False

    def right(self) -> list[Array]:
        """The results in float64; whether they are `exact` is known afterwards."""
        if self._right is None:
            self._right = self._moved(None, 0.0)
        return self._right

    def _allowed(self, b: list[Array], eps: float) -> list[float]:
        found = []
        for x, n, tiny in zip(b, self._chains, self._tiny):
            size = np.abs(x[np.isfinite(x)]).max(initial=0.0) if x.dtype.kind in "fc" else 0.0
            found.append(DEVIATIONS * math.sqrt(1 + n) * self._longer * (eps * float(size) + tiny))
        return found

    def _by_terms(self, eps: float) -> list[float]:
        """How far apart two runs may be for the terms of their last sums (`terms.py`)."""
        if not self._terms:
            program, last = in_terms(self._given)
            sums = self._seen(Replay(program)(list(self._arguments))[: len(self._chains)])
            for y, n, c in zip(sums, _chains(self._given, last), self._chains):
                largest = float(np.abs(y).max(initial=0.0)) if y.dtype.kind == "f" else 0.0
                self._terms.append(math.sqrt(1 + (c - n) / max(1, n)) * largest if math.isfinite(largest) else 0.0)
        return [DEVIATIONS * (eps * terms + tiny) for terms, tiny in zip(self._terms, self._tiny)]

    def _moved(self, rng: np.random.Generator | None, size: float, kinks: bool = True) -> list[Array]:
        """The results where every operation that rounds is off by up to `size`, relative to its operands, if it adds
        many, and to its result. Without `kinks`, what is compared comes out as it did when nothing was moved."""

        made = self._maker(self._program, (), rng, size, kinks)
        return self._seen(Replay(self._program)([x.astype(wide(x.dtype)) for x in self._arguments], made))

    def _maker(
        self, program: Program, at: tuple[int, ...], rng: np.random.Generator | None, size: float, kinks: bool
    ) -> Function:
        """What the nodes of a program become, moved; `at` says of which loops' turns it is the body."""

        def made(i: int, given: list[Array]) -> Tree:
            op, place = program.nodes[i].op, (*at, i)
            if place in self._chosen and not kinks:
                return self._chosen[place]
            if isinstance(op, Loop):
                replay, turn = Replay(op.body), partial(self._maker, op.body, rng=rng, size=size, kinks=kinks)
                return op(*given, run=lambda t, xs: replay(xs, turn((*place, t))))
            return None if isinstance(op, Check) else self._off(program, place, given, rng, size)

        return made

    def _off(
        self, program: Program, at: tuple[int, ...], given: list[Array], rng: np.random.Generator | None, size: float
    ) -> Tree:
        """The result of an operation, moved."""
        node = program.nodes[at[-1]]
        n = _roundings(program, node)
        reach = size * math.sqrt(n)
        if n > 1 and node.dtype is not None and node.dtype.kind in "fc":
            given = [self._shaken(x, rng, reach) for x in given]
        y = node.op(*given)
        if node.dtype is None:
            return y
        y = np.asarray(y)
        if y.dtype != node.dtype:  # a kernel that rounds, whatever it is given
            self.exact, y = False, y.astype(node.dtype)
        chooses = y.dtype.kind not in "fc" or (isinstance(node.op, Ufunc) and node.op.ufunc in _STEPS)
        if rng is None and not node.op.view and chooses:
            self._chosen[at] = y
        return self._shaken(y, rng, reach)

    def _shaken(self, x: object, rng: np.random.Generator | None, reach: float) -> Any:
        if rng is None or not reach or not isinstance(x, np.ndarray) or x.dtype.kind not in "fc":
            return x
        start = rng.integers(0, self._pool.size - x.size + 1)
        return x * (1 + reach * self._pool[start : start + x.size].reshape(x.shape))


def _largest(program: Program) -> int:
    """The size of the largest array, those of loops' bodies included."""
    bodies = (node.op.body for node in program.nodes if isinstance(node.op, Loop))
    return max([*(node.size for node in program.nodes), *map(_largest, bodies)], default=0)


def _chains(program: Program, counted: list[bool]) -> list[float]:
    """The most roundings in a row, of the nodes that count, in a number of each result."""
    chain: list[float] = []
    for node, counts in zip(program.nodes, counted):
        before = max((chain[x] for x in node.inputs), default=0.0)
        chain.append(before + _roundings(program, node) * counts)
    return [chain[i] for i in program.results]


def _close(a: Array, b: Array, allowed: float) -> bool:
    return apart(a, b) <= allowed


def _roundings(program: Program, node: Node) -> float:
    """How many roundings in a row, at most, are in a number of this node."""
    op, given = node.op, [program.nodes[x] for x in node.inputs]
    if isinstance(op, Ufunc):
        return 0 if op.ufunc in _EXACT else 1
    if isinstance(op, (Input, Constant, Part, Where, Copy, Gather)) or op.view:
        return 0
    if isinstance(op, Cast):
        return int(given[0].dtype is not None and given[0].dtype.itemsize > op.to.itemsize)
    if isinstance(op, Reduce):
        return given[0].size / max(1, node.size) if op.adds else 0
    if isinstance(op, Contract):
        return op.flops(node.shape, *(x.shape for x in given)) / 2 / max(1, node.size)
    if isinstance(op, Loop):
        return op.turns * max(_chains(op.body, [True] * len(op.body.nodes)), default=0.0)
    if isinstance(op, (Scatter, Call)):
        return max((x.size for x in given), default=0) if isinstance(op, Call) or op.overlaps else 0
    return 1
