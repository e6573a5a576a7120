"""Pseudo-tasks: their classes are made of the images they should be, and no label is looked at."""

from __future__ import annotations

import numpy as np
import pytest

import tinymeta as tm

rng = np.random.default_rng


def marked(count: int) -> np.ndarray:
    """Images that tell which one they are, whatever happens to their other pixels: (count, 4, 4)."""
    images = np.zeros((count, 4, 4), np.float32)
    images[:, 0, 0] = np.arange(count)
    return images


def noise(generator: np.random.Generator, images: np.ndarray) -> np.ndarray:
    changed = images.copy()
    changed[..., 1:, :] = generator.random(changed[..., 1:, :].shape)
    return changed


def marks(x: np.ndarray) -> np.ndarray:
    return x[:, :, 0, 0, 0].astype(int)


def test_a_class_of_umtra_is_one_image_and_its_changes() -> None:
    (xs, ys), (xq, yq) = tm.meta.Umtra(marked(50), ways=5, query=3, augment=noise).sample(rng(0), 20)
    assert xs.shape == (20, 5, 1, 4, 4) and xq.shape == (20, 15, 1, 4, 4)
    for task in range(20):
        image_of = dict(zip(ys[task], marks(xs)[task]))
        assert len(set(image_of.values())) == 5
        np.testing.assert_array_equal(marks(xq)[task], [image_of[y] for y in yq[task]])
    assert not np.array_equal(xs[0, 0], xq[0, 0])  # support and query are changed each in its own way


def test_a_class_of_cactus_is_a_cluster_and_its_images_are_different_ones() -> None:
    clusters = np.stack([np.arange(60) % 6, np.arange(60) // 10])
    (xs, ys), (xq, yq) = tm.meta.Cactus(marked(60), clusters, ways=4, query=3).sample(rng(0), 20)
    seen = set()
    for task in range(20):
        members, labels = np.concatenate([marks(xs)[task], marks(xq)[task]]), np.concatenate([ys[task], yq[task]])
        assert len(set(members)) == 16
        fits = [p for p in range(2) if all(len(set(clusters[p, members[labels == y]])) == 1 for y in range(4))]
        assert fits
        seen.update(fits)
        distinct = clusters[fits[0], members]
        assert len(set(distinct)) == 4
    assert seen == {0, 1}


def test_too_few_large_clusters_are_told() -> None:
    with pytest.raises(ValueError, match="only 1 clusters of a partition have 4 images"):
        tm.meta.Cactus(marked(8), np.array([[0, 0, 0, 0, 1, 1, 2, 3]]), ways=2, query=3)


def test_k_means_finds_clusters_that_lie_apart() -> None:
    truth = np.repeat(np.arange(3), 20)
    x = rng(0).standard_normal((60, 2)) + 20 * np.array([[0, 0], [1, 0], [0, 1]])[truth]
    # Two ninths of all starts have a centre in every heap; from others the algorithm may end elsewhere.
    found = [tm.meta.k_means(rng(seed), x, 3) for seed in range(10)]
    assert any(len(set(zip(truth, labels))) == 3 for labels in found)


def test_k_means_puts_every_point_with_its_nearest_centre() -> None:
    x = rng(0).standard_normal((200, 3))
    labels = tm.meta.k_means(rng(1), x, 4, iterations=100)
    centres = np.stack([x[labels == c].mean(0) for c in range(4)])
    np.testing.assert_array_equal(((x[:, None] - centres) ** 2).sum(-1).argmin(1), labels)


def test_partitions_differ() -> None:
    x = rng(0).standard_normal((100, 8)).astype(np.float32)
    found = tm.meta.partitions_of(rng(1), x, clusters=5, partitions=3)
    assert found.shape == (3, 100)
    together = [(p[:, None] == p).mean() for p in found]
    assert len(set(together)) == 3
