"""Perturbation confusion (Siskind & Pearlmutter 2008): nested derivatives whose perturbations must stay apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinymeta as tm


def test_the_inner_derivative_of_a_sum_with_the_outer_variable() -> None:
    """d/dx [x · d/dy (x + y)] = d/dx [x · 1] = 1; confusing the two gives 2."""
    assert float(tm.grad(lambda x: x * tm.grad(lambda y: x + y)(1.0))(1.0)) == 1.0


def test_the_inner_derivative_of_a_product_with_the_outer_variable() -> None:
    """d/dx [x · d/dy (x y)] = d/dx x² = 2x."""
    assert float(tm.grad(lambda x: x * tm.grad(lambda y: x * y)(2.0))(3.0)) == 6.0


def test_the_same_with_jvp_inside_and_outside() -> None:
    def inner(x: Any) -> Any:
        return x * tm.jvp(lambda y: x * y, (2.0,), (1.0,))[1]

    assert float(tm.grad(inner)(3.0)) == 6.0
    assert float(tm.jvp(inner, (3.0,), (1.0,))[1]) == 6.0
    assert float(tm.jvp(lambda x: x * tm.grad(lambda y: x + y)(1.0), (1.0,), (1.0,))[1]) == 1.0


def test_a_derivative_that_escapes_as_a_function() -> None:
    """D(x ↦ y ↦ f(x, y)): the function that comes out of one derivative goes into another (Manzyuk et al. 2019)."""

    def shifted(x: Any) -> Any:
        return lambda f: lambda y: f(x + y)

    def of(x: Any) -> Any:
        return tm.grad(shifted(x)(lambda z: tm.sin(z)))(0.5)

    assert float(tm.grad(of)(0.25)) == pytest.approx(-np.sin(0.75), rel=1e-15)


def test_the_outer_variable_hidden_inside_a_tensor_of_the_inner_function() -> None:
    def f(x: Any) -> Any:
        xs = tm.stack([x, x * x])
        return tm.grad(lambda y: (y * xs).sum())(np.ones(2)).sum()  # x + x²

    assert float(tm.grad(f)(3.0)) == 7.0


def test_a_constant_of_a_finished_differentiation_is_a_constant_to_the_next() -> None:
    kept = []

    def f(x: Any) -> Any:
        kept.append(x * x)
        return kept[-1]

    assert float(tm.grad(f)(3.0)) == 6.0
    # The Tensor that escaped belongs to a differentiation that is over.
    assert float(tm.grad(lambda y: y * kept[0])(5.0)) == 9.0
    assert float(tm.grad(tm.grad(lambda y: y * kept[0]))(5.0)) == 0.0


@pytest.mark.parametrize("depth", range(1, 6))
def test_every_depth_of_nesting_keeps_its_own_variable(depth: int) -> None:
    """x₁ · d/dx₂ (x₁ x₂ · d/dx₃ (x₁ x₂ x₃ …)): each level's derivative sees the outer variables as constants."""

    def nested(outer: Any, level: int) -> Any:
        def f(x: Any) -> Any:
            product = outer * x
            return product if level == depth else product * nested(product, level + 1)

        return tm.grad(f)(1.0)

    def expected(level: int) -> int:
        """At ones: the product counts 1 + (number of later factors of its variable) times."""
        return 1 if level == depth else (2 + _powers(level + 1, depth)) * expected(level + 1)

    def _powers(level: int, last: int) -> int:
        # d/dx of the level's function is the outer product to the power that its own recursion has, less one
        return 0 if level == last else 1 + _powers(level + 1, last)

    assert float(nested(1.0, 1)) == expected(1)


def test_vmap_and_grad_do_not_confuse_examples_with_perturbations() -> None:
    xs = np.array([1.0, 2.0, 3.0])
    found = tm.vmap(lambda x: tm.grad(lambda y: y * tm.vmap(lambda z: z * x * y)(xs).sum())(x))(xs)
    assert np.allclose(found.numpy(), 2 * xs * xs * xs.sum(), rtol=1e-15)  # d/dy y² x Σz at y = x
