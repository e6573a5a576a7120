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
    ("04", "checker"): [
        "    right = (f(x + 1e-6) - f(x - 1e-6)) / 2e-6\n    return abs(slope(x) - right) <= 1e-6 * abs(right)\n",
        "    right = (f(x + 1e-30j) / 1e-30).imag\n    return abs(slope(x) - right) <= 1e-10\n",
        "    right = (f(x + 1e-30j) / 1e-30).imag\n    return abs(slope(x) - right) <= 1e-2 * abs(right)\n",
        "    right = (f(x + 1e-30j) / 1e-30).real\n    return abs(slope(x) - right) <= 1e-10 * abs(right)\n",
    ],
    ("05", "scatter"): [
        "    for k in range(g.shape[0]):\n        out[index[k]] = g[k]\n    return out\n",
        "    for k in range(g.shape[0]):\n        out[index[k]] += g[k]\n",
        "    for k in range(g.shape[0]):\n        for j in range(g.shape[1]):\n            out[k % 4, j] += g[k, j]\n"
        "    return out\n",
        "    out[index] += g\n    return out\n",
    ],
    ("06", "k_steps"): [
        "    return 2 / len(xq) * xq.T @ (xq @ w - yq)\n",
        "    w_k = w\n    for _ in range(k):\n        w_k = w_k - alpha * 2 / n * xs.T @ (xs @ w_k - ys)\n"
        "    return 2 / len(xq) * xq.T @ (xq @ w_k - yq)\n",
        "    q = 2 / len(xq) * xq.T @ (xq @ w - yq)\n    return np.linalg.matrix_power(np.eye(2) - alpha * H, k) @ q\n",
        "    w_k = w\n    for _ in range(k):\n        w_k = w_k - alpha * 2 / n * xs.T @ (xs @ w_k - ys)\n"
        "    return (np.eye(2) - alpha * H) @ (2 / len(xq) * xq.T @ (xq @ w_k - yq))\n",
    ],
    ("07", "reptile"): [
        "    adapted = model\n    for _ in range(steps):\n        adapted = adapt(adapted, support)\n"
        "    return tm.tree.map(lambda p, q: q - p, model, adapted)\n",
        "    return tm.tree.map(lambda p, q: p - q, model, adapt(model, support))\n",
        "    adapted = model\n    for _ in range(steps):\n        adapted = adapt(adapted, support)\n"
        "    return adapted\n",
        "    return tm.grad(loss)(model, support)\n",
    ],
    ("08", "norms"): [
        "    one = lambda xi, yi: tm.grad(loss)(w, xi[None], yi[None])\n    grads = tm.vmap(one)(x, y)\n"
        "    return (grads * grads).sum(axis=-1)\n",
        "    one = lambda xi, yi: tm.grad(loss)(w, xi[None], yi[None])\n    grads = tm.vmap(one)(x, y)\n"
        "    return tm.sqrt((grads * grads).sum())\n",
        "    return tm.abs(2 * (tm.tensor(x) @ w - y))\n",
        "    one = lambda xi, yi: tm.grad(loss)(w, xi[None], yi[None])\n    grads = tm.vmap(one)(x, y) / len(y)\n"
        "    return tm.sqrt((grads * grads).sum(axis=-1))\n",
    ],
    ("09", "factored"): [
        "    return x @ (W - alpha * (a.mT @ delta))\n",
        "    return x @ W + alpha * ((x @ a.mT) @ delta)\n",
        "    return x @ W - (x @ a.mT) @ delta\n",
        "    return x @ W - alpha * (x @ (a.mT @ delta))\n",
    ],
    ("10", "prototypes"): [
        "    means = tm.stack([tm.take(e, np.flatnonzero(labels == k)).mean(axis=0) for k in range(ways)])\n"
        "    return ((q[:, None] - means[None]) ** 2).sum(axis=-1)\n",
        "    means = tm.stack([tm.take(e, np.flatnonzero(labels == k)).sum(axis=0) for k in range(ways)])\n"
        "    return -((q[:, None] - means[None]) ** 2).sum(axis=-1)\n",
        "    means = tm.stack([tm.take(e, np.flatnonzero(labels == k)).mean(axis=0) for k in range(ways)])\n"
        "    return -tm.sqrt(((q[:, None] - means[None]) ** 2).sum(axis=-1))\n",
        "    means = tm.stack([tm.take(e, np.flatnonzero(labels == k)).mean(axis=0) for k in range(ways)])\n"
        "    return -((q[:, None] - means[None]) ** 2)\n",
    ],
    ("11", "hypergradient"): [
        "    g = curvature * theta\n    return float(g @ (curvature * (theta - alpha * g)))\n",
        "    g = curvature * theta\n    return float(-g @ g)\n",
        "    g = curvature * theta\n    return -g * (curvature * (theta - alpha * g))\n",
        "    g = curvature * theta\n    return float(g @ (curvature * (theta - alpha * g))) / alpha\n",
    ],
    ("12", "project"): [
        "    return g\n",
        "    return g - (g @ m) / (m @ m) * m\n",
        "    along = g @ m\n    return g if along >= 0 else g - along * m\n",
        "    along = g @ m\n    return g if along >= 0 else g * 0.0\n",
    ],
    ("13", "influence"): [
        "    one = lambda xi, yi: tm.grad(mean_loss)(model, xi[None], yi[None])\n    grads = tm.vmap(one)(x, y)\n"
        "    return (grads['w'] * clean['w']).sum(axis=(1, 2)) + (grads['b'] * clean['b']).sum(axis=1)\n",
        "    one = lambda xi, yi: tm.grad(mean_loss)(model, xi[None], yi[None])\n    grads = tm.vmap(one)(x, y)\n"
        "    return -(grads['w'] * clean['w']).sum(axis=(1, 2))\n",
        "    one = lambda xi, yi: tm.grad(mean_loss)(model, xi[None], yi[None])\n    grads = tm.vmap(one)(x, y)\n"
        "    return -((grads['w'] * clean['w']).sum() + (grads['b'] * clean['b']).sum())\n",
        "    one = lambda xi, yi: tm.grad(mean_loss)(model, xi[None], yi[None])\n    grads = tm.vmap(one)(x, y)\n"
        "    return -((grads['w'] * clean['w']).sum(axis=(1, 2)) + (grads['b'] * clean['b']).sum(axis=1)) / len(y)\n",
    ],
    ("14", "returns"): [
        "    return np.cumsum(rewards, -1)\n",
        "    return np.cumsum(rewards[:, ::-1], -1)[:, ::-1]\n",
        "    return (gamma ** np.arange(rewards.shape[-1]) * rewards).sum(-1)\n",
        "    later = np.cumsum(rewards[:, ::-1], -1)[:, ::-1] - rewards\n    return rewards + gamma * later\n",
    ],
    ("15", "perplexity"): [
        "    return float(-np.log(habit[text[:-1], text[1:]]).mean())\n",
        "    return float(-np.log2(habit[text[:-1], text[1:]]).mean())\n",
        "    return float((1 / habit[text[:-1], text[1:]]).mean())\n",
        "    return float(np.exp(-np.log(habit[text[1:], text[:-1]]).mean()))\n",
    ],
}
