"""Label noise and imbalance: as much as asked, and only where asked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinymeta.tasks import FewShotImages, NoisySupport, flip_background, flip_uniform, glyphs, imbalanced


def test_uniform_flips_go_to_all_other_classes_alike(rng):
    labels = np.repeat(np.arange(4), 3000)
    counts = np.zeros((4, 4))
    np.add.at(counts, (labels, flip_uniform(rng, labels, 0.3, 4)), 1)
    expected = np.where(np.eye(4), 2100, 300)
    # Within five standard deviations of each count.
    assert (np.abs(counts - expected) < 5 * np.sqrt(expected * (1 - expected / 3000))).all()


@settings(deadline=None)
@given(st.integers(0, 2**32))
def test_at_rate_1_every_label_is_wrong(seed):
    labels = np.arange(30) % 5
    assert (flip_uniform(np.random.default_rng(seed), labels, 1.0, 5) != labels).all()


def test_at_rate_0_every_label_stays(rng):
    labels = np.arange(30) % 5
    for flipped in (flip_uniform(rng, labels, 0.0, 5), flip_background(rng, labels, 0.0)):
        np.testing.assert_array_equal(flipped, labels)
        assert flipped.dtype == labels.dtype


def test_background_flips_go_to_the_background_alone(rng):
    labels = np.repeat([0, 1, 2], 5000)
    flipped = flip_background(rng, labels, 0.4, background=2)
    assert ((flipped == labels) | (flipped == 2)).all()
    # 4000 of 10,000 expected, within five standard deviations.
    assert abs((flipped != labels).sum() - 4000) < 5 * np.sqrt(10_000 * 0.4 * 0.6)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), counts=st.tuples(*[st.integers(0, 10)] * 3))
def test_an_imbalanced_subset_has_the_counts_asked_for_and_no_example_twice(seed, counts):
    labels = np.arange(30) % 3
    chosen = imbalanced(np.random.default_rng(seed), labels, counts)
    assert len(set(chosen)) == sum(counts)
    assert np.bincount(labels[chosen], minlength=3).tolist() == list(counts)


def test_more_than_a_class_has_is_refused(rng):
    with pytest.raises(ValueError, match="asked for 3 of class 1, which has 2"):
        imbalanced(rng, np.array([0, 0, 0, 1, 1]), (1, 3))


@pytest.mark.parametrize("background", [None, 3])
def test_noise_falls_on_support_labels_only(background):
    family = FewShotImages(glyphs(1, 8, 6), shots=3, query=2)
    clean = family.sample(np.random.default_rng(0), 200)
    noisy = NoisySupport(family, ways=5, rate=0.4, background=background).sample(np.random.default_rng(0), 200)
    np.testing.assert_array_equal(noisy.support[0], clean.support[0])
    for part in (0, 1):
        np.testing.assert_array_equal(noisy.query[part], clean.query[part])
    changed = noisy.support[1] != clean.support[1]
    # A flip to the background leaves its own class, one in five, as it is.
    rate = 0.4 if background is None else 0.4 * 0.8
    assert abs(changed.mean() - rate) < 5 * np.sqrt(rate / 3000)
    assert background is None or (noisy.support[1][changed] == background).all()


@pytest.mark.parametrize("rate", [-0.1, 1.1])
def test_a_rate_is_a_probability(rng, rate):
    with pytest.raises(ValueError, match="between 0 and 1"):
        flip_background(rng, np.zeros(3, int), rate)


def test_one_class_cannot_be_flipped(rng):
    with pytest.raises(ValueError, match="classes=1"):
        flip_uniform(rng, np.zeros(3, int), 0.5, 1)
