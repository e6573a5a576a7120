"""What tinymeta claims, as data: a file `NAME.json` each in `tutorials/results/`, which also says how to run it again.

    {
      "system": "initial weights (MAML)", "claim": "squared error after one step", "less": true, "recipe": "main",
      "numbers": {"maml": ["MAML", "1 step"], "joint": ["joint training", "1 step"]}, "ours": "maml", "rival": "joint",
      "runs": [
        {"seed": 0, "commit": "3aa7e51", "seconds": 17, "memory": 215, "machine": "AMD EPYC, 1 of 2 cores",
         "found": {"maml": [0.566, 0.0493, 600], "joint": [2.147, 0.176, 600]}}
      ]
    }

Numbers have a name here, and a place in what the recipe measures: a row of `metrics` (or how it begins) and a column.
A run found each as mean, half-width of the 95 % interval, and n. Where the files of a run are gone, it is `carried`
over from the text that was published, whose digits are all that is known; its commit is the one that the text names,
else the one that wrote it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TypeVar, get_args, get_origin, get_type_hints

from tinymeta.engine.errors import UserError
from tinymeta.engine.typing import Options
from tinymeta.io.files import read_json, write_text
from tinymeta.recipes.claim import Claim, Found, Measured, read_number
from tinymeta.recipes.config import closest
from tinymeta.view import lessons

K = TypeVar("K")


def folder() -> Path:
    """Where the claims are: in the installed package, or in a checkout."""
    return lessons.folder() / "results"


def names() -> list[str]:
    """The claims, by name."""
    return sorted(file.stem for file in folder().glob("*.json"))


def load(name: str) -> Claim:
    """The claim of this name.

    Raises: UserError where there is none, or its file says anything else than a claim does.
    """
    if name not in names():
        raise UserError(
            f"there is no claim '{name}'{closest(name, names())}: `tinymeta reproduce --list` shows them all"
        )
    return read(folder() / f"{name}.json")


def read(file: Path) -> Claim:
    """The claim in a file; it raises what `load` does."""
    content = read_json(file)
    runs = content.get("runs") if isinstance(content, dict) else None
    if isinstance(runs, list):
        content["runs"] = [_checked(Measured, run, file) for run in runs]
    claim = _checked(Claim, content, file)
    known = {*claim.numbers}
    for name in filter(
        None, (claim.ours, claim.rival, claim.difference, *(n for run in claim.runs for n in run.found))
    ):
        if name not in known:
            raise UserError(f"{file} has no place for the number '{name}'{closest(name, known)}: add it to `numbers`")
    for found in [*(one for run in claim.runs for one in run.found.values()), claim.published or "0"]:
        try:
            read_number(found)
        except ValueError:
            raise UserError(f"{file}: {json.dumps(found)} is no number: mean, or mean and half-width") from None
    return claim


def write(file: Path, claim: Claim) -> None:
    """The claim as a file: a line for each entry that isn't the default, and for each run; numbers to six digits."""
    told = _said(claim)
    runs = ",\n    ".join(json.dumps(_rounded(_said(run)), ensure_ascii=False) for run in told.pop("runs"))
    lines = "".join(f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)},\n" for key, value in told.items())
    write_text(file, f'{{\n{lines}  "runs": [\n    {runs}\n  ]\n}}\n')


def places(claim: Claim, metrics: Options) -> dict[str, Found]:
    """The numbers of a claim in what a recipe measured.

    Raises: UserError where one isn't there.
    """
    found: dict[str, Found] = {}
    for name, (start, *columns) in claim.numbers.items():
        row = start if start in metrics else next((row for row in metrics if row.startswith(start)), None)
        value = metrics.get(row) if row else None
        for column in columns:
            value = value.get(column) if isinstance(value, Mapping) else None
        if value is None:
            raise UserError(f"the run has no number '{', '.join([start, *columns])}', which the claim calls {name}")
        parts = [value["mean"], value["half"], value["n"]] if isinstance(value, Mapping) else [value, None]
        found[name] = parts if parts[1] is not None else parts[:1]
    return found


def _said(thing: Claim | Measured) -> Options:
    """The entries of a dataclass that aren't the default."""
    values = {entry.name: getattr(thing, entry.name) for entry in fields(thing)}
    return {entry.name: values[entry.name] for entry in fields(thing) if values[entry.name] != entry.default}


def _rounded(value: object) -> object:
    return json.loads(json.dumps(value), parse_float=lambda digits: float(f"{float(digits):.6g}"))


def _checked(kind: type[K], content: object, file: Path) -> K:
    """A dataclass of what a file says, no key more or less, each of its type."""
    what = kind.__name__.lower()
    if not isinstance(content, dict):
        raise UserError(f"{file} holds no {what}: an object was expected")
    types = get_type_hints(kind)
    for name in content:
        if name not in types:
            raise UserError(
                f"{file}: a {what} has no key '{name}'{closest(name, types)}; its keys are {', '.join(types)}"
            )
        if not _fits(content[name], types[name]):
            raise UserError(f"{file}: {name} of a {what} can't be {json.dumps(content[name])[:80]}")
    needed = [entry.name for entry in fields(kind) if entry.default is MISSING]  # type: ignore[arg-type]
    if missing := [name for name in needed if name not in content]:
        raise UserError(f"{file}: a {what} has to say {', '.join(missing)}")
    return kind(**content)


def _fits(value: object, kind: object) -> bool:
    """Whether JSON's `value` is of a type: lists and dicts entry by entry; a whole number is a float, too."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is list:
        return isinstance(value, list) and all(_fits(entry, inner[0]) for entry in value)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(entry, inner[1]) for entry in value.values())
    if inner:  # a union
        return any(_fits(value, one) for one in inner)
    if kind is float:
        return type(value) in (int, float)
    return type(value) is kind
