"""Folders of invented pictures, for the tests of what learns from them."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from tinymeta.tasks import glyphs

BRIEFLY = ["--iterations", "2", "--set", "tasks=4", "meta_batch=2", "size=16", "splits=1", "final=no"]
CLASSES = glyphs(alphabets=2, characters=6, hands=5, size=20)


def write_folder(folder: Path, classes: range, colour: bool = False) -> Path:
    """Class folders with four images each; the fifth of every class stays outside."""
    for c in classes:
        (folder / f"class{c}").mkdir(parents=True)
        for k in range(4):
            write(folder / f"class{c}" / f"{k}.png", c, k, colour)
    return folder


def write(path: Path, c: int, k: int, colour: bool = False) -> Path:
    image = Image.fromarray(CLASSES.images[c, k])
    (image.convert("RGB") if colour else image).save(path)
    return path
