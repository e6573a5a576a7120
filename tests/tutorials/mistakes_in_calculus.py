"""Wrong solutions of the exercises that go on from the engine: a body, or (old, new) in the solution, and the hint."""

from __future__ import annotations

MISTAKES: dict[str, list[tuple[str, ...]]] = {
    "forward": [
        ("a[1] * b[0] + a[0] * b[1]", "a[1] * b[1]", "the product of the slopes"),
        ("a[1] * b[0] + a[0] * b[1]", "a[1] * b[0]", "pair_mul: it forgets that the second"),
        ("a[1] * b[0] + a[0] * b[1]", "a[0] * b[1]", "pair_mul: it forgets that the first"),
        ("a[1] * b[0] + a[0] * b[1]", "a[1] * b[0] - a[0] * b[1]", "pair_mul: its second part has the wrong sign"),
        ("a[1] * b[0] + a[0] * b[1]", "a[0] + b[0]", "pair_mul: it forgets the slopes of its inputs"),
        ("(1 - y * y) * a[1]", "1 - y * y", "pair_tanh: it forgets the slopes of its inputs"),
        ("return y, (1 - y * y) * a[1]", "return y", "pair_tanh returns a pair"),
        ("y = math.tanh(a[0])", "y = math.tanh(a[1])", "the value of pair_tanh"),
        ("1.0 if i == k else 0.0", "1.0", "yours are [[1.0, 1.0], [1.0, 1.0]]"),
        ("range(len(numbers))", "range(1)", "two inputs are two walks"),
        ("f(pairs)[1]", "f(pairs)[0]", "the slopes of x²z"),
        ("    return found\n", "    return gradient(f(numbers), numbers)\n", "done without gradient"),
    ],
    "sharpest": [
        ("gradient(sum_to(slope * Node(v), ()), [node])", "[slope]", "that is the gradient"),
        ("    return bend.value\n", "    return slope.value * v\n", "that is ∇f, times v"),
        ("slope * Node(v)", "slope", "v makes no difference"),
        ("return bend.value", "return bend", "the value of a Node"),
        ("        v = v / np.sqrt((v * v).sum())\n", "", "bring v to length 1"),
        ("float((v * product).sum())", "float(np.sqrt((product * product).sum()))", "the curvature has a sign"),
        ("    return curvature\n", "    return product\n", "return a float"),
        ("range(200)", "range(3)", "more steps?"),
        ("float((v * product).sum()), product", "float((v * product).sum()), product + 6 * v", "larger in size"),
        ("gradient(f(node), [node])", "tm.gradient(f(node), [node])", "done without tm"),
    ],
}
