"""What stands in a function's code: the code written inside of it, its strings, the modules that it imports."""

from __future__ import annotations

import dis
from collections.abc import Iterable, Iterator
from types import CodeType
from typing import Any

_IMPORT = dis.opmap["IMPORT_NAME"]


def codes_of(code: CodeType) -> list[CodeType]:
    """The code of a function, and of those written inside of it."""
    return [code, *(inner for c in code.co_consts if isinstance(c, CodeType) for inner in codes_of(c))]


def texts_of(constants: Iterable[Any]) -> Iterator[str]:
    """The strings among constants, also those in tuples."""
    for c in constants:
        if isinstance(c, str):
            yield c
        elif isinstance(c, (tuple, frozenset)):
            yield from texts_of(c)


def imports_of(code: CodeType) -> list[str]:
    """The names of the modules that a code imports."""
    words = code.co_code
    found = [words[k + 1] for k in range(0, len(words), 2) if words[k] == _IMPORT] if _IMPORT in words[::2] else []
    return [code.co_names[k] for k in found]
