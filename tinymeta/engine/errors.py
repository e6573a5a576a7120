"""Errors that teach: what was asked, where, and how to put it right."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

PACKAGE = __file__[: -len("engine/errors.py")]  # ends in a separator: a tinymeta_x.py beside it is the user's


class UserError(ValueError):
    """A mistake of the user's, told in one sentence that names the fix."""


class CompileWarning(UserWarning):
    """A compiled function that runs in a slower way: because the fast one can't, or because it was wrong."""


class ShapeError(ValueError):
    """Shapes that do not go together; raised before the result is used."""


class DtypeError(TypeError):
    """A dtype that the operation can't take."""


class Site(NamedTuple):
    """A place in the user's code: file, line number, and the function that holds it."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{Path(self.file).name}:{self.line}"


def user_site() -> Site:
    """The innermost line of the call stack that lies outside the package: the user's line."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    return Site(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)
