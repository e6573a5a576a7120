"""Holdings: the values that one object holds, how to read them again, and how to put them back.

Values are compared by identity, so what a holding reads is the objects themselves; of a namespace, also which names it
has, or how many, for code may ask for one that wasn't there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import CellType, FunctionType
from typing import Any, NamedTuple

import numpy as np

from tinymeta.ops.generators import GENERATORS, state_of

UNSET: Any = type("unset", (), {})()  # in a cell or a namespace that holds nothing


class Holding(NamedTuple):
    """Values that one object holds: their names, how to read them again and how to put them back (None: they stay).

    The last `about` of them say how the object is, and aren't reached through it.
    """

    names: list[str]
    read: Callable[[], list[Any]]
    put: Callable[[Sequence[Any]], None] | None
    was: list[Any]
    about: int = 0

    def held(self) -> list[tuple[str, Any]]:
        """The values that are reached, with their names."""
        return list(zip(self.names, self.was))[: len(self.was) - self.about]


def holding(
    names: list[str], read: Callable[[], list[Any]], put: Callable[[Sequence[Any]], None] | None, about: int = 0
) -> Holding:
    return Holding(names, read, put, read(), about)


def unrestored(values: Sequence[Any]) -> None:
    """For what may change, but isn't put back."""


def cells(names: list[str], held: Sequence[CellType]) -> Holding:
    """What a function closes over."""

    def write(values: Sequence[Any]) -> None:
        for cell, value in zip(held, values):
            if value is not UNSET:
                cell.cell_contents = value

    return holding(names, lambda: [_content(cell) for cell in held], write)


def function(path: str, f: FunctionType) -> Holding:
    """A function's code, its defaults, and how many attributes it has."""

    def read() -> list[Any]:
        return [f.__code__, f.__defaults__, *(f.__kwdefaults__ or {}).values(), len(f.__dict__)]

    names = [path, path, *(f.__kwdefaults__ or {}), path]
    return holding(names, read, unrestored, about=len(names))


def namespace(
    paths: list[str], path: str, space: Mapping[str, Any], names: list[str], store: Callable[[str, Any], None]
) -> Holding:
    """Some entries of a module's or a class's namespace, and how many it has."""

    def read() -> list[Any]:
        return [*[space.get(n, UNSET) for n in names], len(space)]

    def write(values: Sequence[Any]) -> None:
        for n, value in zip(names, values):
            if value is not UNSET:
                store(n, value)

    return holding([*paths, path], read, write, about=1)


def attributes(paths: list[str], path: str, x: object, names: list[str]) -> Holding:
    """Some attributes of an object, its class, and which attributes it has."""
    kind, keys = type(x), frozenset(vars(x))

    def read() -> list[Any]:
        space = vars(x)
        same = space.keys() == keys
        return [*[space.get(n, UNSET) for n in names], type(x), keys if same else len(space)]

    def write(values: Sequence[Any]) -> None:
        if type(x) is not kind:
            x.__class__ = kind
        for n, value in zip(names, values):
            _store(x, n, value)

    return holding([*paths, f"{path}.__class__", path], read, write, about=2)


def slots(paths: list[str], x: object, names: list[str]) -> Holding:
    """Some of the slots of an object."""

    def write(values: Sequence[Any]) -> None:
        for n, value in zip(names, values):
            _store(x, n, value)

    return holding(paths, lambda: [getattr(x, n, UNSET) for n in names], write)


def members(path: str, x: Any) -> Holding:
    """What a container holds; the last name is for what is added."""
    held: Any = x
    if isinstance(x, Mapping):
        names = [*[path] * len(x), *[f"{path}[{k!r}]" for k in x], path]
        read = lambda: [*x, *x.values()]
    else:
        names = [*[path if isinstance(x, (set, frozenset)) else f"{path}[{k}]" for k in range(len(x))], path]
        read = lambda: list(x)

    def write(values: Sequence[Any]) -> None:
        if isinstance(x, Mapping):
            change: Any = dict(zip(values[: len(values) // 2], values[len(values) // 2 :]))
        else:
            change = list(values)
        with suppress(AttributeError):  # a view of something else, which is reached, too
            held.clear()
            (held.extend if hasattr(held, "extend") else held.update)(change)

    return holding(names, read, None if isinstance(x, (tuple, frozenset)) else write)


def content(x: Any) -> Callable[[], Any] | None:
    """How to read an array, a buffer of bytes or a generator's state as something that can be compared; else None."""
    if isinstance(x, GENERATORS):
        return lambda: state_of(x)
    if isinstance(x, np.ndarray):
        if x.dtype.hasobject:
            return object  # never the same: nobody knows what its objects do
        return lambda: (x.shape, x.dtype, x.tobytes())
    with suppress(TypeError, ValueError):
        memoryview(x)
        return lambda: bytes(memoryview(x))
    return None


def _store(x: object, name: str, value: object) -> None:
    if value is UNSET:
        with suppress(AttributeError):
            delattr(x, name)
    else:
        object.__setattr__(x, name, value)


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return UNSET
