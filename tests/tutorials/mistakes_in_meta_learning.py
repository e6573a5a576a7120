"""Wrong solutions of the exercises on learning to learn: a body, or (old, new) in the solution, and the hint."""

from __future__ import annotations

MISTAKES: dict[str, list[tuple[str, ...]]] = {
    "chain": [
        ("return best[0, count]", "return best[0, count][0]", "return two things"),
        ("sizes[i] * sizes[k] * sizes[j]", "sizes[i] * sizes[j]", "7200 multiplications"),
        ("(first, second)", "(second, first)", "the matrices keep their places"),
        ("left + right + sizes", "left + sizes", "add what the parts take"),
        ("range(i + 1, j)", "[j - 1]", "from left to right"),
        ("min(ways", "max(ways", "can be done with"),
        ("(0, i) for i in range(count)", "(1, i) for i in range(count)", "a single matrix is no product"),
        ("range(2, count + 1)", "range(2, count)", "it stops with KeyError"),
        (
            "    def best(i, j):\n        if j == i + 1:\n            return 0, i\n        ways = []\n"
            "        for k in range(i + 1, j):\n            (left, a), (right, b) = best(i, k), best(k, j)\n"
            "            ways.append((left + right + sizes[i] * sizes[k] * sizes[j], (a, b)))\n"
            "        return min(ways, key=lambda way: way[0])\n\n    return best(0, len(sizes) - 1)\n",
            "keep what has been found",
        ),
        (
            "    parts, left, cost = list(range(len(sizes) - 1)), list(sizes), 0\n    while len(parts) > 1:\n"
            "        k = min(range(1, len(left) - 1), key=lambda k: left[k - 1] * left[k] * left[k + 1])\n"
            "        cost += left[k - 1] * left[k] * left[k + 1]\n"
            "        parts[k - 1 : k + 1] = [(parts[k - 1], parts[k])]\n        del left[k]\n"
            "    return cost, parts[0]\n",
            "the smallest product first",
        ),
    ],
    "backwards": [
        ("reversed(path[:-1])", "[]", "the factors (I − αH) are missing"),
        ("tm.grad(loss)(path[-1], query)", "tm.grad(loss)(model, query)", "at the end of the path"),
        ("m: loss(m, support), here, v", "m: loss(m, support), model, v", "an H of its own"),
        ("reversed(path[:-1])", "path[:-1]", "go along the path in reverse"),
        ("reversed(path[:-1])", "reversed(path[1:])", "the end of the path began none"),
        ("reversed(path[:-1])", "reversed(path)", "a factor too many"),
        ("a - inner_lr * b", "a + inner_lr * b", "with a minus"),
        ("a - inner_lr * b", "a - b", "α is missing"),
        ("m: loss(m, support), here", "m: loss(m, query), here", "that loss's Hessian, not the query's"),
        (
            "    def after(m):\n        for _ in range(steps):\n            m = adapt(m, support)\n"
            "        return loss(m, query)\n\n    return tm.grad(after)(model)\n",
            "that differentiates the inner loop",
        ),
        ("    return v\n", "    return flat(v)\n", "a tree of the model's form"),
    ],
    "outer": [
        ("range(1000)", "range(0)", "no task was drawn"),
        ("range(1000)", "range(40)", "trained for long enough"),
        ("range(1000)", "range(1001)", "25,000 tasks at most"),
        ("    return model\n    # END", "    return model, state\n    # END", "a model, and nothing with them"),
        ("    return model\n    # END", "    # END", "returns nothing"),
        ("model, state = step(", "_, state = step(", "have not moved"),
        (
            'tm.grad(objective("exact"))',
            "tm.grad(lambda m, e: tm.vmap(loss, in_axes=(None, 0))(m, e.query).mean())",
            "is the loss taken after adapting",
        ),
        (
            "update(slope(model, episodes), state, model)",
            "update(tm.tree.map(lambda g: -g, slope(model, episodes)), state, model)",
            "do the steps go down",
        ),
        ("    return learners['MAML']\n", "done without learners"),
    ],
    "refine": [
        (" + shares.T @ q", "", "in the denominator only"),
        ("    return (own.T @ e + shares.T @ q) / weight[:, None]\n", "    return means\n", "support alone"),
        ("logits = -((", "logits = ((", "minus the squared distances"),
        (
            "shares /= shares.sum(axis=1, keepdims=True)",
            "shares /= shares.sum(axis=0, keepdims=True)",
            "each query's shares add up to 1",
        ),
        ("    weight = own", "    shares = np.eye(ways)[logits.argmax(axis=1)]\n    weight = own", "hard k-means"),
        ("own.sum(axis=0) + shares.sum(axis=0)", "own.sum(axis=0) + len(q)", "not by their number"),
        ("own.sum(axis=0) + shares.sum(axis=0)", "own.sum(axis=0)", "in the denominator"),
        (
            "(own.T @ e + shares.T @ q) / weight[:, None]",
            "(shares.T @ q) / shares.sum(axis=0)[:, None]",
            "the support examples belong to it",
        ),
        ("logits - logits.max(axis=1, keepdims=True)", "logits", "largest logit first"),
        ("    means = own.T @ e", "    e -= e.mean()\n    means = own.T @ e", "were written into"),
    ],
    "others": [
        ("return pay - others", "return pay - pay.mean(axis=-1, keepdims=True)", "that is the bias"),
        ("    return pay - pay.mean()\n", "each row is a game of its own"),
        ("/ (n - 1)", "/ n", "the others are n − 1"),
        (" / (n - 1)", "", "their mean, not their sum"),
        ("return pay - others", "return others", "that is the baseline"),
        ("return pay - others", "return others - pay", "not the other way round"),
        ("keepdims=True) - pay)", "keepdims=True))", "doesn't hold its own pay"),
        ("return pay - others", "pay -= others\n    return pay", "written into"),
        ("    return pay - others\n", "", "returns nothing"),
    ],
    "gae": [
        (
            "        later = surprises[:, t] + gamma * lam * later\n",
            "        later = surprises[:, t]\n",
            "the later ones",
        ),
        ("gamma * lam * later", "lam * later", "γ is missing"),
        ("gamma * lam * later", "gamma * later", "λ is missing"),
        ("rewards + gamma * values[:, 1:]", "rewards + values[:, 1:]", "the next value is discounted"),
        ("rewards + gamma * values[:, 1:] - values", "rewards - values", "γ V_{t+1} is missing"),
        (" - values[:, :-1]", "", "− V_t is missing"),
        ("rewards + gamma * values[:, 1:] - values[:, :-1]", "rewards + 0 * values[:, 1:]", "discounted rewards"),
        ("values[:, 1:] - values[:, :-1]", "values[:, :-1] - values[:, 1:]", "exchanged"),
        ("range(surprises.shape[1] - 1, -1, -1)", "range(surprises.shape[1])", "not of what came before"),
        ("    return found\n", "    return -found\n", "turned round"),
    ],
    "steps": [
        ("range(steps)", "range(1)", "that is one step"),
        ("table - lr * nats", "table + lr * nats", "the sign"),
        (" / np.log(2)", "", "bits are nats over log 2"),
        (") / pairs.sum()", ")", "divide by the number of pairs"),
        (") / pairs.sum()", ") / len(text)", "12 letters are 11 pairs"),
        (") / pairs.sum()", ") / pairs.sum(axis=1, keepdims=True)", "a row counts as often"),
        ("guessed * pairs.sum(axis=1, keepdims=True)", "guessed", "n(i) is missing"),
        ("odds / odds.sum(axis=1, keepdims=True)", "odds / odds.sum(axis=0)", "softmax along them"),
        ("(text[:-1], text[1:])", "(text[1:], text[:-1])", "i is the row"),
        ("guessed * pairs.sum(axis=1, keepdims=True) - pairs", "-pairs", "what is guessed already"),
        ("table - table.max(axis=1, keepdims=True)", "table", "logits of 1000 overflow"),
        ("        table = table - lr", "        table -= lr", "was written into"),
    ],
    "bootstrap": [
        ("apart = mine - theirs", "apart = theirs - mine", "mine − theirs"),
        ("low, high = ", "high, low = ", "the low end comes first"),
        (
            "    drawn = rng.integers(len(mine), size=(2, draws, len(mine)))\n"
            "    means = mine[drawn[0]].mean(axis=1) - theirs[drawn[1]].mean(axis=1)\n"
            "    return tuple(np.quantile(means, [0.025, 0.975]))\n",
            "for both methods at once",
        ),
        ("apart[drawn].mean(axis=1)", "apart[drawn]", "of the means of the draws"),
        ("[0.025, 0.975]", "[0.25, 0.75]", "too narrow"),
        ("size=(draws, len(apart))", "size=(draws, 10)", "too wide"),
        ("apart[drawn].mean(axis=1)", "apart[drawn].mean(axis=1) - apart.mean()", "the middle should be near"),
        (
            "rng.integers(len(apart), size",
            "np.random.default_rng(0).integers(len(apart), size",
            "another generator",
        ),
        ("return float(low), float(high)", "return float(high - low)", "an interval has two ends"),
    ],
    "cell": [
        ("tm.tanh(read @", "(read @", "tanh is missing"),
        (' + phi["b"]', "", "b is missing"),
        (" / 10)", ")", "divided by p = 10"),
        ("tm.where(size < least, g / least, tm.sign(g))", "tm.sign(g)", "in the sign's place"),
        ("tm.where(size < least, g / least, tm.sign(g))", "g / least", "its sign as the second number"),
        ("tm.stack([logs, signs], axis=-1)", "tm.stack([signs, logs], axis=-1)", "the logarithm comes first"),
        ("tm.log(size)", "size", "row 0 of h′ should be"),
        ("axis=-1), h], axis=-1)", "axis=-1), 0 * h], axis=-1)", "remembers nothing"),
        ('tm.exp(phi["s"]) * ', "", "eˢ is missing"),
        ('tm.exp(phi["s"])', 'phi["s"]', "as it is"),
        ('* (h @ phi["u"]), h', '* (h @ phi["u"])', "return two things"),
    ],
    "stream": [
        ("[example, *kept]", "[example]", "nothing that has passed is used again"),
        ("        if len(kept) < size:\n", "        if True:\n", "the memory holds 20, and 199"),
        ("w - 0.1", "w + 0.1", "do the steps go down"),
        ("range(5)", "range(0)", "nothing that has passed"),
        ("range(5)", "range(1)", "more steps for each example"),
        ("[example, *kept]", "kept", "the mean of no examples"),
        (
            "elif (place := rng.integers(k)) < size:",
            "elif (place := rng.integers(k)) < 0:",
            "in the middle are forgotten",
        ),
        (
            "        elif (place := rng.integers(k)) < size:\n",
            "        else:\n            place = k % size\n",
            "the first task is forgotten",
        ),
        ("    return w\n    # END", "    # END", "returns nothing"),
        ("    return plain_descent(stream, gradient, w)\n", "done without plain_descent"),
    ],
    "never": [
        (" / (1 - leverage)", "", "that is the derivative"),
        ("(1 - leverage)", "(1 + leverage)", "for one that is added"),
        ("(1 - leverage)", "leverage", "not by h_i"),
        ("theta - pulls", "theta + pulls", "the sign"),
        ("residual = y - X @ theta", "residual = y", "not y_i"),
        (" + ridge * np.eye(X.shape[1])", "", "λ is missing"),
        ("theta - pulls * (residual", "theta - X * (residual", "A⁻¹ is missing"),
        ("return theta - pulls", "return pulls", "subtract it from θ"),
        ("    return np.stack([np.linalg.solve(X.T @ X, X.T @ y) for _ in y])\n", "done without"),
    ],
    "suspects": [
        ("np.argsort(doubts)[-count:]", "np.argsort(doubts)[:count]", "The doubtful come first"),
        ("np.argsort(doubts)[-count:]", "np.argsort(doubts)", "80 places are asked for"),
        ("np.argsort(doubts)[-count:]", "np.sort(doubts)[-count:]", "whole numbers"),
        (
            "    return np.argsort(influence(start, x, given, clean_x, clean_y).numpy())[-count:]\n",
            "start gets no value",
        ),
        (
            "    start = {'w': tm.zeros((x.shape[1], 2)), 'b': tm.zeros(2)}\n"
            "    return np.argsort(influence(start, x, given, clean_x, clean_y).numpy())[-count:]\n",
            "let a model that was trained",
        ),
        ("    return np.argsort(np.random.default_rng(0).random(len(x)))[-count:]\n", "what chance names"),
        (
            "    weights = by_gradient(x, given, clean_x, clean_y)\n",
            "    weights = np.full(len(x), 0.005)\n",
            "surely more",
        ),
        ("    return np.flatnonzero(wrong)[:count]\n", "done without wrong"),
    ],
}

OTHERWISE: dict[str, str] = {  # right answers by other means: arrays, Tensors, sums in place of loops
    "cell": (
        "    least = np.exp(-10.0)\n    small = np.abs(g) < least\n"
        "    logs = np.where(small, -1.0, np.log(np.maximum(np.abs(g), least)) / 10)\n"
        "    read = np.column_stack([logs, np.where(small, g / least, np.sign(g)), h])\n"
        "    h = np.tanh(read @ phi['W'] + phi['b'])\n    return np.exp(phi['s']) * (h @ phi['u']), h\n"
    ),
    "others": (
        "    pay, n = tm.tensor(pay), pay.shape[-1]\n"
        "    return (pay - pay.mean(axis=-1, keepdims=True)) * n / (n - 1)\n"
    ),
    "gae": (
        "    surprises = rewards + gamma * values[:, 1:] - values[:, :-1]\n    steps = np.arange(rewards.shape[1])\n"
        "    later = np.maximum(steps[:, None] - steps, 0)\n"
        "    return surprises @ np.where(steps[:, None] >= steps, (gamma * lam) ** later, 0.0)\n"
    ),
    "chain": (
        "    found = {}\n\n    def best(i, j):\n        if j == i + 1:\n            return 0, i\n"
        "        if (i, j) not in found:\n            ways = [(best(i, k), best(k, j), k) for k in range(i + 1, j)]\n"
        "            cost = lambda a, b, k: a[0] + b[0] + sizes[i] * sizes[k] * sizes[j]\n"
        "            found[i, j] = min((cost(a, b, k), str(k), (a[1], b[1])) for a, b, k in ways)[::2]\n"
        "        return found[i, j]\n\n    return best(0, len(sizes) - 1)\n"
    ),
    "refine": (
        "    own = np.eye(ways)[labels]\n    means = (own.T @ e) / own.sum(axis=0)[:, None]\n"
        "    logits = 2 * q @ means.T - (means**2).sum(axis=1)\n"
        "    shares = np.exp(logits - logits.max(axis=1)[:, None])\n    shares = shares / shares.sum(axis=1)[:, None]\n"
        "    parts = np.concatenate([own, shares])\n    return (parts / parts.sum(axis=0)).T @ np.concatenate([e, q])\n"
    ),
    "steps": (
        "    this, after = text[:-1], text[1:]\n    for _ in range(steps):\n        slope = np.zeros_like(table)\n"
        "        for i, j in zip(this, after):\n            guess = np.exp(table[i] - table[i].max())\n"
        "            slope[i] += guess / guess.sum() / len(this)\n            slope[i, j] -= 1 / len(this)\n"
        "        table = table - lr * slope / np.log(2)\n    return table\n"
    ),
    "bootstrap": (
        "    places = rng.choice(len(mine), (draws, len(mine)))\n"
        "    means = (mine[places] - theirs[places]).mean(axis=1)\n    return np.quantile(means, (0.025, 0.975))\n"
    ),
    "suspects": (
        "    model = {'w': tm.zeros((x.shape[1], 2)), 'b': tm.zeros(2)}\n"
        "    weights = by_gradient(x, given, clean_x, clean_y)\n"
        "    for k in range(90):\n        own = lambda m: (weights * each(m, x, given)).sum()\n"
        "        model = tm.tree.map(lambda p, g: p - 0.5 * g, model, tm.grad(own)(model))\n"
        "        if k % 30 == 29:\n            weights = tm.softmax(-3 * each(model, x, given), axis=-1)\n"
        "    return tm.argsort(each(model, x, given))[-count:]\n"
    ),
}
