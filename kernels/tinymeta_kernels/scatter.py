"""Adding values up where an index sends them: the adjoint of taking entries by index.

    take           y[i, :]  =  x[index[i], :]
    scatter_add    x[index[i], :]  +=  y[i, :]          entries that share an index add up

One thread in one order: the sums do not depend on the machine. They are kept in float64.
"""

import math

import numpy as np

from ._jit import has_kernel, jit
from ._layout import Array, broadcast_shapes, broadcast_to, c_order, common, within

__all__ = ["scatter_add"]


def scatter_add(values: Array, index: Array, size: int, axis: int = -1) -> Array:
    """Sum slices of ``values`` into ``size`` slots along ``axis``; a slot that no index names is zero.

    Shapes: (…, n, *rest) and whole numbers (…, n) from -size to size - 1 → (…, size, *rest); leading axes broadcast.
    Raises: IndexError for an index outside of its range: `kernels.scatter_add(np.ones(1), np.array([3]), 3)`.

    >>> kernels.scatter_add(np.array([1.0, 2.0, 5.0]), np.array([0, 2, 0]), 3)
    array([6., 0., 2.])
    """
    (values,) = common(values)
    axis = axis % values.ndim
    n, rest = values.shape[axis], values.shape[axis + 1 :]
    slots = within(index, -size, size, f"indices for {size} slots")
    slots = np.where(slots < 0, slots + size, slots)
    lead = broadcast_shapes(values.shape[:axis], slots.shape[:-1])
    tasks, width = math.prod(lead), math.prod(rest)
    slots = c_order(broadcast_to(slots, (*lead, n))).reshape(tasks, n)
    values = c_order(broadcast_to(values, (*lead, n, *rest))).reshape(tasks, n, width)
    if not has_kernel(values.dtype):
        sums = np.zeros((tasks, size, width), values.dtype)
        np.add.at(sums, (np.arange(tasks)[:, None], slots), values)
    else:
        sums = np.empty((tasks, size, width), values.dtype)
        _scatter_add(values, slots, np.empty((size, width)), sums)
    return sums.reshape(*lead, size, *rest)


@jit
def _scatter_add(values: Array, slots: Array, out_sums: Array, out: Array) -> None:
    tasks, n, width = values.shape
    for t in range(tasks):
        out_sums[:] = 0
        for i in range(n):
            s = slots[t, i]
            for k in range(width):
                out_sums[s, k] += values[t, i, k]
        out[t] = out_sums
