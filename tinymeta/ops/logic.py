"""Questions with a yes or a no for an answer: comparisons, logic, and reductions of them. None has a gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.domain import Domain, Sample, reals
from tinymeta.engine.primitive import Primitive, bind
from tinymeta.engine.tensor import ArrayLike, Tensor
from tinymeta.ops.reduce import Axis, keep_axes, normalized

_two = (reals(-2, 2), reals(-2, 2))
_truth = Domain(0, 1, "bool")


def _compare(name: str, symbol: str, ufunc: Any) -> type[Primitive]:
    """A comparison: two numbers in, a boolean out, no gradient. Complex numbers compare by their real parts."""
    real = staticmethod(lambda a, b: ufunc(np.real(a), np.real(b)))
    body = {
        "kernel": ufunc,
        "reference": real,
        "domain": _two,
        "kinks": (),
        "vjp": None,
        "__doc__": f"y = a {symbol} b.",
        "__module__": __name__,
    }
    return type(name, (Primitive,), body)


less = _compare("less", "<", np.less)
less_equal = _compare("less_equal", "≤", np.less_equal)
greater = _compare("greater", ">", np.greater)
greater_equal = _compare("greater_equal", "≥", np.greater_equal)
equal = _compare("equal", "=", np.equal)
not_equal = _compare("not_equal", "≠", np.not_equal)


def _asked(name: str, ufunc: Any, inputs: int, domain: Domain, meaning: str) -> type[Primitive]:
    """A question about one number or two."""
    body = {
        "kernel": ufunc,
        "reference": staticmethod(ufunc),
        "domain": (domain,) * inputs,
        "kinks": (),
        "vjp": None,
        "__doc__": f"y = {meaning}.",
        "__module__": __name__,
    }
    return type(name, (Primitive,), body)


logical_and = _asked("logical_and", np.logical_and, 2, _truth, "a and b, where what is not 0 counts as true")
logical_or = _asked("logical_or", np.logical_or, 2, _truth, "a or b, where what is not 0 counts as true")
logical_xor = _asked("logical_xor", np.logical_xor, 2, _truth, "a or b but not both")
logical_not = _asked("logical_not", np.logical_not, 1, _truth, "whether x is 0")
bitwise_and = _asked("bitwise_and", np.bitwise_and, 2, _truth, "a & b, for booleans and integers")
bitwise_or = _asked("bitwise_or", np.bitwise_or, 2, _truth, "a | b, for booleans and integers")
bitwise_xor = _asked("bitwise_xor", np.bitwise_xor, 2, _truth, "a ^ b, for booleans and integers")
bitwise_invert = _asked("bitwise_invert", np.bitwise_invert, 1, _truth, "~x, for booleans and integers")
isnan = _asked("isnan", np.isnan, 1, reals(-2, 2), "whether x is NaN")
isinf = _asked("isinf", np.isinf, 1, reals(-2, 2), "whether x is +∞ or −∞")
isfinite = _asked("isfinite", np.isfinite, 1, reals(-2, 2), "whether x is neither infinite nor NaN")


class all_axes(Primitive):
    """Whether all elements over the axes are true (not 0)."""

    kernel = staticmethod(lambda x, axes: np.logical_and.reduce(x, axis=axes))
    reference = staticmethod(lambda x, axes: np.multiply.reduce((x != 0).astype(int), axis=axes) == 1)
    domain, kinks, vjp = (_truth,), (), None
    samples = (Sample(((2, 3, 2),), {"axes": (-3, -1)}),)


class any_axes(Primitive):
    """Whether any element over the axes is true (not 0)."""

    kernel = staticmethod(lambda x, axes: np.logical_or.reduce(x, axis=axes))
    reference = staticmethod(lambda x, axes: np.maximum.reduce((x != 0).astype(int), axis=axes) == 1)
    domain, kinks, vjp = (_truth,), (), None
    samples = (Sample(((2, 3, 2),), {"axes": (-3, -1)}),)


class count_axes(Primitive):
    """How many elements over the axes are true (not 0)."""

    kernel = staticmethod(lambda x, axes: np.add.reduce(x != 0, axis=axes))
    reference = staticmethod(lambda x, axes: np.count_nonzero(x, axis=axes))
    domain, kinks, vjp = (_truth,), (), None
    samples = (Sample(((2, 3, 2),), {"axes": (-3, -1)}),)


def all(x: ArrayLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether all elements over `axis` (all axes if None) are true, that is, not 0."""
    return _over(all_axes, x, axis, keepdims)


def any(x: ArrayLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether any element over `axis` (all axes if None) is true, that is, not 0."""
    return _over(any_axes, x, axis, keepdims)


def count_nonzero(x: ArrayLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """How many elements over `axis` (all axes if None) are not 0."""
    return _over(count_axes, x, axis, keepdims)


def _over(primitive: type[Primitive], x: ArrayLike, axis: Axis, keepdims: bool) -> Tensor:
    x = as_tensor(x)
    axes = normalized(axis, x.ndim)
    y: Tensor = bind(primitive, x, axes=axes)
    return keep_axes(y, axes, x.ndim) if keepdims else y
