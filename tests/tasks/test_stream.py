"""Drifting streams: small steps inside the ranges, and jumps when asked."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinymeta.tasks import DriftingSinusoids, Sinusoids
from tinymeta.tasks.stream import reflect

FAMILY = Sinusoids.meta_sgd()


def path(stream, seed, tasks, steps):
    """Amplitudes, frequencies and phases: (steps, 3, tasks)."""
    return np.array(list(islice(stream.walk(np.random.default_rng(seed), tasks), steps)))


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), drift=st.floats(0, 3))
def test_the_walk_stays_in_the_ranges(seed, drift):
    walked = path(DriftingSinusoids(FAMILY, drift, jump=0.1), seed, 3, 20)
    for k, (low, high) in enumerate((FAMILY.amplitude, FAMILY.frequency, FAMILY.phase)):
        assert walked[:, k].min() >= low - 1e-12 and walked[:, k].max() <= high + 1e-12


def test_without_drift_and_jumps_nothing_moves():
    walked = path(DriftingSinusoids(FAMILY, drift=0), 0, 3, 5)
    np.testing.assert_allclose(walked, np.broadcast_to(walked[:1], walked.shape), rtol=1e-12)


def test_steps_have_the_size_of_the_drift():
    stream = DriftingSinusoids(Sinusoids(amplitude=(0, 1e6)), drift=1e-5)
    steps = np.diff(path(stream, 0, 100, 51)[:, 0], axis=0)
    # 5000 steps of 10; five standard errors of a standard deviation are 5 % here, and borders are far away.
    assert abs(steps.std() - 10) < 0.5


def test_a_fixed_frequency_stays_1():
    assert (path(DriftingSinusoids(drift=0.5), 0, 4, 10)[:, 1] == 1).all()


def test_jumps_come_as_often_as_asked():
    moved = np.diff(path(DriftingSinusoids(drift=1e-9, jump=0.2), 0, 100, 51)[:, 0], axis=0)
    jumps = (np.abs(moved) > 1e-5).sum()
    # 1000 of 5000 expected, within five standard deviations.
    assert abs(jumps - 1000) < 5 * np.sqrt(5000 * 0.2 * 0.8)


def test_episodes_lie_on_the_curves_of_their_step(rng):
    family = Sinusoids(dtype=np.float64)
    for curves, episode in islice(DriftingSinusoids(family).episodes(rng, 3), 4):
        np.testing.assert_array_equal(curves(episode.query[0]), episode.query[1])


def test_reflection_folds_at_both_borders():
    values = np.array([0.5, 1.25, -0.25, 2.5, -1.75])
    np.testing.assert_allclose(reflect(values, (0, 1)), [0.5, 0.75, 0.25, 0.5, 0.25])


def test_impossible_streams_are_refused():
    with pytest.raises(ValueError, match="jump=2"):
        DriftingSinusoids(jump=2)
