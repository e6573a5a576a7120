"""`.safetensors` as strict as the package of that name, and arrays that cost memory only where they are wanted."""

from __future__ import annotations

import io
import json
import tracemalloc
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tests.trust.safetensors_files import disagreements, theirs
from tinymeta.io.save import contents

ONE = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
EMPTY = b'{"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}'
TWO = {"dtype": "U8", "shape": [4], "data_offsets": [8, 12]}


def packed(header: Any, numbers: bytes = bytes(12)) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + numbers


def with_two(**changes: Any) -> bytes:
    return packed({"a": ONE, "b": {**TWO, **changes}})


WRONG = {
    "overlapping": with_two(data_offsets=[4, 8], shape=[4]),
    "a hole": packed({"a": ONE, "b": {**TWO, "data_offsets": [9, 13]}}, bytes(13)),
    "a hole at the beginning": packed({"b": {**TWO, "data_offsets": [8, 12]}}),
    "bytes that follow": packed({"a": ONE, "b": TWO}, bytes(13)),
    "numbers that are missing": packed({"a": ONE, "b": TWO}, bytes(11)),
    "a name twice": packed(b'{"a": %b, "a": %b}' % (EMPTY, EMPTY), b""),
    "a key twice": packed(b'{"b": {"dtype": "U8", "shape": [4], "shape": [4], "data_offsets": [0, 4]}}', bytes(4)),
    "another size than its shape": with_two(shape=[5]),
    "a shape below zero": with_two(shape=[-4]),
    "a shape of halves": with_two(shape=[4.0]),
    "yes for a shape": with_two(shape=[True]),
    "a shape beyond 64 bits": with_two(shape=[1 << 64, 0]),
    "an end before its beginning": with_two(data_offsets=[12, 8]),
    "three offsets": with_two(data_offsets=[8, 10, 12]),
    "a dtype that is none": with_two(dtype="F33"),
    "no dtype": packed({"a": {"shape": [3], "data_offsets": [0, 12]}}),
    "metadata that are numbers": packed({"__metadata__": {"a": 1}, "a": ONE, "b": TWO}),
    "a list": packed([], b""),
    "no JSON": packed(b"{]", b""),
    "no text": packed(b"{\xff}", b""),
    "a header longer than the file": (1 << 40).to_bytes(8, "little") + b"{}",
    "a header of nothing": bytes(8),
    "a deep header": packed(b'{"a":' + b"[" * 100_000, b""),
    "NaN": packed(b'{"a": NaN}', b""),
    "half of a character in a name": packed(b'{"\\ud800": %b}' % EMPTY, b""),
    "half of a character in a text": packed(b'{"__metadata__": {"a": "\\ud800"}}', b""),
}


STRICTER = {"a name twice"}  # which version 0.8 of the package takes: the last one counts


@pytest.mark.parametrize("what", WRONG)
def test_what_the_reference_refuses_is_refused(tmp_path: Path, what: str) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(WRONG[what])
    with pytest.raises(tm.UserError, match=r"m\.safetensors is damaged"):
        contents(path)
    assert what in STRICTER or find_spec("safetensors") is None or theirs(path)  # where it is missing, the list stands


def test_what_is_right_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(packed({"b": TWO, "a": ONE, "__metadata__": {"k": "v"}}))
    arrays, texts = contents(path)
    assert {name: (a.dtype.str, a.shape) for name, a in arrays.items()} == {"a": ("<f4", (2,)), "b": ("|u1", (4,))}
    assert texts == {"k": "v"}


def test_a_share_of_the_mutations_is_refused_or_read(tmp_path: Path) -> None:
    wrong = list(disagreements(0, 400, tmp_path, find_spec("safetensors") is not None))
    assert len(wrong) == 400 and not any(wrong)


def test_bfloat16_is_read_as_the_float32_of_the_same_value(tmp_path: Path) -> None:
    values = np.float32([1.0, -2.5, 3.140625, np.inf, 1e-40])  # 3.140625 has the 8 bits that there are
    halves = (values.view(np.uint32) >> 16).astype("<u2")
    (tmp_path / "m.safetensors").write_bytes(
        packed({"w": {"dtype": "BF16", "shape": [5], "data_offsets": [0, 10]}}, halves.tobytes())
    )
    read = tm.load(tmp_path / "m.safetensors", {"w": np.zeros(5, np.float32)})["w"]
    np.testing.assert_array_equal(read[:4], values[:4])
    np.testing.assert_array_equal(read.view(np.uint32) & 0xFFFF, 0)


def test_what_is_not_supported_says_so(tmp_path: Path) -> None:
    entry = {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}
    (tmp_path / "m.safetensors").write_bytes(packed({"w": entry}, bytes(4)))
    with pytest.raises(tm.UserError, match="'w' is of F8_E4M3, which is not supported"):
        contents(tmp_path / "m.safetensors")


def large_safetensors(path: Path, size: int) -> None:
    with open(path, "wb") as stream:
        stream.write(packed({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}, b""))
        stream.truncate(stream.tell() + size)


def large_npz(path: Path, size: int) -> None:
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": False, "shape": (size,)})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("w.npy", "w") as entry:
        entry.write(head.getvalue())
        for _ in range(size >> 20):
            entry.write(bytes(1 << 20))


@pytest.mark.parametrize("make, suffix", [(large_safetensors, "safetensors"), (large_npz, "npz")])
def test_a_file_that_says_it_is_large_costs_no_memory(tmp_path: Path, make: Any, suffix: str) -> None:
    """A file of 64 MB where 3 bytes are wanted, and what nobody asked for beyond a gigabyte."""
    path = tmp_path / f"m.{suffix}"
    make(path, 64 << 20)
    tracemalloc.start()
    try:
        with pytest.raises(tm.UserError, match=r"'w' .* has shape \(67108864,\) and \(3,\) is wanted"):
            tm.load(path, {"w": np.zeros(3, np.uint8)})
        assert tm.io.save.metadata(path) == {}
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_what_nobody_asked_for_is_read_up_to_a_gigabyte(tmp_path: Path) -> None:
    large_safetensors(tmp_path / "m.safetensors", (1 << 30) + 1)
    with pytest.raises(tm.UserError, match="holds 1073741825 bytes of numbers, and at most 1073741824"):
        contents(tmp_path / "m.safetensors")
