"""A call's arguments, taken apart: static ones (`static_argnames`), and the tree of all others."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from tinymeta.engine.typing import Function

_KEYWORD = inspect.Parameter.KEYWORD_ONLY
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Statics:
    """Which arguments of a function are static, and where they stand."""

    def __init__(self, f: Function, names: str | Iterable[str]) -> None:
        self.names = (names,) if isinstance(names, str) else tuple(names)
        parameters = _parameters(f, self.names) if self.names else {}
        for name in self.names:
            if name not in parameters or parameters[name].kind in _VARIADIC:
                known = ", ".join(n for n, p in parameters.items() if p.kind not in _VARIADIC)
                raise ValueError(
                    f"static_argnames names {name!r}, which is no parameter of {getattr(f, '__name__', f)}: "
                    f"it has {known or 'none'}"
                )
        order = {name: i for i, name in enumerate(parameters)}
        # A keyword-only parameter has no position, whatever `*args` may hold there.
        self._positions = [None if parameters[n].kind is _KEYWORD else order[n] for n in self.names]
        self._defaults = [parameters[name].default for name in self.names]

    def split(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], tuple[Any, ...], Any]:
        """The static values (the default of one that isn't given), and the others (None in a static one's place)."""
        if not self.names:
            return (), args, kwargs
        rest, values = list(args), []
        for name, position, default in zip(self.names, self._positions, self._defaults):
            if position is not None and position < len(args):
                values.append(args[position])
                rest[position] = None
            else:
                values.append(kwargs.get(name, default))
        return tuple(values), tuple(rest), {k: v for k, v in kwargs.items() if k not in self.names}

    def join(self, values: tuple[Any, ...], args: Any, kwargs: Any) -> tuple[list[Any], dict[str, Any]]:
        """All arguments again: what `split` took apart."""
        args, kwargs = list(args), dict(kwargs)
        for name, position, default, value in zip(self.names, self._positions, self._defaults, values):
            if position is not None and position < len(args):
                args[position] = value
            elif value is not default:
                kwargs[name] = value
        return args, kwargs


def _parameters(f: Function, names: tuple[str, ...]) -> Mapping[str, inspect.Parameter]:
    """A function's own parameters; those of the function that it wraps, where it hands on what it doesn't name."""
    own = inspect.signature(f, follow_wrapped=False).parameters
    return own if own.keys() >= set(names) else inspect.signature(f).parameters
