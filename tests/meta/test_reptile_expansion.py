"""The expansion of Nichol et al. (2018, § 5.1), measured: two inner steps of size α on two minibatches.

    MAML 1·AvgGrad − 2α·AvgGradInner,   first-order 1, −α,   Reptile 2, −α      (+ O(α²), in expectation over order)

The meta-gradients at four step sizes up to 1e-2 determine a polynomial of degree 3 in α, whose constant and
linear coefficients are the table's, up to α⁴ ~ 1e-8 and α³ ~ 1e-6 times higher derivatives of the loss.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tests.meta.learners import Blobs, flat, network
from tinymeta.meta import classification

EXPECTED = {"maml": (1.0, -2.0), "first-order": (1.0, -1.0), "reptile": (2.0, -1.0)}


def batches() -> tuple[Any, Any]:
    """Two minibatches of one task."""
    task = next(tm.tasks.unstack(Blobs(shots=3, query=3).sample(np.random.default_rng(4), 1)))
    return task.support, task.query


def meta_gradient(method: str, alpha: float, phi: Any, first: Any, second: Any) -> Any:
    """One order of the minibatches: MAML steps on the first and is judged by the second; Reptile steps on both."""
    if method == "reptile":
        joined = tuple(np.stack(pair, axis=1).reshape((-1, *pair[0].shape[1:])) for pair in zip(first, second))
        options: dict[str, Any] = {"steps": 2, "parts": 2, "differentiate": "reptile"}
        task, scale = tm.tasks.Episode(joined, second), alpha  # (φ − φ̃)/α is what the table is about
    else:
        options = {"steps": 1, "differentiate": "exact" if method == "maml" else "first_order"}
        task, scale = tm.tasks.Episode(first, second), 1.0
    rule = tm.optim.SGD(alpha)
    g = tm.grad(lambda phi: tm.meta.query_loss(classification, phi, task, rule=rule, **options))(phi)
    return flat(g) / scale


def in_both_orders(method: str, alpha: float, phi: Any) -> Any:
    first, second = batches()
    return 0.5 * (meta_gradient(method, alpha, phi, first, second) + meta_gradient(method, alpha, phi, second, first))


@pytest.mark.parametrize("method", EXPECTED)
def test_the_coefficients_of_the_expansion_are_those_of_the_paper(method: str) -> None:
    phi = network(np.random.default_rng(0))
    first, second = batches()
    g = [tm.grad(classification)(phi, batch) for batch in (first, second)]
    avg_grad = 0.5 * (flat(g[0]) + flat(g[1]))
    inner = [tm.hvp(lambda p, b=b: classification(p, b), phi, v) for b, v in zip((second, first), g)]
    avg_grad_inner = 0.5 * (flat(inner[0]) + flat(inner[1]))

    alphas = 1e-2 / np.array([1, 2, 4, 8])
    values = np.stack([in_both_orders(method, alpha, phi) for alpha in alphas])
    constant, slope, *_ = np.linalg.solve(np.vander(alphas, increasing=True), values)
    assert constant @ avg_grad / (avg_grad @ avg_grad) == pytest.approx(EXPECTED[method][0], abs=1e-6)
    assert slope @ avg_grad_inner / (avg_grad_inner @ avg_grad_inner) == pytest.approx(EXPECTED[method][1], abs=1e-4)
    np.testing.assert_allclose(constant, EXPECTED[method][0] * avg_grad, atol=1e-6)
    np.testing.assert_allclose(slope, EXPECTED[method][1] * avg_grad_inner, atol=1e-4)
