"""Wrong solutions of the exercises from plain training on: a body, or (old, new) in the solution, and the hint."""

from __future__ import annotations

MISTAKES: dict[str, list[tuple[str, ...]]] = {
    "descend": [
        ("p - lr * g", "p + lr * g", "a minus"),
        ("p - lr * g", "p - g", "lr scales the gradient"),
        ("p - lr * g", "-lr * g", "add it to θ"),
        ("p - lr * g", "p - lr * p", "the gradient is missing"),
        ("p - lr * g", "p", "nothing has moved"),
        ("    return {**model, 'w': model['w'] - lr * grads['w']}\n", "each leaf is moved"),
        ("    return [p - lr * g for p, g in zip(model.values(), grads.values())]\n", "tree of the model's form"),
    ],
    "adam": [
        ("m / (1 - 0.9**t), v / (1 - 0.999**t)", "m, v", "divide by 1 − 0.9ᵗ"),
        ("m / (1 - 0.9**t), v", "m, v", "m̂ is m / (1 − 0.9ᵗ)"),
        ("v / (1 - 0.999**t)", "v", "v̂ is v / (1 − 0.999ᵗ)"),
        ("p - lr * unbiased_m", "p + lr * unbiased_m", "a step goes against m"),
        ("tm.sqrt(unbiased_v)", "unbiased_v", "take its root"),
        (" / (tm.sqrt(unbiased_v) + 1e-8)", "", "divide by √v̂"),
        ("0.9 * m + 0.1 * g", "0.1 * m + 0.9 * g", "m keeps 0.9 of itself"),
        ("    t = t + 1\n", "    t = t + 0\n", "t counts the steps"),
        ("(m, v, t)\n    # END", "state\n    # END", "t counts the steps"),
    ],
    "kernel": [
        (" + ridge * np.eye(xs.shape[1])", "", "λ is missing"),
        ("(2 * width**2)", "width**2", "a 2 is missing"),
        ("width**2)", "width)", "w is squared"),
        ("    return (near(xq, xs) @ weights)[..., 0]\n", "    return near(xq, xs) @ weights\n", "shape (4, 40)"),
        ("    return (near(xq, xs) @ weights)[..., 0]\n", "", "returns nothing"),
        ("near(xq, xs) @ weights", "near(xs, xs) @ weights", "shape (4, 40)"),
        ("    # BEGIN SOLUTION\n", "    # BEGIN SOLUTION\n    width, ridge = ridge, width\n", "are exchanged"),
    ],
    "learner": [
        ("range(iterations)", "range(0)", "worse than always saying 0"),
        ("    pass\n", "should return a function"),
        ("    return lambda xs, ys, xq: kernel_ridge(xs, ys, xq[:, :3], width, ridge)\n", "for each query point"),
        ("    return lambda xs, ys, xq: 0.0 * xq\n", "does not learn from the support set"),
        ("    return lambda xs, ys, xq: np.sin(3 * xq) + xs.mean()\n", "does not learn from the support set"),
        ("    return lambda xs, ys, xq: 0.0 * xq + ys.mean()\n", "does not learn from the support set"),
        ("    return lambda xs, ys, xq: 0.0 * xq + ys[:, :1] - ys.mean()\n", "tasks must not look at each other"),
        ("    return lambda xs, ys, xq: xq + ys.mean(axis=1)[:, None]\n", "worse than always saying 0"),
        ("    return lambda *task: kernel_ridge(*task, width, ridge)\n", "has anything been learned"),
        ("    return lambda *task: kernel_ridge(*task, width, ridge) * np.inf\n", "not finite"),
        ("    return lambda xs, ys, xq: None\n", "predict should return an array"),
    ],
    "stop": [
        ("    return best", "    return model", "keep the weights with the smallest error"),
        ("float(loss(model, validation))", "float(loss(model, train))", "keep the weights with the smallest error"),
        ("error < lowest", "error > lowest", "has it been trained?"),
        ("    return best", "    return lowest", "return a model"),
        ("tm.optim.Adam(0.02)", "tm.optim.SGD(0.0)", "has it been trained?"),
    ],
}
