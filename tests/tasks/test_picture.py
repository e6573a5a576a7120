"""One picture: every format of the list, deep greys, photographs that were turned, large ones."""

from __future__ import annotations

import io

import numpy as np
import pytest

from tinymeta.tasks import DataError, load_folder
from tinymeta.tasks.picture import FORMATS, Deep, decoded, levels_of, picture

image = pytest.importorskip("PIL.Image", reason="reading images needs Pillow: pip install tinymeta[images]")

RAMP = np.tile(np.linspace(0, 255, 64).round().astype(np.uint8), (64, 1))


def load(folder, **options):
    return load_folder(folder, tell=lambda said: None, **options)


WRITTEN = {
    "WEBP": ("webp", {"lossless": True}), "GIF": ("gif", {}), "BMP": ("bmp", {}), "TIFF": ("tif", {}),
    "PPM": ("pgm", {}), "PNG": ("png", {}), "JPEG": ("jfif", {"quality": 100}), "JPEG2000": ("jp2", {}),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRITTEN)
def test_every_format_of_the_list_is_read(tmp_path, kind):
    suffix, options = WRITTEN[kind]
    for name in "ab":
        (tmp_path / name).mkdir()
        image.fromarray(RAMP).save(tmp_path / name / f"1.{suffix}", kind, **options)
    read = load(tmp_path, size=64).images[0, 0]
    assert np.abs(read.astype(int) - RAMP).max() <= (2 if kind == "JPEG" else 0)  # its quantiser's steps


def test_formats_that_start_a_program_or_know_no_signature_are_not_on_the_list():
    assert not {"EPS", "TGA", "PCX", "DIB", "WMF", "PSD"} & set(FORMATS)


def deep(array, suffix="tif"):
    stream = io.BytesIO()
    image.fromarray(array).save(stream, {"tif": "TIFF", "png": "PNG"}[suffix])
    stream.seek(0)
    return stream


DEEP = {
    "16 bits": RAMP.astype(np.uint16) * 257,
    "12 bits": RAMP.astype(np.uint16) * 16,
    "10 bits": RAMP.astype(np.uint16) * 4,
    "8 bits in 16": RAMP.astype(np.uint16),
    "32 bits": (RAMP.astype(np.int64) * 8_000_000).astype(np.int32),
    "negative": RAMP.astype(np.int32) * 1000 - 90_000,
    "fractions": (RAMP / 255).astype(np.float32),
    "fractions up to 255": RAMP.astype(np.float32),
    "temperatures": (RAMP / 10 - 5).astype(np.float32),
}


@pytest.mark.parametrize("kind", DEEP)
def test_deep_greys_are_scaled_and_not_clipped(kind):
    # 4095 is white for 12 bits, and the ramp ends at 4080: a grey less than the ramp's, and half of one by rounding
    assert np.abs(picture(deep(DEEP[kind]), 64).astype(int) - RAMP).max() <= (1 if "bits" in kind else 0)


def test_deep_greys_of_a_folder_are_scaled_together(tmp_path):
    for name, gain in (("bright", 16), ("dim", 2)):
        (tmp_path / name).mkdir()
        image.fromarray(RAMP.astype(np.uint16) * gain).save(tmp_path / name / "1.png")
    classes = load(tmp_path, size=64)
    assert classes.found.levels == (0, 4095)
    assert np.abs(classes.images[1, 0] / 2 - RAMP / 16).max() < 1
    with pytest.raises(DataError, match="its greys go from 0 to 65535"):
        picture(deep(DEEP["16 bits"]), 64, levels=classes.found.levels)


def test_one_that_is_not_a_number_is_no_picture():
    with pytest.raises(DataError, match="NaN"):
        picture(deep(np.full((9, 9), np.nan, np.float32)), 8)


def test_levels_of_nothing_are_those_that_are_known():
    assert levels_of([]) is None and levels_of([], (0.0, 4095.0)) == (0.0, 4095.0)
    assert levels_of([Deep(RAMP, 7.0, 7.0, False)], (-1.0, 3.0)) == (-1.0, 7.0)


def test_a_turned_photograph_is_upright(tmp_path):
    exif = image.Exif()
    exif[0x0112] = 6  # the camera was held to the right
    stream = io.BytesIO()
    image.fromarray(RAMP).save(stream, "JPEG", quality=100, exif=exif)
    stream.seek(0)
    assert np.abs(picture(stream, 64).astype(int) - np.rot90(RAMP, -1)).max() <= 2


def test_a_large_jpeg_is_reduced_by_its_decoder(monkeypatch):
    rng = np.random.default_rng(0)
    smooth = image.fromarray(rng.integers(0, 255, (12, 16, 3), dtype=np.uint8)).resize((2000, 1500), 3)
    stream = io.BytesIO()
    smooth.save(stream, "JPEG", quality=95)
    whole = np.asarray(
        image.open(io.BytesIO(stream.getvalue())).convert("L").resize((28, 28), image.Resampling.LANCZOS)
    )
    monkeypatch.setitem(decoded.__globals__, "LARGEST_PICTURE", 500 * 375)  # a quarter of each side
    read = picture(io.BytesIO(stream.getvalue()), 28)
    assert np.abs(read.astype(int) - whole).max() <= 1
