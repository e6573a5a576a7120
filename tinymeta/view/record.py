"""What a student has done of the course: a file in the folder of their own data, `$XDG_DATA_HOME/tinymeta/course.json`.

It holds what is solved, and how often each of the others failed its check: the next hint depends on that. A grade does
not depend on it. Where the record can't be read or written, that is said, and whatever stands there stays.
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


def kept() -> tuple[set[str], dict[str, int]]:
    """The exercises that are solved, and how often others failed. Raises: UserError where the record is none."""
    path = place()
    if not path.exists():
        return set(), {}
    found = files.read_json(path)
    files.check_format(path, found.get("format") if isinstance(found, dict) else None)
    names, failed = (found.get("solved"), found.get("failed", {})) if isinstance(found, dict) else (None, None)
    if (
        isinstance(names, list)
        and isinstance(failed, dict)
        and all(isinstance(name, str) for name in names)
        and all(isinstance(times, int) for times in failed.values())
    ):
        return set(names), failed
    raise UserError(f"{path} is no record of a course: remove it to begin anew")


def known() -> set[str]:
    """The exercises that have been solved; where that can't be read, none, and a sentence on stderr."""
    try:
        return kept()[0]
    except (UserError, OSError) as error:
        print(f"tinymeta: no record of what is done: {error}", file=sys.stderr)
        return set()


def add(solved: Iterable[str], failed: Iterable[str] = ()) -> dict[str, int]:
    """Note that these are solved, beside what was, and that those failed; how often they had failed before.

    Where that can't be noted, a sentence on stderr says so, and each counts as having failed once.
    """
    solved, failed = set(solved), list(failed)
    try:
        path, (names, times) = place(), kept()
        before = {name: times.get(name, 0) for name in failed}
        times = {name: n for name, n in times.items() if name not in solved} | {k: n + 1 for k, n in before.items()}
        said = {"format": files.FORMAT, "solved": sorted(names | solved), "failed": times}
        with files.told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        files.write_text(path, json.dumps(said, indent=1) + "\n")
        return before
    except (UserError, OSError) as error:
        print(f"tinymeta: this is not in the record of what is done: {error}", file=sys.stderr)
        return dict.fromkeys(failed, 1)


def to_do(path: Path, done: set[str]) -> list[str]:
    """The exercises of a lesson that are not among those done."""
    return [name for name in lessons.exercises(path) if name not in done]


def following(done: set[str]) -> Path | None:
    """The first lesson with something to do; None if there is none."""
    return next((path for path in lessons.lessons() if to_do(path, done)), None)
