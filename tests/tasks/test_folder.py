"""A user's folder of pictures: any size and kind of image, any number per class, clear errors."""

from __future__ import annotations

import numpy as np
import pytest

from tinymeta.tasks import DataError, FewShotImages, load_folder

image = pytest.importorskip("PIL.Image", reason="reading images needs Pillow: pip install tinymeta[images]")


def save(path, colour, mode="RGB", size=(40, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.new(mode, size, colour).save(path)


@pytest.fixture
def pets(tmp_path):
    """Two red cats (PNG, JPEG) and three dogs in greys, of several sizes."""
    save(tmp_path / "cat/1.png", (255, 0, 0))
    save(tmp_path / "cat/2.JPG", (255, 0, 0), size=(9, 80))
    for k in (1, 2, 3):
        save(tmp_path / f"dog/{k}.jpeg", 60 * k, mode="L", size=(20 * k, 20))
    (tmp_path / "dog/notes.txt").write_text("not an image")
    save(tmp_path / ".trash/old.png", (0, 0, 0))
    return tmp_path


def test_classes_of_different_sizes_load_and_can_be_sampled(pets, rng):
    classes = load_folder(pets, size=8)
    assert classes.names.tolist() == ["cat", "dog"] and classes.counts.tolist() == [2, 3]
    assert classes.images.shape == (2, 3, 8, 8) and classes.images.dtype == np.uint8
    # JPEG may be off by some grey levels.
    assert np.abs(classes.images[1].mean(axis=(1, 2)) - [60, 120, 180]).max() < 3
    assert FewShotImages(classes, ways=2).sample(rng, 5).support[0].shape == (5, 2, 64)


def test_colour_images_have_their_channels_first(pets, rng):
    classes = load_folder(pets, size=8, colour="rgb")
    assert classes.images.shape == (2, 3, 3, 8, 8)
    assert (classes.images[0, 0] == np.array([255, 0, 0])[:, None, None]).all()
    assert FewShotImages(classes, ways=2, flatten=False).sample(rng, 5).query[0].shape == (5, 2, 3, 8, 8)


def test_inverting_swaps_black_and_white(pets):
    plain, inverted = (load_folder(pets, size=8, invert=invert).images[1] for invert in (False, True))
    np.testing.assert_array_equal(inverted, 255 - plain)


def test_transparent_pixels_are_white_paper(pets):
    save(pets / "cat/0.png", (0, 0, 0, 0), mode="RGBA")
    assert (load_folder(pets, size=8).images[0, 0] == 255).all()


def test_the_folder_around_a_class_is_its_group(tmp_path):
    for name in ("birds/owl", "birds/jay", "fish/eel"):
        save(tmp_path / name / "1.png", (1, 2, 3))
    classes = load_folder(tmp_path)
    assert classes.names.tolist() == ["birds/jay", "birds/owl", "fish/eel"]
    assert classes.groups.tolist() == ["birds", "birds", "fish"]


def test_a_folder_of_loose_images_is_told_what_is_missing(tmp_path):
    save(tmp_path / "1.png", (1, 2, 3))
    with pytest.raises(DataError, match="holds 1 images but no folders: put the images of each class"):
        load_folder(tmp_path)


def test_an_empty_or_missing_folder_is_an_error(tmp_path):
    with pytest.raises(DataError, match="holds no PNG or JPEG images"):
        load_folder(tmp_path)
    with pytest.raises(DataError, match="is not a folder"):
        load_folder(tmp_path / "missing")


def test_a_single_class_is_not_enough(tmp_path):
    save(tmp_path / "cat/1.png", (1, 2, 3))
    with pytest.raises(DataError, match="one class only, 'cat'"):
        load_folder(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + b"\0" * 50])
def test_an_unreadable_image_is_named(pets, content):
    (pets / "dog/4.png").write_bytes(content)
    with pytest.raises(DataError, match=r"dog/4\.png is not a readable image"):
        load_folder(pets)


def test_a_truncated_image_is_named(pets):
    whole = (pets / "cat/2.JPG").read_bytes()
    (pets / "cat/2.JPG").write_bytes(whole[: len(whole) - 100])
    with pytest.raises(DataError, match=r"cat/2\.JPG is not a readable image"):
        load_folder(pets)
