"""What a run knows of its pictures: `data.json`, by which later commands find the same classes or say what contradicts.

A division of the classes says by name which are learned from and which are tested on. It is drawn once, from the names
and `split_seed`, or given: by `--split FILE`, or by folders called train and test. What a run began with stays with it:
one more folder changes nothing, and another folder is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

import tinymeta as tm
from tinymeta.engine.errors import UserError
from tinymeta.io.files import read_json
from tinymeta.recipes.run import Run
from tinymeta.tasks.found import Found, counted, some

FILE = "data.json"
KEPT = 0.3  # share of the classes that training never sees, with one division
VALIDATED = 0.2  # share of the others that are chosen by
FEW = 50  # classes below which the accuracy depends on the division more than on the tasks
FOLDS = 5


class Division(NamedTuple):
    """Names of classes: to learn from, to test on, and to choose by and to stop by; others take no part."""

    train: list[str]
    test: list[str]
    validation: list[str] = []


Drawn = Callable[[list[str]], list[Division]]


def drawn(names: list[str], seed: int, splits: int, enough: int, validated: bool = False) -> list[Division]:
    """Divisions of the classes, each of which is tested on once if there are several.

    Where there are four or more to learn from and it is `validated`, a fifth of these, and two at least, are set apart.

    There are `splits` of them, as far as `enough` classes are tested on at a time, or for 0 as many as is sensible.
    A class's place depends on its name and the seed, so that one more moves few others.
    """
    order = sorted(names, key=lambda name: hashlib.sha256(f"{seed}/{name}".encode()).digest())
    count = min(splits or (FOLDS if len(names) < FEW else 1), len(names) // enough)
    if count < 2:
        tested = [order[: max(2, round(KEPT * len(order)))]]
    else:
        tested = [list(part) for part in np.array_split(np.array(order, object), count)]
    divisions = []
    for test in tested:
        rest = [name for name in order if name not in set(test)]
        apart = max(2, round(VALIDATED * len(rest))) if validated and len(rest) >= 4 else 0
        divisions.append(Division(sorted(rest[apart:]), sorted(test), sorted(rest[:apart])))
    return divisions


def by_number(names: list[str]) -> Division:
    """The division that versions before 0.2.0 drew anew in every command, from the number of classes alone."""
    kept = max(2, round(KEPT * len(names)))
    dealt = np.split(np.random.default_rng(0).permutation(len(names)), [len(names) - kept])
    return Division(*([names[i] for i in sorted(part)] for part in dealt))


def divided(run: Run, classes: tm.tasks.ImageClasses, draw: Drawn) -> list[Division]:
    """The divisions that the run began with, or new ones, which its folder then keeps.

    Raises: UserError where the classes are not those that it began with, or a given division doesn't fit them.
    """
    file, found = run.folder / FILE, classes.found or Found({})
    names = [str(name) for name in classes.names]
    if file.is_file():
        said = read_json(file)
        divisions, prints = _divisions(file, said), _texts(file, said, "prints")
        if run.split is not None and [_given(run.split, names)] != divisions:
            raise UserError(f"{run.folder} has another division of the classes, in {FILE}: leave --split out")
        if classes.found:
            _compare(run, divisions, prints, found)
        return divisions
    if run.split is not None:
        divisions = [_given(run.split, names)]
    elif found.parts:
        of = {part: [n for n in names if found.parts[n] == part] for part in ("train", "test", "validation")}
        if not of["test"]:
            of = {"train": of["train"], "test": of["validation"], "validation": []}
        divisions = [Division(**of)]
        _check(Path(str(run.data)), divisions[0], names)
    else:
        divisions = draw(names)
    if not run.purpose:
        said = {"summary": str(found), **asdict(found), "shape": classes.images.shape[2:]}
        run.write(FILE, {**said, "splits": [d._asdict() for d in divisions]})
    return divisions


def summary(run: Run) -> str:
    """What was found in the folder of pictures, as it was told when the run began."""
    said = _account(run).get("summary")
    return said if isinstance(said, str) else "of a folder that an earlier version didn't look at"


def _account(run: Run) -> dict[str, object]:
    """What a run's file says; empty where an earlier version wrote none."""
    file = run.folder / FILE
    said = read_json(file) if file.is_file() else {}
    if not isinstance(said, dict):
        raise UserError(f"{file} is damaged (it is no mapping): train again with another --out")
    return said


def shape(run: Run) -> tuple[int, ...] | None:
    """Of the pictures that the run began with, ([channels,] height, width), or (1, features)."""
    said = _account(run).get("shape")
    if said is None:
        return None
    if not (isinstance(said, list) and len(said) in (2, 3) and all(type(n) is int and 0 < n < 1 << 20 for n in said)):
        raise UserError(f"{run.folder / FILE} is damaged (shape): train again with another --out")
    return tuple(said)


def levels(run: Run) -> tuple[float, float] | None:
    """Black and white of the deep greys that the run was trained on, if there were any."""
    found = _account(run).get("levels")
    if found is None:
        return None
    if not (isinstance(found, list) and len(found) == 2 and all(type(x) in (int, float) for x in found)):
        raise UserError(f"{run.folder / FILE} is damaged (levels): train again with another --out")
    return float(found[0]), float(found[1])


def _compare(run: Run, divisions: list[Division], prints: dict[str, str], found: Found) -> None:
    """Refuse other pictures than the run began with, of the classes that it needs."""
    needed = {name for d in divisions for name in (d.test if run.purpose else d.train + d.test + d.validation)}
    if missing := sorted(needed - found.prints.keys()):
        raise UserError(
            f"{run.folder} was begun with classes that {run.data} doesn't hold: {some(missing)}: name its own folder "
            "by --data, or begin anew with another --out"
        )
    if other := sorted(name for name in needed if prints.get(name) != found.prints[name]):
        raise UserError(
            f"{run.data} holds other pictures than when {run.folder} was begun, of {some(other)}: put them back, or "
            "begin anew with another --out"
        )
    if fresh := sorted(found.prints.keys() - prints.keys()):
        run.say_once(f"new since the run was begun, and without a part in it: {some(fresh)}")


def _given(file: Path, names: list[str]) -> Division:
    """The division that a file gives: {"train": [names], "test": [names]}, with or without "validation", or a run's
    `data.json`."""
    said = read_json(file)
    if isinstance(said, dict) and isinstance(said.get("splits"), list) and len(said["splits"]) == 1:
        said = said["splits"][0]
    division = _division(file, said)
    if more := sorted(said.keys() - {*Division._fields}):
        raise UserError(f"{file} has a part {more[0]!r}: there are {', '.join(Division._fields)}")
    _check(file, division, names)
    return division


def _check(file: Path, division: Division, names: list[str]) -> None:
    everyone = [name for part in division for name in part]
    if unknown := sorted({*everyone} - {*names}):
        raise UserError(f"{file} names classes that the data don't hold: {some(unknown)}")
    for one, other in (("train", "test"), ("train", "validation"), ("validation", "test")):
        if both := sorted(set(getattr(division, one)) & set(getattr(division, other))):
            raise UserError(f"{file} has classes in {one} and {other} alike: {some(both)}")
    if len(everyone) > len({*everyone}):
        raise UserError(f"{file} names a class twice: {max(everyone, key=everyone.count)}")
    for part, held in division._asdict().items():
        if len(held) < 2 and (held or part != "validation"):
            raise UserError(f"{file} gives {counted(len(held), 'class', 'classes')} to {part}, and two are needed")


def _divisions(file: Path, said: object) -> list[Division]:
    splits = said.get("splits") if isinstance(said, dict) else None
    if not isinstance(splits, list) or not splits:
        raise UserError(f"{file} is damaged (splits): train again with another --out")
    return [_division(file, split) for split in splits]


def _division(file: Path, said: object) -> Division:
    lists = (
        [said.get(part, Division._field_defaults.get(part)) for part in Division._fields]
        if isinstance(said, dict)
        else [None]
    )
    if not all(isinstance(held, list) and all(isinstance(name, str) for name in held) for held in lists):
        raise UserError(f'{file} is no division of classes: it needs {{"train": [names], "test": [names]}}')
    return Division(*lists)


def _texts(file: Path, said: dict[str, object], name: str) -> dict[str, str]:
    found = said.get(name)
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise UserError(f"{file} is damaged ({name}): train again with another --out")
    return found
