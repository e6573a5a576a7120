"""Dtypes wide enough for what a function computes on its way, where its result would fit into the given one."""

from __future__ import annotations

import numpy as np

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.errors import DtypeError, user_site
from tinymeta.engine.primitive import bind
from tinymeta.engine.refusals import demand
from tinymeta.engine.state import state
from tinymeta.engine.structure import astype
from tinymeta.engine.tensor import Array, ArrayLike, Tensor


def floating(x: ArrayLike) -> Tensor:
    """`x` for a function of real numbers: integers and booleans in float64.

    In their own dtype these would wrap around: −1 is 255 in uint8, and 100² is 16 in int8.
    """
    x = as_tensor(x)
    return bind(astype, x, dtype=np.dtype(np.float64)) if x.dtype.kind in "iub" else x


def real(what: str, x: Tensor) -> Tensor:
    """`x` for a function that has more than one meaning for complex numbers, or none."""
    if x.dtype.kind == "c" and "c" not in state.differentiable:
        raise DtypeError(
            f"{what} takes real numbers and got {x.dtype} of shape {x.shape} ({user_site()}): of complex ones it would "
            "have to say which are conjugated, and which is the larger. Hand their real and imaginary parts over"
        )
    return x


def squarable(x: Tensor) -> Tensor:
    """`x` for a mean of squares: float16, where squares overflow from 256 on, in float32."""
    return bind(astype, x, dtype=np.dtype(np.float32)) if x.dtype == np.float16 else x


def double(x: ArrayLike) -> Tensor:
    """`x` in float64 (complex numbers in complex128), where the squares of all smaller floats fit in."""
    x = as_tensor(x)
    dtype = np.result_type(x.dtype, np.float64)
    return x if x.dtype == dtype else bind(astype, x, dtype=dtype)


def integers(indices: ArrayLike, what: str) -> Tensor:
    """`indices` as a Tensor of int64: sums and products of narrower ones would wrap around."""
    found = as_tensor(indices)
    if isinstance(indices, list) and not indices:
        return Tensor(found.array.astype(np.int64))
    if found.dtype.kind not in "iu":
        raise DtypeError(f"{what} needs integers and got {found.dtype} of shape {found.shape} ({user_site()})")
    if found.dtype == np.int64:
        return found
    if found.dtype == np.uint64:
        demand(_representable, found)
    return bind(astype, found, dtype=np.dtype(np.int64))


def _representable(indices: Array) -> None:
    if indices.size and indices.max() > np.iinfo(np.int64).max:
        raise IndexError(f"index {indices.max()} is larger than any array ({user_site()})")
