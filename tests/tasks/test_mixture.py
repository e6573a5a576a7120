"""Mixtures and autoencoding: families made of families."""

from __future__ import annotations

import numpy as np
import pytest

from tinymeta.tasks import Autoencoding, LinearRegressions, Mixture, Sinusoids


def test_each_task_comes_from_the_family_its_kind_names():
    # Inputs of the second family are all above those of the first.
    low, high = Sinusoids(x=(-5, -1)), Sinusoids(x=(1, 5))
    episode, kinds = Mixture([low, high]).sample_kinds(np.random.default_rng(0), 200)
    for x, _ in episode:
        assert ((x > 0) == (kinds == 1)[:, None, None]).all()


def test_kinds_follow_the_weights(rng):
    _, kinds = Mixture([Sinusoids(), LinearRegressions(), Sinusoids()], [3, 1, 0]).sample_kinds(rng, 4000)
    counts = np.bincount(kinds, minlength=3)
    # 3000 expected, within five standard deviations.
    assert abs(counts[0] - 3000) < 5 * np.sqrt(4000 * 0.75 * 0.25) and counts[2] == 0


def test_sample_draws_the_tasks_of_sample_kinds():
    mixture = Mixture([Sinusoids(), LinearRegressions()])
    plain = mixture.sample(np.random.default_rng(1), 6)
    np.testing.assert_array_equal(plain.query[0], mixture.sample_kinds(np.random.default_rng(1), 6)[0].query[0])


def test_families_of_different_shapes_do_not_mix(rng):
    with pytest.raises(ValueError, match=r"one shape and dtype, and got \(10, 1\) float32, \(10, 2\) float32"):
        Mixture([LinearRegressions(features=1), LinearRegressions(features=2)]).sample(rng, 20)


def test_a_mixture_of_nothing_and_missing_weights_are_refused():
    with pytest.raises(ValueError, match="at least one family"):
        Mixture([])
    with pytest.raises(ValueError, match="1 families, 2 weights"):
        Mixture([Sinusoids()], [1, 2])


def test_an_autoencoder_is_to_give_back_what_it_sees():
    plain = Sinusoids().sample(np.random.default_rng(0), 3)
    (xs, ys), (xq, yq) = Autoencoding(Sinusoids()).sample(np.random.default_rng(0), 3)
    for x, y, expected in ((xs, ys, plain.support[0]), (xq, yq, plain.query[0])):
        np.testing.assert_array_equal(x, expected)
        np.testing.assert_array_equal(y, expected)
