"""A recipe's keys: a frozen dataclass whose defaults give the types that `--set key=value` is read by.

    @dataclass(frozen=True)
    class Config:
        iterations: int = key(2000, "meta-iterations", least=0)
        inner: str = key("sgd", "rule of the inner loop", choices=("sgd", "adam"))
        widths: tuple[int, ...] = key((40, 40), "hidden layers")

Texts from the command line and values from a `config.json` pass through the same door, `configure`.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import Field, field, fields
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from tinymeta.engine.errors import UserError

C = TypeVar("C")
T = TypeVar("T")

MOST = 1_000_000_000  # of whole numbers: no run counts further
_YES, _NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
_KINDS = {int: "a whole number", float: "a number", bool: "yes or no", str: "a word"}


def key(
    default: T,
    help: str,
    *,
    least: float | None = None,
    most: float = MOST,
    choices: tuple[T, ...] = (),
    before: T | None = None,
    later: bool = False,
) -> T:
    """Declare one key: its default, what it means in a few words, and the values that make sense.

    Parameters
    ----------
    default : int, float, bool, str or a tuple of one of them
    help : str
        One line, shown by `tinymeta run RECIPE --help`.
    least : float, optional
        The smallest value that makes sense (for a tuple: of each entry).
    most : float
        The largest.
    choices : tuple, optional
        The values there are, if they can be listed.
    before : optional
        What runs did that were written before there was this key, if not the default.
    later : bool
        Whether it says how a trained run is measured and not what was trained, so that `eval` may change it. So does
        `tasks`, and what begins with `test_`.
    """
    told = {"help": help, "least": least, "most": most, "choices": choices, "before": before, "later": later}
    return field(default=default, metadata=told)


def configure(recipe: str, config: type[C], changes: Mapping[str, object]) -> C:
    """A `config` with `changes` applied to its defaults, every value read by its key's type and checked.

    Raises: UserError for a key that `recipe` does not have (the closest one is named), or a value that is not of its
    kind.
    """
    known = {entry.name: entry for entry in _fields(config)}
    for name in changes:
        if name not in known:
            end = f"its keys are {', '.join(known)}" if known else "it has none"
            raise UserError(f"recipe {recipe} has no key '{name}'{closest(name, known)}; {end}")
    types = get_type_hints(config)
    return config(**{name: _checked(known[name], types[name], value) for name, value in changes.items()})


def as_written(config: type[Any], old: Mapping[str, object]) -> dict[str, object]:
    """The keys in a run's `config.json`, and what it did where it has none."""
    since = {entry.name: entry.metadata["before"] for entry in _fields(config)}
    return {name: value for name, value in since.items() if value is not None} | dict(old)


def assignments(pairs: Iterable[str]) -> dict[str, str]:
    """`["lr=0.1", "shots=5"]` as a mapping of texts."""
    changes = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not (name and sign):
            raise UserError(f"--set takes key=value, not '{pair}'")
        changes[name.strip()] = value.strip()
    return changes


def describe(config: type[Any]) -> str:
    """The keys with their defaults and meanings, one line each."""
    lines = []
    for entry in _fields(config):
        choices = " | ".join(map(written, entry.metadata["choices"]))
        meaning = f"{entry.metadata['help']}{f' ({choices})' if choices else ''}"
        lines.append((f"{entry.name}={written(entry.default)}", meaning))
    width = max((len(name) for name, _ in lines), default=0)
    return "\n".join(f"  {name:<{width}}  {meaning}" for name, meaning in lines)


def written(value: object) -> str:
    """A value as `--set` reads it: `(40, 40)` is `40,40`."""
    if isinstance(value, tuple):
        return ",".join(map(written, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


@contextmanager
def user_mistakes() -> Iterator[None]:
    """Tell what the block refuses (a ValueError, a missing file) as the user's mistake, in one sentence.

    For loading the data that the user named and building tasks as large as the user wished: there a refusal is no
    bug. Everywhere else a ValueError keeps its traceback.
    """
    try:
        yield
    except UserError:
        raise
    except (ValueError, FileNotFoundError) as refusal:
        raise UserError(str(refusal)) from refusal


def closest(name: str, known: Iterable[str]) -> str:
    """`" (did you mean 'shots'?)"` if something known is spelled like `name`, else nothing."""
    match = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean '{match[0]}'?)" if match else ""


def _fields(config: type[Any]) -> tuple[Field[Any], ...]:
    return fields(config)


def _checked(entry: Field[Any], kind: object, value: object) -> object:
    read = _read(entry.name, kind, value)
    least, choices = entry.metadata["least"], entry.metadata["choices"]
    for part in read if isinstance(read, tuple) else (read,):
        if least is not None and part < least:
            raise UserError(f"{entry.name} must be {least} or more, not {written(part)}")
        if isinstance(part, int) and abs(part) > entry.metadata["most"]:
            raise UserError(f"{entry.name} must be at most {entry.metadata['most']:,}, not {written(part)}")
    if choices and read not in choices:
        listed = [written(choice) for choice in choices]
        raise UserError(
            f"{entry.name} is one of {', '.join(listed)}, not '{written(read)}'{closest(written(read), listed)}"
        )
    return read


def _read(name: str, kind: Any, value: object) -> Any:
    """`value`, a text or what JSON made of it, as a `kind`."""
    if get_origin(kind) is tuple:
        entry = get_args(kind)[0]
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, list | tuple):
            raise UserError(f"{name} must be a list such as 40,40, not '{value}'")
        return tuple(_read(name, entry, part.strip() if isinstance(part, str) else part) for part in parts)
    text = written(value)
    try:
        if kind is bool:
            return {**dict.fromkeys(_YES, True), **dict.fromkeys(_NO, False)}[text.lower()]
        if kind is int:
            return _whole(text)
        if kind is float:
            return _finite(text)
    except (KeyError, ValueError, OverflowError):
        raise UserError(f"{name} must be {_KINDS[kind]}, not '{text}'") from None
    return text


def _whole(text: str) -> int:
    """An integer, also as people write large ones: 60_000 or 6e4."""
    try:
        return int(text)
    except ValueError:
        number = float(text)
        if not number.is_integer():
            raise
        return int(number)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number
