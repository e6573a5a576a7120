"""Tasks from a table: a row is an example, and one column says which task it belongs to.

Regression where the target is numbers, classification where it is words, or one of two numbers.
"""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from tinymeta.io.files import read
from tinymeta.tasks.data import DataError
from tinymeta.tasks.episode import Array, Episode, at_least
from tinymeta.tasks.found import some

KINDS = ("auto", "regression", "classification")


@dataclass(frozen=True, eq=False)
class TableTasks:
    """Tasks of unlike sizes, of each of which `shots` rows are shown and `query` others are asked about.

    Shapes: x (tasks, n, features), y (tasks, n, 1) of floats, or (tasks, n) of whole numbers if there are classes.
    Raises: ValueError for a task with fewer than shots + query rows:
    `tm.tasks.load_table({"t": ["a"], "x": [1], "y": [2]}, task="t", target="y")`.

    Attributes
    ----------
    names : (tasks,) of str
    x, y : list of (rows, features), list of (rows,)
        Of each task. For classification y holds numbers of `classes`.
    columns : tuple of str
        What the features are called.
    classes : (classes,) or None
        The labels of a classification; None for a regression.
    shots, query : int
        Rows of a task in the support and in the query set.
    centre, scale : (features + 1,)
        Features and, in a regression, targets are shown as (value − centre)/scale; the target is the last.

    Examples
    --------
    >>> rows = {"town": ["a"] * 4 + ["b"] * 4, "size": range(8), "floor": ["high", "low"] * 4}
    >>> tasks = tm.tasks.load_table(rows, task="town", target="floor", shots=3, query=1)
    >>> train = tasks.select(["a"])
    >>> train.standardised(train), train.standardised(train).sample(np.random.default_rng(0), 5).support[1].shape
    (TableTasks(1 tasks, 4 rows of 1 features, 2 classes), (5, 3))
    """

    names: Array
    x: list[Array]
    y: list[Array]
    columns: tuple[str, ...]
    classes: Array | None
    shots: int
    query: int
    centre: Array
    scale: Array

    def __post_init__(self) -> None:
        at_least(self, shots=1, query=1)
        if not len(self.names):
            raise DataError("there is no task left to draw from: select one, at least")
        for name, rows in zip(self.names, self.x):
            if len(rows) < self.shots + self.query:
                raise DataError(
                    f"task {str(name)!r} has {len(rows)} rows, and {self.shots} shots and {self.query} to ask about "
                    f"need {self.shots + self.query}: ask for fewer, or leave the task out"
                )

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        kind = "regression" if self.classes is None else f"{len(self.classes)} classes"
        return f"TableTasks({len(self)} tasks, {sum(map(len, self.x))} rows of {len(self.columns)} features, {kind})"

    def select(self, names: Sequence[str]) -> Self:
        """Those of the names, in their order."""
        place = {str(name): k for k, name in enumerate(self.names)}
        if unknown := [name for name in names if str(name) not in place]:
            raise DataError(f"there is no task {unknown[0]!r}: the tasks are {some(place)}")
        at = [place[str(name)] for name in names]
        return replace(self, names=self.names[at], x=[self.x[k] for k in at], y=[self.y[k] for k in at])

    def standardised(self, by: TableTasks) -> Self:
        """The same tasks, shown with the means and standard deviations of the rows of others; a constant stays."""
        rows = np.c_[np.concatenate(by.x), np.concatenate(by.y)].astype(np.float64)
        exponent = np.frexp(np.abs(rows).max(0))[1]  # by which nothing is rounded, and no square overflows
        rows = np.ldexp(rows, -exponent)
        constant = rows.std(0) <= 8 * np.finfo(float).eps * np.abs(rows.mean(0))  # but for its rounding
        centre, scale = np.ldexp(rows.mean(0), exponent), np.where(constant, 1.0, np.ldexp(rows.std(0), exponent))
        if self.classes is not None:
            centre[-1], scale[-1] = 0.0, 1.0
        return replace(self, centre=centre, scale=scale)

    @property
    def shown(self) -> tuple[Array, Array]:
        """All rows as they are shown: x (rows, features), y (rows, 1), or (rows,) of a classification."""
        return self._shown(np.concatenate(self.x), np.concatenate(self.y))

    def _shown(self, x: Array, y: Array) -> tuple[Array, Array]:
        centre, scale = self.centre, self.scale
        with np.errstate(over="ignore"):
            x = ((x - centre[:-1]) / scale[:-1]).astype(np.float32)
            y = y if self.classes is not None else ((y - centre[-1]) / scale[-1]).astype(np.float32)[..., None]
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise DataError(
                "a value is shown as infinity, for float32 ends at 3.4e38: ask for tasks.standardised(train)"
            )
        return x, y

    def sample(self, rng: np.random.Generator, tasks: int) -> Episode:
        """Draw tasks, each as likely as any other, and rows of theirs."""
        return self.of(rng, rng.integers(len(self), size=tasks))

    def of(self, rng: np.random.Generator, tasks: Array) -> Episode:
        """Draw rows of given tasks, by number."""
        drawn = [rng.permutation(len(self.x[t]))[: self.shots + self.query] for t in tasks]
        x, y = self._shown(*(np.stack([part[t][rows] for t, rows in zip(tasks, drawn)]) for part in (self.x, self.y)))
        k = self.shots
        return Episode((x[:, :k], y[:, :k]), (x[:, k:], y[:, k:]))

    @property
    def print(self) -> str:
        """A fingerprint of all rows."""
        parts = [*self.x, *self.y, np.array([*map(str, self.names), *self.columns])]
        return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()[:16]


def load_table(
    data: Any,
    *,
    task: str,
    target: str,
    features: Sequence[str] = (),
    kind: str = "auto",
    shots: int = 0,
    query: int = 0,
) -> TableTasks:
    """Tasks from a CSV file, a data frame, or columns by name.

    Shapes: columns (rows,) → tasks of x (n, features) and y.
    Raises: DataError for a file that is no table, a column that isn't there, no value or a word where a number is
    needed: `tm.tasks.load_table({"t": ["a", "b"], "y": [1, 2]}, task="town", target="y")`.

    Parameters
    ----------
    data
        A path, or what has columns by name: a pandas or polars data frame, a dict.
    task, target
        The columns that name the task, and hold what is to be predicted.
    features
        The columns to predict from; by default, all others.
    kind
        "regression", "classification", or "auto": classification for words alone, or for two numbers.
    shots, query
        0: up to 10, as the smallest task allows.

    Examples
    --------
    >>> rows = {"town": ["a"] * 4 + ["b"] * 4, "size": range(8), "rent": [5.0, 6, 7, 8, 1, 2, 3, 4]}
    >>> tasks = tm.tasks.load_table(rows, task="town", target="rent")
    >>> tasks, tasks.sample(np.random.default_rng(0), 3).support[0].shape
    (TableTasks(2 tasks, 8 rows of 1 features, regression), (3, 2, 1))
    """
    task, target, features = str(task), str(target), [str(name) for name in features]
    table = _of_file(Path(data)) if isinstance(data, str | os.PathLike) else _of_columns(data)
    for name in (task, target, *features):
        if name not in table:
            close = difflib.get_close_matches(name, table, n=1)
            meant = f" (did you mean {close[0]!r}?)" if close else ""
            raise DataError(f"there is no column {name!r}{meant}: the columns are {', '.join(table)}")
    chosen = tuple(features) or tuple(name for name in table if name not in (task, target))
    if not chosen or len({task, target, *chosen}) < 2 + len(chosen):
        raise DataError("task, target and at least one feature are different columns of a table, each named once")
    if "" in chosen:
        raise DataError("a column has no name, such as the index that pandas writes: name it, or name the features")
    for name in (task, target, *chosen):
        if missing := [k for k, cell in enumerate(table[name], 1) if _is_missing(cell)]:
            more = f" (and in {len(missing) - 1} more)" * (len(missing) > 1)
            raise DataError(
                f"column {name!r} has no value in row {missing[0]}{more}: fill it in, or leave out such rows"
            )
    x = np.stack([_numbers(name, table[name]) for name in chosen], 1)
    numbers = [_is_number(cell) for cell in table[target]]
    words = not all(numbers)
    if kind not in KINDS or (words and kind == "regression"):
        raise DataError(
            f"kind={kind!r} is one of {', '.join(KINDS)}, and {target!r} holds {'words' if words else 'numbers'}"
        )
    if kind == "auto" and words and (any(numbers) or any(map(_looks_like_one, table[target]))):
        row = numbers.index(False)
        raise DataError(
            f"column {target!r} holds numbers, and {table[target][row]!r:.60} in row {row + 1}: write a number, with a "
            "point for its decimals and without a unit, or say kind=classification"
        )
    y = np.array([str(cell) for cell in table[target]]) if words else _numbers(target, table[target])
    classes: Array | None = np.unique(y)
    if classes is not None and (kind == "regression" or (kind == "auto" and not words and len(classes) > 2)):
        classes = None
    elif classes is not None and len(classes) < 2:
        raise DataError(f"column {target!r} is always {str(classes[0])!r}: there is nothing to predict")
    y = y if classes is None else np.searchsorted(classes, y)
    names, at = np.unique([str(cell) for cell in table[task]], return_inverse=True)
    rows = [np.flatnonzero(at == k) for k in range(len(names))]
    fewest = min(map(len, rows))
    shots = shots or max(1, min(10, fewest // 2))
    query = query or max(1, min(10, fewest - shots))
    plain = np.zeros(len(chosen) + 1), np.ones(len(chosen) + 1)
    return TableTasks(names, [x[r] for r in rows], [y[r] for r in rows], chosen, classes, shots, query, *plain)


def _of_file(file: Path) -> dict[str, list[Any]]:
    """The columns of a CSV file, as texts."""
    try:
        text = read(file).decode("utf-8-sig")
        text = text.lstrip("\r\n")
        if "\0" in text:
            raise csv.Error("it holds NUL, as UTF-16 does")

        def cells(between: str, strict: bool) -> Iterator[list[str]]:
            return csv.reader(io.StringIO(text, newline=""), delimiter=between, strict=strict)

        between = max(",;\t", key=lambda between: len(next(cells(between, False), [])))
        lines = [line for line in cells(between, True) if any(map(str.strip, line))]
    except (UnicodeDecodeError, csv.Error) as fault:
        raise DataError(f"{file} is no CSV file in UTF-8 ({fault}): save the table as one") from fault
    if len(lines) < 2:
        raise DataError(f"{file} holds no rows: a table has a line of names, and a line for each example")
    header, *rows = [[cell.strip() for cell in line] for line in lines]
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise DataError(f"{file} has two columns {twice!r}: rename one")
    for number, row in enumerate(rows, 1):
        if len(row) != len(header):
            raise DataError(f"{file} has {len(row)} cells in row {number} and {len(header)} names in its first line")
    return {name: [row[k] for row in rows] for k, name in enumerate(header)}


def _of_columns(data: Any) -> dict[str, list[Any]]:
    """The columns of a data frame, or of a mapping."""
    names = list(data if isinstance(data, Mapping) else getattr(data, "columns", ()))
    columns = {str(name): data[name] for name in names}
    flat = all(getattr(column, "ndim", 1) == 1 and hasattr(column, "__iter__") for column in columns.values())
    table = {name: list(column) for name, column in columns.items()} if flat else {}
    lengths = {len(column) for column in table.values()}
    if len(table) < len(names) or len(lengths) != 1 or lengths == {0}:
        raise DataError(
            "a table is a CSV file, a data frame or a dict of columns of one axis, each by a name of its own, all as "
            "long as one another"
        )
    return table


def _is_missing(cell: Any) -> bool:
    if isinstance(cell, str):
        return cell.strip().lower() in ("", "na", "n/a", "nan", "null", "none")
    return cell is None or type(cell).__name__ == "NAType" or (getattr(cell, "ndim", 0) == 0 and bool(cell != cell))


def _is_number(cell: Any) -> bool:
    """Whether it is one that a float can hold; a complex one isn't, nor is 1_0, which Python reads as ten."""
    if isinstance(cell, complex | np.complexfloating) or (isinstance(cell, str) and "_" in cell):
        return False
    try:
        float(cell)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def _looks_like_one(cell: object) -> bool:
    """Whether it is digits and signs, such as 1,5 and 3 % and 2020-01-31."""
    text = str(cell)
    return any(map(str.isdigit, text)) and not any(map(str.isalpha, text))


def _numbers(name: str, column: Sequence[Any]) -> Array:
    for row, cell in enumerate(column, 1):
        if not _is_number(cell) or not np.isfinite(float(cell)):
            raise DataError(
                f"column {name!r} holds {cell!r:.60} in row {row}, and numbers are needed: leave the column out "
                "(features=…), or write numbers for its words"
            )
    return np.array([float(cell) for cell in column])
