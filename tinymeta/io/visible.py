"""Text from elsewhere as a terminal may show it: a file's name, a key of a configuration, a class."""

from __future__ import annotations

import unicodedata

_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # controls, marks that reorder text, halves of characters, …


def visible(text: str, keep: str = "") -> str:
    """`text` with every character that a terminal would obey, or that has no picture, written out.

    >>> print(visible("red: \x1b[31m, reordered: \u202e"))
    red: \\x1b[31m, reordered: \\u202e
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_written(c) if unicodedata.category(c) in _HIDDEN and c not in keep else c for c in text)


def _written(character: str) -> str:
    return character.encode("unicode_escape").decode()
