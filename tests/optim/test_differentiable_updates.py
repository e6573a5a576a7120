"""Optimizers are differentiable through their steps, their state and their learning rate, at gradient 0 too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinymeta as tm

RULES: dict[str, Callable[[Any], Any]] = {
    "sgd": lambda lr: tm.optim.SGD(lr, weight_decay=0.1),
    "momentum": lambda lr: tm.optim.SGD(lr, momentum=0.9),
    "nesterov": lambda lr: tm.optim.SGD(lr, momentum=0.9, nesterov=True),
    "adam": lambda lr: tm.optim.Adam(lr, weight_decay=0.1),
    "adamw": lambda lr: tm.optim.AdamW(lr),
    "rmsprop": lambda lr: tm.optim.RMSProp(lr, momentum=0.5),
    "centered": lambda lr: tm.optim.RMSProp(lr, eps=0.1, centered=True),
    "adagrad": lambda lr: tm.optim.Adagrad(lr, lr_decay=0.1),
}


def trained(rule: Callable[[Any], Any], lr: Any, start: Any, steps: int = 3) -> Any:
    """Where `steps` steps down a curved function lead."""
    optimizer = rule(lr)
    p, state = start, optimizer.init(start)
    for _ in range(steps):
        p, state = optimizer.update(tm.grad(lambda p: tm.sum(tm.sin(p) * p + p**3))(p), state, p)
    return tm.sum(tm.cos(p))


@pytest.mark.parametrize("name", RULES)
def test_the_gradient_through_three_steps_is_exact_in_start_and_learning_rate(name: str) -> None:
    start, lr = np.array([0.3, -0.7, 1.1]), np.array(0.05)
    tm.testing.check_grad(lambda start, lr: trained(RULES[name], lr, start), start, lr, order=2)


def after_one_step(rule: Callable[[Any], Any], g: Any) -> Any:
    optimizer, start = rule(0.1), tm.tensor(2.0, g.dtype)
    return optimizer.update(g, optimizer.init(start), start)[0]


def test_adam_is_differentiable_at_a_gradient_of_zero() -> None:
    # The first step is −lr g/(|g| + ε), whose derivative at g = 0 is −lr/ε.
    slope = tm.grad(lambda g: after_one_step(lambda lr: tm.optim.Adam(lr, eps=1e-3), g))(0.0)
    assert float(slope) == pytest.approx(-0.1 / 1e-3, rel=1e-12)


def test_adam_stays_finite_where_the_square_of_a_gradient_underflows() -> None:
    tiny = np.float32(1e-30)  # its square is 0 in float32
    slope = tm.grad(lambda g: after_one_step(lambda lr: tm.optim.Adam(lr, eps=1e-3), g))(tiny)
    assert float(slope) == pytest.approx(-0.1 / 1e-3, rel=1e-5)


def test_rmsprop_and_adagrad_are_differentiable_at_a_gradient_of_zero() -> None:
    for rule in (lambda lr: tm.optim.RMSProp(lr, eps=1e-3), lambda lr: tm.optim.Adagrad(lr, eps=1e-3)):
        slope = tm.grad(lambda g, rule=rule: after_one_step(rule, g))(0.0)
        assert float(slope) == pytest.approx(-0.1 / 1e-3, rel=1e-12)


def test_a_parameter_that_the_loss_ignores_does_not_poison_a_meta_gradient_through_adam() -> None:
    def query(start: Any) -> Any:
        optimizer = tm.optim.Adam(0.1)
        grads = tm.grad(lambda p: p["used"] ** 2)(start)  # exactly 0 for the other one
        params, _ = optimizer.update(grads, optimizer.init(start), start)
        return params["used"] ** 2 + 3 * params["ignored"]

    grads = tm.grad(query)({"used": np.array(1.0), "ignored": np.array(1.0)})
    assert float(grads["ignored"]) == 3.0
    assert np.isfinite(float(grads["used"]))
