"""Episodes, and what every family promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinymeta.tasks import (
    Autoencoding,
    Episode,
    FewShotImages,
    Languages,
    LinearRegressions,
    Mixture,
    NoisySupport,
    Quadratics,
    Sinusoids,
    TaskFamily,
    Vocabulary,
    challenge_tasks,
    glyphs,
    markov_languages,
    stack,
    unstack,
)

CHARACTERS = glyphs(alphabets=2, characters=6, hands=5)
TEXTS = markov_languages(4, length=1000)
FAMILIES: dict[str, TaskFamily] = {
    "sinusoids": Sinusoids(),
    "meta_sgd": Sinusoids.meta_sgd(),
    "linear": LinearRegressions(features=3),
    "images": FewShotImages(CHARACTERS),
    "challenge": challenge_tasks(CHARACTERS, ways=5),
    "languages": Languages(TEXTS, Vocabulary.of(TEXTS.values())),
    "quadratics": Quadratics(),
    "ill_conditioned": Quadratics(condition=100),
    "mixture": Mixture([Sinusoids(), LinearRegressions()]),
    "noisy": NoisySupport(FewShotImages(CHARACTERS), ways=5, rate=0.4),
    "autoencoding": Autoencoding(FewShotImages(CHARACTERS)),
}
every_family = pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))


@every_family
def test_a_family_is_a_task_family(family):
    assert isinstance(family, TaskFamily)


@every_family
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32), tasks=st.integers(1, 9))
def test_equal_seeds_give_equal_tasks(family, seed, tasks):
    first = family.sample(np.random.default_rng(seed), tasks)
    again = family.sample(np.random.default_rng(seed), tasks)
    for one, other in zip((*first.support, *first.query), (*again.support, *again.query)):
        np.testing.assert_array_equal(one, other)


@every_family
def test_different_seeds_give_different_tasks(family):
    first, other = (family.sample(np.random.default_rng(seed), 4) for seed in (0, 1))
    assert not np.array_equal(first.support[0], other.support[0])


@every_family
def test_every_array_has_the_task_axis_first_and_pairs_agree_on_the_examples(family):
    for x, y in family.sample(np.random.default_rng(0), 7):
        assert len(x) == len(y) == 7
        assert x.shape[1] == y.shape[1]


@every_family
def test_numbers_are_float32_and_labels_int64_unless_asked_otherwise(family):
    for array in (a for pair in family.sample(np.random.default_rng(0), 2) for a in pair):
        assert array.dtype in (np.float32, np.int64)
    assert family.sample(np.random.default_rng(0), 2).support[0].dtype == (
        np.int64 if isinstance(family, Languages) else np.float32
    )


@every_family
def test_tasks_of_one_batch_differ(family):
    x, y = family.sample(np.random.default_rng(0), 2).support
    assert not (np.array_equal(x[0], x[1]) and np.array_equal(y[0], y[1]))


def test_unstack_is_the_inverse_of_stack(rng):
    batch = Sinusoids(shots=3, query=4).sample(rng, 5)
    singles = list(unstack(batch))
    assert [e.support[0].shape for e in singles] == [(3, 1)] * 5
    for one, other in zip((*batch.support, *batch.query), (*stack(singles).support, *stack(singles).query)):
        np.testing.assert_array_equal(one, other)


def test_stacking_nothing_is_an_error():
    with pytest.raises(ValueError, match="at least one episode"):
        stack([])


def test_stacking_unequal_shapes_names_the_array():
    x, longer = np.zeros((2, 1)), np.zeros((3, 1))
    with pytest.raises(ValueError, match=r"their query x have \[\(2, 1\), \(3, 1\)\]"):
        stack([Episode((x, x), (x, x)), Episode((x, x), (longer, x))])
