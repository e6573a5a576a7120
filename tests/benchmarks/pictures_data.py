"""The four folders of pictures that `python -m tests.benchmarks.pictures` learns from, made of what is installed.

drawings   the five alphabets of Omniglot's small set, from an archive that the caller names
glyphs     letters that look different, each in all fonts of Debian that have it, drawn by Pillow
digits     scikit-learn's, 8 × 8 pixels
photos     patches of the sample photographs of scikit-image and scikit-learn; a class is a photograph
"""

from __future__ import annotations

import subprocess
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIDE, DIGITS, PATCH, PATCHES = 56, 60, 64, 40  # px; digits of a kind, px of a patch, patches of a photograph
LETTERS = "ABDEFGHJKLMNQRTUVXYZabdefghijklmnqrtuy23456789ΓΔΘΛΞΠΣΦΨΩαβγδζηθλμξπσφψωбвджийфцшщэюя"
PHOTOS = (
    *("astronaut.png", "brick.png", "camera.png", "cell.png", "chelsea.png", "coffee.png", "coins.png"),
    *("grass.png", "gravel.png", "hubble_deep_field.jpg", "ihc.png", "moon.png", "motorcycle_left.png"),
    *("page.png", "retina.jpg", "rocket.jpg", "text.png", "china.jpg", "flower.jpg"),
)


def drawings(folder: Path, archive: Path) -> None:
    """Class folders of characters, 20 drawings of each, black on white."""
    with zipfile.ZipFile(archive) as found:
        for name in found.namelist():
            if name.endswith(".png"):
                place = folder / Path(name).relative_to(Path(name).parts[0])
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(found.read(name))


def glyphs(folder: Path) -> None:
    """Class folders of letters, one picture from the regular cut of every font that differs from the others'."""
    told = subprocess.run(["fc-list", "--format=%{file}\t%{family[0]}\n"], capture_output=True, text=True, check=True)
    files: dict[str, Path] = {}
    for line in sorted(told.stdout.splitlines()):
        file, family = line.split("\t")
        if (
            "Regular" in file
            or "Roman" in file
            or file.endswith(("R.ttf", "Sans.ttf", "Serif.ttf", "Mono.ttf", "_R.otf"))
        ):
            files.setdefault(family, Path(file))
    for family, file in files.items():
        font = ImageFont.truetype(str(file), 40)
        missing = font.getmask("\uffff").getbbox(), bytes(font.getmask("\uffff"))
        for letter in LETTERS:
            mask = font.getmask(letter)
            if mask.getbbox() and (mask.getbbox(), bytes(mask)) != missing:
                place = folder / f"U{ord(letter):04x}" / f"{family.replace(' ', '-')}.png"
                place.parent.mkdir(parents=True, exist_ok=True)
                picture = Image.new("L", (SIDE, SIDE), "white")
                ImageDraw.Draw(picture).text((SIDE // 2, SIDE // 2), letter, "black", font, anchor="mm")
                picture.save(place)


def digits(folder: Path) -> None:
    """Class folders of digits, white on black."""
    from sklearn.datasets import load_digits

    found, seen = load_digits(), Counter[int]()
    for values, label in zip(found.images, found.target):
        if seen[label] < DIGITS:
            place = folder / str(label) / f"{seen[label]}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.rint(values * 255 / 16).astype(np.uint8)).save(place)
            seen[label] += 1


def photos(folder: Path) -> None:
    """Class folders of square patches, each an eighth to a quarter of its photograph's shorter side."""
    import skimage
    import sklearn.datasets

    homes = [Path(skimage.__file__).parent / "data", Path(sklearn.datasets.__file__).parent / "images"]
    rng = np.random.default_rng(0)
    for name in PHOTOS:
        photo = Image.open(next(home / name for home in homes if (home / name).exists())).convert("RGB")
        place = folder / Path(name).stem
        place.mkdir(parents=True)
        for k in range(PATCHES):
            side = int(min(photo.size) * rng.uniform(1 / 8, 1 / 4))
            left, top = (int(rng.integers(0, length - side)) for length in photo.size)
            photo.crop((left, top, left + side, top + side)).resize((PATCH, PATCH)).save(place / f"{k}.png")


MADE: dict[str, Callable[..., None]] = {"drawings": drawings, "glyphs": glyphs, "digits": digits, "photos": photos}
