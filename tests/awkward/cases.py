"""What an awkward case is, and when it came out well: as expected, or refused in a sentence that says what is wrong."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tinymeta.cli import main
from tinymeta.engine.errors import UserError


class Refused(str):
    """Words that the sentence of a refusal holds."""


class Says(str):
    """Words that what is told beside the result holds."""


class Case(NamedTuple):
    """Something awkward, made in an empty folder, and what comes of it."""

    made: Callable[[Path], object]
    expected: object

    def came_to(self, folder: Path) -> str:
        """ "" if it came out well, else what did."""
        before = os.getcwd()
        os.chdir(folder)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = self.made(folder)
        except UserError as refusal:
            found = Refused(refusal)
        except Exception as fault:
            return f"{type(fault).__name__}: {fault}"
        finally:
            os.chdir(before)
        words = isinstance(self.expected, Refused | Says)
        well = type(found) is type(self.expected) and (self.expected in found if words else found == self.expected)
        if isinstance(found, Refused) and "\n" in found:
            well = False
        return "" if well else f"{type(found).__name__} {found}"


def told(*words: str | Path) -> object:
    """A command of tinymeta: what it says beside its table if it ends well, else its refusal."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([*map(str, words)])
    *before, last = err.getvalue().strip().split("\n")
    if status == 0:
        return Says("\n".join([*before, last]))
    return Refused(last.removeprefix("tinymeta: ")) if last.startswith("tinymeta: ") else f"{status}: {last}"
