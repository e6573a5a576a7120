"""Times of whole steps and of small operations, to compare one commit with another on one machine.

    pytest tests/benchmarks --benchmark-autosave                 before a change
    pytest tests/benchmarks --benchmark-compare                  after it

Not part of the suite: `pytest` alone does not come here. Peers are `tinymeta bench --peers`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tinymeta.bench.backends import backend
from tinymeta.bench.worker import prepared
from tinymeta.bench.workloads import WORKLOADS


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_compiled_step(benchmark: Any, name: str) -> None:
    step, arguments = prepared(WORKLOADS[name], backend("tinymeta compiled", 2), np.float32)
    benchmark.pedantic(step, arguments, warmup_rounds=2, rounds=20 if name < "W3" else 5)


@pytest.mark.parametrize("name", ["W1", "W2", "hessian"])
def test_an_eager_step(benchmark: Any, name: str) -> None:
    step, arguments = prepared(WORKLOADS[name], backend("tinymeta eager", 2), np.float32)
    benchmark(step, *arguments)


def test_the_first_compiled_step(benchmark: Any) -> None:
    """Recording, optimising and planning W1."""

    def first() -> None:
        step, arguments = prepared(WORKLOADS["W1"], backend("tinymeta compiled", 2), np.float32)
        step(*arguments)

    benchmark.pedantic(first, warmup_rounds=1, rounds=5)


def test_a_chain_of_small_operations(benchmark: Any) -> None:
    """150 operations on 10 elements, forwards and backwards."""
    x, y = np.linspace(0.1, 0.9, 10), tm.tensor(np.linspace(1.0, 2.0, 10))

    def chain(x: Any) -> Any:
        for _ in range(50):
            x = tm.tanh(x * y) + x
        return x.sum()

    benchmark(tm.value_and_grad(chain), x)
