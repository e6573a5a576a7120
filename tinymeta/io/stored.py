"""What a model file holds: its arrays by name, which are known by shape and dtype before their numbers are read.

So a reader asks for memory only where the shape is the one it wants, however large a file says that it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from tinymeta.engine.tensor import Array
from tinymeta.engine.typing import DType

Arrays = dict[str, Array]
Texts = dict[str, str]

METADATA = "__metadata__"  # the name of the texts among the arrays


class Kind(NamedTuple):
    """Of an array that has not been read."""

    shape: tuple[int, ...]
    dtype: DType

    @property
    def nbytes(self) -> int:
        size = self.dtype.itemsize
        for n in self.shape:
            size *= n
        return size


class Stored(NamedTuple):
    """The kinds of all arrays, the texts beside them, and `read(name)`, which reads one array."""

    kinds: dict[str, Kind]
    texts: Texts
    read: Callable[[str], Array]


def parse(text: bytes) -> Any:
    """JSON as strictly as its standard: UTF-8, no key twice, no NaN, and no numbers but whole ones that fit 64 bits."""
    found = json.loads(
        text.decode(), object_pairs_hook=_distinct, parse_int=_whole, parse_float=_whole, parse_constant=_whole
    )
    json.dumps(found, ensure_ascii=False).encode()  # half of a character is none
    return found


def texts_of(found: object) -> Texts:
    """`found` as strings by name, if it is that."""
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ValueError("its metadata is not made of strings")
    return found


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("it says something twice")
    return found


def _whole(text: str) -> int:
    if not text.isdecimal() or len(text) > 20 or int(text) >= 1 << 64:
        raise ValueError(f"its header says {text:.30}")
    return int(text)
