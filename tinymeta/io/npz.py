"""`.npz`: NumPy's own, a zip of arrays, each of which begins with its shape and dtype. Nothing is a pickle."""

from __future__ import annotations

import json
import zipfile
from typing import BinaryIO

import numpy as np

from tinymeta.engine.tensor import Array
from tinymeta.io.archive import check_packed
from tinymeta.io.stored import METADATA, Arrays, Kind, Stored, Texts, parse, texts_of

LONGEST_TEXT = 10_000_000  # bytes of the metadata
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def write(file: BinaryIO, arrays: Arrays, texts: Texts) -> None:
    # Not np.savez: its parameter names (`file`) could not be leaves, and it stamps the time into the file.
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in {**arrays, METADATA: np.array(json.dumps(texts))}.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)


def open_stored(stream: BinaryIO) -> Stored:
    """What a stream holds; it raises ValueError, BadZipFile and whatever trips the parser where it is no such file."""
    archive = zipfile.ZipFile(stream)
    infos = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    if len(infos) < len(archive.infolist()):
        raise ValueError("it holds two arrays of one name")
    kinds = {name: _kind(archive, info) for name, info in infos.items()}

    def read(name: str) -> Array:
        with archive.open(infos[name]) as entry:
            array: Array = np.lib.format.read_array(entry, allow_pickle=False)
            entry.read(1)  # reaches the end, where the checksum is compared
        return array

    texts: Texts = {}
    if METADATA in kinds:
        kind = kinds.pop(METADATA)
        if kind.shape or kind.dtype.kind != "U" or kind.nbytes > LONGEST_TEXT:
            raise ValueError("its metadata is no text")
        texts = texts_of(parse(str(read(METADATA)).encode()))
    return Stored(kinds, texts, read)


def _kind(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Kind:
    """The kind of one array, if the archive has as many bytes of it as its header says."""
    check_packed(info)
    with archive.open(info) as entry:
        shape, _, dtype = _HEADERS[np.lib.format.read_magic(entry)](entry)
        kind = Kind(shape, dtype)
        if dtype.hasobject:
            raise ValueError(
                f"'{info.filename}' is no array of numbers but of objects: convert it, texts by astype(str)"
            )
        if min(shape, default=0) < 0 or entry.tell() + kind.nbytes != info.file_size:
            raise ValueError(f"'{info.filename}' is no array of numbers, or not a whole one")
    return kind
