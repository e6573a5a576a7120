"""For all, for some, and for how many: reductions of what is true. None has a gradient."""

from __future__ import annotations

import numpy as np

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.domain import Domain, Sample
from tinymeta.engine.primitive import Primitive, bind
from tinymeta.engine.tensor import ArrayLike, Tensor
from tinymeta.engine.typing import Axis
from tinymeta.ops.reduce import keep_axes, normalized

_truth = Domain(0, 1, "bool")


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
    """Whether all elements over `axis` (all axes if None) are true, that is, not 0.

    Shapes: (…) → (…) without the axes, or with size 1 in their place if `keepdims`.
    Raises: ShapeError for an axis that x lacks, or one named twice: `tm.all([1, 2], axis=1)`.

    >>> tm.all([[True, True], [True, False]], axis=1)
    tensor([ True, False])
    """
    return _over(all_axes, x, axis, keepdims)


def any(x: ArrayLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether any element over `axis` (all axes if None) is true, that is, not 0.

    Shapes: (…) → (…) without the axes, or with size 1 in their place if `keepdims`.
    Raises: ShapeError for an axis that x lacks, or one named twice: `tm.any([1, 2], axis=1)`.

    >>> tm.any([[True, True], [False, False]], axis=1)
    tensor([ True, False])
    """
    return _over(any_axes, x, axis, keepdims)


def count_nonzero(x: ArrayLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """How many elements over `axis` (all axes if None) are not 0.

    Shapes: (…) → (…) without the axes, or with size 1 in their place if `keepdims`; int64.
    Raises: ShapeError for an axis that x lacks, or one named twice: `tm.count_nonzero([1, 2], axis=1)`.

    >>> tm.count_nonzero([[1, 0], [2, 3]], axis=0)
    tensor([2, 1])
    """
    return _over(count_axes, x, axis, keepdims)


def _over(primitive: type[Primitive], x: ArrayLike, axis: Axis, keepdims: bool) -> Tensor:
    x = as_tensor(x)
    axes = normalized(axis, x.ndim)
    y: Tensor = bind(primitive, x, axes=axes)
    return keep_axes(y, axes, x.ndim) if keepdims else y
