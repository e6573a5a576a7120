"""Pictures, texts and archives that somebody else made: one sentence, bounded memory, no other program."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tinymeta.tasks import DataError, load_folder, load_languages
from tinymeta.tasks.data import LARGEST, read_files
from tinymeta.tasks.picture import picture

Image = pytest.importorskip("PIL.Image", reason="reading images needs Pillow")
posix = pytest.mark.skipif(os.name != "posix", reason="links and pipes are made as POSIX systems do")

POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n/inch {72 mul} def showpage\n%%EOF\n"


def png() -> bytes:
    stream = io.BytesIO()
    Image.frombytes("L", (64, 64), np.random.default_rng(0).bytes(4096)).save(stream, "PNG")
    return stream.getvalue()


def claims(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes that says it is as large."""
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(bytes(9))), (b"IEND", b""))
    packed = (struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


PICTURES = {
    "PostScript": POSTSCRIPT,
    "nothing": b"",
    "a text": b"P6\n9 9\n255\n",
    "half of one": png()[:2000],
    "a large one": claims(60_000, 60_000),
    "a larger one": claims(2**31 - 1, 2**31 - 1),
    "one of no size": claims(0, 0),
    "a format that starts nothing": b"GIF89a\x01\x00\x01\x00\x00\x00\x00;",
}


def classes(folder: Path) -> Path:
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        (folder / name / "1.png").write_bytes(png())
    return folder


@pytest.mark.parametrize("what", PICTURES)
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_what_is_no_picture_is_passed_over_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, suffix: str
) -> None:
    def started(*_: object, **__: object) -> None:
        raise AssertionError("another program was started")

    monkeypatch.setattr(subprocess, "Popen", started)
    (classes(tmp_path) / "a" / f"2{suffix}").write_bytes(PICTURES[what])
    said: list[str] = []
    found = load_folder(tmp_path, tell=said.append)
    kind = "too large" if "large" in what else "damaged"
    assert found.counts.tolist() == [1, 1] and found.found.passed == {kind: 1}
    assert f"1 file passed over: 1 {kind}" in said[0] and f"a/2{suffix} (" in said[0]
    assert "\n" not in said[0] and " at 0x" not in said[0]
    with pytest.raises(DataError, match=rf"2{suffix} is not a readable image"):
        picture(tmp_path / "a" / f"2{suffix}", 28)


def test_a_picture_of_another_suffix_than_its_format_is_read(tmp_path: Path) -> None:
    (classes(tmp_path) / "a" / "2.jpg").write_bytes(png())
    assert load_folder(tmp_path, tell=print).counts.tolist() == [2, 1]


@posix
def test_a_link_that_leads_out_of_the_folder_is_refused_and_one_within_is_not(tmp_path: Path) -> None:
    folder = classes(tmp_path / "mine")
    (tmp_path / "secret.png").write_bytes(png())
    (folder / "a" / "2.png").symlink_to(folder / "b" / "1.png")
    assert load_folder(folder, tell=print).counts.tolist() == [2, 1]
    (folder / "a" / "3.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(DataError, match="3.png is a link that leads out"):
        load_folder(folder)
    with pytest.raises(DataError, match="3.png is a link that leads out"):
        list(read_files(folder, ".png"))


@posix
def test_a_pipe_in_place_of_a_picture_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(classes(tmp_path) / "a" / "2.png")
    said: list[str] = []
    load_folder(tmp_path, tell=said.append)
    assert "2.png is a pipe" in said[0]


def packed(how: Callable[[zipfile.ZipFile], None]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        how(archive)
    return stream.getvalue()


def encrypted() -> bytes:
    """An archive whose entry says that it is."""
    content = bytearray(packed(lambda archive: archive.writestr("a.txt", "text")))
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + at] |= 1
    return bytes(content)


def unusual() -> bytes:
    return packed(lambda archive: archive.writestr("a.txt", "text" * 99, zipfile.ZIP_BZIP2))


def bomb() -> bytes:
    return packed(lambda archive: archive.writestr("a.txt", bytes(LARGEST + 1), zipfile.ZIP_DEFLATED))


def liar() -> bytes:
    """An archive whose directory says that an entry has fewer bytes than it unpacks to."""
    content = bytearray(packed(lambda archive: archive.writestr("a.txt", b"x" * 99, zipfile.ZIP_DEFLATED)))
    at = content.index(b"PK\x01\x02") + 24
    content[at : at + 4] = (9).to_bytes(4, "little")
    return bytes(content)


def damaged() -> bytes:
    content = bytearray(packed(lambda archive: archive.writestr("a.txt", "text" * 99)))
    content[60] ^= 1
    return bytes(content)


ARCHIVES = {f.__name__: f for f in (encrypted, unusual, bomb, liar, damaged)}


@pytest.mark.parametrize("what", ARCHIVES)
def test_an_archive_that_is_none_of_ours_is_refused_in_a_sentence(tmp_path: Path, what: str) -> None:
    (tmp_path / "texts.zip").write_bytes(ARCHIVES[what]())
    with pytest.raises(DataError, match=r"texts\.zip is not a whole zip archive") as told:
        load_languages(tmp_path / "texts.zip")
    assert "\n" not in str(told.value)


def test_an_archive_cut_anywhere_is_refused(tmp_path: Path) -> None:
    content = packed(lambda archive: archive.writestr("a.txt", "text" * 99))
    for length in range(0, len(content), 7):
        (tmp_path / "texts.zip").write_bytes(content[:length])
        with pytest.raises(DataError):
            load_languages(tmp_path / "texts.zip")
