"""Augmentation: exact where it can be, shared where asked, and always ink between 0 and 1."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinymeta.tasks import Augment, AugmentPhotos
from tinymeta.tasks.augment import cosines, repen, resample

STILL = {"rotate": 0.0, "shear": 0.0, "scale": 0.0, "translate": 0.0, "bend": 0.0, "pen": 0.0}


def grid(height, width):
    return np.meshgrid(np.arange(height, dtype=np.float32), np.arange(width, dtype=np.float32), indexing="ij")


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), shared=st.integers(0, 2), dtype=st.sampled_from([np.float32, np.float64]))
def test_shape_dtype_and_range_are_kept(seed, shared, dtype):
    rng = np.random.default_rng(seed)
    images = rng.random((2, 3, 11, 9)).astype(dtype)
    changed = Augment(rotate=40, bend=3, translate=4, pen=1, shared=shared)(rng, images)
    assert changed.shape == images.shape and changed.dtype == dtype
    assert changed.min() >= 0 and changed.max() <= 1


def test_black_and_white_drawings_stay_as_they_are_when_all_amounts_are_0(rng):
    images = (rng.random((4, 28, 28)) < 0.2).astype(np.float32)
    np.testing.assert_array_equal(Augment(**STILL)(rng, images), images)


def test_the_images_given_are_not_changed(rng):
    images = rng.random((4, 28, 28)).astype(np.float32)
    before = images.copy()
    Augment()(rng, images)
    np.testing.assert_array_equal(images, before)


def test_instances_that_share_a_draw_change_alike_and_others_do_not(rng):
    images = np.broadcast_to(rng.random((28, 28)), (2, 3, 28, 28))
    shared, own = Augment(shared=1)(rng, images), Augment(shared=0)(rng, images)
    assert (shared == shared[:, :1]).all() and (shared[0] != shared[1]).any()
    assert (own[:, 0] != own[:, 1]).any()


@pytest.mark.parametrize("amount", STILL)
def test_every_default_amount_changes_something(rng, amount):
    images = np.zeros((2, 28, 28), np.float32)
    images[:, 8:20, 13:15] = 1
    usual = getattr(Augment(), amount)
    assert (Augment(**{**STILL, amount: usual})(rng, images) != images).any()


def test_resampling_at_the_pixels_themselves_gives_the_image(rng):
    images = rng.random((3, 5, 7)).astype(np.float32)
    np.testing.assert_array_equal(resample(images, *grid(5, 7)), images)


def test_resampling_at_whole_pixels_moves_the_image_and_shows_paper_outside(rng):
    images = rng.random((3, 5, 7)).astype(np.float32)
    rows, columns = grid(5, 7)
    moved = resample(images, rows + 2, columns - 1)
    np.testing.assert_array_equal(moved[:, :3, 1:], images[:, 2:, :-1])
    assert not moved[:, 3:].any() and not moved[:, :, 0].any()


def test_resampling_between_pixels_is_bilinear():
    image = np.array([[[0.0, 1.0], [2.0, 3.0]]])
    value = resample(np.pad(image, ((0, 0), (0, 1), (0, 1))), *(np.full((3, 3), p) for p in (0.25, 0.5)))
    # 0.75 * (0 + 1) / 2 + 0.25 * (2 + 3) / 2
    np.testing.assert_array_equal(value, np.full((1, 3, 3), 1.0))


def test_far_outside_is_paper():
    image = np.ones((1, 4, 4), np.float32)
    for far in (-1e4, 1e4):
        outside = resample(image, *(np.full((4, 4), far, np.float32),) * 2)
        assert not outside.any()


@pytest.mark.parametrize("angle", [90, 180])
def test_a_rotation_by_quarters_is_exact(angle):
    class Fixed:
        """A generator whose normal draws are all 1: the angle is the amount itself, clockwise."""

        def standard_normal(self, shape, dtype):
            return np.ones(shape, dtype)

    images = np.zeros((1, 8, 8))
    images[0, 1, 2] = images[0, 5, 6] = 1
    turned = Augment(**{**STILL, "rotate": angle})(Fixed(), images)
    # float32 sines of multiples of a quarter turn are within 1e-6 of integers; contrast multiplies by 1.4 *
    # 8 pixels.
    np.testing.assert_allclose(turned[0], np.rot90(images[0], -angle // 90), atol=1e-4)


def test_a_full_pen_is_the_maximum_or_minimum_of_the_neighbours(rng):
    image = rng.random((1, 6, 6))
    padded = {fill: np.pad(image[0], 1, constant_values=fill) for fill in (-1.0, 2.0)}
    around = {f: [p[1:-1, 1:-1], p[:-2, 1:-1], p[2:, 1:-1], p[1:-1, :-2], p[1:-1, 2:]] for f, p in padded.items()}
    # A blend with weight 1 is x + (m - x): one rounding.
    np.testing.assert_allclose(repen(image, np.array([1.0]))[0], np.max(around[-1.0], axis=0), rtol=1e-15)
    np.testing.assert_allclose(repen(image, np.array([-1.0]))[0], np.min(around[2.0], axis=0), atol=1e-15)


def test_the_cosines_are_orthonormal():
    waves = cosines(28)
    np.testing.assert_allclose(waves.T @ waves / 28, np.eye(waves.shape[1]), atol=1e-6)


def test_more_shared_axes_than_there_are_is_an_error(rng):
    with pytest.raises(ValueError, match="at least 2 axes before height and width"):
        Augment(shared=2)(rng, np.zeros((3, 28, 28)))


def test_a_photograph_is_moved_and_mirrored_whole(rng):
    photos = rng.random((6, 3, 20, 16)).astype(np.float32)
    still = AugmentPhotos(light=0, contrast=0, tint=0, shared=1)
    middle = lambda x: x[:, 4:-4, 4:-4]
    for before, after in zip(photos, still(rng, photos)):
        # Every place of the middle, which no mirrored edge reaches, is one of the original, the same for all channels,
        # to the two roundings of mean + (x − mean).
        offsets = [
            (down, right, flip)
            for down in range(-2, 3)
            for right in range(-2, 3)
            for flip in (1, -1)
            if np.allclose(
                middle(after), middle(np.roll(before[:, :, ::flip], (down, right), (1, 2))), rtol=0, atol=3e-7
            )
        ]
        assert len(offsets) == 1


def test_light_stays_within_what_a_picture_holds(rng):
    photos = rng.random((50, 3, 8, 8)).astype(np.float32)
    seen = AugmentPhotos(light=0.5, shared=1)(rng, photos)
    assert seen.dtype == np.float32 and seen.min() == 0 and seen.max() == 1
    assert np.ptp(seen.mean((1, 2, 3))) > 0.3  # four deviations of 0.5, clipped
