"""Short chains of elementwise operations in one pass, where NumPy would make an array for each.

    linear_relu    y   =  max(x w + b, 0)               b added and clipped in the product's own memory
    relu_input     gx  =  g where y > 0, else 0         the adjoint of relu at its value y (0 at the kink)

NumPy's ``where`` branches at each entry and its broadcast addition starts anew for each short row; one loop
without branches does neither.
"""

import math

import numpy as np

from ._jit import has_kernel, jit
from ._layout import Array, broadcast_shapes, broadcast_to, c_order, common, in_memory_order
from .matmul import matmul

__all__ = ["linear_relu", "relu_input"]


def linear_relu(x: Array, w: Array, b: Array) -> Array:
    """``relu(x @ w + b)``; leading axes broadcast.

    Shapes: (…, m, k), (…, k, n) and (…, n) → (…, m, n).

    >>> kernels.linear_relu(np.array([[1.0, 2.0]]), np.array([[1.0, -1.0], [1.0, -1.0]]), np.array([0.5, 0.5]))
    array([[3.5, 0. ]])
    """
    x, w, b = common(x, w, b)
    y = matmul(x, w)
    if not has_kernel(y.dtype):
        z = y + b[..., None, :]
        return np.where(z.real <= 0, 0, z)
    m, n = y.shape[-2:]
    lead = broadcast_shapes(y.shape[:-2], b.shape[:-1])
    if y.shape[:-2] != lead or not y.flags.carray:
        y = broadcast_to(y, (*lead, m, n)).copy(order="C")
    shared = b.size == n
    b = b.reshape(1, n) if shared else c_order(broadcast_to(b, (*lead, n))).reshape(math.prod(lead), n)
    _add_and_clip(c_order(b), y.reshape(math.prod(lead), m, n))
    return y


def relu_input(g: Array, y: Array) -> Array:
    """Adjoint of relu at its value y (or at its argument, which has the same sign): g where y > 0, else 0.

    Shapes: g and y, (…) → (…).
    Raises: ValueError where they don't broadcast: `kernels.relu_input(np.ones(2), np.ones(3))`.

    >>> kernels.relu_input(np.array([5.0, 5.0]), np.array([2.0, 0.0]))
    array([5., 0.])
    """
    g, y = np.broadcast_arrays(*common(g, y))
    if not has_kernel(g.dtype):
        return np.where(y.real > 0, g, 0)
    (y_vector, g_vector), restore = in_memory_order(y, g)
    gx = np.empty_like(y_vector)
    _keep_where_positive(g_vector, y_vector, gx)
    return restore(gx)


@jit
def _add_and_clip(b: Array, out: Array) -> None:
    tasks, m, n = out.shape
    for t in range(tasks):
        row = t if len(b) > 1 else 0
        for i in range(m):
            for j in range(n):
                z = out[t, i, j] + b[row, j]
                out[t, i, j] = 0 if z <= 0 else z  # NaN stays NaN


@jit
def _keep_where_positive(g: Array, y: Array, out: Array) -> None:
    for i in range(g.size):
        out[i] = g[i] if y[i] > 0 else 0
