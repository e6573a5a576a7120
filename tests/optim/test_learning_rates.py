"""A learning rate is a number, a Tensor, a tree like the parameters, or a schedule."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tinymeta.optim import schedules

PARAMS = {"a": tm.tensor([1.0, 2.0]), "b": tm.tensor([[3.0]])}
RULES: list[Any] = [tm.optim.SGD, tm.optim.Adam, tm.optim.AdamW, tm.optim.RMSProp, tm.optim.Adagrad]


def step(rule: Any, lr: Any, params: Any = PARAMS) -> Any:
    optimizer = rule(lr)
    return optimizer.update(params, optimizer.init(params), params)[0]


@pytest.mark.parametrize("rule", RULES)
def test_a_number_a_tensor_a_tree_and_a_schedule_of_one_value_agree(rule: Any) -> None:
    expected = step(rule, 0.1)
    tree_of_rates = {"a": tm.tensor([0.1, 0.1]), "b": tm.tensor(0.1)}
    for lr in (tm.tensor(0.1), tree_of_rates, lambda taken: 0.1, lambda taken: taken * 0 + 0.1):
        for name, p in step(rule, lr).items():
            np.testing.assert_allclose(p.numpy(), expected[name].numpy(), rtol=1e-15)


def test_every_weight_may_have_a_step_size_of_its_own() -> None:
    stepped = step(tm.optim.SGD, {"a": tm.tensor([0.0, 1.0]), "b": tm.tensor([[-1.0]])})
    np.testing.assert_array_equal(stepped["a"].numpy(), [1.0, 0.0])
    np.testing.assert_array_equal(stepped["b"].numpy(), [[6.0]])


def test_a_model_of_step_sizes_is_a_tree_and_no_schedule() -> None:
    model = tm.nn.Linear(2, 1, rng=np.random.default_rng(0))
    halves = tm.tree.map(lambda p: p * 0 + 0.5, model)
    stepped = step(tm.optim.SGD, halves, model)
    np.testing.assert_array_equal(stepped.weight.numpy(), 0.5 * model.weight.numpy())


def test_a_tree_of_another_structure_is_refused_with_the_fix() -> None:
    with pytest.raises(ValueError, match="structure of the parameters"):
        step(tm.optim.SGD, {"a": tm.tensor(0.1)})


def test_the_gradient_reaches_a_learning_rate_for_every_weight() -> None:
    # p − α g and the derivative of its sum by α: −g.
    rates = {"a": tm.tensor([0.1, 0.2]), "b": tm.tensor([[0.3]])}
    slopes = tm.grad(lambda lr: sum(tm.sum(p) for p in step(tm.optim.SGD, lr).values()))(rates)
    np.testing.assert_allclose(slopes["a"].numpy(), [-1.0, -2.0])
    np.testing.assert_allclose(slopes["b"].numpy(), [[-3.0]])


def test_a_schedule_is_asked_with_the_steps_taken_so_far() -> None:
    optimizer, p = tm.optim.SGD(lambda taken: 10.0 ** (0 - taken)), tm.tensor(0.0)
    state, path = optimizer.init(p), []
    for _ in range(3):
        p, state = optimizer.update(tm.tensor(-1.0), state, p)
        path.append(float(p))
    np.testing.assert_allclose(path, [1.0, 1.1, 1.11])


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        (schedules.cosine(2.0, 4, end=1.0), {0: 2.0, 2: 1.5, 4: 1.0, 9: 1.0}),
        (schedules.linear(1.0, 0.0, 4), {0: 1.0, 1: 0.75, 4: 0.0, 9: 0.0}),
        (schedules.exponential(1.0, 0.25, 2), {0: 1.0, 1: 0.5, 2: 0.25}),
        (schedules.staircase(1.0, 0.5, 3), {0: 1.0, 2: 1.0, 3: 0.5, 6: 0.25}),
        (schedules.piecewise([3.0, 2.0, 1.0], [2, 5]), {0: 3.0, 1: 3.0, 2: 2.0, 4: 2.0, 5: 1.0, 9: 1.0}),
        (schedules.warmup(4, schedules.linear(1.0, 1.0, 1)), {0: 0.25, 1: 0.5, 3: 1.0, 9: 1.0}),
        (schedules.warmup(1, schedules.linear(1.0, 1.0, 1)), {0: 1.0, 1: 1.0}),
        (schedules.warmup(0, schedules.linear(1.0, 1.0, 1)), {0: 1.0, 1: 1.0}),
    ],
)
def test_a_schedule_takes_its_values(schedule: Any, values: dict[int, float]) -> None:
    for taken, value in values.items():
        assert float(schedule(tm.tensor(float(taken)))) == pytest.approx(value, abs=1e-15)


def test_piecewise_counts_its_values() -> None:
    with pytest.raises(ValueError, match="one value more"):
        schedules.piecewise([1.0], [2])


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_counts_the_steps_that_a_schedule_is_asked_with(rule: Any) -> None:
    asked: list[float] = []
    optimizer = rule(lambda taken: asked.append(float(taken)) or 0.1)
    params, state = PARAMS, optimizer.init(PARAMS)
    for _ in range(3):
        params, state = optimizer.update(params, state, params)
    assert sorted({*asked}) == [0, 1, 2]
