"""What a function may reach besides its arguments, as the tests of captured state hold it."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

x = np.ones(2)
Compile = Callable[[Callable[..., Any]], Callable[..., Any]]
Step = Callable[[int], Any]  # changes something, calls the function, gives its result
library = types.ModuleType("somebodys_library")


class Box:
    """Attributes to set."""

    rate: Any = 1.0
    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)

    @property
    def twice(self) -> Any:
        return 2 * self.value

    def by_name(self, name: str) -> Any:
        return vars(self)[name]


class Slotted:
    __slots__ = ("value",)


@dataclasses.dataclass
class Settings:
    value: Any = 1.0
    seen: list[int] = dataclasses.field(default_factory=list)


class Delegating:
    """Settings in a dict, read as attributes; no other name is known."""

    def __init__(self) -> None:
        vars(self)["settings"] = {"rate": 1.0}

    def __getattr__(self, name: str) -> Any:
        return self.settings[name]


def settings_of(make: Callable[[], Any], read: Callable[[Any], Any], write: Callable[[Any, Any], None]) -> Any:
    def case(compile: Compile) -> Step:
        held = make()
        f = compile(lambda x: x * read(held))

        def step(k: int) -> Any:
            write(held, k + 1.0)
            return f(x)

        return step

    return case
