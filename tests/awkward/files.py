"""Tables, texts, and features that a network made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import tinymeta as tm
from tests.awkward.cases import Case, Refused, Says, told

ROWS = "".join(f"{town},{k},{2 * k}\n" for town in "ab" for k in range(4))
READ = (["a", "b"], [[0.0], [1.0], [2.0], [3.0]], [0.0, 2.0, 4.0, 6.0])
X, Y = np.random.default_rng(0).normal(size=(16, 3)) + np.repeat(np.arange(8), 2)[:, None], np.repeat(np.arange(8), 2)
BRIEFLY = ("--set", "iterations=1", "tasks=2", "splits=1", "final=no", "head=prototypes")


def table(content: str | bytes, **how: Any) -> Callable[[Path], object]:
    """The tasks of a file, and of the first its features and targets."""

    def made(folder: Path) -> object:
        file = folder / "table.csv"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        found = tm.tasks.load_table(file, task="t", target="y", **how)
        return [*map(str, found.names)], found.x[0].tolist(), found.y[0].tolist()

    return made


def target(*cells: str, **how: Any) -> Callable[[Path], object]:
    """The classes of a table with such targets; None for a regression."""

    def made(folder: Path) -> object:
        rows = {"t": ["a"] * len(cells) + ["b"] * len(cells), "x": range(2 * len(cells)), "y": cells * 2}
        classes = tm.tasks.load_table(rows, task="t", target="y", **how).classes
        return None if classes is None else classes.tolist()

    return made


def texts(**contents: bytes) -> Callable[[Path], object]:
    """The texts of a folder, by name."""

    def made(folder: Path) -> object:
        for name, content in contents.items():
            file = folder / name.replace("__", "/").replace("_", ".")
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(content)
        return tm.tasks.load_languages(folder)

    return made


def features(**arrays: Any) -> Callable[[Path], object]:
    def made(folder: Path) -> object:
        np.savez(folder / "x.npz", **arrays)
        return told("run", "images", "--features", "x.npz", "--out", "run", *BRIEFLY)

    return made


CASES = {
    "a table between semicolons": Case(table("t;x;y\n" + ROWS.replace(",", ";")), READ),
    "spaces around its cells": Case(table("t , x,y \n" + ROWS.replace(",", " , ")), READ),
    "lines that end as on an old Macintosh": Case(table(("t,x,y\n" + ROWS).replace("\n", "\r")), READ),
    "a mark of UTF-8": Case(table("\ufefft,x,y\n" + ROWS), READ),
    "a table in UTF-16": Case(table(("t,x,y\n" + ROWS).encode("utf-16")), Refused("no CSV file in UTF-8")),
    "the same, without its mark": Case(table(("t,x,y\n" + ROWS).encode("utf-16-le")), Refused("it holds NUL")),
    "a spreadsheet": Case(table(b"PK\3\4" + bytes(range(256))), Refused("no CSV file in UTF-8")),
    "decimal commas": Case(target("0,5", "1,5", "2,5"), Refused("column 'y' holds numbers, and '0,5' in row 1")),
    "thousands": Case(target("1,000", "2,000"), Refused("'1,000' in row 1: write a number, with a point")),
    "numbers with a unit": Case(target("5 %", "7 %", "9 %"), Refused("without a unit")),
    "dates to predict": Case(target("2020-01-31", "2020-02-01"), Refused("or say kind=classification")),
    "the same, as labels": Case(target("1-2", "3+", kind="classification"), ["1-2", "3+"]),
    "a sign for what is missing": Case(table("t,x,y\n" + ROWS.replace("3,6", "3,?")), Refused("'?' in row 4")),
    "nothing where a value is": Case(table("t,x,y\n" + ROWS.replace("3,6", ",6")), Refused("has no value in row 4")),
    "a remark on top": Case(table("# mine\nt,x,y\n" + ROWS), Refused("3 cells in row 1 and 1 names")),
    "a line of units": Case(table("t,x,y\n-,m,euro\n" + ROWS), Refused("column 'x' holds 'm' in row 1")),
    "a comma after each line": Case(table("t,x,y,\n" + ROWS.replace("\n", ",\n")), Refused("a column has no name")),
    "an index without a name": Case(
        table(",t,x,y\n" + "".join("0," + r + "\n" for r in ROWS.split())), Refused("no name")
    ),
    "two columns of one name": Case(table("t,x,y,x\n" + ROWS), Refused("two columns 'x'")),
    "a task of one row": Case(table("t,x,y\n" + ROWS + "c,1,1\n"), Refused("task 'c' has 1 rows")),
    "columns called by numbers": Case(
        lambda _: len(tm.tasks.load_table({0: [*"aabb"], 1: range(4), 2: range(4)}, task=0, target=2)),
        2,  # type: ignore[arg-type]
    ),
    "texts of one name in two folders": Case(
        texts(austen__1_txt=b"one", dickens__1_txt=b"two"), {"austen/1": "one", "dickens/1": "two"}
    ),
    "ends of lines of all kinds": Case(texts(a_txt=b"1\r\n2\r3\n"), {"a": "1\n2\n3\n"}),
    "a text in Latin-1": Case(texts(a_txt=b"caf\xe9"), Refused("a.txt, which is not UTF-8")),
    "a text in UTF-16": Case(texts(a_txt="hello".encode("utf-16-le")), Refused("it holds NUL")),
    "texts that are no .txt": Case(texts(a_md=b"one"), Refused("holds no .txt files")),
    "features without labels": Case(features(X=X), Refused("has no y")),
    "features called otherwise": Case(features(x=X, y=Y), Refused("holds x, y and no X")),
    "labels as numbers with a point": Case(features(X=X, y=Y + 0.5), Refused("whole numbers or texts")),
    "labels as zeros and ones": Case(features(X=X, y=np.eye(8)[Y]), Refused("whole numbers or texts")),
    "a label that is empty": Case(features(X=X, y=np.where(Y > 0, Y.astype(str), " ")), Refused("has an empty label")),
    "features that overflow": Case(features(X=X * 1e300, y=Y), Refused("has NaN or infinities in 16 of its 16")),
    "objects in a file of features": Case(
        features(X=X.astype(object), y=Y), Refused("no array of numbers but of objects")
    ),
    "one example of each class": Case(features(X=X[::2], y=Y[::2]), Refused("holds 0 classes of two examples or more")),
    "one example in two classes": Case(
        features(X=np.concatenate([X[:1], X[1:], X[:1]]), y=np.append(Y, 7)),
        Says("hold the same examples: 0 and 7 (1)"),
    ),
    "features of bytes": Case(features(X=(20 * X).clip(0, 255).astype(np.uint8), y=Y), Says("")),
}
