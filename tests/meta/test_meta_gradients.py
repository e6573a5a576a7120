"""The meta-gradient of every learner that claims an exact one is exact; of the others the bias is what it should be.

Central differences of an objective of order 1 with steps of 1e-5 have a truncation error near 1e-10 and a
rounding error near 1e-16/1e-5 = 1e-11, so 1e-8 of the largest entry is ten times the worst seen.
"""

from __future__ import annotations

import numpy as np
import pytest

import tinymeta as tm
from tests.meta.learners import BIASED, EXACT, episodes, flat, objective, start
from tests.meta.slopes import central_differences


@pytest.mark.parametrize("name", EXACT)
def test_an_exact_meta_gradient_agrees_with_central_differences(name: str) -> None:
    learner, batch = EXACT[name], episodes(tasks=2)
    phi, f = start(learner), objective(learner)
    found = flat(tm.grad(f)(phi, batch))
    expected = flat(central_differences(lambda phi: f(phi, batch), phi))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8 * np.abs(expected).max())


@pytest.mark.parametrize("name", [n for n in EXACT if n != "imaml"])
def test_an_exact_meta_gradient_agrees_with_the_complex_step(name: str) -> None:
    learner, batch = EXACT[name], episodes(tasks=2)
    f = objective(learner)
    tm.testing.check_grad(lambda phi: f(phi, batch), start(learner), order=1, elements=20)


@pytest.mark.parametrize("name", BIASED)
def test_a_biased_meta_gradient_differs_from_the_slope_of_its_value(name: str) -> None:
    learner, batch = BIASED[name], episodes(tasks=2)
    phi, f = start(learner), objective(learner)
    found = flat(tm.grad(f)(phi, batch))
    true = flat(central_differences(lambda phi: f(phi, batch), phi))
    bias = np.linalg.norm(found - true) / np.linalg.norm(true)
    assert bias > 0.01, f"{name} claims to be biased, and its gradient is right to {bias:.1e}"


def test_first_order_maml_drops_exactly_the_hessian_part() -> None:
    maml, batch = EXACT["maml, 1 step"], episodes(tasks=1)
    phi = start(maml)
    exact, kept = (
        tm.grad(tm.meta.maml(maml.loss, rule=maml.rule, steps=1, differentiate=how))(phi, batch)
        for how in ("exact", "first_order")
    )
    (task,) = tm.tasks.unstack(batch)
    adapted = tm.meta.adapt(maml.loss, phi, task.support, rule=maml.rule, steps=1)
    g = tm.grad(maml.loss)(adapted, task.query)
    hessian_part = tm.hvp(lambda p: maml.loss(p, task.support), phi, g)
    np.testing.assert_allclose(flat(exact) - flat(kept), -0.1 * flat(hessian_part), atol=1e-15)
    np.testing.assert_allclose(flat(kept), flat(g), atol=1e-15)


def test_maml_plus_plus_is_first_order_until_the_iteration_asked_for() -> None:
    batch = episodes()
    exact, gated = EXACT["maml++"], BIASED["maml++, before its second derivatives"]
    phi = start(exact)
    at = lambda learner, i: flat(tm.grad(lambda p: learner(p, batch, tm.tensor(float(i))))(phi))
    np.testing.assert_allclose(at(gated, 5), at(exact, 5), atol=1e-15)
    assert np.abs(at(gated, 4) - at(exact, 4)).max() > 1e-3
