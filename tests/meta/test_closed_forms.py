"""Where everything can be written down, the engine agrees with it to rounding.

For the mean squared error of a linear model the Hessian H of the support loss is constant, so k inner
steps of size α have the Jacobian (I − αH)ᵏ, and the minimum of the loss with λ/2 ‖θ − φ‖² added is linear
in φ. Tolerance 1e-12: a few hundred rounded operations on numbers of order 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tinymeta.meta.learners.metasgd import WeightsAndSteps

ALPHA = 0.05
FAMILY = tm.tasks.LinearRegressions(6, 6, 3, noise=0.1, dtype=np.float64)


def loss(params: Any, batch: Any) -> Any:
    x, y = batch
    return tm.nn.mse_loss(x @ params["w"] + params["b"], y)


def point(seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    return {"w": tm.tensor(rng.normal(size=(3, 1))), "b": tm.tensor(rng.normal(size=1))}


def vector(params: Any) -> Any:
    return np.r_[params["w"].numpy()[:, 0], params["b"].numpy()]


def quadratic(batch: Any) -> tuple[Any, Any]:
    """H and c of the loss θᵀHθ/2 − cᵀθ + const in θ = (w, b)."""
    x, y = np.c_[batch[0], np.ones(len(batch[0]))], batch[1][:, 0]
    return 2 / len(x) * x.T @ x, 2 / len(x) * x.T @ y


def descended(theta: Any, batch: Any, steps: int) -> Any:
    hessian, c = quadratic(batch)
    for _ in range(steps):
        theta = theta - ALPHA * (hessian @ theta - c)
    return theta


def tasks(n: int = 5) -> tm.tasks.Episode:
    return FAMILY.sample(np.random.default_rng(1), n)


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("differentiate", ["exact", "first_order", "reptile"])
def test_a_meta_gradient_on_linear_regression_is_its_closed_form(differentiate: str, steps: int) -> None:
    phi, expected = point(), []
    for task in tm.tasks.unstack(tasks()):
        theta = descended(vector(phi), task.support, steps)
        hessian, c = quadratic(task.query)
        jacobian = np.linalg.matrix_power(np.eye(4) - ALPHA * quadratic(task.support)[0], steps)
        first_order = hessian @ theta - c
        parts = {"exact": jacobian.T @ first_order, "first_order": first_order, "reptile": vector(phi) - theta}
        expected.append(parts[differentiate])
    objective = tm.meta.maml(loss, rule=tm.optim.SGD(ALPHA), steps=steps, differentiate=differentiate)
    value, grads = tm.value_and_grad(objective)(phi, tasks())
    np.testing.assert_allclose(vector(grads), np.mean(expected, axis=0), rtol=0, atol=1e-12)
    adapted = tm.meta.adaptation_curve(
        loss, tm.meta.on_query(loss), phi, tasks(), rule=tm.optim.SGD(ALPHA), steps=steps
    )
    assert float(value) == pytest.approx(adapted[:, -1].mean(), abs=1e-12)  # whatever the gradient is


@pytest.mark.parametrize(("lam", "damping"), [(0.5, 0.0), (2.0, 0.0), (0.5, 3.0)])
def test_the_implicit_meta_gradient_of_a_quadratic_is_its_closed_form(lam: float, damping: float) -> None:
    phi, expected, values = point(), [], []
    for task in tm.tasks.unstack(tasks()):
        hessian, c = quadratic(task.support)
        theta = np.linalg.solve(hessian + lam * np.eye(4), c + lam * vector(phi))  # eq. 3, stationary
        query_hessian, query_c = quadratic(task.query)
        slope = query_hessian @ theta - query_c
        expected.append(np.linalg.solve(np.eye(4) + hessian / (lam + damping), slope))  # Lemma 1
        values.append(theta)
    # 400 steps of 0.1 shrink the distance to the minimum by (1 − 0.1·0.5)^400 < 1e-8 at least, in the directions that
    # the support set says nothing about; there the start is the minimum already.
    how = {"rule": tm.optim.SGD(0.1), "steps": 400, "differentiate": tm.meta.Implicit(lam, 4, damping)}
    grads = tm.grad(tm.meta.maml(loss, **how))(phi, tasks())
    np.testing.assert_allclose(vector(grads), np.mean(expected, axis=0), rtol=0, atol=1e-12)


def test_meta_sgd_learns_its_step_sizes_by_minus_the_product_of_two_gradients() -> None:
    # θ' = θ − α∘g: the derivative of L_query(θ') in α is −g ∘ ∇L_query(θ') (Li et al. 2017, eq. 3).
    learner, theta = tm.meta.MetaSGD(loss, steps=1), point()
    phi = WeightsAndSteps(theta, tm.tree.map(lambda p: p * 0 + ALPHA, theta))
    (task,) = tm.tasks.unstack(tasks(1))
    hessian, c = quadratic(task.support)
    g = hessian @ vector(theta) - c
    query_hessian, query_c = quadratic(task.query)
    outer = query_hessian @ (vector(theta) - ALPHA * g) - query_c
    grads = tm.grad(learner)(phi, tasks(1))
    np.testing.assert_allclose(vector(grads.alpha), -g * outer, atol=1e-12)
    np.testing.assert_allclose(vector(grads.theta), outer - ALPHA * hessian @ outer, atol=1e-12)


def test_joint_training_follows_the_mean_of_both_losses() -> None:
    phi, expected = point(), []
    for task in tm.tasks.unstack(tasks()):
        expected += [h @ vector(phi) - c for h, c in (quadratic(task.support), quadratic(task.query))]
    grads = tm.grad(tm.meta.joint(loss))(phi, tasks())
    np.testing.assert_allclose(vector(grads), np.mean(expected, axis=0), atol=1e-12)
