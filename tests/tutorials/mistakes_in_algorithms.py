"""Wrong solutions of the exercises that are an algorithm: a body, or (old, new) in the solution, and the hint."""

from __future__ import annotations

MISTAKES: dict[str, list[tuple[str, ...]]] = {
    "reservoir": [
        (
            "            if place < size:\n                kept[place] = example\n",
            "            pass\n",
            "the last example never comes in",
        ),
        ("rng.integers(k)", "rng.integers(size)", "too often"),
        ("rng.integers(k)", "k % size", "the last ones always replace it"),
        ("rng.integers(k)", "rng.integers(k + 20)", "too seldom"),
        ("rng.integers(k)", "rng.integers(max(size, k // 2))", "too often"),
        ("                kept[place] = example\n", "                kept.append(example)\n", "no more and no fewer"),
        ("            kept.append(example)\n", "            kept += [example, example]\n", "kept whole"),
        ("    return kept\n", "", "returns nothing"),
        ("    return list(rng.permutation(list(stream))[:size])\n", "done without rng.permutation"),
    ],
    "online": [
        ("        before = g\n", "", "is g_before kept"),
        ("alpha + beta * float", "alpha - beta * float", "the sign is turned round"),
        ("g @ before", "g @ g", "that is g·g"),
        ("beta * float(g @ before)", "float(g @ before)", "β is missing"),
        ("np.zeros_like(theta)", "gradient(theta)", "before the first step g_before is 0"),
        (
            "        alpha = alpha + beta * float(g @ before)\n        theta = theta - alpha * g\n",
            "        theta = theta - alpha * g\n        alpha = alpha + beta * float(g @ before)\n",
            "with the new α",
        ),
        ("return theta, alpha", "return theta", "return two things"),
    ],
    "backoff": [
        ("        if pairs[this].sum() > 0:\n", "        if True:\n", "letter 3 was never seen"),
        ("pairs.sum(axis=0)", "pairs.sum(axis=1)", "is an axis turned round?"),
        ("pairs[this, following]", "pairs[following, this]", "is an axis turned round?"),
        (
            "weight * pairs[this] / pairs[this].sum() + (1 - weight) * common",
            "pairs[this] / pairs[this].sum()",
            "counting alone",
        ),
        (
            "weight * pairs[this] / pairs[this].sum() + (1 - weight)",
            "(1 - weight) * pairs[this] / pairs[this].sum() + weight",
            "λ goes with what followed",
        ),
        ("    return habits\n", "    return habits.T\n", "rows are what a letter is followed by"),
        ("pairs.sum(axis=0) / pairs.sum()", "pairs.sum(axis=0)", "adds up to 1"),
    ],
}
