"""What is refused before anything happened leaves a folder as it was, so that the corrected command finds it so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tinymeta.engine.errors import UserError
from tinymeta.io.files import read, write_text
from tinymeta.recipes.run import Run


@contextmanager
def as_it_was(run: Run) -> Iterator[None]:
    """Leave a run's account of itself alone where it is refused before it has gone on."""
    before = read(run.folder / "config.json")
    try:
        yield
    except UserError:
        if not run.journal.begun:
            write_text(run.folder / "config.json", before.decode())
        raise


@contextmanager
def withdrawn(folder: Path) -> Iterator[None]:
    """Take back a folder in which nothing happened before a refusal, so that the corrected command may use it."""
    try:
        yield
    except UserError:
        held = list(folder.iterdir())
        if {entry.name for entry in held} in ({"config.json"}, {"config.json", "data.json"}):
            for entry in held:
                entry.unlink()
            folder.rmdir()
        raise
