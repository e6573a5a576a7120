"""Integers that address elements: indices, labels, the numbers of rows."""

from __future__ import annotations

import numpy as np

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.errors import DtypeError, user_site
from tinymeta.engine.primitive import bind
from tinymeta.engine.refusals import demand
from tinymeta.engine.structure import astype
from tinymeta.engine.tensor import Array, ArrayLike, Tensor

_LARGEST = np.iinfo(np.int64).max


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
    if indices.size and indices.max() > _LARGEST:
        raise IndexError(f"index {indices.max()} is larger than any array ({user_site()})")
