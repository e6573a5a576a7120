"""Every operation that declares a plain form is that: in values, in two derivatives, under vmap, and at its kinks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tinymeta.engine.primitive import Primitive, bind, outputs_of
from tinymeta.engine.tensor import Tensor
from tinymeta.testing.case import Case, random_case, usual_count

assert tm.nn and tm.optim  # rooms that are imported when they are asked for declare primitives, too
FUSED = [p for p in Primitive.registry.values() if p.plain is not None and p.__module__.startswith("tinymeta.")]
EPS = 2.0**-52


def forms(case: Case) -> list[Callable[..., Any]]:
    """The operation and its plain form as functions of its floating-point inputs, with a list of results."""

    def of(run: Any) -> Callable[..., Any]:
        def f(*xs: Any) -> Any:
            y = run(*[x if isinstance(x, Tensor) else tm.tensor(x) for x in xs])
            return list(y) if isinstance(y, tuple) else [y]

        def of_variables(*xs: Any) -> Any:
            arrays = dict(enumerate(case.arrays)) | dict(zip(case.variables, xs))
            return f(*arrays.values())

        return of_variables

    plain: Any = case.primitive.plain
    return [
        of(lambda *xs: outputs_of(bind(case.primitive, *xs, **case.static))),
        of(lambda *xs: plain(*xs, **case.static)),
    ]


def agree(found: Any, expected: Any) -> None:
    """To the rounding of sums of at most 24 numbers of size 10, two derivatives deep."""
    for a, b in zip(tm.tree.leaves(found), tm.tree.leaves(expected), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=0, atol=2000 * EPS * max(1.0, np.abs(b).max(initial=0)))


def test_the_operations_that_are_fused() -> None:
    names = {p.__name__ for p in FUSED}
    assert names >= {"linear_relu", "relu_input", "cross_entropy_rows", "cross_entropy_input", "adam_step", "sgd_step"}
    assert names >= {"normalize", "normalize_input", "normalize_input_grad", "softmax_axis", "log_softmax_axis"}


@pytest.mark.parametrize("primitive", FUSED, ids=lambda p: p.__name__)
def test_values_and_two_derivatives_are_those_of_the_plain_form(primitive: type[Primitive]) -> None:
    for seed in range(usual_count(primitive) + 2):
        case = random_case(primitive, seed)
        fused, plain = forms(case)
        agree(fused(*case.points), plain(*case.points))
        gs = [np.cos(np.arange(y.size)).reshape(y.shape) for y in fused(*case.points)]

        def pulled(f: Any, *xs: Any) -> Any:
            return list(tm.vjp(f, *xs)[1](gs))  # noqa: B023

        agree(pulled(fused, *case.points), pulled(plain, *case.points))
        ws = [np.sin(np.arange(1, x.size + 1)).reshape(x.shape) for x in case.points]
        twice = [tm.vjp(lambda *xs, f=f: pulled(f, *xs), *case.points)[1](ws) for f in (fused, plain)]
        agree(*twice)


@pytest.mark.parametrize("primitive", FUSED, ids=lambda p: p.__name__)
def test_under_vmap_the_plain_form_does_as_the_operation(primitive: type[Primitive]) -> None:
    case = random_case(primitive, 0)
    fused, plain = forms(case)
    first, *others = case.points
    stacked = np.stack([first, first / 2, first / 4])
    axes = (0, *(None for _ in others))
    agree(tm.vmap(fused, in_axes=axes)(stacked, *others), tm.vmap(plain, in_axes=axes)(stacked, *others))


@pytest.mark.parametrize("primitive", [p for p in FUSED if p.kinks], ids=lambda p: p.__name__)
def test_at_a_kink_the_plain_form_takes_the_side_of_the_operation(primitive: type[Primitive]) -> None:
    plain: Any = primitive.plain
    for kink in primitive.kinks:
        found = tm.grad(lambda x: plain(x))(float(kink.at[0]))  # type: ignore[arg-type]
        assert float(found) == kink.takes[0]


def test_a_declared_rule_that_is_not_that_of_the_plain_form_is_caught() -> None:
    class half_square(Primitive):
        """y = x²/2, with the rule of x²."""

        kernel = staticmethod(lambda x: 0.5 * x * x)
        plain = lambda x: 0.5 * x * x
        domain, kinks = (tm.testing.reals(-2, 2),), ()
        vjp = lambda g, y, x: g * 2 * x

    try:
        with pytest.raises(AssertionError):
            test_values_and_two_derivatives_are_those_of_the_plain_form(half_square)
        half_square.vjp = half_square.plain
        test_values_and_two_derivatives_are_those_of_the_plain_form(half_square)
        tm.testing.check_primitive(half_square)
    finally:
        del Primitive.registry["half_square"]


def test_an_operation_with_a_plain_form_needs_neither_reference_nor_rule() -> None:
    class third_power(Primitive):
        """y = x³ in one pass."""

        kernel = staticmethod(lambda x: x * x * x)
        plain = lambda x: x * tm.square(x)
        domain, kinks = (tm.testing.reals(-2, 2),), ()

    try:
        tm.testing.check_primitive(third_power)
        x = np.array([0.5, -1.0])
        assert tm.grad(lambda x: tm.sum(tm.grad(lambda x: tm.sum(third_power(x)))(x)))(x).tolist() == [3.0, -6.0]
        assert tm.compile(third_power)(x).tolist() == [0.125, -1.0]
        leaf = tm.tensor(x, requires_grad=True)
        assert max(tm.orders(tm.gradient(tm.sum(third_power(leaf)), leaf))) == 1  # the plain form ran at order 0
    finally:
        del Primitive.registry["third_power"]
