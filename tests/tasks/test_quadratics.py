"""Quadratics: the spectrum and the minimum are the documented ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinymeta.tasks import Quadratics


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32), dimensions=st.integers(2, 12), condition=st.floats(1, 1e4))
def test_eigenvalues_spread_evenly_in_logarithm_over_the_condition_number(seed, dimensions, condition):
    family = Quadratics(dimensions, condition, dtype=np.float64)
    w = family.sample(np.random.default_rng(seed), 3).support[0]
    singular = np.linalg.svd(w, compute_uv=False)
    # Backward stable: absolute errors of a few dozen eps, relative to the largest singular value, 1.
    np.testing.assert_allclose(singular, np.tile(np.geomspace(1, condition**-0.5, dimensions), (3, 1)), atol=1e-13)


def test_the_minimum_of_a_conditioned_quadratic_is_0(rng):
    w, y = Quadratics(5, condition=100.0, dtype=np.float64).sample(rng, 4).support
    theta = np.linalg.solve(w, y)
    # cond(W) = 10, so the residual of the solution is a few dozen eps.
    np.testing.assert_allclose(w @ theta, y, atol=1e-13)


def test_the_plain_family_is_uniform_on_the_unit_interval(rng):
    w, y = Quadratics().sample(rng, 100).support
    assert w.shape == (100, 10, 10) and y.shape == (100, 10, 1)
    # 10,000 uniform draws: five standard errors of the mean are 5 * sqrt(1 / 12 / 10_000).
    assert w.min() >= 0 and w.max() <= 1 and abs(w.mean() - 0.5) < 0.0145


def test_support_and_query_are_the_same_problem(rng):
    support, query = Quadratics().sample(rng, 2)
    assert support[0] is query[0] and support[1] is query[1]


def test_starts_are_small(rng):
    start = Quadratics(7).start(rng, 1000)
    assert start.shape == (1000, 7, 1) and start.dtype == np.float32
    # 7000 draws: five standard errors of the standard deviation are 5 / sqrt(14_000) = 4.3 %.
    assert abs(start.std() - 0.01) < 0.00043


def test_an_impossible_condition_number_is_refused():
    with pytest.raises(ValueError, match="condition=0.5"):
        Quadratics(condition=0.5)
