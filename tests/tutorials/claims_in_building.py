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


CLAIMS: dict[str, list[Claim]] = {
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
