"""Invented alphabets: reproducible, drawn as documented, and about as hard as Omniglot."""

from __future__ import annotations

import numpy as np
import pytest

from tinymeta.tasks import FewShotImages, glyphs
from tinymeta.tasks.glyphs import INVENTORY, Layout, Strokes, assemble, invent_strokes, render


@pytest.fixture(scope="module")
def classes():
    return glyphs(alphabets=8, characters=20, hands=10, seed=0)


def nearest_neighbour_accuracy(classes, **how):
    episode = FewShotImages(classes, **how).sample(np.random.default_rng(0), 1000)
    (xs, _), (xq, yq) = episode
    # |q - s|^2 without the term that all candidates share.
    distance = (xs**2).sum(-1)[:, None] - 2 * xq @ xs.swapaxes(1, 2)
    return np.mean(distance.argmin(-1) == yq)


def test_the_same_seed_gives_the_same_images_and_another_seed_others():
    one, same, other = (glyphs(2, 3, 4, seed=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one.images, same.images)
    assert (one.images != other.images).any()


def test_shapes_groups_and_names_are_those_documented():
    classes = glyphs(alphabets=2, characters=3, hands=4, size=20)
    assert classes.images.shape == (6, 4, 20, 20) and classes.images.dtype == np.uint8
    assert np.unique(classes.groups, return_counts=True)[1].tolist() == [3, 3]
    assert len(set(classes.names)) == 6


def test_every_drawing_has_ink_and_paper(classes):
    ink = (classes.images > 127).mean(axis=(2, 3))
    assert ink.min() > 0 and ink.max() < 0.5


def test_drawings_of_one_character_differ_between_hands(classes):
    assert all(len({image.tobytes() for image in drawings}) == 10 for drawings in classes.images)


def test_pixels_tell_characters_apart_as_badly_as_on_omniglot(classes):
    # Omniglot: 0.447 (5-way 1-shot, measured over 4000 tasks); 0.2 is chance and 1 would be no task at all.
    assert 0.37 < nearest_neighbour_accuracy(classes) < 0.55


def test_characters_of_one_alphabet_are_harder_to_tell_apart(classes):
    # 20,000 decisions each: the standard error of the difference is below 0.005.
    mixed, within = (nearest_neighbour_accuracy(classes, ways=20, within_group=w) for w in (False, True))
    assert within < mixed - 0.015


def test_ink_falls_off_over_one_pixel_around_the_edge_of_a_line():
    x = np.linspace(-2, 2, 401)
    line = np.stack([x, np.zeros_like(x)], axis=-1)[None, None]
    column = render(line, np.array([2.0 / 8]), 16)[0, :, 8]
    # Rows lie at distances 0.5, 1.5, ... pixels of the line, whose half-width is 2 pixels of 1/8.
    distance = np.abs(np.arange(16) - 7.5)
    np.testing.assert_array_equal(column, np.rint(255 * np.clip(2.0 - distance + 0.5, 0, 1)))


def test_a_stroke_without_turns_is_a_straight_line_of_its_length():
    zero = np.zeros(1)
    stroke = Strokes(np.array([0.7]), np.array([1.5]), zero, zero, zero, zero, zero + 0.5)
    path = stroke.paths(np.zeros(56))[0]
    np.testing.assert_allclose(path[-1] - path[0], 1.5 * np.array([np.cos(0.7), np.sin(0.7)]), atol=1e-12)


def test_a_full_turn_closes_a_loop():
    zero = np.zeros(1)
    stroke = Strokes(zero, np.array([1.0]), zero + 2 * np.pi, zero, zero, zero, zero + 0.5)
    path = stroke.paths(np.zeros(56))[0]
    # 55 chords of 1/55 turn through 2 pi * 55/55: the ends meet within one chord.
    assert np.linalg.norm(path[-1] - path[0]) <= 1 / 55


def test_a_joined_stroke_begins_where_the_layout_says(rng):
    paths = invent_strokes(rng).paths(np.zeros(56))[None, :4]
    half = np.full((1, 4), 0.5)
    layout = Layout(
        number=np.array([2]),
        joined=np.array([[False, True, False, False]]),
        partner=np.zeros((1, 4), int),
        along=2 * half,
        own=0 * half,
        anchor=np.zeros((1, 4, 2)),
    )
    placed = assemble(paths, layout)[0]
    np.testing.assert_allclose(placed[1, 0], placed[0, -1], atol=1e-12)
    assert (placed[2:] == placed[0, 0]).all(), "strokes beyond the number leave no ink of their own"


def test_an_alphabet_has_an_inventory_of_distinct_strokes(rng):
    assert len(set(invent_strokes(rng).direction)) == INVENTORY


def test_nothing_to_draw_is_an_error():
    with pytest.raises(ValueError, match="hands=0"):
        glyphs(hands=0)
