"""Primitives with several outputs: each output has its gradient, and one that nothing needs costs nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tinymeta.engine.primitive import Primitive

X = np.array([0.3, 1.2])


@pytest.fixture(scope="module")
def polar() -> Any:
    """(sin x, cos x), whose rule uses both outputs and both cotangents."""
    given: list[Any] = []

    @tm.primitive
    class sin_and_cos:
        """s = sin x, c = cos x,   ds = c dx, dc = −s dx."""

        kernel = reference = staticmethod(lambda x: (np.sin(x), np.cos(x)))
        domain, kinks = (tm.testing.reals(-3, 3),), ()

        @staticmethod
        def vjp(g: Any, y: Any, x: Any) -> Any:
            given.append(g)
            (gs, gc), (s, c) = g, y
            return (0.0 if gs is None else gs * c) - (0.0 if gc is None else gc * s)

    yield sin_and_cos, given
    del Primitive.registry["sin_and_cos"]


def test_it_passes_all_properties(polar: Any) -> None:
    tm.testing.check_primitive(polar[0])


def test_derivatives_flow_through_every_output(polar: Any) -> None:
    def f(x: Any) -> Any:
        s, c = polar[0](x)
        return (s * s * c).sum()

    s, c = np.sin(X), np.cos(X)
    assert np.allclose(tm.grad(f)(X).numpy(), 2 * s * c * c - s**3, rtol=1e-14)
    tm.testing.check_grad(f, X, order=3)


def test_an_output_that_nothing_needs_has_no_cotangent(polar: Any) -> None:
    polar[1].clear()
    tm.grad(lambda x: polar[0](x)[1].sum())(X)
    assert [[g is None for g in row] for row in polar[1]] == [[True, False]]


def test_an_output_used_twice_is_swept_once(polar: Any) -> None:
    polar[1].clear()

    def f(x: Any) -> Any:
        s, c = polar[0](x)
        return (s * s + s * c).sum()

    assert np.allclose(tm.grad(f)(X).numpy(), np.sin(2 * X) + np.cos(2 * X), rtol=1e-14)
    assert len(polar[1]) == 1


def test_it_maps_and_checkpoints(polar: Any) -> None:
    found = tm.vmap(lambda x: tm.grad(tm.checkpoint(lambda z: polar[0](z)[0] * polar[0](z)[1]))(x))(X)
    assert np.allclose(found.numpy(), np.cos(2 * X), rtol=1e-14)
