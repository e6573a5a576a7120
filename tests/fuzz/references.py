"""References from a step of a random program to earlier values, and what is done with them in its arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import tinymeta as tm

GUARDS: dict[str, Callable[[Any], Any]] = {
    "small": lambda x: tm.tanh(x),
    "unit": lambda x: tm.tanh(x) * 0.8,
    "positive": lambda x: tm.square(x) + 0.5,
    "above one": lambda x: tm.square(x) + 1.5,
    "regular": lambda x: tm.tanh(x) * (0.7 / x.shape[-1]) + tm.eye(x.shape[-1], dtype=x.dtype),
    "definite": lambda x: x @ x.mT + tm.eye(x.shape[-1], dtype=x.dtype),
}


class Ref(NamedTuple):
    """The value at a place, brought into the domain of what reads it."""

    place: int
    guard: str = ""


def resolved(x: Any, values: list[Any]) -> Any:
    """The argument with values in place of references."""
    if isinstance(x, Ref):
        value = values[x.place]
        return GUARDS[x.guard](value) if x.guard else value
    if isinstance(x, (list, tuple)):
        return type(x)(resolved(e, values) for e in x)
    return {k: resolved(e, values) for k, e in x.items()} if isinstance(x, dict) else x


def refs(x: Any) -> Iterator[Ref]:
    """The references in an argument."""
    if isinstance(x, Ref):
        yield x
    elif isinstance(x, (list, tuple, dict)):
        for e in x.values() if isinstance(x, dict) else x:
            yield from refs(e)


def renamed(x: Any, into: Callable[[int], int]) -> Any:
    """The argument with references to other places."""
    if isinstance(x, Ref):
        return Ref(into(x.place), x.guard)
    if isinstance(x, (list, tuple)):
        return type(x)(renamed(e, into) for e in x)
    return {k: renamed(e, into) for k, e in x.items()} if isinstance(x, dict) else x


def wide(x: Any) -> Any:
    """The argument with float64 in place of float32."""
    if isinstance(x, str):
        return "float64" if x == "float32" else x
    if isinstance(x, Ref):
        return x
    if isinstance(x, (list, tuple)):
        return type(x)(wide(e) for e in x)
    return {k: wide(e) for k, e in x.items()} if isinstance(x, dict) else x
