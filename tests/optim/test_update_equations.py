"""Every optimizer follows PyTorch's equations, for any settings and any gradients.

Tolerance: a step is a dozen rounded operations on numbers of order 1, so six steps in float64 stay
within 1e-12; divisions by √v + ε amplify by at most 1/√v, and gradients are kept above 1e-3.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinymeta as tm
from tests.optim import numpy_rules
from tinymeta.optim.optimizer import check_rule

rates = st.floats(1e-3, 0.5)
shares = st.floats(0.0, 0.99)
decays = st.floats(0.0, 0.3)
eps = st.sampled_from([1e-8, 1e-3])
seeds = st.integers(0, 2**32 - 1)

SETTINGS = {
    "sgd": {"lr": rates, "momentum": st.just(0.0), "nesterov": st.just(False), "weight_decay": decays},
    "momentum": {"lr": rates, "momentum": st.floats(0.1, 0.99), "nesterov": st.booleans(), "weight_decay": decays},
    "adam": {"lr": rates, "b1": shares, "b2": shares, "eps": eps, "weight_decay": decays},
    "adamw": {"lr": rates, "b1": shares, "b2": shares, "eps": eps, "weight_decay": decays},
    "rmsprop": {
        "lr": rates,
        "decay": st.floats(0.1, 0.99),
        "eps": eps,
        "weight_decay": decays,
        "momentum": shares,
        "centered": st.just(False),
    },
    "centered": {
        "lr": rates,
        "decay": st.floats(0.5, 0.9),
        "eps": st.just(1e-2),
        "weight_decay": decays,
        "momentum": shares,
        "centered": st.just(True),
    },
    "adagrad": {"lr": rates, "lr_decay": decays, "eps": eps, "weight_decay": decays, "initial": st.floats(0, 1)},
}
OURS: dict[str, Any] = {
    "sgd": tm.optim.SGD,
    "momentum": tm.optim.SGD,
    "adam": tm.optim.Adam,
    "adamw": tm.optim.AdamW,
    "rmsprop": tm.optim.RMSProp,
    "centered": tm.optim.RMSProp,
    "adagrad": tm.optim.Adagrad,
}
RULES: dict[str, Any] = {
    "sgd": numpy_rules.sgd,
    "momentum": numpy_rules.sgd,
    "adam": numpy_rules.adam,
    "adamw": numpy_rules.adamw,
    "rmsprop": numpy_rules.rmsprop,
    "centered": numpy_rules.rmsprop,
    "adagrad": numpy_rules.adagrad,
}


def descend(optimizer: Any, params: Any, grads: list[Any]) -> Any:
    state = optimizer.init(params)
    for g in grads:
        params, state = optimizer.update(g, state, params)
    return params


def drawn(seed: int, steps: int = 6) -> tuple[Any, list[Any]]:
    rng = np.random.default_rng(seed)
    grads = rng.uniform(1e-3, 2, (steps, 2, 3)) * rng.choice([-1, 1], (steps, 2, 3))
    return rng.normal(size=(2, 3)), list(grads)


@pytest.mark.parametrize("name", SETTINGS)
@given(data=st.data(), seed=seeds)
def test_an_optimizer_follows_its_equations(name: str, data: st.DataObject, seed: int) -> None:
    options = data.draw(st.fixed_dictionaries(SETTINGS[name]))
    start, grads = drawn(seed)
    ours = descend(OURS[name](**options), {"w": tm.tensor(start)}, [{"w": tm.tensor(g)} for g in grads])
    theirs = RULES[name](start, grads, **options)
    np.testing.assert_allclose(ours["w"].numpy(), theirs, rtol=1e-11, atol=1e-11)


def test_adam_with_its_defaults_takes_a_first_step_of_the_learning_rate() -> None:
    optimizer, start = tm.optim.Adam(0.1), tm.tensor([0.0, 0.0])
    params, _ = optimizer.update(tm.tensor([3.0, -1e-3]), optimizer.init(start), start)
    np.testing.assert_allclose(params.numpy(), [-0.1, 0.1], rtol=1e-4)  # g/(|g| + ε) is 1 but for ε/|g| = 1e-5


@pytest.mark.parametrize("name", OURS)
def test_parameters_keep_their_dtype(name: str) -> None:
    options = {"lr": 0.1} | ({"momentum": 0.9} if name == "momentum" else {})
    params = {"a": tm.tensor(np.ones(2, np.float32)), "b": tm.tensor(np.ones(2, np.float64))}
    stepped = descend(OURS[name](**options), params, [params, params])
    assert (stepped["a"].dtype, stepped["b"].dtype) == (np.float32, np.float64)


@pytest.mark.parametrize("name", OURS)
def test_an_update_changes_nothing_in_place(name: str) -> None:
    options = {"lr": 0.1} | ({"momentum": 0.9} if name == "momentum" else {})
    optimizer, p, g = OURS[name](**options), tm.tensor([1.0, 2.0]), tm.tensor([0.5, -1.0])
    state = optimizer.init(p)
    before = [x.numpy().copy() for x in tm.tree.leaves((p, g, state))]
    optimizer.update(g, state, p)
    for x, kept in zip(tm.tree.leaves((p, g, state)), before):
        np.testing.assert_array_equal(x.numpy(), kept)


def test_gradients_of_another_model_are_refused_with_the_fix() -> None:
    optimizer, params = tm.optim.Adam(), {"a": tm.tensor(1.0)}
    with pytest.raises(ValueError, match="structure of the parameters"):
        optimizer.update({"b": tm.tensor(1.0)}, optimizer.init(params), params)


def test_a_centred_rule_keeps_the_average_of_gradients_with_its_sign() -> None:
    optimizer, p = tm.optim.RMSProp(0.1, decay=0.75, centered=True), tm.tensor([1.0, 1.0])
    state = optimizer.init(p)
    for g, mean in (([4.0, -4.0], [1.0, -1.0]), ([-4.0, 8.0], [-0.25, 1.25])):
        p, state = optimizer.update(tm.tensor(g), state, p)
        assert state.mean.tolist() == mean


def test_nesterov_without_momentum_is_refused() -> None:
    with pytest.raises(ValueError, match="momentum > 0"):
        tm.optim.SGD(0.1, nesterov=True)


@pytest.mark.parametrize("rule", [tm.optim.Adam, "adam", SimpleNamespace(init=tm.sum), {}])
def test_what_is_no_rule_is_told(rule: object) -> None:
    with pytest.raises(tm.UserError, match="rule"):
        check_rule("rule", rule)
