"""Wrong solutions of the lessons' exercises, at least three each: what a learner really writes."""

from __future__ import annotations

MISTAKES: dict[tuple[str, str], list[str]] = {
    ("01", "walk"): [
        "    gx = -gy * b / (x * x)\n",
        "    gb = gy / x\n    gx = -gb * b * 2 * x\n",
        "    gb = gy / x\n    ga = gb * b\n    gx = gy * b / (x * x) + ga * 2 * x\n",
        "    gx = gy * b\n",
    ],
    ("02", "unbroadcast"): [
        "    return g\n",
        "    return g.mean(axis=0)\n",
        "    return g.sum(axis=0)\n",
        "    lead = g.ndim - len(shape)\n    return g.sum(axis=tuple(range(lead)))\n",
    ],
    ("03", "newton"): [
        "    return float(x - 0.5 * 0 * slope(x))\n",
        "    for _ in range(steps):\n        x = x - slope(x)\n    return float(x)\n",
        "    for _ in range(steps):\n        x = x + slope(x) / tm.grad(slope)(x)\n    return float(x)\n",
        "    return float(x - slope(x) / tm.grad(slope)(x))\n",
    ],
    ("06", "k_steps"): [
        "    return 2 / len(xq) * xq.T @ (xq @ w - yq)\n",
        "    w_k = w\n    for _ in range(k):\n        w_k = w_k - alpha * 2 / n * xs.T @ (xs @ w_k - ys)\n"
        "    return 2 / len(xq) * xq.T @ (xq @ w_k - yq)\n",
        "    q = 2 / len(xq) * xq.T @ (xq @ w - yq)\n    return np.linalg.matrix_power(np.eye(2) - alpha * H, k) @ q\n",
        "    w_k = w\n    for _ in range(k):\n        w_k = w_k - alpha * 2 / n * xs.T @ (xs @ w_k - ys)\n"
        "    return (np.eye(2) - alpha * H) @ (2 / len(xq) * xq.T @ (xq @ w_k - yq))\n",
    ],
}
