"""Wrong solutions of the lessons' exercises, what a learner really writes, and what the grader must say of each."""

from __future__ import annotations

_K_STEPS = "    w_k = w\n    for _ in range(k):\n        w_k = w_k - alpha * 2 / n * xs.T @ (xs @ w_k - ys)\n"
_Q = "    q = 2 / len(xq) * xq.T @ (xq @ w_k - yq)\n"
_REPTILE = "    adapted = model\n    for _ in range(steps):\n        adapted = adapt(adapted, support)\n"
_PER_EXAMPLE = "    one = lambda xi, yi: tm.grad(loss)(w, xi[None], yi[None])\n    grads = tm.vmap(one)(x, y)\n"
_MEANS = "    means = tm.stack([tm.take(e, np.flatnonzero(labels == k)).mean(axis=0) for k in range(ways)])\n"
_OWN = "    one = lambda xi, yi: tm.grad(mean_loss)(model, xi[None], yi[None])\n    grads = tm.vmap(one)(x, y)\n"
_STEP = "    right = (f(x + 1e-30j) / 1e-30).imag\n"
_WALK = "    gb = gy / x\n    ga = gb * -b\n"

MISTAKES: dict[str, list[tuple[str, ...]]] = {
    "walk": [
        ("    gx = -gy * b / (x * x)\n", "path through a is missing"),
        ("    gb = gy / x\n    gx = -gb * b * 2 * x\n", "path through the division"),
        ("    gb = gy / x\n    ga = gb * b\n    gx = gy * b / (x * x) + ga * 2 * x\n", "sign is turned round"),
        ("    gb = gy / x\n    ga = gb * b\n    gx = -gy * b / (x * x) + ga * 2 * x\n", "rule of exp(−a) has a minus"),
        (_WALK + "    gx = gy * b / (x * x) + ga * 2 * x\n", "rule of b/x has a minus"),
        (_WALK + "    gx = -gy * b / (x * x) + ga * x\n", "its slope is 2x"),
        ("    gx = gy * b\n", "rule of a product"),
        (_WALK, "gx gets no value"),
        ("    gx = float(tm.grad(lambda x: tm.exp(-x * x) / x)(x))\n", "done without tm"),
        ("    gx = [1.0]\n", "a plain number"),
    ],
    "unbroadcast": [
        ("    return g\n", "new leading axes are summed"),
        ("    return g.mean(axis=0)\n", "a mean, perhaps?"),
        ("    return g.sum(axis=0)\n", "see keepdims"),
        ("    lead = g.ndim - len(shape)\n    return g.sum(axis=tuple(range(lead)))\n", "of size 1 that was stretched"),
        ("    return g.sum(axis=0, keepdims=True)\n", "new leading axes are summed and go"),
        ("    lead = g.ndim - len(shape)\n    g.sum(axis=tuple(range(lead)))\n", "the function returned None"),
        ("    return np.broadcast_to(g, shape)\n", "it stops with ValueError"),
    ],
    "newton": [
        ("    return float(x - 0.5 * 0 * slope(x))\n", "x has not moved"),
        ("    for _ in range(steps):\n        x = x - slope(x)\n    return float(x)\n", "step of gradient descent"),
        (
            "    for _ in range(steps):\n        x = x + slope(x) / tm.grad(slope)(x)\n    return float(x)\n",
            "minus slope over curvature, not plus",
        ),
        ("    return float(x - slope(x) / tm.grad(slope)(x))\n", "is the loop there?"),
        (
            "    for _ in range(steps):\n        x = x - slope(x) * tm.grad(slope)(x)\n    return float(x)\n",
            "not multiplied",
        ),
        (
            "    for _ in range(steps):\n        x = x - tm.grad(slope)(x) / slope(x)\n    return float(x)\n",
            "upside down",
        ),
        ("    for _ in range(steps):\n        x = x - f(x) / slope(x)\n    return float(x)\n", "finds where f is 0"),
        (
            "    for _ in range(steps):\n        x = slope(x) / tm.grad(slope)(x)\n    return float(x)\n",
            "what is subtracted",
        ),
        (
            "    step = slope(x) / tm.grad(slope)(x)\n    return float(x - steps * step)\n",
            "taken anew at each x",
        ),
        ("    for _ in range(steps):\n        x = x - slope(x) / tm.grad(slope)(x)\n    return x\n", "return a float"),
    ],
    "checker": [
        (
            "    right = (f(x + 1e-6) - f(x - 1e-6)) / 2e-6\n    return abs(slope(x) - right) <= 1e-6 * abs(right)\n",
            "central differences can't see that",
        ),
        (
            "    right = (f(x + 1e-6) - f(x - 1e-6)) / 2e-6\n    return abs(slope(x) - right) <= 1e-10 * abs(right)\n",
            "differences are off by more",
        ),
        (_STEP + "    return abs(slope(x) - right) <= 1e-10\n", "make the tolerance relative"),
        (_STEP + "    return abs(slope(x) - right) <= 1e-2 * abs(right)\n", "that tolerance is blind"),
        (
            _STEP.replace("imag", "real") + "    return abs(slope(x) - right) <= 1e-10 * abs(right)\n",
            "not the real one",
        ),
        (
            "    right = f(x + 1e-30j).imag\n    return abs(slope(x) - right) <= 1e-10 * abs(right)\n",
            "divide the imaginary",
        ),
        (_STEP + "    return slope(x) == right\n", "off by rounding"),
        (_STEP + "    return slope(x) - right <= 1e-10 * abs(right)\n", "see abs"),
        (_STEP + "    return abs(slope(x) - right) > 1e-10 * abs(right)\n", "turned round"),
        (_STEP + "    abs(slope(x) - right) <= 1e-10 * abs(right)\n", "returns nothing"),
    ],
    "scatter": [
        ("    for k in range(g.shape[0]):\n        out[index[k]] = g[k]\n    return out\n", "only the last is there"),
        ("    for k in range(g.shape[0]):\n        out[index[k]] += g[k]\n", "returns nothing"),
        (
            "    for k in range(g.shape[0]):\n        out[k % 4] += g[k]\n    return out\n",
            "index[k] says which row",
        ),
        ("    out[index] += g\n    return out\n", "keeps the last, too"),
        ("    for k in range(len(out)):\n        out[index[k]] += g[k]\n    return out\n", "last row of g is left out"),
        (
            "    for k in range(g.shape[0]):\n        for j in range(g.shape[1] - 1):\n"
            "            out[index[k], j] += g[k, j]\n    return out\n",
            "last column is left out",
        ),
        ("    for k in range(g.shape[0]):\n        out[index[k]] -= g[k]\n    return out\n", "sign is turned round"),
        (
            "    for k in range(g.shape[0]):\n        out[k] += g[index[k]]\n    return out\n",
            "it stops with IndexError",
        ),
        ("    np.add.at(out, index, g)\n    return out\n", "done without np.add"),
    ],
    "k_steps": [
        ("    return 2 / len(xq) * xq.T @ (xq @ w - yq)\n", "gradient at w itself"),
        (_K_STEPS + "    return 2 / len(xq) * xq.T @ (xq @ w_k - yq)\n", "that is the first-order part"),
        (
            _Q.replace("w_k", "w") + "    return np.linalg.matrix_power(np.eye(2) - alpha * H, k) @ q\n",
            "q must be taken at the adapted weights",
        ),
        (_K_STEPS + _Q + "    return (np.eye(2) - alpha * H) @ q\n", "one factor (I − αH) per step"),
        (_K_STEPS + _Q + "    return (np.eye(2) - alpha * H) ** k @ q\n", "entry by entry"),
        (_K_STEPS + _Q + "    return np.linalg.matrix_power(np.eye(2) + alpha * H, k) @ q\n", "with a minus"),
        (_K_STEPS + _Q + "    return np.linalg.matrix_power(np.eye(2) - H, k) @ q\n", "α belongs to H"),
        (
            _K_STEPS + _Q + "    return np.linalg.matrix_power(np.eye(2) - alpha * H, k) @ q - q\n",
            "q itself belongs to it",
        ),
        (_K_STEPS + "    return tm.grad(loss)(w_k, xq, yq).numpy()\n", "done without tm"),
        (_K_STEPS + "    return np.linalg.matrix_power(np.eye(2) - alpha * H, k) @ q\n", "q gets no value"),
    ],
    "reptile": [
        (_REPTILE + "    return tm.tree.map(lambda p, q: q - p, model, adapted)\n", "an optimizer subtracts"),
        (
            "    return tm.tree.map(lambda p, q: p - q, model, adapt(model, support))\n",
            "begin where the last one has ended",
        ),
        (_REPTILE + "    return adapted\n", "take the difference"),
        ("    return tm.grad(loss)(model, support)\n", "that is the gradient at θ"),
        (
            _REPTILE + "    return tm.tree.map(lambda p, q: (p - q) / inner_lr, model, adapted)\n",
            "divided by the step size",
        ),
        (_REPTILE + "    return tm.tree.map(lambda p, q: (p - q) / steps, model, adapted)\n", "number of steps"),
        (
            _REPTILE.replace("adapted = adapt(", "last, adapted = adapted, adapt(")
            + "    return tm.tree.map(lambda p, q: p - q, last, adapted)\n",
            "last step alone",
        ),
        (_REPTILE + "    return model - adapted\n", "it stops with TypeError"),
    ],
    "norms": [
        (_PER_EXAMPLE + "    return (grads * grads).sum(axis=-1)\n", "a root is missing"),
        (_PER_EXAMPLE + "    return tm.sqrt((grads * grads).sum())\n", "10 norms"),
        ("    return tm.abs(2 * (tm.tensor(x) @ w - y))\n", "by the prediction"),
        (_PER_EXAMPLE + "    return tm.sqrt((grads * grads).sum(axis=-1)) / len(y)\n", "not divided by n"),
        (_PER_EXAMPLE + "    return tm.abs(grads).sum(axis=-1)\n", "sums of absolute values"),
        (_PER_EXAMPLE + "    return grads.sum(axis=-1)\n", "those are sums: the norm squares"),
        (_PER_EXAMPLE + "    return grads\n", "those are the gradients"),
        (
            "    grad = tm.grad(loss)(w, x, y)\n    return tm.sqrt((grad * grad).sum()) * np.ones(len(y))\n",
            "gradient of the mean loss",
        ),
    ],
    "factored": [
        ("    return x @ (W - alpha * (a.mT @ delta))\n", "a matrix of W's shape was made"),
        ("    return x @ W + alpha * ((x @ a.mT) @ delta)\n", "the sign: the step goes down"),
        ("    return x @ W - (x @ a.mT) @ delta\n", "the step size is missing"),
        ("    return x @ W - alpha * (x @ (a.mT @ delta))\n", "a matrix of W's shape was made"),
        ("    return x @ W\n", "the update is missing"),
        ("    return -alpha * ((x @ a.mT) @ delta)\n", "x W is missing"),
        ("    return x @ W - alpha * alpha * ((x @ a.mT) @ delta)\n", "α is there twice"),
        (
            "    x, W, a, delta = map(np.asarray, (x, W, a, delta))\n    return x @ (W - alpha * (a.T @ delta))\n",
            "W's shape",
        ),
        ("    return x @ W - alpha * ((x @ a) @ delta)\n", "it stops with ShapeError"),
    ],
    "prototypes": [
        (_MEANS + "    return ((q[:, None] - means[None]) ** 2).sum(axis=-1)\n", "a minus is missing"),
        (
            _MEANS.replace("mean", "sum").replace("sums", "means")
            + "    return -((q[:, None] - means[None]) ** 2).sum(axis=-1)\n",
            "take means, not sums",
        ),
        (_MEANS + "    return -tm.sqrt(((q[:, None] - means[None]) ** 2).sum(axis=-1))\n", "those are distances"),
        (_MEANS + "    return -((q[:, None] - means[None]) ** 2)\n", "sum over the coordinates"),
        (_MEANS + "    return -((q[:, None] - means[None]) ** 2).mean(axis=-1)\n", "that is their mean"),
        (_MEANS + "    return q @ means.mT\n", "inner products"),
        (_MEANS + "    return -tm.abs(q[:, None] - means[None]).sum(axis=-1)\n", "sums of absolute values"),
        (_MEANS + "    return -((means[:, None] - q[None]) ** 2).sum(axis=-1)\n", "turned round"),
    ],
    "hypergradient": [
        (
            "    g = curvature * theta\n    return float(g @ (curvature * (theta - alpha * g)))\n",
            "sign is turned round",
        ),
        ("    g = curvature * theta\n    return float(-g @ g)\n", "taken after the step"),
        ("    g = curvature * theta\n    return -g * (curvature * (theta - alpha * g))\n", "one number, a float"),
        (
            "    g = curvature * theta\n    return float(g @ (curvature * (theta - alpha * g))) / alpha\n",
            "no division by α",
        ),
        ("    g = curvature * theta\n    return float(-g @ (theta - alpha * g))\n", "the curvature is missing"),
        ("    g = curvature * theta\n    return float(-g @ (curvature * (theta + alpha * g)))\n", "the step goes down"),
        (
            "    g = curvature * theta\n    return float(-alpha * g @ (curvature * (theta - alpha * g)))\n",
            "α is no factor",
        ),
        (
            "    g = curvature * theta\n    return float(0.5 * (curvature * (theta - alpha * g) ** 2).sum())\n",
            "the loss after the step",
        ),
        ("    return float(tm.grad(lambda a: 1.0 * a)(alpha))\n", "done without tm"),
    ],
    "project": [
        ("    return g\n", "nothing has changed"),
        ("    return g - (g @ m) / (m @ m) * m\n", "then g must stay as it is"),
        ("    along = g @ m\n    return g if along >= 0 else g - along * m\n", "divide by m·m"),
        ("    along = g @ m\n    return g if along >= 0 else g * 0.0\n", "not all of g"),
        ("    along = g @ m\n    return g if along >= 0 else along / (m @ m) * m\n", "that is the part that must go"),
        ("    along = g @ m\n    return g if along >= 0 else g + along / (m @ m) * m\n", "subtracted, not added"),
        ("    along = g @ m\n    return g if along >= 0 else g - along / np.sqrt(m @ m) * m\n", "not by its root"),
        ("    along = g @ m\n    return g if along < 0 else g - along / (m @ m) * m\n", "then g must stay as it is"),
        ("    along = g @ m\n    return max(along, 0.0)\n", "a gradient of shape (2,)"),
    ],
    "influence": [
        (
            _OWN + "    return (grads['w'] * clean['w']).sum(axis=(1, 2)) + (grads['b'] * clean['b']).sum(axis=1)\n",
            "sign is turned round",
        ),
        (_OWN + "    return -(grads['w'] * clean['w']).sum(axis=(1, 2))\n", "the part of b is missing"),
        (_OWN + "    return -(grads['b'] * clean['b']).sum(axis=1)\n", "the part of w is missing"),
        (
            _OWN + "    return -((grads['w'] * clean['w']).sum() + (grads['b'] * clean['b']).sum())\n",
            "one number per example",
        ),
        (
            _OWN
            + "    found = (grads['w'] * clean['w']).sum(axis=(1, 2)) + (grads['b'] * clean['b']).sum(axis=1)\n"
            + "    return -found / len(y)\n",
            "don't divide by n",
        ),
        (
            _OWN + "    return -((grads['w'] ** 2).sum(axis=(1, 2)) + (grads['b'] ** 2).sum(axis=1))\n",
            "the clean loss's gradient",
        ),
        (_OWN + "    return -(grads['w'] * clean['w']).sum(axis=1)\n", "one number per example"),
    ],
    "returns": [
        ("    return np.cumsum(rewards, -1)\n", "not before"),
        ("    return np.cumsum(rewards[:, ::-1], -1)[:, ::-1]\n", "γ is missing"),
        ("    return (gamma ** np.arange(rewards.shape[-1]) * rewards).sum(-1)\n", "one return per reward"),
        (
            "    later = np.cumsum(rewards[:, ::-1], -1)[:, ::-1] - rewards\n    return rewards + gamma * later\n",
            "the discount is γ²",
        ),
        (
            "    paid = gamma ** np.arange(rewards.shape[-1]) * rewards\n"
            "    return np.cumsum(paid[:, ::-1], -1)[:, ::-1]\n",
            "the discount counts from t on",
        ),
        (
            "    for t in range(rewards.shape[-1] - 2, -1, -1):\n        rewards[:, t] += gamma * rewards[:, t + 1]\n"
            "    return rewards\n",
            "rewards were written into",
        ),
        (
            "    found = rewards.copy()\n    found[:, :-1] += gamma * rewards[:, 1:]\n    return found\n",
            "not only the next one",
        ),
        (
            "    found = rewards.copy()\n    for t in range(1, rewards.shape[-1]):\n"
            "        found[:, t] += gamma * found[:, t - 1]\n    return found\n",
            "go from the end",
        ),
    ],
    "perplexity": [
        ("    return float(-np.log(habit[text[:-1], text[1:]]).mean())\n", "its exponential"),
        ("    return float(-np.log2(habit[text[:-1], text[1:]]).mean())\n", "2 to that power"),
        ("    return float((1 / habit[text[:-1], text[1:]]).mean())\n", "a mean of 1/p"),
        ("    return float(1 / habit[text[:-1], text[1:]].mean())\n", "a mean of p"),
        ("    return float(np.exp(-np.log(habit[text[1:], text[:-1]]).mean()))\n", "in this order"),
        ("    return float(np.exp(-np.log(habit[text[:-1], text[1:]]).sum()))\n", "not the sum"),
        ("    return float(2 ** -np.log(habit[text[:-1], text[1:]]).mean())\n", "two bases"),
        ("    return float(np.exp(np.log(habit[text[:-1], text[1:]]).mean()))\n", "a minus is missing"),
        ("    return np.exp(-np.log(habit[text[:-1], text[1:]]))\n", "one number for the text"),
    ],
}

IN_NUMPY: dict[str, str] = {  # right answers that are not Tensors
    "norms": "    return np.linalg.norm(2 * (x @ w - y)[:, None] * x, axis=1)\n",
    "factored": (
        "    x, W, a, delta = map(np.asarray, (x, W, a, delta))\n    return x @ W - alpha * ((x @ a.T) @ delta)\n"
    ),
    "prototypes": (
        "    means = np.stack([e.numpy()[labels == k].mean(axis=0) for k in range(ways)])\n"
        "    return -((q.numpy()[:, None] - means) ** 2).sum(axis=-1)\n"
    ),
    "hypergradient": "    g = curvature * theta\n    return -g @ (curvature * (theta - alpha * g))\n",
    "influence": (
        _OWN
        + "    return -np.asarray((grads['w'] * clean['w']).sum(axis=(1, 2)) + (grads['b'] * clean['b']).sum(axis=1))\n"
    ),
    "perplexity": "    return np.exp(-np.log(habit[text[:-1], text[1:]]).mean())\n",
}
