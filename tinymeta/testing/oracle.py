"""Oracles for derivatives: the complex step, and differences where that can't be taken.

For an analytic f of real numbers, Im f(x + ih)/h = f'(x) + O(h²) without any cancellation, so h can be so
small that the result is exact to rounding (Squire & Trapp 1998). Kernels take real numbers only; their
references take complex ones. With every kernel exchanged for its reference, the engine itself computes
with complex numbers, its gradients of any order included: the complex step through the gradient program
of order n checks order n + 1 to machine precision, with no finite difference anywhere.

Where a reference isn't analytic, or overflows, differences of real numbers decide: `extrapolated` takes ever
smaller steps and says how far it can be trusted, `sides` does so on one side at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from tinymeta.engine.primitive import Primitive
from tinymeta.engine.state import setting, state
from tinymeta.engine.structure import stop_gradient
from tinymeta.engine.tensor import Array

STEP = 1e-20
RATIO, LEVELS = 4.0, 14

Function = Callable[[list[Array]], Sequence[Array]]


@contextmanager
def exchanged(change: Callable[[type[Primitive]], Function]) -> Iterator[None]:
    """Every primitive runs `change(primitive)` in place of its kernel while the `with` block lasts (in all threads)."""
    kernels = [(primitive, vars(primitive)["kernel"]) for primitive in Primitive.registry.values()]
    try:
        for primitive, _ in kernels:
            primitive.kernel = staticmethod(change(primitive))
        yield
    finally:
        for primitive, kernel in kernels:
            primitive.kernel = kernel


@contextmanager
def references() -> Iterator[None]:
    """Every primitive runs its reference in place of its kernel while the `with` block lasts (in all threads).

    Shapes: of any operation; complex numbers may come in.

    >>> with tm.testing.references():
    ...     tm.sigmoid(np.array([1e-20j])).array.imag * 1e20
    array([0.25])
    """
    with exchanged(lambda primitive: primitive.reference), setting(differentiable="fc"):
        yield


@contextmanager
def constants(values: list[Array], recording: bool) -> Iterator[None]:
    """What a function detaches keeps the value that it had while `recording`, however its arguments are moved.

    So a difference sees the constants that a gradient sees. Inside a rule nothing is kept: a rule that
    detaches what it should not is to be found out.
    """
    given = iter(values)

    def kept(x: Array) -> Array:
        if state.maker is not None:
            return x
        if recording:
            values.append(np.array(x))
            return x
        return next(given, x)

    with replaced(stop_gradient, "kernel", kept):
        yield


@contextmanager
def replaced(primitive: type[Primitive], part: str, new: Any) -> Iterator[None]:
    """Something else in place of a kernel or a rule while the `with` block lasts."""
    before = vars(primitive)[part]
    setattr(primitive, part, staticmethod(new))
    try:
        yield
    finally:
        setattr(primitive, part, before)


def complex_step(f: Function, points: Sequence[Array], directions: Sequence[Array], step: float = STEP) -> list[Array]:
    """The derivative of `f`, a function of lists of arrays, at `points` along `directions`: Im f(x + ihv)/h.

    Shapes: points and directions, lists of arrays of the same shapes → a list like the result of f.
    Source: Squire & Trapp 1998.

    >>> tm.testing.complex_step(lambda xs: [np.sin(xs[0])], [np.array([0.0])], [np.array([2.0])])
    [array([2.])]
    """
    moved = [x + 1j * step * v for x, v in zip(points, directions)]
    return [np.imag(y) / step for y in f(moved)]


def central_difference(f: Function, points: Sequence[Array], directions: Sequence[Array]) -> list[Array]:
    """The derivative of `f` at `points` along `directions` by five points.

    Its error is h⁴f⁽⁵⁾/30 + 3ε|f|/2h with h = 1e-3.

    Shapes: points and directions, lists of arrays of the same shapes → a list like the result of f.
    Source: Abramowitz & Stegun 25.3.6.

    >>> tm.testing.central_difference(lambda xs: [np.sin(xs[0])], [np.array([0.0])], [np.array([2.0])])
    [array([2.])]
    """
    step = 1e-3
    runs = (f([x + k * step * v for x, v in zip(points, directions)]) for k in (-2, -1, 1, 2))
    return [(np.asarray(a) - 8 * np.asarray(b) + 8 * np.asarray(c) - d) / (12 * step) for a, b, c, d in zip(*runs)]


class Estimate(NamedTuple):
    """A derivative by differences: its value, how far off it may be, and whether it grew without end."""

    value: float
    error: float
    diverges: bool


def extrapolated(f: Function, points: Sequence[Array], directions: Sequence[Array], side: int = 0) -> Estimate:
    """The derivative of Σf by differences over steps that shrink fourfold, extrapolated to 0 (Ridders 1982).

    `side` is 0 for central differences, whose error is a series in h², and ±1 for one-sided ones, in h.
    The estimate whose neighbours in the table are nearest is taken; to its error comes the rounding of f,
    4ε Σ|f|/h over the entries of f that some step moved. Steps at which f is not finite or raises are left out.
    """
    size = max([1.0, *(float(np.abs(x[v != 0]).max(initial=0.0)) for x, v in zip(points, directions))])
    power = RATIO if side else RATIO**2
    best = Estimate(np.nan, np.inf, False)
    row: list[float] = []
    quotients: list[tuple[float, float]] = []
    reached: list[Any] = []
    for level in range(LEVELS):
        step = size / 8 * RATIO**-level
        ends = (-step, step) if side == 0 else (min(side, 0) * step, max(side, 0) * step)
        low, high = (_finite(f, [x + s * v for x, v in zip(points, directions)]) for s in ends)
        if low is None or high is None:
            row, quotients = [], []
            continue
        reached = [was | (a != b) for was, a, b in zip(reached or [False] * len(low), low, high)]
        value = sum(float(np.sum(b - a)) for a, b in zip(low, high)) / (ends[1] - ends[0])
        moved = sum(float(np.sum((np.abs(a) + np.abs(b)) * r)) for a, b, r in zip(low, high, reached))
        rounding = 4 * 2.0**-52 * moved / step
        quotients.append((abs(value), rounding))
        above, row = row, [value]
        for m, before in enumerate(above, 1):
            row.append(row[-1] + (row[-1] - before) / (power**m - 1))
            error = max(abs(row[-1] - row[-2]), abs(row[-1] - before)) + rounding
            if error < best.error:
                best = Estimate(row[-1], error, False)
        if best.error <= 1e-10 * abs(best.value):
            break
    return best._replace(diverges=_grows(quotients))


def _finite(f: Function, points: list[Array]) -> list[Array] | None:
    """The values of f, or None where one is not finite or f raises: outside of its domain."""
    try:
        with np.errstate(all="ignore"):
            values = [np.asarray(y) for y in f(points)]
    except (ArithmeticError, ValueError, np.linalg.LinAlgError):
        return None
    return values if all(np.isfinite(y).all() for y in values) else None


def _grows(quotients: Sequence[tuple[float, float]]) -> bool:
    """Whether the quotients grow as the step shrinks, as h^(−1/2) or faster, beyond what rounding does."""
    last = quotients[-5:]
    steps = [b > 1.9 * a for (a, _), (b, _) in zip(last, last[1:])]
    return len(steps) == 4 and all(steps) and last[-1][0] > 100 * last[-1][1]
