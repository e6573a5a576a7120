"""Every number of an optimizer, a schedule, a clipping and a normalisation may be a Tensor, and has its gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tinymeta.optim import sgd

O, S = tm.optim, tm.optim.schedules
W = np.array([1.0, -2.0, 3.0])
STEP = 1e-5

RULES: dict[str, tuple[Callable[[Any], Any], float]] = {
    "SGD lr": (lambda h: O.SGD(h), 0.1),
    "SGD momentum": (lambda h: O.SGD(0.1, h), 0.9),
    "SGD Nesterov momentum": (lambda h: O.SGD(0.1, h, nesterov=True), 0.8),
    "SGD weight_decay": (lambda h: O.SGD(0.1, weight_decay=h), 0.1),
    "SGD momentum, weight_decay": (lambda h: O.SGD(0.1, 0.9, weight_decay=h), 0.1),
    "Adam lr": (lambda h: O.Adam(h), 0.1),
    "Adam b1": (lambda h: O.Adam(0.1, h), 0.9),
    "Adam b2": (lambda h: O.Adam(0.1, 0.9, h), 0.99),
    "Adam eps": (lambda h: O.Adam(0.1, eps=h), 0.1),
    "Adam weight_decay": (lambda h: O.Adam(0.1, weight_decay=h), 0.1),
    "AdamW weight_decay": (lambda h: O.AdamW(0.1, weight_decay=h), 0.1),
    "RMSProp decay": (lambda h: O.RMSProp(0.1, h), 0.9),
    "RMSProp eps": (lambda h: O.RMSProp(0.1, eps=h), 0.1),
    "RMSProp weight_decay": (lambda h: O.RMSProp(0.1, weight_decay=h), 0.1),
    "RMSProp momentum": (lambda h: O.RMSProp(0.1, momentum=h), 0.9),
    "RMSProp centered decay": (lambda h: O.RMSProp(0.1, h, centered=True, eps=0.1), 0.9),
    "Adagrad lr_decay": (lambda h: O.Adagrad(0.1, h), 0.1),
    "Adagrad eps": (lambda h: O.Adagrad(0.1, eps=h), 0.1),
    "Adagrad weight_decay": (lambda h: O.Adagrad(0.1, weight_decay=h), 0.1),
    "Adagrad initial": (lambda h: O.Adagrad(0.1, initial=h), 0.5),
    "cosine peak": (lambda h: O.SGD(S.cosine(h, 5)), 0.1),
    "cosine end": (lambda h: O.SGD(S.cosine(0.1, 2, h)), 0.05),
    "linear start": (lambda h: O.SGD(S.linear(h, 0.01, 5)), 0.1),
    "linear end": (lambda h: O.Adam(S.linear(0.1, h, 2)), 0.05),
    "exponential start": (lambda h: O.SGD(S.exponential(h, 0.9, 2)), 0.1),
    "exponential decay": (lambda h: O.SGD(S.exponential(0.1, h, 2)), 0.9),
    "staircase decay": (lambda h: O.SGD(S.staircase(0.1, h, 1)), 0.9),
    "piecewise value": (lambda h: O.SGD(S.piecewise([0.2, h], [1])), 0.1),
    "warmup of a peak": (lambda h: O.SGD(S.warmup(2, S.cosine(h, 5))), 0.1),
    "limit of the norm": (lambda h: O.Clipped(O.SGD(0.1), lambda g: O.clip_by_global_norm(g, h)), 0.7),
    "limit of the values": (lambda h: O.Clipped(O.SGD(0.1), lambda g: O.clip_by_value(g, h)), 0.7),
}


def trained(make: Callable[[Any], Any]) -> Callable[..., Any]:
    """The loss after three steps, as a function of the setting and, if passed, of the first weights."""

    def loss(h: Any, w: Any = None) -> Any:
        rule, w = make(h), tm.tensor(W) if w is None else w
        state = rule.init(w)
        for _ in range(3):
            w, state = rule.update(2 * w + tm.sin(w), state, w)
        return tm.sum(w**2)

    return loss


def slope(f: Callable[[float], Any], h: float) -> float:
    """The central difference; its error is about f'''·STEP²/6 + ε·|f|/STEP, below 1e-9 of these losses' size."""
    return (f(h + STEP).item() - f(h - STEP).item()) / (2 * STEP)


@pytest.mark.parametrize("name", RULES)
def test_a_setting_has_its_gradient_whether_the_weights_are_differentiated_or_not(name: str) -> None:
    make, h = RULES[name]
    loss = trained(make)
    right = slope(loss, h)
    scale = abs(right) + abs(loss(h).item())
    assert abs(right) > 1e-6 * scale, "the setting plays no part here"
    for found in (tm.grad(loss)(h), tm.grad(loss, argnums=(0, 1))(h, W)[0], tm.jvp(loss, (h,), (1.0,))[1]):
        assert abs(found.item() - right) <= 1e-7 * scale


@pytest.mark.parametrize("name", RULES)
def test_a_batch_of_settings_is_a_loop_over_them(name: str) -> None:
    make, h = RULES[name]
    loss, hs = trained(make), np.array([h, 0.9 * h, 0.8 * h])
    one = tm.value_and_grad(loss)
    for found, right in zip(tm.vmap(one)(hs), zip(*[one(x) for x in hs])):
        np.testing.assert_allclose(found.numpy(), [r.item() for r in right], rtol=1e-10)


@pytest.mark.parametrize(
    "name", ["SGD momentum", "SGD weight_decay", "AdamW weight_decay", "RMSProp momentum", "Adagrad lr_decay"]
)
def test_a_setting_at_zero_has_its_gradient_too(name: str) -> None:
    """A plain 0 leaves a term out; a Tensor that is 0 must not."""
    loss = trained(RULES[name][0])
    right = slope(loss, 0.0)
    assert right != 0
    assert abs(tm.grad(loss)(0.0).item() - right) <= 1e-7 * (abs(right) + abs(loss(0.0).item()))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_settings_in_another_dtype_leave_that_of_the_weights(dtype: Any) -> None:
    for make, h in RULES.values():
        rule, w = make(tm.tensor(h)), tm.tensor(W.astype(dtype))
        state = rule.init(w)
        for _ in range(2):
            w, state = rule.update(w, state, w)
        assert w.dtype == dtype


@pytest.mark.parametrize("name", ["layer_norm", "batch_norm", "group_norm"])
def test_the_eps_of_a_normalisation_has_its_gradient(name: str) -> None:
    x = np.random.default_rng(0).normal(size=(4, 6, 2))
    norm = {
        "layer_norm": lambda e: tm.nn.layer_norm(x, eps=e),
        "batch_norm": lambda e: tm.nn.batch_norm(x, eps=e),
        "group_norm": lambda e: tm.nn.group_norm(x, 3, eps=e),
    }[name]
    loss = lambda e: tm.sum(tm.exp(norm(e)))
    np.testing.assert_allclose(norm(tm.tensor(0.1)).numpy(), norm(0.1).numpy(), rtol=1e-12)
    right = slope(loss, 0.1)
    assert abs(tm.grad(loss)(0.1).item() - right) <= 1e-7 * (abs(right) + abs(loss(0.1).item()))


def test_nan_does_not_pass_a_clipping_as_if_nothing_were() -> None:
    clipped = O.clip_by_global_norm([tm.tensor([np.nan, 1.0]), tm.tensor([5.0])], 1.0)
    assert all(np.isnan(g.numpy()).all() for g in clipped)


def test_a_fused_step_that_takes_a_tensor_for_a_number_is_caught(monkeypatch: Any) -> None:
    monkeypatch.setattr(sgd, "in_one", lambda step, *xs, **how: step(*xs, **how))
    with pytest.raises(TypeError, match="static argument"):
        test_a_setting_has_its_gradient_whether_the_weights_are_differentiated_or_not("SGD momentum")
