"""Few-shot image tasks. In most tests a pixel tells which class and instance it comes from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinymeta.tasks import FewShotImages, ImageClasses
from tinymeta.tasks.images import choose

NUMBERED = ImageClasses(
    np.arange(12 * 8, dtype=np.float64).reshape(12, 8, 1, 1),
    np.repeat(["a", "b", "c"], [5, 4, 3]),
    np.array([f"class{c}" for c in range(12)]),
)
episodes = given(seed=st.integers(0, 2**32), ways=st.integers(2, 12), shots=st.integers(1, 4), query=st.integers(1, 4))


def drawn(seed, **how):
    """Support and query as image numbers (tasks, ways, n), and the family's labels."""
    family = FewShotImages(NUMBERED, dtype=np.float64, **how)
    (xs, ys), (xq, yq) = family.sample(np.random.default_rng(seed), 3)
    shape = 3, family.ways, -1
    return xs.astype(int).reshape(shape), xq.astype(int).reshape(shape), ys, yq


@settings(deadline=None)
@episodes
def test_no_image_is_used_twice_in_a_task(seed, ways, shots, query):
    support, queried, _, _ = drawn(seed, ways=ways, shots=shots, query=query)
    for task in np.concatenate([support, queried], axis=2):
        assert len(np.unique(task)) == ways * (shots + query)


@settings(deadline=None)
@episodes
def test_a_label_is_one_class_in_support_and_query_and_no_class_has_two(seed, ways, shots, query):
    support, queried, ys, yq = drawn(seed, ways=ways, shots=shots, query=query)
    images = np.concatenate([support.reshape(3, -1), queried.reshape(3, -1)], axis=1)
    for classes, labels in zip(images // 8, np.concatenate([ys, yq], axis=1)):
        assert len(set(zip(labels, classes))) == len(set(labels)) == len(set(classes)) == ways


@settings(deadline=None)
@episodes
def test_labels_are_balanced_and_run_from_0(seed, ways, shots, query):
    _, _, ys, yq = drawn(seed, ways=ways, shots=shots, query=query)
    for labels, each in ((ys, shots), (yq, query)):
        assert labels.dtype == np.int64
        assert all((np.bincount(task, minlength=ways) == each).all() for task in labels)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), ways=st.integers(2, 5))
def test_tasks_within_a_group_stay_in_a_group_with_enough_classes(seed, ways):
    support, _, _, _ = drawn(seed, ways=ways, within_group=True)
    for task in support:
        groups = NUMBERED.groups[task.ravel() // 8]
        assert len(set(groups)) == 1
        assert (NUMBERED.groups == groups[0]).sum() >= ways


@given(st.integers(0, 2**32))
@settings(deadline=None)
def test_one_hand_draws_all_support_images_and_another_all_query_images(seed):
    support, queried, _, _ = drawn(seed, ways=4, one_hand=True)
    hands, others = support % 8, queried % 8
    assert (hands == hands[:, :1]).all() and (others == others[:, :1]).all()
    assert (hands != others).all()


def test_a_class_turned_by_a_quarter_is_another_class(numbered):
    family = FewShotImages(numbered.select([0, 1]), ways=8, rotations=True, dtype=np.float64)
    x = family.sample(np.random.default_rng(0), 1).support[0].reshape(8, 2, 2)
    origin = x - x.min(axis=(1, 2), keepdims=True)
    seen = {(int(image.min()) // 32, tuple(turned.ravel())) for image, turned in zip(x, origin)}
    upright = np.arange(4.0).reshape(2, 2)
    assert seen == {(c, tuple(np.rot90(upright, k).ravel())) for c in (0, 1) for k in range(4)}


def test_within_a_group_all_classes_of_a_task_are_turned_alike(numbered):
    family = FewShotImages(numbered, ways=3, within_group=True, rotations=True, dtype=np.float64)
    episode = family.sample(np.random.default_rng(0), 40)
    upright, seen = np.arange(4.0).reshape(2, 2), set()
    for x in np.concatenate([episode.support[0], episode.query[0]], axis=1).reshape(40, -1, 2, 2):
        origin = x - x.min(axis=(1, 2), keepdims=True)
        assert (origin == origin[0]).all()
        seen |= {k for k in range(4) if (origin[0] == np.rot90(upright, k)).all()}
    assert seen == {0, 1, 2, 3}


def test_padding_of_a_small_class_is_never_drawn(rng):
    images = np.full((3, 6, 1, 1), -1.0)
    counts = np.array([2, 6, 3])
    for c, n in enumerate(counts):
        images[c, :n] = c
    family = FewShotImages(ImageClasses(images, np.array(["g"] * 3), np.array(list("abc")), counts), ways=3)
    episode = family.sample(rng, 200)
    assert episode.support[0].min() >= 0 and episode.query[0].min() >= 0


def test_the_shared_instances_of_one_hand_exist_in_every_class(rng):
    images = np.full((2, 6, 1, 1), -1.0)
    images[0, :2], images[1] = 0, 1
    classes = ImageClasses(images, np.array(["g"] * 2), np.array(list("ab")), np.array([2, 6]))
    assert FewShotImages(classes, ways=2, one_hand=True).sample(rng, 200).support[0].min() >= 0


def test_labels_tell_nothing_of_the_class(rng):
    support = FewShotImages(NUMBERED, ways=4, dtype=np.float64).sample(rng, 6000).support[0]
    first = np.bincount((support[:, 0, 0] // 8).astype(int), minlength=12)
    # Each class is first in 6000 / 12 = 500 tasks, within five standard deviations of sqrt(500 * 11 / 12).
    assert np.abs(first - 500).max() < 5 * np.sqrt(500 * 11 / 12)


def test_choose_takes_allowed_places_only_in_every_order(rng):
    allowed = np.tile([True, False, True, True], (6000, 1))
    orders, counts = np.unique(choose(rng, allowed, 3), axis=0, return_counts=True)
    assert orders.tolist() == [[0, 2, 3], [0, 3, 2], [2, 0, 3], [2, 3, 0], [3, 0, 2], [3, 2, 0]]
    # 1000 of each, within five standard deviations.
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(1000 * 5 / 6)


def test_bytes_become_the_unit_interval(rng):
    classes = ImageClasses(np.full((2, 2, 1, 1), 255, np.uint8), np.array(["g"] * 2), np.array(list("ab")))
    for dtype in (np.float32, np.float64):
        x = FewShotImages(classes, ways=2, dtype=dtype).sample(rng, 1).support[0]
        assert x.dtype == dtype and (x == 1).all()


@pytest.mark.parametrize("shape, expected", [((4, 5), (1, 4, 5)), ((3, 4, 5), (3, 4, 5))])
def test_unflattened_images_have_channels_before_height(rng, shape, expected):
    classes = ImageClasses(np.zeros((2, 2, *shape)), np.array(["g"] * 2), np.array(list("ab")))
    assert FewShotImages(classes, ways=2, flatten=False).sample(rng, 3).query[0].shape == (3, 2, *expected)


def test_augmentation_sees_tasks_ways_and_instances(rng):
    shapes = []

    def blank(generator, images):
        shapes.append(images.shape)
        return np.zeros_like(images)

    episode = FewShotImages(NUMBERED, ways=4, shots=2, query=3, augment=blank).sample(rng, 6)
    assert shapes == [(6, 4, 5, 1, 1)] and not episode.support[0].any()


def test_joining_pads_the_smaller_collection_and_keeps_its_counts():
    small = ImageClasses(np.ones((1, 2, 1, 1)), np.array(["g"]), np.array(["small"]))
    joined = ImageClasses.join([NUMBERED, small])
    assert joined.images.shape == (13, 8, 1, 1) and joined.counts.tolist() == [8] * 12 + [2]
    assert joined.select(joined.counts < 8).names.tolist() == ["small"]


@pytest.mark.parametrize(
    "how, message",
    [
        ({"ways": 13}, "13-way tasks from 12 classes: lower ways, pass rotations=True or add classes"),
        ({"ways": 49, "rotations": True}, "49-way tasks from 48 classes: lower ways or add classes"),
        ({"shots": 5, "query": 4}, r"5 \+ 4 = 9 images of each class .*'class0' has 8: lower shots or query"),
        ({"ways": 6, "within_group": True}, "the largest group has 5 classes"),
        ({"ways": 6, "within_group": True, "rotations": True}, "the largest group has 5 classes"),
        ({"ways": 1}, "ways >= 2"),
    ],
)
def test_a_collection_that_cannot_fill_a_task_is_refused_with_the_fix(how, message):
    with pytest.raises(ValueError, match=message):
        FewShotImages(NUMBERED, **how)


def test_classes_must_be_described_completely():
    with pytest.raises(ValueError, match="2 classes, 1 names"):
        ImageClasses(np.zeros((2, 1, 4, 4)), np.array(["g", "g"]), np.array(["a"]))
