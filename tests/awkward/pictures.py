"""Folders of pictures."""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import tinymeta as tm
from tests.awkward.cases import Case, Refused, Says

RAMP = np.repeat(np.linspace(0, 1, 16)[:, None], 16, 1)  # dark above, light below
EIGHT = [17 * k for k in range(16)]  # its rows, as bytes
Make = Callable[[Path], object]


def ramp(dtype: Any = np.uint8, white: float = 255, mode: str | None = None) -> Image.Image:
    picture = Image.fromarray((RAMP * white).astype(dtype))
    return picture.convert(mode) if mode else picture


def noise(file: Path, seed: int = 0) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.frombytes("L", (16, 16), np.random.default_rng([seed, *map(ord, file.name)]).bytes(256)).save(file, "PNG")


def classes(folder: Path, *names: str) -> None:
    for k, name in enumerate(names):
        for j in range(2):
            noise(folder / name / f"{j}.png", k)


def seen(make: Callable[[Path], object]) -> Make:
    """The rows of a picture that is saved as class x, beside two others."""

    def made(folder: Path) -> object:
        classes(folder, "a", "b")
        (folder / "x").mkdir()
        make(folder / "x")
        found = tm.tasks.load_folder(folder, 16, tell=lambda _: None)
        return found.images[list(found.names).index("x"), 0].mean(1).round().astype(int).tolist()

    return made


def counted(make: Make, *names: str) -> Make:
    """How many pictures there are of each class, when something is made beside the classes."""

    def made(folder: Path) -> object:
        classes(folder, *names or ("a", "b"))
        make(folder)
        found = tm.tasks.load_folder(folder, 8, tell=lambda _: None)
        return dict(zip(map(str, found.names), found.counts.tolist()))

    return made


def said(make: Make, *names: str) -> Make:
    """What is told of it."""

    def made(folder: Path) -> object:
        classes(folder, *names or ("a", "b"))
        make(folder)
        sentences: list[str] = []
        tm.tasks.load_folder(folder, 8, tell=sentences.append)
        return Says("; ".join(sentences))

    return made


def saved(picture: Image.Image, name: str, **how: Any) -> Make:
    return seen(lambda folder: picture.save(folder / name, **how))


def upright(folder: Path) -> None:
    turned = Image.Exif()
    turned[0x112] = 3  # upside down
    ramp().rotate(180).save(folder / "a.png", exif=turned)


def white_is_zero(folder: Path) -> None:
    """A TIFF of 16 bits in which 0 is white, as X-rays are written."""
    pixels = (65535 * (1 - RAMP)).astype("<u2").tobytes()
    tags = {256: 16, 257: 16, 258: 16, 259: 1, 262: 0, 273: 122, 277: 1, 278: 16, 279: len(pixels)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    (folder / "a.tif").write_bytes(b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + b"\0\0\0\0" + pixels)


def several(format: str) -> Make:
    frames = [ramp(), ramp(mode="L").rotate(90)]
    return said(lambda f: frames[0].save(f / "a" / f"0.{format}", save_all=True, append_images=frames[1:]))


def linked(folder: Path) -> None:
    (folder / "c").symlink_to(folder / "a")


def away(folder: Path) -> None:
    (folder / "c").symlink_to(folder.parent)


def split(folder: Path) -> None:
    for part in ("train", "val", "test"):
        classes(folder / part, "cat", "dog")


def parts(folder: Path) -> object:
    classes(folder / "Train", "cat", "dog")
    classes(folder / "test", "owl", "fox")
    found = tm.tasks.load_folder(folder, 8, tell=lambda _: None).found
    return dict(found.parts) if found else None


CASES = {
    "16 bits a pixel": Case(saved(ramp(np.uint16, 65535), "a.png"), EIGHT),
    "12 bits in 16": Case(saved(ramp(np.uint16, 4095), "a.png"), EIGHT),
    "16 bits, 0 is white": Case(seen(white_is_zero), EIGHT),
    "fractions": Case(saved(ramp(np.float32, 1), "a.tif"), EIGHT),
    "depths below 0": Case(saved(Image.fromarray((RAMP * 1000 - 500).astype(np.int32)), "a.tif"), EIGHT),
    "white is 1000": Case(
        seen(lambda f: (f / "a.pgm").write_bytes(b"P5\n16 16\n1000\n" + (RAMP * 1000).astype(">u2").tobytes())), EIGHT
    ),
    "a palette": Case(saved(ramp(mode="P"), "a.gif"), EIGHT),
    "ink of four colours": Case(saved(ramp(mode="CMYK"), "a.tif"), EIGHT),
    "grey with alpha": Case(saved(ramp(mode="LA"), "a.png"), EIGHT),
    "nothing but alpha": Case(saved(Image.new("RGBA", (9, 9)), "a.png"), [255] * 16),
    "a transparent colour": Case(saved(Image.new("P", (9, 9)), "a.png", transparency=0), [255] * 16),
    "upside down by its Exif": Case(seen(upright), EIGHT),
    "a PNG called .jpg": Case(saved(ramp(), "a.jpg", format="PNG"), EIGHT),
    "a suffix in capitals": Case(saved(ramp(), "A.WEBP", lossless=True), EIGHT),
    "one pixel": Case(saved(Image.new("L", (1, 1), 77), "a.bmp"), [77] * 16),
    "one row of pixels": Case(saved(Image.new("L", (5000, 1), 77), "a.png"), [77] * 16),
    "an animation": Case(several("gif"), Says("of which the first was read: a/0.gif (2)")),
    "a stack of pages": Case(several("tif"), Says("of which the first was read: a/0.tif (2)")),
    "NaN among the greys": Case(
        said(lambda f: Image.fromarray(np.full((9, 9), np.nan, np.float32)).save(f / "a" / "n.tif")),
        Says("a/n.tif (it holds NaN or infinite greys)"),
    ),
    "colours that can't be read": Case(
        said(lambda f: ramp(mode="RGB").convert("LAB").save(f / "a" / "n.tif")), Says("not read: a/n.tif")
    ),
    "cut short": Case(
        said(lambda f: (f / "a/2.png").write_bytes((f / "a/0.png").read_bytes()[:150])), Says("not read: a/2.png")
    ),
    "an empty file": Case(said(lambda f: (f / "a/2.png").write_bytes(b"")), Says("not read: a/2.png")),
    "a drawing program's picture": Case(
        said(lambda f: (f / "a/2.svg").write_text("<svg/>")), Says("passed over: 1 .svg")
    ),
    "a program under a picture's name": Case(
        said(lambda f: ramp(mode="RGB").save(f / "a/2.png", "EPS")), Says("a/2.png (no picture in a format of")
    ),
    "a billion pixels": Case(
        said(lambda f: (f / "a/2.ppm").write_bytes(b"P6\n99999 99999\n255\n")), Says("1 too large")
    ),
    "a pipe": Case(said(lambda f: os.mkfifo(f / "a/2.png")), Says("a/2.png is a pipe")),
    "a folder called .png": Case(said(lambda f: (f / "a/2.png").mkdir()), Says("without a picture: a/2.png")),
    "pictures outside of the classes": Case(
        said(lambda f: noise(f / "loose.png")), Says("in no class folder: loose.png")
    ),
    "a class in a class": Case(said(lambda f: classes(f, "a/c")), Says("classes beside the classes in them")),
    "a class of one": Case(said(lambda f: noise(f / "c" / "0.png")), Says("classes of a single picture")),
    "one picture in two classes": Case(
        said(lambda f: (f / "b/9.png").write_bytes((f / "a/0.png").read_bytes())),
        Says("hold the same pictures: a and b"),
    ),
    "names that differ in case": Case(said(lambda f: classes(f, "A")), Says("whose names look alike: A, a")),
    "one name in two encodings": Case(
        said(lambda f: None, "caf\u00e9", "cafe\u0301"), Says("whose names look alike: caf")
    ),
    "names of all sorts": Case(
        counted(lambda f: None, "--help", "new\nline", "a;b'c", "狗", "😀"),
        {"--help": 2, "a;b'c": 2, "new\nline": 2, "狗": 2, "😀": 2},
    ),
    "what systems leave behind": Case(
        counted(lambda f: [noise(f / name) for name in ("a/._0.png", "__MACOSX/a/0.png", ".git/x.png")]),
        {"a": 2, "b": 2},
    ),
    "a link to a class": Case(counted(linked), {"a": 2, "b": 2, "c": 2}),
    "a link out of the folder": Case(counted(away), Refused("is a link that leads out of")),
    "a link to itself": Case(counted(lambda f: (f / "c").symlink_to(f / "c")), Refused("leads nowhere")),
    "a link to the folder around it": Case(counted(lambda f: (f / "a/up").symlink_to(f)), {"a": 2, "b": 2}),
    "train, val and test of the same classes": Case(
        lambda f: (split(f), counted(lambda _: [shutil.rmtree(f / n) for n in "ab"])(f))[1], {"cat": 6, "dog": 6}
    ),
    "train and test of other classes": Case(parts, {"cat": "train", "dog": "train", "fox": "test", "owl": "test"}),
    "a single class": Case(lambda f: (classes(f, "a"), tm.tasks.load_folder(f))[1], Refused("one class only, 'a'")),
    "no class": Case(lambda f: (noise(f / "0.png"), tm.tasks.load_folder(f))[1], Refused("no class folders of images")),
    "a picture for a folder": Case(
        lambda f: (noise(f / "0.png"), tm.tasks.load_folder(f / "0.png"))[1], Refused("is not a folder")
    ),
}
