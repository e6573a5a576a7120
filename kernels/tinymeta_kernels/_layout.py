"""What the Python front of a kernel does to its arrays before the loop sees them."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Array",
    "DType",
    "broadcast_shapes",
    "broadcast_to",
    "c_order",
    "common",
    "in_memory_order",
    "within",
]

Array: TypeAlias = NDArray[Any]
DType: TypeAlias = np.dtype[Any]
Shape: TypeAlias = tuple[int, ...]


def common(*arrays: ArrayLike) -> tuple[Array, ...]:
    """The arrays in the dtype that NumPy promotes them to; nothing is copied that has it already."""
    given = tuple(a if isinstance(a, np.ndarray) else np.asarray(a) for a in arrays)
    dtype = given[0].dtype
    for a in given:
        if a.dtype is not dtype or not dtype.isnative:
            dtype = np.result_type(*given)
            return tuple(a if a.dtype == dtype else a.astype(dtype) for a in given)
    return given


def broadcast_shapes(first: Shape, *others: Shape) -> Shape:
    """``np.broadcast_shapes``, but quick for shapes that are the same or empty."""
    for shape in others:
        if shape != first and shape != ():
            return np.broadcast_shapes(first, *others)
    return first


def broadcast_to(x: Array, shape: Shape) -> Array:
    """``np.broadcast_to``, but quick for an array that has the shape."""
    return x if x.shape == shape else np.broadcast_to(x, shape)


def within(index: ArrayLike, low: int, high: int, what: str) -> Array:
    """Whole numbers as int64; an IndexError that says ``what`` they are unless low ≤ index < high."""
    whole = np.asarray(index)
    if whole.size and not (whole.min() >= low and whole.max() < high):
        raise IndexError(f"{what} run from {low} to {high - 1}, and not from {whole.min()} to {whole.max()}")
    return whole.astype(np.int64, copy=False)


def c_order(x: Array) -> Array:
    """The array itself if it is C-contiguous, else a copy that is. 0-d stays 0-d."""
    flags = x.flags
    return x if flags.c_contiguous and flags.aligned else x.copy(order="C")


def in_memory_order(*arrays: Array) -> tuple[list[Array], Callable[[Array], Array]]:
    """Arrays of one shape as vectors, for elementwise loops, in the order of the first one's memory.

    The second answer turns such a vector into an array of the shape and the memory order of the first, so
    that channels-last images stay so. ValueError where the shapes differ.
    """
    first = arrays[0]
    if any(a.shape != first.shape for a in arrays):
        raise ValueError(f"arrays must have one shape, got {', '.join(str(a.shape) for a in arrays)}")
    if all(a.flags.c_contiguous for a in arrays):
        return [c_order(a).reshape(-1) for a in arrays], lambda vector: vector.reshape(first.shape)
    order = sorted(range(first.ndim), key=lambda axis: -abs(first.strides[axis]))
    back = sorted(range(first.ndim), key=order.__getitem__)
    shape = tuple(first.shape[axis] for axis in order)
    vectors = [c_order(a.transpose(order)).reshape(-1) for a in arrays]
    return vectors, lambda vector: vector.reshape(shape).transpose(back)
