"""Sinusoids: the functions are what the protocols say, and the points lie on them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinymeta.tasks import Sinusoids


@settings(deadline=None)
@given(st.integers(0, 2**32))
def test_points_lie_on_the_functions_that_draw_returns_for_the_same_seed(seed):
    family = Sinusoids(dtype=np.float64)
    curves = family.draw(np.random.default_rng(seed), 4)
    for x, y in family.sample(np.random.default_rng(seed), 4):
        np.testing.assert_array_equal(curves(x), y)


@settings(deadline=None)
@given(st.integers(0, 2**32))
def test_parameters_and_inputs_stay_in_their_ranges(seed):
    family = Sinusoids(amplitude=(1, 2), phase=(0.5, 0.6), frequency=(3, 4), x=(-1, 2))
    curves = family.draw(np.random.default_rng(seed), 20)
    for values, (low, high) in zip(curves, [(1, 2), (3, 4), (0.5, 0.6)]):
        assert (values >= low).all() and (values <= high).all()
    x = family.sample(np.random.default_rng(seed), 20).support[0]
    assert x.min() >= -1 and x.max() <= 2


def test_the_default_is_the_maml_protocol(rng):
    curves = Sinusoids().draw(rng, 1)
    assert curves.frequency[0] == 1
    x = np.array([[[0.3]]])
    assert curves(x)[0, 0, 0] == curves.amplitude[0] * np.sin(0.3 - curves.phase[0])


def test_the_meta_sgd_protocol_adds_its_phase_and_varies_the_frequency(rng):
    curves = Sinusoids.meta_sgd().draw(rng, 1000)
    assert (curves.phase <= 0).all() and (curves.phase >= -np.pi).all()
    assert 0.8 <= curves.frequency.min() < 0.81 and 1.19 < curves.frequency.max() <= 1.2


def test_noise_disturbs_the_support_and_not_the_query():
    family = Sinusoids(shots=1000, noise=0.5, dtype=np.float64)
    curves = family.draw(np.random.default_rng(0), 1)
    episode = family.sample(np.random.default_rng(0), 1)
    noise = episode.support[1] - curves(episode.support[0])
    # The standard deviation of 1000 normal draws is within 5 / sqrt(2 * 1000) = 11 % of the true one.
    assert abs(noise.std() - 0.5) < 0.11 * 0.5
    np.testing.assert_array_equal(episode.query[1], curves(episode.query[0]))


@pytest.mark.parametrize(
    "wrong, message",
    [({"shots": 0}, "shots >= 1"), ({"query": 0}, "query >= 1"), ({"x": (5, -5)}, r"x=\(low, high\)")],
)
def test_impossible_families_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Sinusoids(**wrong)
