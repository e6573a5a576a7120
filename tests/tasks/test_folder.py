"""A user's folder of pictures: any size, kind and layout, any number per class, and all that isn't read is told."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from tinymeta.tasks import DataError, FewShotImages, load_folder
from tinymeta.tasks import folder as loader

image = pytest.importorskip("PIL.Image", reason="reading images needs Pillow: pip install tinymeta[images]")


RAMP = np.tile(np.linspace(0, 255, 64).round().astype(np.uint8), (64, 1))


def save(path, colour, mode="RGB", size=(40, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.new(mode, size, colour).save(path)


def load(folder, **options):
    """`load_folder`, quietly."""
    return load_folder(folder, tell=lambda said: None, **options)


@pytest.fixture
def pets(tmp_path):
    """Two red cats (PNG, JPEG) and three dogs in greys, of several sizes."""
    root = tmp_path / "pets"
    save(root / "cat/1.png", (255, 0, 0))
    save(root / "cat/2.JPG", (255, 0, 0), size=(9, 80))
    for k in (1, 2, 3):
        save(root / f"dog/{k}.jpeg", 60 * k, mode="L", size=(20 * k, 20))
    (root / "dog/notes.txt").write_text("not an image")
    save(root / ".trash/old.png", (0, 0, 0))
    return root


def test_classes_of_different_sizes_load_and_can_be_sampled(pets, rng):
    classes = load(pets, size=8)
    assert classes.names.tolist() == ["cat", "dog"] and classes.counts.tolist() == [2, 3]
    assert classes.images.shape == (2, 3, 8, 8) and classes.images.dtype == np.uint8
    # JPEG may be off by some grey levels.
    assert np.abs(classes.images[1].mean(axis=(1, 2)) - [60, 120, 180]).max() < 3
    assert FewShotImages(classes, ways=2).sample(rng, 5).support[0].shape == (5, 2, 64)


def test_colour_images_have_their_channels_first(pets, rng):
    classes = load(pets, size=8, colour="rgb")
    assert classes.images.shape == (2, 3, 3, 8, 8)
    assert (classes.images[0, 0] == np.array([255, 0, 0])[:, None, None]).all()
    assert FewShotImages(classes, ways=2, flatten=False).sample(rng, 5).query[0].shape == (5, 2, 3, 8, 8)


def test_inverting_swaps_black_and_white(pets):
    plain, inverted = (load(pets, size=8, invert=invert).images[1] for invert in (False, True))
    np.testing.assert_array_equal(inverted, 255 - plain)


def test_transparent_pixels_are_white_paper(pets):
    save(pets / "cat/0.png", (0, 0, 0, 0), mode="RGBA")
    assert (load(pets, size=8).images[0, 0] == 255).all()


def test_the_folder_around_a_class_is_its_group(tmp_path):
    for name in ("birds/owl", "birds/jay", "fish/eel"):
        save(tmp_path / name / "1.png", (1, 2, 3))
    classes = load(tmp_path)
    assert classes.names.tolist() == ["birds/jay", "birds/owl", "fish/eel"]
    assert classes.groups.tolist() == ["birds", "birds", "fish"]


def test_a_folder_of_loose_images_is_told_what_is_missing(tmp_path):
    save(tmp_path / "1.png", (1, 2, 3))
    with pytest.raises(DataError, match=r"holds no class folders of images \(1 outside of the class folders\): put"):
        load_folder(tmp_path)


def test_an_empty_or_missing_folder_is_an_error(tmp_path):
    with pytest.raises(DataError, match="holds no class folders of images"):
        load_folder(tmp_path)
    with pytest.raises(DataError, match="is not a folder"):
        load_folder(tmp_path / "missing")


def test_a_single_class_is_not_enough(tmp_path):
    save(tmp_path / "cat/1.png", (1, 2, 3))
    with pytest.raises(DataError, match="one class only, 'cat'"):
        load_folder(tmp_path)


def test_the_summary_counts_what_was_read_and_what_was_passed_over(pets):
    (pets / "dog/4.png").write_bytes(b"no image")
    (pets / "cat/3.jpg").write_bytes((pets / "cat/2.JPG").read_bytes()[:-100])
    for k in range(2):
        (pets / f"drawing{k}.svg").write_text("<svg/>")
    said = []
    found = load_folder(pets, size=8, tell=said.append).found
    assert str(found) == "5 pictures in 2 classes; 5 files passed over: 2 .svg, 2 damaged, 1 .txt"
    assert found.pictures == {"cat": 2, "dog": 3} and found.passed == {".svg": 2, "damaged": 2, ".txt": 1}
    (sentence,) = said
    assert sentence.startswith(str(found)) and "cat/3.jpg (" in sentence and "dog/4.png (" in sentence


def test_a_folder_without_anything_odd_is_read_in_silence(pets):
    (pets / "dog/notes.txt").unlink()
    image.fromarray(RAMP).save(pets / "cat/1.png")
    said = []
    assert str(load_folder(pets, size=8, tell=said.append).found) == "5 pictures in 2 classes" and not said


def layout(root, *files):
    """Pictures of noise, all different."""
    for k, file in enumerate(files):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        image.fromarray(np.random.default_rng(k).integers(0, 255, (9, 9), dtype=np.uint8)).save(root / file)
    return root


def test_a_split_of_pictures_is_put_together(tmp_path):
    layout(tmp_path, *(f"{part}/{name}/{k}.png" for part in ("train", "val") for name in ("cat", "dog") for k in "12"))
    classes = load(tmp_path)
    assert dict(zip(classes.names, classes.counts)) == {"cat": 4, "dog": 4}
    assert not classes.found.parts and "train, val hold the same classes (2 of 2)" in classes.found.notes[0]


def test_a_split_of_classes_is_kept(tmp_path):
    layout(tmp_path, "Train/cat/1.png", "Train/dog/1.png", "valid/owl/1.png", "test/fox/1.png", "test/deep/elk/1.png")
    found = load(tmp_path).found
    assert found.parts == {
        "cat": "train", "dog": "train", "fox": "test", "deep/elk": "test", "owl": "validation"
    }  # fmt: skip


def test_classes_that_are_called_train_are_classes(tmp_path):
    layout(tmp_path, "train/1.png", "tram/1.png", "test/1.png")
    assert load(tmp_path).names.tolist() == ["test", "train", "tram"]


def test_what_is_odd_is_named(tmp_path):
    layout(tmp_path, "a/1.png", "a/2.png", "b/3.png", "B/4.png", "b/deep/5.png", "b/deep/6.png", "7.png")
    (tmp_path / "a/again.png").write_bytes((tmp_path / "a/1.png").read_bytes())
    (tmp_path / "b/other.png").write_bytes((tmp_path / "a/2.png").read_bytes())
    (tmp_path / "empty").mkdir()
    for junk in (".hidden/1.png", "__MACOSX/a/1.png", "@eaDir/1.png", "a/._1.png"):
        layout(tmp_path, junk)
    notes = "\n".join(load(tmp_path).found.notes)
    for said in (
        "in no class folder: 7.png",
        "folders without a picture: empty",
        "for they hold pictures, too: b",
        "classes that hold the same pictures: a and b (1)",
        "pictures that a class holds twice: a (1)",
        "classes of a single picture, which no task can ask about: B (1)",
        "names look alike: B, b",
    ):
        assert said in notes, notes


@pytest.mark.skipif(os.name != "posix", reason="links are made as POSIX systems do")
def test_links_within_the_folder_are_followed_once_around_a_circle(tmp_path):
    layout(tmp_path, "all/cat/1.png", "all/dog/2.png", "some/owl/3.png")
    (tmp_path / "some/pet").symlink_to(tmp_path / "all/cat")
    (tmp_path / "some/owl/round").symlink_to(tmp_path)
    assert {"all/cat", "some/pet", "some/owl"} <= set(load(tmp_path).names)
    for nowhere in ("some/self", "gone"):
        (tmp_path / "some/self").symlink_to(tmp_path / nowhere)
        with pytest.raises(DataError, match="self is a link that leads nowhere"):
            load(tmp_path)
        (tmp_path / "some/self").unlink()


def test_pictures_are_decoded_once_and_again_when_one_changes(pets, monkeypatch, private_cache):
    first = load(pets, size=8)
    with monkeypatch.context() as patched:
        patched.setattr(loader, "decoded", lambda *_: pytest.fail("decoded again"))
        again = load(pets, size=8)
    np.testing.assert_array_equal(first.images, again.images)
    assert first.found == again.found and list(private_cache.glob("folder-*.npz"))
    assert not [path for path in pets.rglob("*") if path.suffix == ".npz"]
    save(pets / "cat/1.png", (0, 0, 0))
    os.utime(pets / "cat/1.png", ns=(1, 1))
    changed = load(pets, size=8)
    assert (changed.images[0, 0] == 0).all() and changed.found.prints["cat"] != first.found.prints["cat"]
    assert changed.found.prints["dog"] == first.found.prints["dog"]


def test_a_broken_cache_is_made_anew(pets, private_cache):
    first = load(pets, size=8)
    for path in private_cache.glob("folder-*.npz"):
        path.write_bytes(b"broken")
    np.testing.assert_array_equal(load(pets, size=8).images, first.images)


def test_a_fingerprint_follows_the_pictures_and_not_their_names(pets):
    first = load(pets, size=8).found.prints
    (pets / "dog/1.jpeg").rename(pets / "dog/renamed.jpeg")
    (pets / "cat").rename(pets / "lion")
    assert load(pets, size=8).found.prints == {"dog": first["dog"], "lion": first["cat"]}


def test_progress_is_shown_for_every_picture(pets, monkeypatch):
    shown = []
    monkeypatch.setattr(loader, "MANY", 1)

    class Bar:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def advance(self):
            shown[-1][0] -= 1

    load(pets, size=8, progress=lambda total, title: shown.append([total, title]) or Bar())
    assert shown == [[0, "reading pictures"]]


def test_colour_is_seen_where_there_is_any(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / "grey" / name).mkdir(parents=True)
        grey = rng.integers(0, 256, (30, 30, 1)) + rng.integers(-3, 4, (30, 30, 3))  # a camera's noise
        Image.fromarray(grey.clip(0, 255).astype(np.uint8)).save(tmp_path / "grey" / name / "1.png")
    silent = {"tell": lambda _: None}  # of classes of one picture
    found = load_folder(tmp_path / "grey", 16, "auto", **silent).images
    assert found.shape == (2, 1, 16, 16)
    grey = load_folder(tmp_path / "grey", 16, "grey", **silent).images
    np.testing.assert_allclose(found, grey, atol=2)  # rounded twice
    red = np.zeros((30, 30, 3), np.uint8)
    red[:3, :10, 0] = 255  # of one picture one place in thirty
    Image.fromarray(red).save(tmp_path / "grey" / "b" / "1.png")
    assert load_folder(tmp_path / "grey", 16, "auto", **silent).images.shape == (2, 1, 3, 16, 16)
