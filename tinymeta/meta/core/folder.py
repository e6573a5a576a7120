"""A folder as the record of trainings: progress on the terminal, and on disk a journal and a checkpoint each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Self, SupportsFloat

from tinymeta.engine.errors import UserError, user_site
from tinymeta.io.files import told
from tinymeta.io.folder import sole_writer
from tinymeta.io.journal import Journal
from tinymeta.meta.core.loop import Record
from tinymeta.view.progress import Progress, progress

JOURNAL = "metrics.jsonl"


class Folder:
    """The record of one training or of several, its stages: `metrics.jsonl`, `checkpoint.npz`, `checkpoint-NAME.npz`.

    Attributes
    ----------
    folder : Path
        It exists.
    title : str
        What its progress is shown under.
    resume : bool
        Whether to go on from `checkpoint` where it exists.
    quiet : bool
        Show no progress.
    name : str
        The stage that this view of the folder logs for, or `""`; see `stage`.
    """

    def __init__(self, folder: Path, title: str, *, resume: bool = False, quiet: bool = False) -> None:
        self.folder, self.title, self.resume, self.quiet, self.name = folder, title, resume, quiet, ""
        self.journal = Journal(folder / JOURNAL)

    def stage(self, name: str) -> Self:
        """The same folder for one of several trainings: its own lines, its own `checkpoint-NAME.npz`."""
        part = object.__new__(type(self))
        part.__dict__ |= vars(self) | {"name": name}
        return part

    @property
    def checkpoint(self) -> Path:
        """The file that the outer loop saves its state to and resumes from."""
        return self.folder / f"checkpoint{'-' if self.name else ''}{self.name}.npz"

    def progress(self, total: int, title: str = "", done: int = 0) -> AbstractContextManager[Progress]:
        """Show the progress of `total` iterations, `done` of which an earlier session finished."""
        return progress(total, title or self.name or self.title, self.quiet, done)

    def log(self, iteration: int, **metrics: SupportsFloat) -> None:
        """Append one line to `metrics.jsonl`; after a resume, the stage's later lines give way to it."""
        self.journal.log(self.name, iteration, metrics)

    def settle(self) -> None:
        """Make what was logged survive a power cut: a checkpoint is never ahead of the journal."""
        self.journal.settle()

    def lines(self) -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl` so far, as mappings with `iteration`, `seconds`, `stage` and metrics."""
        return self.journal.lines()


@contextmanager
def record_of(folder: str | os.PathLike[str] | None, run: Record | None) -> Iterator[Record | None]:
    """Where a training goes: `run`, or a folder that this process alone writes to, and whose training it goes on with.

    Raises: UserError where both are given, `run` is a path, or the folder holds something else, may not be written to
    or is being written to.
    """
    if isinstance(run, str | os.PathLike) or (run is not None and folder is not None):
        raise UserError(f"run={run!r} ({user_site()}): a path is given as folder=, and a record of your own without it")
    if folder is None:
        yield run
        return
    place = Path(folder).expanduser()
    with told(place):
        place.mkdir(parents=True, exist_ok=True)
    with sole_writer(place):
        held = {entry.name for entry in place.iterdir() if not entry.name.startswith(".")}
        mine = Folder(place, place.name, resume=True)
        if "config.json" in held:
            raise UserError(f"{place} holds a run of `tinymeta run`, which goes on by --resume: choose another folder")
        if held and not held & {JOURNAL, mine.checkpoint.name}:
            raise UserError(f"{place} holds other files ({min(held)}): choose an empty or new folder")
        try:
            yield mine
        except KeyboardInterrupt as stop:
            stop.add_note(f"stopped; the same call goes on from {mine.checkpoint}")
            raise
