"""A pull-back or a tape gradient inside a `vmap` gives each example its own, whenever its record was made."""

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinymeta as tm
from tinymeta.engine import structure, sweep

Function = Callable[[Any], Any]
N = 3
A = np.array([[0.3, -0.7, 0.2], [1.1, 0.4, -0.5], [-0.2, 0.9, 0.6]])
EYE = np.eye(N)
POINT = np.array([0.4, -0.8, 0.7])


def shared_by_examples(x: Any) -> Any:
    return tm.vmap(lambda row: tm.sum(tm.sin(row * x)))(A)


def apart_and_together(x: Any) -> Any:
    return tm.vmap(lambda e: tm.sin(e) * tm.sum(x * x))(x)


def two_deep(x: Any) -> Any:
    return tm.vmap(lambda row: tm.sum(tm.vmap(lambda e: e * e * tm.sin(x[0]) + x[1])(row * x)))(A)


def gradient_inside(x: Any) -> Any:
    return tm.grad(lambda z: tm.sum(z * z * tm.sin(z) * x))(x)


def gradients_of_examples(x: Any) -> Any:
    return tm.sum(tm.vmap(tm.grad(lambda z: tm.sum(tm.sin(z * x) * z)))(A * x), axis=0)


def pushed(x: Any) -> Any:
    return tm.jvp(tm.sin, (x,), (x * x,))[1]


def pulled(x: Any) -> Any:
    _, pull = tm.vjp(lambda z: tm.sin(z) * x, x)
    return tm.sum(tm.vmap(lambda v: pull(v)[0])(A * x), axis=0)


def recomputed(x: Any) -> Any:
    return tm.vmap(lambda row: tm.checkpoint(lambda z: tm.sum(tm.sin(z * row) * x))(x))(A)


def recomputed_whole(x: Any) -> Any:
    return tm.checkpoint(shared_by_examples)(x)


def with_own_rule(x: Any) -> Any:
    cube = tm.custom_vjp(lambda z, c: z * z * z * c, lambda g, y, z, c: (3 * g * z * z * c, g * z * z * z))
    return tm.sum(tm.vmap(lambda row: cube(x, row))(A), axis=0)


def with_a_mapped_rule(x: Any) -> Any:
    twice = tm.custom_vjp(
        lambda z: tm.sin(z) * tm.sum(z),
        lambda g, y, z: tm.vmap(lambda gi, zi: gi * tm.cos(zi) * tm.sum(z))(g, z) + tm.sum(g * tm.sin(z)),
    )
    return tm.sum(tm.vmap(lambda row: twice(x * row))(A), axis=0)


FUNCTIONS: list[Function] = [
    tm.sin,
    shared_by_examples,
    apart_and_together,
    two_deep,
    gradient_inside,
    gradients_of_examples,
    pushed,
    pulled,
    recomputed,
    recomputed_whole,
    with_own_rule,
    with_a_mapped_rule,
]
programs = st.lists(st.sampled_from(FUNCTIONS), min_size=1, max_size=3).map(
    lambda fs: lambda x: reduce(lambda y, f: f(y), fs, x)
)


def rows(pull: Function, vs: Any) -> Any:
    """One pull-back at a time, outside of every `vmap`."""
    return np.stack([pull(v).detach().numpy() for v in vs])


def same(came: Any, right: Any) -> None:
    """Both sides are sums of the same few terms, in another order."""
    right = np.asarray(right)
    np.testing.assert_allclose(came.detach().numpy(), right, rtol=1e-9, atol=1e-9 * (1 + np.abs(right).max()))


@pytest.mark.parametrize("f", FUNCTIONS)
def test_a_pullback_inside_a_later_vmap_is_that_of_each_example(f: Function) -> None:
    _, pull = tm.vjp(f, POINT)
    one = lambda v: pull(v)[0]
    same(tm.vmap(one)(EYE), rows(one, EYE))


@pytest.mark.parametrize("f", FUNCTIONS)
def test_a_tape_gradient_inside_a_later_vmap_is_that_of_each_example(f: Function) -> None:
    w = tm.tensor(POINT, requires_grad=True)
    y = f(w)
    one = lambda v: tm.gradient(tm.sum(y * v), w)
    same(tm.vmap(one)(EYE), rows(one, EYE))


def test_a_tape_gradient_inside_vmap_is_that_of_each_example_for_what_all_share() -> None:
    w = tm.tensor(POINT, requires_grad=True)
    same(tm.vmap(lambda row: tm.gradient(tm.sum(w * w * row), w))(A), 2 * POINT * A)


@given(programs)
def test_pullbacks_in_two_vmaps_are_two_loops(f: Function) -> None:
    _, pull = tm.vjp(f, POINT)
    both = tm.vmap(lambda a: tm.vmap(lambda v: pull(a * v)[0] * a)(EYE))(A)
    same(both, [[(pull(a * v)[0] * a).numpy() for v in EYE] for a in A])


@given(programs)
def test_pullbacks_made_inside_a_vmap_and_used_in_an_inner_one_are_two_loops(f: Function) -> None:
    def jacobian(x: Any) -> Any:
        _, pull = tm.vjp(f, x)
        return tm.vmap(lambda v: pull(v)[0])(EYE)

    same(tm.vmap(jacobian)(A), np.stack([jacobian(a).numpy() for a in A]))
    same(tm.vmap(jacobian)(A), tm.vmap(tm.jacobian(f))(A).numpy())


@given(programs)
def test_second_derivatives_pass_through_pullbacks_under_vmap(f: Function) -> None:
    def mapped(x: Any) -> Any:
        _, pull = tm.vjp(f, x)
        return tm.sum(tm.sin(tm.vmap(lambda v: pull(v)[0])(EYE)) * A)

    def looped(x: Any) -> Any:
        _, pull = tm.vjp(f, x)
        return tm.sum(tm.sin(tm.stack([pull(v)[0] for v in EYE])) * A)

    same(tm.grad(mapped)(POINT), tm.grad(looped)(POINT).numpy())
    same(tm.vmap(tm.grad(mapped))(A), [tm.grad(looped)(a).numpy() for a in A])


@given(programs)
def test_a_pullback_is_differentiated_inside_the_vmap_that_it_is_used_in(f: Function) -> None:
    _, pull = tm.vjp(f, POINT)
    one = tm.grad(lambda v: tm.sum(tm.sin(pull(v)[0]) * v))
    same(tm.vmap(one)(A), rows(one, A))
    curved = tm.hessian(lambda v: tm.sum(tm.sin(pull(v)[0])))
    same(tm.vmap(curved)(A), rows(curved, A))


@given(programs)
def test_the_pullback_of_pullbacks_under_vmap_is_used_in_a_third_vmap(f: Function) -> None:
    def jacobian(how: Function) -> Function:
        def of(x: Any) -> Any:
            _, pull = tm.vjp(f, x)
            return tm.sum(how(lambda v: pull(v)[0]) * A, axis=0)

        return of

    _, again = tm.vjp(jacobian(lambda one: tm.vmap(one)(EYE)), POINT)
    _, slowly = tm.vjp(jacobian(lambda one: tm.stack([one(v) for v in EYE])), POINT)
    same(tm.vmap(lambda v: again(v)[0])(A), rows(lambda v: slowly(v)[0], A))


def test_a_value_of_one_example_that_leaves_its_vmap_unseen_is_refused_in_the_next() -> None:
    kept: list[Any] = []
    tm.vmap(lambda x: kept.append(x) or x)(A)
    with pytest.raises(TypeError, match="a vmap that is over"):
        tm.vmap(lambda x: x * kept[0])(A)


@pytest.mark.parametrize(
    "use",
    [
        lambda t: t.sum(),
        lambda t: tm.grad(lambda w: tm.sum(w * t))(POINT),  # would be the sum over the examples
        lambda t: tm.optim.SGD(0.1).update(t, tm.optim.SGD(0.1).init(POINT), POINT),
        lambda t: tm.compile(lambda w: tm.sum(w * t))(POINT),
        lambda t: tm.compile(tm.sum)(t),
    ],
)
def test_a_value_of_one_example_that_leaves_its_vmap_unseen_is_refused_where_no_other_is_open(use: Function) -> None:
    kept: list[Any] = []
    tm.vmap(lambda x: kept.append(x * 2.0) or x)(A)
    with pytest.raises(TypeError, match="a vmap that is over"):
        use(kept[0])


def test_the_gradient_with_respect_to_what_the_vmap_took_apart_is_refused() -> None:
    x = tm.tensor(A, requires_grad=True)
    with pytest.raises(TypeError, match="took apart"):
        tm.vmap(lambda row: tm.gradient(tm.sum(row * row), x))(x)


def test_a_sweep_that_forgets_the_vmaps_around_it_is_caught(monkeypatch: Any) -> None:
    monkeypatch.setattr(sweep, "conform", lambda g, x, opened: structure.conform(g, x, ()))
    with pytest.raises(AssertionError):
        test_a_pullback_inside_a_later_vmap_is_that_of_each_example(tm.sin)


def test_a_sweep_that_makes_no_room_for_later_vmaps_is_caught(monkeypatch: Any) -> None:
    monkeypatch.setattr(sweep, "today", lambda x, opened: x)
    with pytest.raises((AssertionError, TypeError, ValueError)):
        test_a_pullback_inside_a_later_vmap_is_that_of_each_example(apart_and_together)
