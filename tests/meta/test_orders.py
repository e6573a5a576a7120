"""The order of a meta-gradient is visible: 2 for MAML however many steps, 1 for what drops second derivatives."""

from __future__ import annotations

from typing import Any

import pytest

import tinymeta as tm
from tests.meta.learners import EXACT, LEARNERS, episodes, objective, start


def highest(learner: Any) -> int:
    """The highest order among the nodes that the meta-gradient was made from."""
    leaves, structure = tm.tree.flatten(start(learner))
    followed = [tm.tensor(leaf, requires_grad=True) for leaf in leaves]
    value = objective(learner)(tm.tree.unflatten(structure, followed), episodes())
    return max(tm.orders(*tm.gradient(value, followed)))


def maml(steps: int, differentiate: str) -> Any:
    return tm.meta.MAML(rule=tm.optim.SGD(0.1), steps=steps, differentiate=differentiate, network=EXACT["anil"].network)


@pytest.mark.parametrize("steps", [1, 2, 5, 10])
def test_maml_has_order_two_at_any_number_of_steps(steps: int) -> None:
    assert highest(maml(steps, "exact")) == 2


@pytest.mark.parametrize("steps", [1, 5])
@pytest.mark.parametrize("differentiate", ["first_order", "reptile"])
def test_first_order_methods_have_order_one(differentiate: str, steps: int) -> None:
    assert highest(maml(steps, differentiate)) == 1


@pytest.mark.parametrize(
    ("name", "order"),
    [("anil", 2), ("meta-sgd", 2), ("maml++", 2), ("cavia", 2), ("joint", 1), ("protonet", 1), ("in-context", 1)],
)
def test_a_learner_has_the_order_of_its_mathematics(name: str, order: int) -> None:
    assert highest(LEARNERS[name]) == order


def test_a_trace_counts_no_second_order_operations_in_first_order_maml() -> None:
    for differentiate, expected in (("exact", 2), ("first_order", 1)):
        learner = maml(3, differentiate)
        phi, batch = start(learner), episodes()
        with tm.trace() as t:
            tm.grad(learner)(phi, batch)
        assert max(step.order for step in t.steps) == expected
