"""The loops of ``norm.py`` for one channel: blocks (tasks, m, 1), normalised along the row.

Each sum is four sums side by side, because an addition waits for the one before it and compilers may not
reorder them.
"""

import numpy as np

from ._jit import jit
from ._layout import Array

__all__: list[str] = []


@jit
def _normalize_rows(x: Array, eps: float, out: Array, out_s: Array) -> None:
    tasks, m, _ = x.shape
    by_four = m - m % 4
    for t in range(tasks):
        s0 = s1 = s2 = s3 = np.float64(0)
        for i in range(0, by_four, 4):
            s0 += x[t, i, 0]
            s1 += x[t, i + 1, 0]
            s2 += x[t, i + 2, 0]
            s3 += x[t, i + 3, 0]
        for i in range(by_four, m):
            s0 += x[t, i, 0]
        mean = ((s0 + s1) + (s2 + s3)) / m
        s0 = s1 = s2 = s3 = np.float64(0)
        for i in range(0, by_four, 4):
            s0 += (x[t, i, 0] - mean) * (x[t, i, 0] - mean)
            s1 += (x[t, i + 1, 0] - mean) * (x[t, i + 1, 0] - mean)
            s2 += (x[t, i + 2, 0] - mean) * (x[t, i + 2, 0] - mean)
            s3 += (x[t, i + 3, 0] - mean) * (x[t, i + 3, 0] - mean)
        for i in range(by_four, m):
            s0 += (x[t, i, 0] - mean) * (x[t, i, 0] - mean)
        s = 1 / np.sqrt(((s0 + s1) + (s2 + s3)) / m + eps)
        out_s[t, 0] = s
        for i in range(m):
            out[t, i, 0] = (x[t, i, 0] - mean) * s


@jit
def _normalize_input_rows(g: Array, y: Array, s: Array, out: Array) -> None:
    tasks, m, _ = y.shape
    by_two = m - m % 2
    for t in range(tasks):
        g0 = g1 = gy0 = gy1 = np.float64(0)
        for i in range(0, by_two, 2):
            g0 += g[t, i, 0]
            g1 += g[t, i + 1, 0]
            gy0 += np.float64(g[t, i, 0]) * y[t, i, 0]
            gy1 += np.float64(g[t, i + 1, 0]) * y[t, i + 1, 0]
        for i in range(by_two, m):
            g0 += g[t, i, 0]
            gy0 += np.float64(g[t, i, 0]) * y[t, i, 0]
        mean_g, mean_gy = (g0 + g1) / m, (gy0 + gy1) / m
        for i in range(m):
            out[t, i, 0] = s[t, 0] * (g[t, i, 0] - mean_g - y[t, i, 0] * mean_gy)


@jit
def _normalize_input_grad_rows(h: Array, g: Array, y: Array, s: Array, out: Array, out_s: Array) -> None:
    tasks, m, _ = y.shape
    for t in range(tasks):
        # Five sums already run side by side.
        sum_h = sum_hy = sum_hg = sum_g = sum_gy = np.float64(0)
        for i in range(m):
            sum_h += h[t, i, 0]
            sum_hy += np.float64(h[t, i, 0]) * y[t, i, 0]
            sum_hg += np.float64(h[t, i, 0]) * g[t, i, 0]
            sum_g += g[t, i, 0]
            sum_gy += np.float64(g[t, i, 0]) * y[t, i, 0]
        mean_gy, mean_hy = sum_gy / m, sum_hy / m
        out_s[t, 0] = sum_hg - sum_h * (sum_g / m) - sum_hy * mean_gy
        for i in range(m):
            out[t, i, 0] = -s[t, 0] * (h[t, i, 0] * mean_gy + g[t, i, 0] * mean_hy)
