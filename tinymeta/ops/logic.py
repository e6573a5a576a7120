"""Questions with a yes or a no for an answer: comparisons and logic. None has a gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinymeta.engine.domain import Domain, reals
from tinymeta.engine.primitive import Primitive

_real, _truth = reals(-2, 2), Domain(0, 1, "bool")


def _compared(ufunc: np.ufunc) -> tuple[Any, ...]:
    """The parts of a comparison: complex numbers, which the oracle may bring, compare by their real parts."""
    return ufunc, staticmethod(lambda a, b: ufunc(np.real(a), np.real(b))), (_real, _real), (), None


def _asked(ufunc: np.ufunc, *domain: Domain) -> tuple[Any, ...]:
    """The parts of a question about one number or two."""
    return ufunc, staticmethod(ufunc), domain, (), None


class less(Primitive):
    """Whether a < b: booleans, without a gradient.

    Shapes: a, b → what they broadcast to.
    Raises: ShapeError where they don't broadcast: `tm.less([1, 2], [1, 2, 3])`.

    >>> tm.less([1, 2], [2, 2])
    tensor([ True, False])
    """

    kernel, reference, domain, kinks, vjp = _compared(np.less)


class less_equal(Primitive):
    """Whether a ≤ b: booleans, without a gradient.

    Shapes: a, b → what they broadcast to.
    Raises: ShapeError where they don't broadcast: `tm.less_equal([1, 2], [1, 2, 3])`.

    >>> tm.less_equal([1, 2], [2, 2])
    tensor([ True,  True])
    """

    kernel, reference, domain, kinks, vjp = _compared(np.less_equal)


class greater(Primitive):
    """Whether a > b: booleans, without a gradient.

    Shapes: a, b → what they broadcast to.
    Raises: ShapeError where they don't broadcast: `tm.greater([1, 2], [1, 2, 3])`.

    >>> tm.greater([1, 2], [2, 2])
    tensor([False, False])
    """

    kernel, reference, domain, kinks, vjp = _compared(np.greater)


class greater_equal(Primitive):
    """Whether a ≥ b: booleans, without a gradient.

    Shapes: a, b → what they broadcast to.
    Raises: ShapeError where they don't broadcast: `tm.greater_equal([1, 2], [1, 2, 3])`.

    >>> tm.greater_equal([1, 2], [2, 2])
    tensor([False,  True])
    """

    kernel, reference, domain, kinks, vjp = _compared(np.greater_equal)


class equal(Primitive):
    """Whether a = b: booleans, without a gradient.

    Shapes: a, b → what they broadcast to.
    Raises: ShapeError where they don't broadcast: `tm.equal([1, 2], [1, 2, 3])`.

    >>> tm.equal([1, 2], [2, 2])
    tensor([False,  True])
    """

    kernel, reference, domain, kinks, vjp = _compared(np.equal)


class not_equal(Primitive):
    """Whether a ≠ b: booleans, without a gradient.

    Shapes: a, b → what they broadcast to.
    Raises: ShapeError where they don't broadcast: `tm.not_equal([1, 2], [1, 2, 3])`.

    >>> tm.not_equal([1, 2], [2, 2])
    tensor([ True, False])
    """

    kernel, reference, domain, kinks, vjp = _compared(np.not_equal)


class logical_and(Primitive):
    """Whether both a and b are true, that is, not 0. No gradient.

    Shapes: a, b → what they broadcast to.
    Raises: ShapeError where they don't broadcast: `tm.logical_and([1, 2], [1, 2, 3])`.

    >>> tm.logical_and([1, 1, 0], [1, 0, 0])
    tensor([ True, False, False])
    """

    kernel, reference, domain, kinks, vjp = _asked(np.logical_and, _truth, _truth)


class logical_or(Primitive):
    """Whether a or b, or both, are true, that is, not 0. No gradient.

    Shapes: a, b → what they broadcast to.
    Raises: ShapeError where they don't broadcast: `tm.logical_or([1, 2], [1, 2, 3])`.

    >>> tm.logical_or([1, 1, 0], [1, 0, 0])
    tensor([ True,  True, False])
    """

    kernel, reference, domain, kinks, vjp = _asked(np.logical_or, _truth, _truth)


class logical_xor(Primitive):
    """Whether a or b is true, that is, not 0, but not both. No gradient.

    Shapes: a, b → what they broadcast to.
    Raises: ShapeError where they don't broadcast: `tm.logical_xor([1, 2], [1, 2, 3])`.

    >>> tm.logical_xor([1, 1, 0], [1, 0, 0])
    tensor([False,  True, False])
    """

    kernel, reference, domain, kinks, vjp = _asked(np.logical_xor, _truth, _truth)


class logical_not(Primitive):
    """Whether x is 0. No gradient.

    Shapes: any → the same.

    >>> tm.logical_not([0, 2])
    tensor([ True, False])
    """

    kernel, reference, domain, kinks, vjp = _asked(np.logical_not, _truth)


class bitwise_and(Primitive):
    """y = a & b, bit by bit, for booleans and integers. No gradient.

    Shapes: a, b → what they broadcast to.
    Raises: DtypeError of other numbers: `tm.bitwise_and(1.0, 2)`.

    >>> tm.bitwise_and(12, 10)
    tensor(8)
    """

    kernel, reference, domain, kinks, vjp = _asked(np.bitwise_and, _truth, _truth)


class bitwise_or(Primitive):
    """y = a | b, bit by bit, for booleans and integers. No gradient.

    Shapes: a, b → what they broadcast to.
    Raises: DtypeError of other numbers: `tm.bitwise_or(1.0, 2)`.

    >>> tm.bitwise_or(12, 10)
    tensor(14)
    """

    kernel, reference, domain, kinks, vjp = _asked(np.bitwise_or, _truth, _truth)


class bitwise_xor(Primitive):
    """y = a ^ b, bit by bit, for booleans and integers. No gradient.

    Shapes: a, b → what they broadcast to.
    Raises: DtypeError of other numbers: `tm.bitwise_xor(1.0, 2)`.

    >>> tm.bitwise_xor(12, 10)
    tensor(6)
    """

    kernel, reference, domain, kinks, vjp = _asked(np.bitwise_xor, _truth, _truth)


class bitwise_invert(Primitive):
    """y = ~x, bit by bit, for booleans and integers. No gradient.

    Shapes: any → the same.
    Raises: DtypeError of other numbers: `tm.bitwise_invert(1.0)`.

    >>> tm.bitwise_invert([True, False])
    tensor([False,  True])
    """

    kernel, reference, domain, kinks, vjp = _asked(np.bitwise_invert, _truth)


class isnan(Primitive):
    """Whether x is NaN. No gradient.

    Shapes: any → the same.

    >>> tm.isnan([0.0, np.inf, np.nan])
    tensor([False, False,  True])
    """

    kernel, reference, domain, kinks, vjp = _asked(np.isnan, _real)


class isinf(Primitive):
    """Whether x is +∞ or −∞. No gradient.

    Shapes: any → the same.

    >>> tm.isinf([0.0, np.inf, np.nan])
    tensor([False,  True, False])
    """

    kernel, reference, domain, kinks, vjp = _asked(np.isinf, _real)


class isfinite(Primitive):
    """Whether x is neither infinite nor NaN. No gradient.

    Shapes: any → the same.

    >>> tm.isfinite([0.0, np.inf, np.nan])
    tensor([ True, False, False])
    """

    kernel, reference, domain, kinks, vjp = _asked(np.isfinite, _real)
