"""Nothing in the compiler recurses along a program: chains of 5,000 operations compile and run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tests.compile.test_random_programs import recorded
from tinymeta.compile.rewrite.factor import Factoring
from tinymeta.compile.run.replay import Replay

LONG = 5000


def sums(x: Any) -> Any:
    for _ in range(LONG):
        x = x + 1.0
    return x


def reversed_views(x: Any) -> Any:
    for _ in range(LONG):
        x = x[::-1]
    return x * 2


def shorter_slices(x: Any) -> Any:
    """Of 5,002 numbers, the last two are left; in tiles of long arrays, too."""
    for _ in range(LONG):
        x = x[1:]
    return tm.exp(x)


def views_of_all_kinds(x: Any) -> Any:
    for _ in range(LONG // 5):
        x = tm.reshape(tm.broadcast_to(x.T[:1], x.shape[::-1]), x.shape)[::-1]
    return x + 1


def linear_operations_on_a_product(x: Any) -> Any:
    y = x[:, :1] @ x[:1]
    for k in range(LONG):
        y = -y if k % 3 else y.T
    return tm.sum(y, axis=0)


@pytest.mark.parametrize(
    "f", [sums, reversed_views, shorter_slices, views_of_all_kinds, linear_operations_on_a_product]
)
def test_a_chain_of_five_thousand_operations_compiles_and_agrees(f: Callable[[Any], Any]) -> None:
    x = np.arange(LONG + 2.0) / LONG if f is shorter_slices else np.arange(9.0).reshape(3, 3)
    np.testing.assert_array_equal(tm.compile(f)(x).numpy(), f(tm.tensor(x)).numpy())


def test_a_product_of_many_growing_matrices_compiles() -> None:
    """Each product is larger than its factors, so each could be virtual: what one stands for is bounded."""
    rng = np.random.default_rng(0)
    matrices = [rng.integers(-1, 2, (n, n + 1)).astype(float) for n in range(2, 40)]
    rows = rng.integers(-1, 2, (50, 2)).astype(float)

    def f(y: Any, matrices: Any) -> Any:
        for matrix in matrices:
            y = y @ matrix / 4
        return tm.sum(y, axis=0)

    program, leaves = recorded(f, rows, matrices)
    factoring = Factoring(program)
    assert len(factoring.virtual) > 20
    found, right = Replay(factoring.written()[0])(leaves)[0], Replay(program)(leaves)[0]
    largest = np.ones(50) @ abs(rows)  # what rounding is relative to: the same sums with positive signs
    for matrix in matrices:
        largest = largest @ abs(matrix) / 4
    added = 50 + sum(len(matrix) + 1 for matrix in matrices)  # numbers added up on the way to one result
    assert (abs(found - right) <= 2 * added * np.finfo(float).eps * largest).all()
