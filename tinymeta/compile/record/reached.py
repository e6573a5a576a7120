"""What a function reaches besides its arguments: closures, globals, defaults, attributes of objects, as they are now.

A walk starts at the function and follows what its code can name: cells, the globals and attributes whose names stand
in the code that was reached so far (so it is repeated until no new code turns up), and the contents of containers.
The attributes of a Module, of a dataclass, and of the package's own objects all count, for the package reads them by
itself. Code of the package, of Python and of what is installed is trusted: only what it closes over is followed.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from types import BuiltinMethodType, CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple
from weakref import ReferenceType

import numpy as np

from tinymeta.compile.key import Same, frozen, of_array
from tinymeta.compile.record.library import home, is_library, is_strange, of_library, reads_itself
from tinymeta.engine.tensor import Array, Tensor

UNSET: Any = type("unset", (), {})()  # in a cell or a namespace that holds nothing
GENERATORS = (np.random.Generator, np.random.BitGenerator, np.random.RandomState, random.Random)
_VALUES = (str, bytes, int, float, complex, bool, type(None), type(...), range, slice, np.generic, np.dtype, np.ufunc)
_BEFORE = {"__init__", "__new__", "__post_init__", "__init_subclass__", "__repr__", "__str__", "__del__"}
_WHOLE = {"__dict__", "vars", "asdict", "astuple", "replace", "fields", "dir"}  # names of what reads every attribute


class Place(NamedTuple):
    """Values that one object holds: their names, how to read them again and how to put them back."""

    names: list[str]
    read: Callable[[], list[Any]]
    put: Callable[[Sequence[Any]], None] | None
    was: list[Any]


def _place(names: list[str], read: Callable[[], list[Any]], put: Callable[[Sequence[Any]], None] | None) -> Place:
    return Place(names, read, put, read())


class Reached:
    """What can be reached from `roots`; names in `ignored` are passed over."""

    def __init__(self, roots: Sequence[tuple[str, Any]], ignored: frozenset[str] = frozenset()) -> None:
        self.ignored = ignored
        self.words: set[str] = set()  # names in the code that was reached
        known = -1
        while known != len(self.words):
            known = len(self.words)
            self.places: list[Place] = []
            self.arrays: list[tuple[str, Array]] = []
            self.tensors: list[tuple[str, Tensor]] = []  # each place that holds one
            self.generators: list[Any] = []
            self.functions: list[FunctionType] = []
            self.strangers = False  # whether code of installed packages can be called, which nobody looks into
            self.iterators = False  # whether one is in reach: each run may take something else from it
            self.signature: list[Any] = []
            self._seen: dict[int, tuple[int, Any]] = {}  # the objects themselves, so that no two share an id
            self._stack: list[tuple[str, Any]] = list(reversed(roots))
            while self._stack:
                self._visit(*self._stack.pop())

    def _visit(self, path: str, x: Any) -> None:
        if isinstance(x, Tensor):
            self.signature.append(len(self.tensors))
            self.tensors.append((path, x))
        elif isinstance(x, _VALUES):
            self.signature.append(frozen(x))
        elif id(x) in self._seen:
            self.signature.append(("seen", self._seen[id(x)][0]))
        else:
            self._seen[id(x)] = len(self._seen), x
            self._enter(path, x)

    def _enter(self, path: str, x: Any) -> None:
        """Follow an object; the signature gets what tells it from others of its kind."""
        if isinstance(x, np.ndarray):
            self.arrays.append((path, x))
            self.signature.append(of_array(x))
            return
        if isinstance(x, FunctionType):
            self.signature.append(Same(x.__code__))
            self._function(path, x)
        elif isinstance(x, type):
            self.signature.append(Same(x))
            self._type(x, made=True)
        elif isinstance(x, MethodType):
            self.signature.append(MethodType)
            self._follow([(path, x.__func__), (_named(x.__self__), x.__self__)])
        elif isinstance(x, functools.partial):
            self.signature.append(type(x))
            self._follow([(path, x.func), (path, x.args), (path, x.keywords)])
        elif isinstance(x, (list, tuple, deque, dict, set, frozenset)):
            self.signature.append((type(x), len(x), getattr(x, "maxlen", None)))
            self._container(path, x)
        elif isinstance(x, ModuleType):
            self.signature.append(Same(x))
            if not is_library(x):
                self._names(path, vars(x), [n for n in vars(x) if n in self.words])
        elif isinstance(x, GENERATORS):
            self.signature.append(Same(x))
            self.generators.append(x)
        else:
            self._object(path, x)

    def _function(self, path: str, f: FunctionType) -> None:
        held = [(n, c) for n, c in zip(f.__code__.co_freevars, f.__closure__ or ()) if n not in self.ignored]
        names, cells = [n for n, _ in held], [c for _, c in held]
        if cells:
            self._add(_place(names, lambda: [_content(cell) for cell in cells], functools.partial(_fill, cells)))
        if of_library(f.__module__):
            self.strangers |= is_strange(f.__module__)
            return
        self.functions.append(f)
        codes = _codes(f.__code__)
        used = {name for code in codes for name in code.co_names}
        self.generators += _shared(f, used)
        texts = {c for code in codes for c in code.co_consts if isinstance(c, str) and c.isidentifier()}
        if "globals" in used:
            used |= texts
        self.words |= used | texts
        found = sorted(used & f.__globals__.keys())
        self.strangers |= any(is_strange(home(f.__globals__[n])) for n in found)
        self._names("", f.__globals__, [n for n in found if not is_library(f.__globals__[n])])
        self._defaults(path, f)
        if f.__dict__:
            self._names(path, f.__dict__, [n for n in f.__dict__ if n in self.words or n == "__wrapped__"])

    def _defaults(self, path: str, f: FunctionType) -> None:
        """A function's defaults: known by the names of their parameters, which its code calls them by."""
        given, by_name = f.__defaults__ or (), f.__kwdefaults__ or {}
        if not given and not by_name:
            return
        read = lambda: [f.__defaults__, *(f.__kwdefaults__ or {}).values()]
        self.places.append(_place([path, *by_name], read, lambda values: None))
        names = f.__code__.co_varnames[: f.__code__.co_argcount][-len(given) :] if given else ()
        self.signature.append((len(given), *by_name))
        self._follow([*zip(names, given), *by_name.items()])

    def _type(self, kind: type, made: bool = False) -> None:
        """The methods and attributes of a user's class that are named or belong to Python's protocols; with `made`,
        those that make an object, too."""
        bases = [base for base in kind.__mro__ if not of_library(base.__module__)]
        every = reads_itself(kind)  # and calls its hooks by itself
        for base in bases:
            space = vars(base)
            names = []
            for name, value in space.items():
                special = name.startswith("__") and isinstance(value, FunctionType) and (made or name not in _BEFORE)
                hook = name.startswith("tree_") or (every and isinstance(value, FunctionType) and name not in _BEFORE)
                if special or hook or (name in self.words and not name.startswith("__")):
                    names.append(name)
            self._names(base.__name__, space, names, functools.partial(setattr, base))

    def _object(self, path: str, x: Any) -> None:
        kind = type(x)
        if inspect.getattr_static(x, "__wrapped__", None) is not None:  # a compiled or otherwise decorated function
            self.signature.append(kind)
            self._follow([(path, x.__wrapped__)])
            return
        if isinstance(x, BuiltinMethodType):
            self.signature.append((kind, x.__name__))
            self._follow([(path, x.__self__)])
            return
        if isinstance(x, (property, functools.cached_property)):
            self.signature.append(kind)
            self._follow([(path, x.fget if isinstance(x, property) else x.func)])
            return
        if isinstance(x, ContextVar):
            self.signature.append(Same(x))
            self._add(_place([x.name], lambda: [x.get(UNSET)], lambda values: None))
            return
        if isinstance(x, ReferenceType):
            self.signature.append(kind)
            self._add(_place([path], lambda: [x()], lambda values: None))
            return
        self.iterators |= isinstance(x, Iterator)
        space = getattr(x, "__dict__", None)
        slots = [n for n in _slots(kind) if hasattr(x, n)]
        if not isinstance(space, dict) and not slots:
            self.signature.append(frozen(x) if not isinstance(x, Iterator) else Same(x))
            self._type(kind)
            return
        self.signature.append(kind)
        every = dataclasses.is_dataclass(x) or reads_itself(kind) or bool(_WHOLE & self.words)
        path = path or _named(x)
        if isinstance(space, dict):
            names = [n for n in space if every or n in self.words]
            self._names(path, space, names, count=True)
        if slots:
            self._slots(path, x, [n for n in slots if every or n in self.words])
        self._type(kind)

    def _names(
        self,
        path: str,
        space: Any,
        names: list[str],
        put: Callable[[str, Any], None] | None = None,
        count: bool = False,
    ) -> None:
        """Some entries of a namespace; with `count`, another number of entries is a change as well."""
        kept = [n for n in names if (f"{path}.{n}" if path else n) not in self.ignored]
        paths = [f"{path}.{n}" if path else n for n in kept]
        store = put or space.__setitem__

        def read() -> list[Any]:
            found = [space.get(n, UNSET) for n in kept]
            return [*found, len(space)] if count else found

        def write(values: Sequence[Any]) -> None:
            for n, value in zip(kept, values):
                store(n, value)

        self.signature.append(tuple(kept))
        if kept or count:
            self._add(_place([*paths, path] if count else paths, read, write))

    def _slots(self, path: str, x: Any, names: list[str]) -> None:
        def read() -> list[Any]:
            return [getattr(x, n, UNSET) for n in names]

        def write(values: Sequence[Any]) -> None:
            for n, value in zip(names, values):
                setattr(x, n, value)

        self._add(_place([f"{path}.{n}" for n in names], read, write))

    def _container(self, path: str, x: Any) -> None:
        if path in self.ignored:
            return

        def read() -> list[Any]:
            return [*x, *x.values()] if isinstance(x, dict) else list(x)

        def write(values: Sequence[Any]) -> None:
            x.clear()
            if isinstance(x, dict):
                x.update(zip(values[: len(values) // 2], values[len(values) // 2 :]))
            else:
                (x.update if isinstance(x, set) else x.extend)(values)

        if isinstance(x, dict):
            names = [*[path] * len(x), *[f"{path}[{k!r}]" for k in x]]
        else:
            names = [path if isinstance(x, (set, frozenset)) else f"{path}[{k}]" for k in range(len(x))]
        changes = not isinstance(x, (tuple, frozenset))
        self._add(_place([*names, path], read, write if changes else None))  # the last name: for what is added

    def _add(self, place: Place) -> None:
        self.places.append(place)
        self._follow(list(zip(place.names, place.was)))

    def _follow(self, found: list[tuple[str, Any]]) -> None:
        self._stack += reversed([(path, x) for path, x in found if x is not None])


def _shared(f: FunctionType, used: set[str]) -> list[Any]:
    """The generators behind the functions of `random` and `np.random`, if the code names these."""
    named = [x for x in map(f.__globals__.get, used) if isinstance(x, ModuleType)]
    numpy = np.random in named or (np in named and "random" in used)
    return [*[np.random.mtrand._rand] * numpy, *[vars(random)["_inst"]] * (random in named)]


def _codes(code: CodeType) -> list[CodeType]:
    """The code of a function, and of those written inside of it."""
    return [code, *(inner for c in code.co_consts if isinstance(c, CodeType) for inner in _codes(c))]


def _slots(kind: type) -> list[str]:
    """The slots of a user's class and of its bases."""
    found: list[str] = []
    for base in kind.__mro__:
        slots = vars(base).get("__slots__", ()) if not of_library(base.__module__) else ()
        found += [slots] if isinstance(slots, str) else slots
    return [n for n in found if n not in ("__dict__", "__weakref__")]


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return UNSET


def _fill(cells: Sequence[CellType], values: Sequence[Any]) -> None:
    for cell, value in zip(cells, values):
        if value is not UNSET:
            cell.cell_contents = value


def _named(x: Any) -> str:
    return type(x).__name__
