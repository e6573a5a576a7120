"""Oracles for derivatives: the complex step, and central differences where that can't be taken.

For an analytic f of real numbers, Im f(x + ih)/h = f'(x) + O(h²) without any cancellation, so h can be so
small that the result is exact to rounding (Squire & Trapp 1998). Kernels take real numbers only; their
references take complex ones. With every kernel exchanged for its reference, the engine itself computes
with complex numbers, its gradients of any order included: the complex step through the gradient program
of order n checks order n + 1 to machine precision, with no finite difference anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from tinymeta.engine.primitive import Primitive
from tinymeta.engine.tensor import Array

STEP = 1e-20


@contextmanager
def references() -> Iterator[None]:
    """Every primitive runs its reference in place of its kernel while the `with` block lasts (in all threads)."""
    kernels = [(primitive, vars(primitive)["kernel"]) for primitive in Primitive.registry.values()]
    try:
        for primitive, _ in kernels:
            primitive.kernel = staticmethod(primitive.reference)
        yield
    finally:
        for primitive, kernel in kernels:
            primitive.kernel = kernel


def complex_step(
    f: Callable[[list[Array]], Sequence[Array]], points: Sequence[Array], directions: Sequence[Array]
) -> list[Array]:
    """The derivative of `f`, a function of lists of arrays, at `points` along `directions`."""
    moved = [x + 1j * STEP * v for x, v in zip(points, directions)]
    return [np.imag(y) / STEP for y in f(moved)]


def central_difference(
    f: Callable[[list[Array]], Sequence[Array]], points: Sequence[Array], directions: Sequence[Array]
) -> list[Array]:
    """The same by five points (Abramowitz & Stegun 25.3.6), the error h⁴f⁽⁵⁾/30 + 3ε|f|/2h with h = 1e-3."""
    step = 1e-3
    weights = {-2: 1, -1: -8, 1: 8, 2: -1}
    runs = []
    for k, weight in weights.items():
        moved = [x + k * step * v for x, v in zip(points, directions)]
        runs.append([weight * np.asarray(y) for y in f(moved)])
    return [np.sum(column, axis=0) / (12 * step) for column in zip(*runs)]
