"""Softmax and cross-entropy along the last axis, and the gradient.

    softmax(x)[k]   =  exp(x[k] - m) / sum over j of exp(x[j] - m),        m = max over j of x[j]
    logsumexp(x)    =  m + log(sum over j of exp(x[j] - m))
    cross-entropy   =  logsumexp(x) - x[label],      its gradient   softmax(x) - onehot(label)

Subtracting the maximum changes nothing in exact arithmetic and keeps exp from overflowing (where m is not
finite, nothing is subtracted). One loop per row finds the maximum and subtracts it, NumPy's SIMD takes the
exponentials of the whole array, several times faster than Numba's scalar exp, and one loop per row
finishes. Sums are kept in float64, four of them side by side so that an addition need not wait for the
one before. A NaN makes its row NaN.

The maximum's own exponential is 1 and not added: the logarithm is log1p of the others, so that a loss near 0 keeps
its digits, and the gradient at a label of probability above 1/2 is minus the sum of the others, not a difference
from 1.
"""

import math

import numpy as np

from ._jit import has_kernel, jit
from ._layout import Array, broadcast_shapes, broadcast_to, c_order, common, within

__all__ = ["softmax_cross_entropy", "softmax_cross_entropy_grad"]


def softmax_cross_entropy(logits: Array, labels: Array) -> Array:
    """Loss of each row, ``-log softmax(logits)[label]``. Leading axes broadcast.

    Shapes: (…, K) and whole numbers (…) → (…).
    Raises: IndexError for a label outside of [0, K): `kernels.softmax_cross_entropy(np.ones((1, 2)), np.array([2]))`.

    >>> kernels.softmax_cross_entropy(np.zeros((1, 2)), np.array([1]))
    array([0.6931])
    """
    (x,) = common(logits)
    k = within(labels, 0, x.shape[-1], f"labels for {x.shape[-1]} classes")
    lead = broadcast_shapes(x.shape[:-1], k.shape)
    x, k = broadcast_to(x, (*lead, x.shape[-1])), broadcast_to(k, lead)
    if not has_kernel(x.dtype):
        shifted = x - _finite_max(x)
        loss: Array = _log_sum_of(shifted) - np.take_along_axis(shifted, k[..., None], -1)[..., 0]
        return loss
    rows = _shifted(x)
    y = np.empty(len(rows), x.dtype)
    _log_sum(np.exp(rows), y)
    y -= rows[np.arange(len(rows)), k.reshape(-1)]
    return y.reshape(lead)


def softmax_cross_entropy_grad(logits: Array, labels: Array, g: Array) -> Array:
    """``(softmax(logits) - onehot(labels)) * g``. Leading axes broadcast.

    Shapes: (…, K), whole numbers (…) and (…) → (…, K).
    Raises: IndexError for a label outside of [0, K):
    `kernels.softmax_cross_entropy_grad(np.ones((1, 2)), np.array([2]), np.ones(1))`.

    >>> kernels.softmax_cross_entropy_grad(np.zeros((1, 2)), np.array([1]), np.ones(1))
    array([[ 0.5, -0.5]])
    """
    x, g = common(logits, g)
    k = within(labels, 0, x.shape[-1], f"labels for {x.shape[-1]} classes")
    lead = broadcast_shapes(x.shape[:-1], k.shape, g.shape)
    x, k, g = broadcast_to(x, (*lead, x.shape[-1])), broadcast_to(k, lead), broadcast_to(g, lead)
    if not has_kernel(x.dtype):
        onehot, e = k[..., None] == np.arange(x.shape[-1]), np.exp(x - _finite_max(x))
        p = e / e.sum(axis=-1, keepdims=True)
        others = np.where(onehot, 0, p).sum(axis=-1, keepdims=True)
        gradient: Array = np.where(onehot, np.where(p > 0.5, -others, p - 1), p) * g[..., None]
        return gradient
    rows = _shifted(x)
    _cross_entropy_grad(c_order(g).reshape(-1), c_order(k).reshape(-1), np.exp(rows, out=rows))
    return rows.reshape(x.shape)


def _shifted(x: Array) -> Array:
    """The rows of x, each less its maximum."""
    rows = c_order(x).reshape(math.prod(x.shape[:-1]), x.shape[-1])
    shifted = np.empty_like(rows)
    _shift(rows, shifted)
    return shifted


def _finite_max(x: Array) -> Array:
    m = x.max(axis=-1, keepdims=True, initial=-np.inf)
    return np.where(np.isfinite(m), m, 0)


def _log_sum_of(shifted: Array) -> Array:
    tops = shifted == 0
    others = np.where(tops, 0, np.exp(shifted)).sum(axis=-1)
    with np.errstate(divide="ignore"):
        total: Array = np.log1p(others + (tops.sum(axis=-1) - 1).astype(others.dtype))
    return total


@jit
def _shift(x: Array, out: Array) -> None:
    rows, classes = x.shape
    zero = x.dtype.type(0)
    by_four = classes - classes % 4
    for r in range(rows):
        # A comparison with NaN is false. Whether or not NaN is the maximum, the row's sum becomes NaN.
        m0 = m1 = m2 = m3 = x[r, 0]
        for k in range(0, by_four, 4):
            m0 = x[r, k] if x[r, k] > m0 else m0
            m1 = x[r, k + 1] if x[r, k + 1] > m1 else m1
            m2 = x[r, k + 2] if x[r, k + 2] > m2 else m2
            m3 = x[r, k + 3] if x[r, k + 3] > m3 else m3
        for k in range(by_four, classes):
            m0 = x[r, k] if x[r, k] > m0 else m0
        m0 = m1 if m1 > m0 else m0
        m2 = m3 if m3 > m2 else m2
        m0 = m2 if m2 > m0 else m0
        m0 = m0 if np.isfinite(m0) else zero
        for k in range(classes):
            out[r, k] = x[r, k] - m0


@jit
def _log_sum(e: Array, out: Array) -> None:
    rows, classes = e.shape
    by_two = classes - classes % 2
    for r in range(rows):
        s0 = s1 = n0 = n1 = np.float64(0)
        for k in range(0, by_two, 2):
            top0, top1 = e[r, k] == 1, e[r, k + 1] == 1
            s0 += 0 if top0 else e[r, k]
            s1 += 0 if top1 else e[r, k + 1]
            n0 += 1 if top0 else 0
            n1 += 1 if top1 else 0
        for k in range(by_two, classes):
            top0 = e[r, k] == 1
            s0 += 0 if top0 else e[r, k]
            n0 += 1 if top0 else 0
        out[r] = np.log1p((s0 + s1) + (n0 + n1 - 1))


@jit
def _cross_entropy_grad(g: Array, labels: Array, out: Array) -> None:
    rows, classes = out.shape
    one = out.dtype.type(1)
    by_four = classes - classes % 4
    for r in range(rows):
        s0 = s1 = s2 = s3 = np.float64(0)
        for k in range(0, by_four, 4):
            s0 += out[r, k]
            s1 += out[r, k + 1]
            s2 += out[r, k + 2]
            s3 += out[r, k + 3]
        for k in range(by_four, classes):
            s0 += out[r, k]
        total = out.dtype.type((s0 + s1) + (s2 + s3))
        others = np.float64(0)  # 1 - softmax(x)[label], without that difference
        chosen = one
        for k in range(classes):
            p = out[r, k] / total
            others += 0 if k == labels[r] else p
            if k == labels[r]:
                chosen = p
            out[r, k] = p * g[r]
        out[r, labels[r]] = (-out.dtype.type(others) if chosen > 0.5 else chosen - one) * g[r]
