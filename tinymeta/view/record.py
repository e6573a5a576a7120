"""What a student has done of the course: a file in the folder of their own data, `$XDG_DATA_HOME/tinymeta/course.json`.

A grade does not depend on it. Where the record can't be read or written, that is said, and whatever stands there stays.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from tinymeta.engine.errors import UserError
from tinymeta.io import files
from tinymeta.view import lessons


def place() -> Path:
    """Where the record is. Raises: UserError where there is no home for it."""
    named = Path(os.environ.get("XDG_DATA_HOME", ""))
    root = named if named.is_absolute() else files.named("~") / ".local" / "share"
    return root / "tinymeta" / "course.json"


def solved() -> set[str]:
    """The exercises that have been solved. Raises: UserError where the record is none."""
    path = place()
    if not path.exists():
        return set()
    found = files.read_json(path)
    files.check_format(path, found.get("format") if isinstance(found, dict) else None)
    names = found.get("solved") if isinstance(found, dict) else None
    if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise UserError(f"{path} is no record of a course: remove it to begin anew")
    return set(names)


def known() -> set[str]:
    """The exercises that have been solved; where that can't be read, none, and a sentence on stderr."""
    try:
        return solved()
    except (UserError, OSError) as error:
        print(f"tinymeta: no record of what is done: {error}", file=sys.stderr)
        return set()


def add(exercises: Iterable[str]) -> None:
    """Note that these are solved, beside what was; where that can't be, a sentence on stderr says so."""
    try:
        path, names = place(), sorted({*solved(), *exercises})
        with files.told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        files.write_text(path, json.dumps({"format": files.FORMAT, "solved": names}, indent=1) + "\n")
    except (UserError, OSError) as error:
        print(f"tinymeta: this is not in the record of what is done: {error}", file=sys.stderr)


def to_do(path: Path, done: set[str]) -> list[str]:
    """The exercises of a lesson that are not among those done."""
    return [name for name in lessons.exercises(path) if name not in done]


def following(done: set[str]) -> Path | None:
    """The first lesson with something to do; None if there is none."""
    return next((path for path in lessons.lessons() if to_do(path, done)), None)
