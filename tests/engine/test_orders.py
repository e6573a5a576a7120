"""P14: the order of a node says how often something was differentiated to make it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tests.engine.meta_problem import objective, start
from tinymeta.engine.state import Watcher, setting


def _meta_gradient_orders(steps: int, **how: Any) -> dict[int, int]:
    params = {name: tm.tensor(p, requires_grad=True) for name, p in start().items()}
    grads = tm.gradient(objective(params, 1, steps, **how), list(params.values()))
    return dict(tm.orders(*grads))


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_the_meta_gradient_of_maml_has_order_2_however_many_inner_steps(steps: int) -> None:
    assert max(_meta_gradient_orders(steps)) == 2


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_the_meta_gradient_of_first_order_maml_has_order_1(steps: int) -> None:
    assert max(_meta_gradient_orders(steps, change=tm.stop_gradient)) == 1


def test_without_inner_steps_the_gradient_has_order_1() -> None:
    assert max(_meta_gradient_orders(0)) == 1


def test_the_number_of_order_2_nodes_grows_with_the_inner_steps() -> None:
    one, two, three = (_meta_gradient_orders(k)[2] for k in (1, 2, 3))
    assert one < two < three and three - two == two - one


def test_adapt_says_the_same_of_exact_and_first_order_learning() -> None:
    rule = tm.optim.SGD(0.1)
    found = {}
    for differentiate in ("exact", "first_order"):
        params = {name: tm.tensor(p, requires_grad=True) for name, p in start().items()}
        x = np.linspace(-1, 1, 5)[:, None]

        def loss(params: Any, batch: Any) -> Any:
            return ((tm.tanh(batch @ params["w1"] + params["b1"]) @ params["w2"] - batch) ** 2).mean()

        adapted = tm.meta.adapt(loss, params, x, rule=rule, steps=3, differentiate=differentiate)
        grads = tm.gradient(loss(adapted, x), list(params.values()))
        found[differentiate] = max(tm.orders(*grads))
    assert found == {"exact": 2, "first_order": 1}


def test_each_derivative_of_tanh_is_one_order_higher() -> None:
    x = tm.tensor(0.5, requires_grad=True)
    y = tm.tanh(x)
    for order in range(1, 4):
        y = tm.gradient(y, x)
        assert y.order == order and max(tm.orders(y)) == order


def test_what_the_user_computes_from_a_gradient_has_order_0() -> None:
    x = tm.tensor(0.5, requires_grad=True)
    assert (tm.gradient(tm.tanh(x), x) * 2.0).order == 0


def test_a_node_made_in_a_sweep_knows_the_node_whose_rule_made_it() -> None:
    x = tm.tensor(0.5, requires_grad=True)
    y = tm.tanh(x)
    g = tm.gradient(y, x)
    assert g.made_by == y.id and y.made_by is None


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("steps", [1, 3])
def test_checkpointed_steps_have_the_orders_of_the_plain_program(steps: int, batched: bool) -> None:
    """A watcher sees what the record of a checkpointed program no longer shows."""

    class Orders(Watcher):
        def __init__(self) -> None:
            self.seen: dict[str, set[int]] = {}

        def saw(self, primitive: Any, inputs: Any, static: Any, output: Any) -> None:
            self.seen.setdefault(primitive.__name__, set()).add(output.order)

    def orders(wrap: Callable[..., Any]) -> dict[str, set[int]]:
        def of(params: Any) -> Any:
            def one(shift: Any) -> Any:
                return objective({**params, "b1": params["b1"] + shift}, 1, steps, wrap=wrap)

            return tm.vmap(one)(np.array([0.0, 0.1])).sum() if batched else one(0.0)

        watcher = Orders()
        with setting(watchers=(watcher,)):
            tm.grad(of)(start())
        return watcher.seen

    plain, wrapped = orders(lambda f: f), orders(tm.checkpoint)
    moving = ("lift", "part", "unrecorded", "spread", "sum_tasks", "add")  # how the checkpoint hands values over
    assert max(max(seen) for seen in plain.values()) == 2
    assert {k: v for k, v in wrapped.items() if k not in moving} == {k: v for k, v in plain.items() if k not in moving}
