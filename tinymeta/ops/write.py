"""Writing at an index. Tensors never change in place: both functions give a new one."""

from __future__ import annotations

import math

import numpy as np

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.domain import Domain, Sample
from tinymeta.engine.primitive import Primitive, bind
from tinymeta.engine.structure import broadcast
from tinymeta.engine.tensor import Array, ArrayLike, Tensor
from tinymeta.ops.index import gather, getitem, scatter
from tinymeta.ops.select import where


def index_add(x: ArrayLike, key: object, values: ArrayLike) -> Tensor:
    """`x` with `values` added at `x[key]`, as often as the key names an element: NumPy's `np.add.at`.

    Shapes: x and values that broadcast to x[key] → the shape and dtype of x.
    Raises: IndexError for an index that x lacks: `tm.index_add([1, 2], 2, 1)`.

    >>> tm.index_add([1.0, 2.0], [0, 0], 10.0)
    tensor([21.,  2.])
    """
    x, values = as_tensor(x), as_tensor(values)
    at = getitem(Tensor(np.arange(x.size).reshape(x.shape)), key)
    values = broadcast(values.astype(x.dtype), at.shape)
    return x + bind(scatter, values, at, axis=-1, ndim=at.ndim, size=x.size).reshape(x.shape)


def index_set(x: ArrayLike, key: object, values: ArrayLike) -> Tensor:
    """`x` with `values` at `x[key]`; of several for one element the last one stays. Tensors never change in place.

    Shapes: x and values that broadcast to x[key] → the shape and dtype of x.
    Raises: IndexError for an index that x lacks: `tm.index_set([1, 2], 2, 1)`.

    >>> tm.index_set([1.0, 2.0, 3.0], slice(1, None), 0.0)
    tensor([1., 0., 0.])
    """
    x, values = as_tensor(x), as_tensor(values)
    at = getitem(Tensor(np.arange(x.size).reshape(x.shape)), key)
    if not at.size:
        return x
    flat: Tensor = broadcast(values.astype(x.dtype), at.shape).reshape(-1)
    source = bind(last, at, ndim=at.ndim, size=x.size)
    written = bind(gather, flat, where(source < 0, 0, source), axis=-1, ndim=1)
    return where((source >= 0).reshape(x.shape), written.reshape(x.shape), x)


class last(Primitive):
    """For each of `size` elements the last place in `at`, in row-major order, that names it; −1 if none does."""

    @staticmethod
    def kernel(at: Array, ndim: int, size: int) -> Array:
        hidden = at.shape[: at.ndim - ndim]
        flat = at.reshape(*hidden, math.prod(at.shape[at.ndim - ndim :]))
        y = np.full((*hidden, size), -1)
        np.put_along_axis(y, flat, np.broadcast_to(np.arange(flat.shape[-1]), flat.shape), -1)
        return y

    @staticmethod
    def reference(at: Array, ndim: int, size: int) -> Array:
        hidden = at.shape[: at.ndim - ndim]
        y = np.full((*hidden, size), -1)
        for example in np.ndindex(hidden):
            for place, element in enumerate(at[example].ravel()):
                y[(*example, element)] = place
        return y

    domain, kinks, vjp = (Domain(0, 4, "index"),), (), None
    samples = (Sample(((2, 3),), {"ndim": 2, "size": 5}),)
