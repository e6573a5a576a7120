"""Omniglot: 1,623 handwritten characters of 50 alphabets, each drawn once by 20 people (Lake et al. 2015).

Reads the official archives or their unpacked folders as they are, from the folder the user names. Images
become 28 x 28 with ink = 1, the form of all few-shot protocols: 105 x 105 one-bit PNG, inverted, Lanczos by
Pillow. Drawer d of an alphabet is one person throughout it, which the challenge's tasks rely on
(`challenge.py`).
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from tinymeta.tasks.data import DataError, cached, data_folder, find_source, fingerprint, read_files
from tinymeta.tasks.download import fetch
from tinymeta.tasks.episode import Array
from tinymeta.tasks.images import ImageClasses
from tinymeta.tasks.picture import picture

Part = Literal["all", "background", "evaluation", "small1", "small2"]

DRAWERS = 20
OFFICIAL_SOURCE = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python"

# Part of the cache's key: raise it when the decoded arrays would differ.
LOADER_VERSION = 1


class Archive(NamedTuple):
    """One official archive: its name, how many characters it holds, and the md5 sum of the official file."""

    name: str
    characters: int
    md5: str


ARCHIVES = {
    "background": Archive("images_background", 964, "68d2efa1b9178cc56df9314c21c6e718"),
    "evaluation": Archive("images_evaluation", 659, "6b91aef0f799c5bb55b94e3f2daec811"),
    "small1": Archive("images_background_small1", 136, "e704a628b5459e08445c13499850abc4"),
    "small2": Archive("images_background_small2", 156, "b75a71a51d3b13f821f212756fe481fd"),
}


def load_omniglot(data: str | os.PathLike[str] | None = None, part: Part = "all", size: int = 28) -> ImageClasses:
    """Load Omniglot as uint8 images with ink 255.

    Groups are alphabets, and instances are the drawers 1 to 20 in order.

    Shapes: images (characters, 20, size, size) of uint8.
    Raises: DataError when an archive is missing, broken, or does not hold every image it should:
    `tm.tasks.load_omniglot("nowhere")`; ValueError for another part: `tm.tasks.load_omniglot("nowhere", "half")`.
    Source: Lake et al. 2015.

    Parameters
    ----------
    data : path, optional
        The folder with the official archives or their unpacked folders; TINYMETA_DATA where not given.
    part : {"all", "background", "evaluation", "small1", "small2"}
        The official sets: 964 characters of 30 alphabets, 659 of 20, both; and the challenge's two minimal
        sets of 5 alphabets.
    size : int
        Side of the images in pixels.
    """
    if part == "all":
        return ImageClasses.join([load_omniglot(data, half, size) for half in ("background", "evaluation")])
    if part not in ARCHIVES:
        raise ValueError(f"Omniglot has the parts all, {', '.join(ARCHIVES)}; there is no {part!r}.")
    folder, archive = data_folder(data), ARCHIVES[part]
    source = find_source(folder, archive.name)
    if source is None:
        raise DataError(
            f"{folder} holds neither {archive.name}.zip nor a folder {archive.name}: put Omniglot's archive "
            "there, or fetch it by `tinymeta data omniglot` (or tinymeta.tasks.download_omniglot(folder))."
        )
    key = f"omniglot {LOADER_VERSION} {archive.name} {size} {fingerprint(source)}"
    arrays = cached(source, f"omniglot_{part}_{size}", key, lambda: decode(source, archive, size))
    return ImageClasses(arrays["images"], arrays["groups"], arrays["names"])


def decode(source: Path, archive: Archive, size: int) -> dict[str, Array]:
    """Decode every image of an archive and check that they are all there."""
    characters: dict[tuple[str, str], list[Array]] = {}
    for path, content in read_files(source, ".png"):
        alphabet, character = path.parts[-3:-1] if len(path.parts) > 2 else ("", "")
        characters.setdefault((alphabet, character), []).append(drawing(content, size, f"{source}/{path}"))
    whole = sum(len(images) == DRAWERS for images in characters.values())
    if whole != archive.characters or len(characters) != whole:
        raise DataError(
            f"{source} holds {whole} whole characters ({sum(map(len, characters.values()))} images) where "
            f"Omniglot's {archive.name} has {archive.characters} of {DRAWERS} drawers: it is incomplete or "
            "something else; fetch it again."
        )
    return {
        "images": np.stack([np.stack(images) for images in characters.values()]),
        "groups": np.array([alphabet for alphabet, _ in characters]),
        "names": np.array([f"{alphabet}/{character}" for alphabet, character in characters]),
    }


def drawing(content: bytes, size: int, where: str) -> Array:
    """Decode one black-on-white drawing to (size, size) uint8 with ink 255."""
    return picture(io.BytesIO(content), size, invert=True, where=where)


def download_omniglot(
    folder: str | os.PathLike[str],
    parts: tuple[str, ...] = ("background", "evaluation"),
    source: str = OFFICIAL_SOURCE,
) -> list[Path]:
    """Fetch official archives into `folder` and check their md5 sums. Archives already there are kept.

    Raises: DataError when a sum differs, or nothing can be fetched: what has come by then, the next call goes on with.
    Source: Lake et al. 2015.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    paths = []
    for archive in (ARCHIVES[part] for part in parts):
        path = target / f"{archive.name}.zip"
        paths.append(path)
        if path.exists():
            continue
        fetch(f"{source}/{archive.name}.zip", path, archive.md5)
    return paths
