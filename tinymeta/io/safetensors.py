"""`.safetensors`: the length of a JSON header (8 bytes, little-endian), the header, then the numbers.

The header has of every array its dtype, shape and place. As for the package of that name, a file is refused where
places overlap or leave holes, where they don't have the size that shape and dtype say, and where bytes follow the last.
"""

from __future__ import annotations

import json
import os
from typing import Any, BinaryIO

import numpy as np

from tinymeta.engine.errors import UserError
from tinymeta.engine.tensor import Array
from tinymeta.io.stored import METADATA, Arrays, Kind, Stored, Texts, parse, texts_of

LARGEST_HEADER = 100_000_000  # the package's own limit

_DTYPES = {"BOOL": np.dtype(bool), "C64": np.dtype("<c8")} | {
    f"{letter}{8 * size}": np.dtype(f"<{kind}{size}")
    for letter, kind, sizes in (("U", "u", (1, 2, 4, 8)), ("I", "i", (1, 2, 4, 8)), ("F", "f", (2, 4, 8)))
    for size in sizes
}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}
_BFLOAT = "BF16"  # the upper half of a float32, and read as one


def write(file: BinaryIO, arrays: Arrays, texts: Texts) -> None:
    header: dict[str, object] = {METADATA: texts} if texts else {}
    parts: list[bytes] = []
    end = 0
    # Wide dtypes first, so that every array starts at a multiple of its item size.
    for name, array in sorted(arrays.items(), key=lambda item: (-item[1].itemsize, item[0])):
        dtype = array.dtype.newbyteorder("<")
        if dtype not in _CODES:
            raise UserError(f"the leaf '{name}' is {array.dtype}, which .safetensors can't hold: save it as .npz")
        parts.append(array.astype(dtype).tobytes())
        header[name] = {"dtype": _CODES[dtype], "shape": array.shape, "data_offsets": (end, end + len(parts[-1]))}
        end += len(parts[-1])
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    file.writelines(parts)


def open_stored(stream: BinaryIO) -> Stored:
    """What a stream holds; it raises ValueError where it is no such file."""
    size = os.fstat(stream.fileno()).st_size
    length = int.from_bytes(stream.read(8), "little")
    if not 0 < length <= min(size - 8, LARGEST_HEADER):
        raise ValueError("its header is not whole")
    text = stream.read(length)
    if not text.startswith(b"{"):
        raise ValueError("its header is none")
    header = parse(text)
    texts = texts_of(header.pop(METADATA, None) or {})
    places = {name: _place(name, entry) for name, entry in header.items()}
    kinds, end = {}, 0
    for name, (kind, width, begin, after) in sorted(places.items(), key=lambda item: item[1][2:]):
        if begin != end or after - begin != width:
            raise ValueError(f"the numbers of '{name}' are not where and as many as they should be")
        kinds[name], end = kind, after
    if 8 + length + end != size:
        raise ValueError("its numbers are not all there, or others follow")

    def read(name: str) -> Array:
        kind, width, begin, _ = places[name]
        stream.seek(8 + length + begin)
        numbers = bytearray(stream.read(width))
        if len(numbers) != width:
            raise ValueError(f"the numbers of '{name}' are not all there")
        if header[name]["dtype"] == _BFLOAT:
            array = (np.frombuffer(numbers, "<u2").astype("<u4") << 16).view("<f4")
        else:
            array = np.frombuffer(numbers, kind.dtype)
        if kind.dtype.kind == "b" and np.frombuffer(numbers, np.uint8).max(initial=0) > 1:
            raise ValueError(f"'{name}' says neither yes nor no")
        return array.reshape(kind.shape)

    return Stored(kinds, texts, read)


def _place(name: str, entry: Any) -> tuple[Kind, int, int, int]:
    """Of one array the kind, how many bytes it has, and where these begin and end."""
    code, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    begin, end = offsets
    if not all(type(n) is int for n in (*shape, begin, end)):
        raise ValueError(f"the place of '{name}' is not in whole numbers")
    if code == _BFLOAT:
        wide = Kind(tuple(shape), np.dtype("<f4"))
        return wide, wide.nbytes // 2, begin, end
    if code not in _DTYPES:
        raise ValueError(f"'{name}' is of {code}, which is not supported: of floats there are F64, F32, F16, BF16")
    kind = Kind(tuple(shape), _DTYPES[code])
    return kind, kind.nbytes, begin, end
