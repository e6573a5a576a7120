"""Omniglot: small archives of the official layout, and the real data where it is at hand."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from tinymeta.tasks import DataError, load_omniglot
from tinymeta.tasks.omniglot import ARCHIVES, DRAWERS, Archive

image = pytest.importorskip("PIL.Image", reason="reading images needs Pillow: pip install tinymeta[images]")
NAME = "images_background_small1"


def png(drawer, character):
    """A black square on white, 105 x 105 and one bit: its place tells drawer and character."""
    paper = np.ones((105, 105), bool)
    paper[4 * drawer : 4 * drawer + 20, 15 * character : 15 * character + 20] = False
    content = io.BytesIO()
    image.fromarray(paper).save(content, "PNG")
    return content.getvalue()


@pytest.fixture
def official(tmp_path, monkeypatch):
    """A data folder whose small1 archive has two alphabets of two characters and one character."""
    monkeypatch.setitem(ARCHIVES, "small1", Archive(NAME, 3, ""))
    folder = tmp_path / "data"
    folder.mkdir()
    with zipfile.ZipFile(folder / f"{NAME}.zip", "w") as archive:
        for number, place in enumerate(("Alpha/character01", "Alpha/character02", "Beta/character01")):
            for drawer in reversed(range(DRAWERS)):
                name = f"{NAME}/{place}/{number:04d}_{drawer + 1:02d}.png"
                archive.writestr(name, png(drawer, number))
    return folder


def remove(folder, wanted):
    """Rewrite the archive with the files that `wanted` keeps, or with the content it returns."""
    path = folder / f"{NAME}.zip"
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            if wanted(name) is not None:
                archive.writestr(name, wanted(name) or content)


def test_characters_alphabets_and_drawers_are_in_order(official):
    classes = load_omniglot(official, "small1")
    assert classes.images.shape == (3, DRAWERS, 28, 28) and classes.images.dtype == np.uint8
    assert classes.groups.tolist() == ["Alpha", "Alpha", "Beta"]
    assert classes.names.tolist() == ["Alpha/character01", "Alpha/character02", "Beta/character01"]
    ink = classes.images > 127
    assert (np.diff(ink.any(axis=3).argmax(axis=2), axis=1) >= 0).all(), "squares move down from drawer to drawer"
    assert (np.diff(ink.any(axis=2).argmax(axis=2), axis=0) > 0).all(), "and right from character to character"


def test_ink_is_255_and_covers_the_area_it_should(official):
    images = load_omniglot(official, "small1").images
    assert (images.max(axis=(2, 3)) == 255).all() and (images.min(axis=(2, 3)) == 0).all()
    # Resampling keeps the mean: 400 of 11,025 pixels. Lanczos overshoots, and clipping it costs some percent.
    np.testing.assert_allclose(images.mean(axis=(2, 3)) / 255, 400 / 11025, rtol=0.08)


def test_the_unpacked_folder_gives_the_same_classes(official, tmp_path):
    with zipfile.ZipFile(official / f"{NAME}.zip") as archive:
        archive.extractall(tmp_path / "unpacked")
    for folder in (tmp_path / "unpacked", tmp_path / "unpacked" / NAME):
        unpacked = load_omniglot(folder, "small1")
        np.testing.assert_array_equal(unpacked.images, load_omniglot(official, "small1").images)
        assert unpacked.names.tolist() == load_omniglot(official, "small1").names.tolist()


def test_the_second_load_decodes_nothing(official, monkeypatch):
    first = load_omniglot(official, "small1")
    monkeypatch.setattr("tinymeta.tasks.omniglot.drawing", None)
    np.testing.assert_array_equal(load_omniglot(official, "small1").images, first.images)


def test_another_size_is_not_taken_from_the_cache(official):
    load_omniglot(official, "small1")
    assert load_omniglot(official, "small1", size=14).images.shape[2:] == (14, 14)


def test_a_missing_drawing_is_noticed(official):
    remove(official, lambda name: None if name.endswith("0001_07.png") else b"")
    with pytest.raises(DataError, match=r"holds 2 whole characters \(59 images\).* has 3 of 20 drawers"):
        load_omniglot(official, "small1")


def test_an_unreadable_drawing_is_named(official):
    remove(official, lambda name: b"no image" if name.endswith("0001_07.png") else b"")
    with pytest.raises(DataError, match=r"Alpha/character02/0001_07.png is not a readable image"):
        load_omniglot(official, "small1")


def test_a_missing_archive_names_the_download(tmp_path):
    with pytest.raises(DataError, match=r"images_evaluation.zip .*download_omniglot"):
        load_omniglot(tmp_path, "evaluation")


def test_an_unknown_part_lists_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match="background, evaluation, small1, small2"):
        load_omniglot(tmp_path, "huge")


def test_the_real_minimal_set_is_whole(data):
    classes = load_omniglot(data, "small1")
    assert classes.images.shape == (136, 20, 28, 28)
    assert sorted(set(classes.groups)) == ["Balinese", "Early_Aramaic", "Greek", "Korean", "Latin"]
    assert 0.05 < classes.images.mean() / 255 < 0.12
