"""Products of matrices, one per task or with one factor shared by all tasks.

    y[t, i, j]  =  sum over p of  a[t, i, p] · b[t, p, j]

There is no loop of ours here: BLAS won every size that was tried but 4 x 4 (see the README). What is ours
is the choice of the call:

- b shared by all tasks: the tasks are rows of one product, which reads b once;
- one term in the sum: an outer product, which NumPy's matmul does without BLAS and its multiply does faster;
- much work: threads share the tasks;
- a factor whose rows and columns are both strided: it is copied first, or NumPy would not use BLAS.

Transposed views cost nothing: BLAS reads either order.
"""

import math

import numpy as np

from ._layout import Array, broadcast_shapes, broadcast_to, common
from .threads import run

__all__ = ["matmul"]

# Multiply-adds worth waking a thread for: some 0.1 ms of work.
SHARED_WORK = 1 << 22


def matmul(a: Array, b: Array) -> Array:
    """Multiply matrices; leading axes (tasks) broadcast.

    Shapes: (…, m, k) and (…, k, n) → (…, m, n).

    >>> kernels.matmul(np.array([[[1.0, 2.0]]]), np.array([[[10.0], [1.0]]]))
    array([[[12.]]])
    """
    a, b = common(a, b)
    (m, k), n = a.shape[-2:], b.shape[-1]
    if k == 1 == b.shape[-2]:
        outer: Array = np.multiply(a, b)
        return outer
    a, b = _for_blas(a), _for_blas(b)
    lead = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    tasks = math.prod(lead)
    if b.size == k * n and a.size == tasks * m * k and (m == 1 or a.strides[-1] == a.itemsize):
        rows: Array = np.matmul(a.reshape(tasks * m, k), b.reshape(b.shape[-2:]))
        return rows.reshape(*lead, m, n)
    work = m * k * n
    if tasks < 2 or tasks * work < SHARED_WORK:
        y: Array = np.matmul(a, b)
        return y
    a = broadcast_to(a, (*lead, m, k)).reshape(tasks, m, k)
    b = broadcast_to(b, (*lead, *b.shape[-2:])).reshape(tasks, *b.shape[-2:])
    y = np.empty((tasks, m, n), a.dtype)
    step = max(1, SHARED_WORK // (4 * work))

    def multiply(t: slice) -> None:
        np.matmul(a[t], b[t], out=y[t])

    run(multiply, [slice(t, t + step) for t in range(0, tasks, step)])
    return y.reshape(*lead, m, n)


def _for_blas(x: Array) -> Array:
    """The matrices themselves if their rows or their columns are contiguous, else a copy."""
    row, column = x.strides[-2:]
    rows, columns = x.shape[-2:]
    if (column == x.itemsize and row >= columns * column) or (row == x.itemsize and column >= rows * row):
        return x
    return x.copy(order="C")
