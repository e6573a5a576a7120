"""The fused kernels compute what the Tensor operations do, and are used exactly where nothing differentiates.

Tolerance: both round the same dozen operations, in another order; 8 units in the last place.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tinymeta.engine.state import Watcher, setting

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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", RULES)
def test_a_fused_step_equals_the_composed_one(name: str, dtype: Any) -> None:
    rng = np.random.default_rng(0)
    params = {"w": tm.tensor(rng.normal(size=(5, 7)).astype(dtype)), "b": tm.tensor(rng.normal(size=7).astype(dtype))}
    grads = [tm.tree.map(lambda p: tm.tensor(rng.normal(size=p.shape).astype(dtype)), params) for _ in range(5)]
    fused = descend(RULES[name], params, grads)
    with setting(watchers=(Watcher(),)):  # somebody looks on: plain operations
        composed = descend(RULES[name], params, grads)
    for a, b in zip(tm.tree.leaves(fused), tm.tree.leaves(composed)):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=8 * np.finfo(a.dtype).eps, atol=8 * np.finfo(dtype).eps)


@pytest.mark.parametrize("name", RULES)
def test_a_fused_step_is_used_where_nothing_differentiates_and_only_there(name: str, monkeypatch: Any) -> None:
    from tinymeta.optim import adam, fused, sgd

    calls: list[str] = []
    for module, step in ((adam, "adam_step"), (sgd, "sgd_step")):

        def counted(*xs: Any, primitive: Any = getattr(fused, step), **how: Any) -> Any:
            calls.append(primitive.__name__)
            return primitive(*xs, **how)

        monkeypatch.setattr(module, step, counted)
    optimizer, p = RULES[name], tm.tensor([1.0, 2.0])
    optimizer.update(p, optimizer.init(p), p)
    assert len(calls) == 1
    tm.grad(lambda g: tm.sum(optimizer.update(g, optimizer.init(p), p)[0]))(p)
    assert len(calls) == 1


def test_fused_and_composed_steps_agree_under_vmap() -> None:
    optimizer = tm.optim.Adam(0.1)
    p, g = np.arange(3.0), np.random.default_rng(0).normal(size=(4, 3))

    def step(p: Any, g: Any) -> Any:
        params, state = optimizer.update(g, optimizer.init(p), p)
        return optimizer.update(g, state, params)[0]

    together = tm.vmap(step, in_axes=(None, 0))(p, g).numpy()
    for i in range(4):
        np.testing.assert_allclose(together[i], step(tm.tensor(p), tm.tensor(g[i])).numpy(), rtol=1e-14)
