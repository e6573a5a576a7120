"""The fused kernels compute what their plain forms do, and run where nothing differentiates, whoever looks on.

Tolerance: both round the same dozen operations, in another order; 8 units in the last place.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tinymeta.engine.convert import as_tensors
from tinymeta.engine.state import Watcher, setting
from tinymeta.optim import adam, fused, sgd

RULES = {
    "momentum": tm.optim.SGD(0.1, momentum=0.9, weight_decay=0.01),
    "nesterov": tm.optim.SGD(0.1, momentum=0.9, nesterov=True),
    "adam": tm.optim.Adam(1e-2, weight_decay=0.01),
    "adamw": tm.optim.AdamW(1e-2),
    "scheduled": tm.optim.Adam(tm.optim.schedules.cosine(1e-2, 10)),
}


def descend(optimizer: Any, params: Any, grads: list[Any]) -> Any:
    state = optimizer.init(params)
    for g in grads:
        params, state = optimizer.update(g, state, params)
    return params, state


class Seen(Watcher):
    """The names of the operations that run."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def saw(self, primitive: Any, inputs: Any, static: Any, output: Any) -> None:
        self.names.append(primitive.__name__)


def take_plain_steps(monkeypatch: Any) -> None:
    for module in (adam, sgd):
        monkeypatch.setattr(module, "in_one", lambda step, *xs, **how: step.plain(*as_tensors(xs), **how))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", RULES)
def test_a_fused_step_equals_the_composed_one(name: str, dtype: Any, monkeypatch: Any) -> None:
    rng = np.random.default_rng(0)
    params = {"w": tm.tensor(rng.normal(size=(5, 7)).astype(dtype)), "b": tm.tensor(rng.normal(size=7).astype(dtype))}
    grads = [tm.tree.map(lambda p: tm.tensor(rng.normal(size=p.shape).astype(dtype)), params) for _ in range(5)]
    fused = descend(RULES[name], params, grads)
    take_plain_steps(monkeypatch)
    composed = descend(RULES[name], params, grads)
    for a, b in zip(tm.tree.leaves(fused), tm.tree.leaves(composed)):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=8 * np.finfo(a.dtype).eps, atol=8 * np.finfo(dtype).eps)


@pytest.mark.parametrize("name", RULES)
def test_a_step_is_one_operation_where_nothing_differentiates_and_only_there(name: str) -> None:
    optimizer, p = RULES[name], tm.tensor([1.0, 2.0], requires_grad=True)
    for params in (p, p.detach()):
        seen = Seen()
        with setting(watchers=(seen,)):
            optimizer.update(params, optimizer.init(params), params)
        assert bool({"sgd_step", "adam_step"} & set(seen.names)) == (params is not p)


@pytest.mark.parametrize("name", RULES)
def test_two_derivatives_of_a_fused_step_are_those_of_its_plain_form(name: str, monkeypatch: Any) -> None:
    rng = np.random.default_rng(0)
    params, grads = rng.normal(size=(2, 3)), [rng.normal(size=(2, 3)) for _ in range(2)]

    def loss(params: Any) -> Any:
        return tm.sum(descend(RULES[name], params, [tm.sin(params * g) for g in grads])[0] ** 2)

    def derivatives() -> Any:
        return tm.grad(loss)(params), tm.hessian(loss)(params)

    for module in (adam, sgd):
        monkeypatch.setattr(module, "in_one", lambda step, *xs, **how: step(*xs, **how))
    fused = derivatives()
    take_plain_steps(monkeypatch)
    for a, b in zip(fused, derivatives()):
        # Two steps of some twenty operations each, and their sweeps: a few hundred roundings of numbers below 10.
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12, atol=1e-12)


def test_fused_and_composed_steps_agree_under_vmap() -> None:
    optimizer = tm.optim.Adam(0.1)
    p, g = np.arange(3.0), np.random.default_rng(0).normal(size=(4, 3))

    def step(p: Any, g: Any) -> Any:
        params, state = optimizer.update(g, optimizer.init(p), p)
        return optimizer.update(g, state, params)[0]

    together = tm.vmap(step, in_axes=(None, 0))(p, g).numpy()
    for i in range(4):
        np.testing.assert_allclose(together[i], step(tm.tensor(p), tm.tensor(g[i])).numpy(), rtol=1e-14)


def test_tasks_that_have_taken_different_numbers_of_steps_go_on_together() -> None:
    optimizer, p, grads = tm.optim.Adam(0.1), tm.tensor(np.arange(3.0)), np.random.default_rng(0).normal(size=(2, 3))
    states = [optimizer.init(p), optimizer.update(tm.tensor(grads[0]), optimizer.init(p), p)[1]]
    step = lambda g, state: optimizer.update(g, state, p)[0]
    together = tm.vmap(step)(grads, tm.tree.stack(states)).numpy()
    for i, state in enumerate(states):
        np.testing.assert_allclose(together[i], step(tm.tensor(grads[i]), state).numpy(), rtol=1e-14)


@pytest.mark.parametrize("rule", [tm.optim.SGD, partial(tm.optim.SGD, momentum=0.5), tm.optim.Adam])
def test_two_tasks_with_a_step_size_each_go_on_together(rule: Any) -> None:
    p, grads, rates = tm.tensor(np.arange(3.0)), np.random.default_rng(0).normal(size=(2, 3)), np.array([0.1, 0.5])
    step = lambda g, lr: rule(lr).update(g, rule(lr).init(p), p)[0]
    together = tm.vmap(step)(grads, rates).numpy()
    for k in range(2):
        np.testing.assert_allclose(together[k], step(tm.tensor(grads[k]), rates[k]).numpy(), rtol=1e-14)


@pytest.mark.parametrize("name", RULES)
def test_a_fused_step_is_its_kernel_and_not_the_reference_that_is_as_right_and_slower(
    name: str, monkeypatch: Any
) -> None:
    run, optimizer, p = [], RULES[name], tm.tensor([1.0, 2.0])
    for kernel in ("sgd_update", "adam_update"):
        compiled = getattr(fused.kernels, kernel)
        monkeypatch.setattr(fused.kernels, kernel, lambda *args, f=compiled: run.append(f.__name__) or f(*args))
    optimizer.update(p, optimizer.init(p), p)
    assert len(run) == 1
