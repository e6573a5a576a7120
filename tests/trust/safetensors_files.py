"""`.safetensors` files that are nearly right, and what the package of that name says of each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tinymeta.engine.errors import UserError
from tinymeta.io.save import contents, save

Rng = np.random.Generator
# In place of a number, a name or a brace of a header.
WORDS = ["0", "1", "7", "8", "16", "24", "-1", "1.0", "1e3", "true", "null", "[]", "{}", '"F32"', '"BF16"', '"F8_E4M3"']
WORDS += ["18446744073709551616", '"\\ud800"', "NaN", "[0,8]", ",", "}", "]", ":", " ", "\t", '"a"', '"__metadata__"']


def start(path: Path, rng: Rng) -> bytes:
    """A whole file of a few small arrays."""
    kinds = ["<f8", "<f4", "<f2", "<i4", "<u1", "<i8", "?", "<c8"]
    shapes = [(), (2,), (3, 1), (0, 2)]
    arrays = {
        f"w{k}": np.zeros(shapes[rng.integers(len(shapes))], kinds[rng.integers(len(kinds))])
        for k in range(rng.integers(0, 4))
    }
    save(path, arrays, {"a": "b"} if rng.random() < 0.5 else None)
    return path.read_bytes()


def mutated(content: bytes, rng: Rng) -> bytes:
    """The file with one to three changes: in its bytes, its length, or the words of its header."""
    for _ in range(rng.integers(1, 4)):
        content = (_header if rng.random() < 0.7 else _bytes)(content, rng)
    return content


def _bytes(content: bytes, rng: Rng) -> bytes:
    raw, at = bytearray(content), int(rng.integers(len(content) + 1))
    how = rng.integers(4)
    if how == 0 and at < len(raw):
        raw[at] ^= 1 << int(rng.integers(8))
    elif how == 1:
        del raw[at:]
    elif how == 2:
        raw[at:at] = rng.bytes(int(rng.integers(1, 9)))
    else:
        del raw[at : at + int(rng.integers(1, 9))]
    return bytes(raw)


def _header(content: bytes, rng: Rng) -> bytes:
    """Another header of the right length, with a word exchanged, doubled or gone; the numbers stay."""
    length = int.from_bytes(content[:8], "little")
    if not 0 < length <= len(content) - 8:
        return _bytes(content, rng)
    words = _words(content[8 : 8 + length].decode(errors="replace"))
    at = int(rng.integers(len(words)))
    new = WORDS[rng.integers(len(WORDS))] if rng.random() < 0.6 else words[rng.integers(len(words))]
    how = rng.integers(3)
    words[at : at + (how > 0)] = [] if how == 1 else [new]
    text = "".join(words).encode(errors="replace")
    text += b" " * (-len(text) % 8 if rng.random() < 0.8 else 0)
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def _words(text: str) -> list[str]:
    """A header's strings, numbers and signs."""
    found, at = [], 0
    while at < len(text):
        end = at + 1
        if text[at] == '"':
            end = text.find('"', at + 1) + 1 or len(text)
        elif text[at].isdigit():
            while end < len(text) and text[end].isdigit():
                end += 1
        found.append(text[at:end])
        at = end
    return found or [" "]


def ours(path: Path) -> str:
    """What we say of a file: an empty string, or why it is refused; anything else than a `UserError` goes through."""
    try:
        contents(path)
    except UserError as refused:
        return str(refused)
    return ""


def theirs(path: Path) -> str:
    """What the reference says."""
    from safetensors import safe_open

    try:
        with safe_open(path, framework="numpy") as found:
            found.keys()
    except Exception as refused:
        return str(refused) or "refused"
    return ""


def disagreements(seed: int, count: int, folder: Path, reference: bool) -> Iterator[str]:
    """For each of `count` mutations, what is wrong with our answer, or an empty string."""
    rng, path = np.random.default_rng(seed), folder / "m.safetensors"
    whole = start(path, rng)
    for k in range(count):
        if k % 50 == 0:
            whole = start(path, rng)
        path.write_bytes(mutated(whole, rng))
        try:
            said = ours(path)
        except Exception as error:
            yield f"{type(error).__name__}: {error!s:.80} of {json.dumps(path.read_bytes().hex())[:400]}"
            continue
        refused = theirs(path) if reference else said
        yield "" if said or not refused else f"taken, and the reference says {refused}: {path.read_bytes()!r:.300}"
