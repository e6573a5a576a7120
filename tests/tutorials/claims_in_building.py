"""What the lessons that build the engine claim, as in `claims`: exact numbers, for nothing there is drawn by luck."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinymeta as tm
from tests.tutorials.claims import Claim, Numbers


def _place(n: Numbers, name: str) -> float:
    """MAML on a line: where a start lies on the way from the flat tasks, 0, to the steep ones, 1."""
    way = n["steep"] - n["flat"]
    return float((n["starts"][name][:, 0] - n["flat"]) @ way / (way @ way))


def _misses(n: Numbers, order: str) -> int:
    """Kernels: the lines of b that a product of two 32 × 32 matrices fetches."""
    found: int = n["watched"](n[order])[2].misses("b")
    return found


def _operations(n: Numbers, tasks: int) -> Any:
    """Batching tasks: what the gradient of the batched meta-loss passes through the engine."""
    x, y = np.ones((tasks, 10, 3)), np.ones((tasks, 10))
    with tm.trace() as trace:
        tm.grad(lambda w: n["batched"](w, x, y))(np.ones(3))
    return trace.counts()


def _printed(f: Any, x: float) -> str:
    """The gradient of a gradient: the slope of f, as the lesson prints it."""
    slope: Any = tm.grad(f)(x)
    return f"{float(slope):.6f}"


def _halves(n: Numbers) -> float:
    """Kinks: the curvature of relu(x)² at 0, by an engine that splits a tie."""
    node, gradient = n["Node"], n["gradient"]
    half: Any = lambda x: node(np.maximum(x.value, 0), (x,), lambda g: (g * node((np.sign(x.value) + 1) / 2),))
    x = node(0.0)
    [slope] = gradient(half(x) * half(x), [x])
    return float(gradient(slope, [x])[0].value)


def _descended(n: Numbers, size: float) -> float:
    """The gradient of a gradient: where forty steps of `size` / λ lead from 1 on a parabola of curvature λ = 3."""
    x = 1.0
    for _ in range(40):
        node = n["Node"](x)
        x -= size / 3 * float(n["gradient"](node * node * 1.5, [node])[0].value)
    return abs(x)


CLAIMS: dict[str, list[Claim]] = {
    "a_derivative_by_hand": [
        (
            "is the derivative at x = 0.5 larger or smaller than b = tanh(0.25) ≈ 0.245",
            lambda n: n["x0"] == 0.5 and abs(np.tanh(0.25) - 0.245) < 5e-4 and n["gx"] > np.tanh(0.25),
        ),
        (
            "A walk forwards finds the slope of everything by one input",
            lambda n: n["slopes"](lambda xs: n["pair_mul"](*xs), [2.0, 5.0]) == [5.0, 2.0],
        ),
    ],
    "tensors_and_broadcasting": [
        (
            "the best linear model has a mean squared error of 1",
            lambda n: np.isclose(np.linalg.lstsq(np.c_[n["corners"], np.ones(4)], n["signs"])[1][0] / 4, 1),
        ),
    ],
    "the_gradient_of_a_gradient": [
        (
            "The first column agrees in every digit printed",
            lambda n: _printed(tm.tanh, n["x0"]) == _printed(n["careless_tanh"], n["x0"]),
        ),
        ("beyond 2/λ it flies apart", lambda n: _descended(n, 1.9) < 0.1 < 10 < _descended(n, 2.1)),
    ],
    "kinks_nan_and_tests": [
        (
            "splits a tie in halves, 0.5 and 0.5, multiplies the halves and reports a curvature of 0.5",
            lambda n: _halves(n) == 0.5,
        ),
        (
            "Central differences carry an error of their own, about 1e-10 here",
            lambda n: 1e-11 < abs(n["central"] - n["exact"]) < 1e-9,
        ),
        (
            "the imaginary part over h is f′(x) to the last digit, with h = 1e-30",
            lambda n: abs(n["complex_step"] - n["exact"]) <= 4 * np.spacing(n["exact"]),
        ),
        (
            "some have a wrong rule, and one of them is wrong at second order only",
            lambda n: sorted(n["wrong_ones"](n["suspects"], [0.7, -1.3, 2.1]).values()) == [1, 2],
        ),
    ],
    "maml_on_a_line": [
        (
            "with alpha = 0.0 at the top, what are the two parts",
            lambda n: n["alpha"] > 0 and not (0.0 * n["H"] @ n["q"]).any() and (n["hessian_part"] != 0).all(),
        ),
        (
            "Joint training ends with the steep tasks, MAML with the flat ones, and first-order MAML half way between",
            lambda n: (
                _place(n, "joint training") > 0.8
                and _place(n, "MAML") < 0.2
                and 0.4 < _place(n, "first-order MAML") < 0.6
            ),
        ),
    ],
    "kernels": [
        (
            "Down its columns, each read is a miss; along its rows, one in eight is",
            lambda n: (_misses(n, "i_j_k"), _misses(n, "i_k_j")) == (32**3, 32**3 / 8),
        ),
        (
            "a tile is read over and over, and fetched once",
            lambda n: _misses(n, "tiled") == (32 / 8) ** 3 * 8,
        ),
        (
            "the same three loops cost more or less by their order alone",
            lambda n: n["watched"](n["i_j_k"])[2].misses() > 7 * n["watched"](n["i_k_j"])[2].misses(),
        ),
    ],
    "batching_tasks": [
        (
            "with `vmap` the engine has no more to do for fifty tasks than for one",
            lambda n: _operations(n, 50) == _operations(n, 1),
        ),
    ],
}
