"""What `classify` answered, to look at: a contact sheet of the pictures under their classes, and a confusion matrix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tinymeta.engine.tensor import Array
from tinymeta.io.files import whole
from tinymeta.tasks.data import pillow
from tinymeta.tasks.picture import picture
from tinymeta.view.table import Row, Table

SIDE, GAP, TITLE, ACROSS = 72, 6, 20, 12  # pixels, and pictures in a row
MOST = 60  # pictures of a class that are shown
NONE, OTHERS = "none of these", "of other classes"
WIDEST = 12  # classes of a matrix that is printed whole; of a larger one, the commonest mistakes are


def contact_sheet(file: Path, groups: Mapping[str, Sequence[Path]]) -> None:
    """Write a PNG: under the name of every class the pictures that were taken for one of it."""
    image = pillow()
    from PIL import ImageDraw

    shown = {name: paths[:MOST] for name, paths in groups.items() if paths}
    rows = {name: -(-len(paths) // ACROSS) for name, paths in shown.items()}
    high = GAP + sum(TITLE + n * (SIDE + GAP) + GAP for n in rows.values())
    page = image.new("RGB", (GAP + ACROSS * (SIDE + GAP), high), "white")
    draw, top = ImageDraw.Draw(page), GAP
    for name, paths in shown.items():
        more = f", of which {len(paths)} are here" if len(paths) < len(groups[name]) else ""
        draw.text((GAP, top), f"{name} ({len(groups[name])}{more})", "black")
        top += TITLE
        for k, path in enumerate(paths):
            row, column = divmod(k, ACROSS)
            tile = np.moveaxis(picture(path, SIDE, "rgb"), 0, -1)
            page.paste(image.fromarray(tile), (GAP + column * (SIDE + GAP), top + row * (SIDE + GAP)))
        top += rows[name] * (SIDE + GAP) + GAP
    with whole(file) as stream:
        page.save(stream, "PNG")


class Confusion(NamedTuple):
    """How many of which class (rows) got which answer (columns)."""

    rows: list[str]
    columns: list[str]
    counts: Array

    @classmethod
    def of(cls, names: Sequence[str], truth: Sequence[str | None], answers: Sequence[str | None]) -> Confusion | None:
        """From what is known of the pictures, and what was said; None where no truth is one of the classes."""
        if not set(truth) & set(names):
            return None
        rows, columns = [*names, OTHERS], [*names, NONE]
        pairs = Counter((t if t in names else OTHERS, a or NONE) for t, a in zip(truth, answers) if t is not None)
        counts = np.array([[pairs[row, column] for column in columns] for row in rows])
        held = counts.sum(1) > 0
        return cls([row for row, some in zip(rows, held) if some], columns, counts[held])

    @property
    def right(self) -> tuple[int, int]:
        """How many answers are right, and of how many: for other classes, "none of these" is."""
        wanted = [NONE if row == OTHERS else row for row in self.rows]
        return sum(int(line[self.columns.index(w)]) for w, line in zip(wanted, self.counts)), int(self.counts.sum())

    def table(self) -> Table:
        """The matrix, or the commonest mistakes of a large one."""
        if len(self.columns) - 1 <= WIDEST:
            lines = [Row((row, *map(str, line))) for row, line in zip(self.rows, self.counts.tolist())]
            return Table(("is, and was taken for", *self.columns), tuple(lines))
        wrong = [
            (n, row, column)
            for row, line in zip(self.rows, self.counts.tolist())
            for column, n in zip(self.columns, line)
            if n and column != (NONE if row == OTHERS else row)
        ]
        commonest = sorted(wrong, key=lambda each: (-each[0], *each[1:]))[:WIDEST]
        return Table(
            ("is", "was taken for", "times"), tuple(Row((row, column, str(n))) for n, row, column in commonest)
        )


def truth_of(path: Path, names: Sequence[str]) -> str | None:
    """The class in whose folder a picture lies: the longest name that its path ends with, or its own."""
    folder = f"/{path.absolute().parent.as_posix()}"
    fitting = [name for name in names if folder.endswith(f"/{name}")]
    return max(fitting, key=len) if fitting else path.absolute().parent.name
