"""What a function reaches besides its arguments: closures, globals, defaults, attributes of objects, as they are now.

A walk starts at the function and follows what its code can name: cells, the globals and attributes whose names stand
in the code that was reached so far (so it is repeated until no new code turns up), and the contents of containers.
The attributes of a Module, of a dataclass, and of the package's own objects all count, for the package reads them by
itself. Code of the package, of Python and of what is installed is trusted: only what it closes over is followed.
"""

from __future__ import annotations

import builtins
import dataclasses
import functools
import inspect
import os
import random
import re
import sys
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextvars import ContextVar
from enum import Enum
from types import BuiltinMethodType, CodeType, FunctionType, ModuleType
from typing import Any
from weakref import ReferenceType

import numpy as np

from tinymeta.compile.key import Same, frozen, parts_of
from tinymeta.compile.record import holdings
from tinymeta.compile.record.holdings import UNSET, Holding
from tinymeta.compile.record.library import home, is_library, is_strange, of_library, reads_itself
from tinymeta.compile.record.names import codes_of, imports_of, texts_of
from tinymeta.engine.tensor import Tensor
from tinymeta.ops.generators import GENERATORS, state_of
from tinymeta.trees.containers import slot_names

_VALUES = (str, bytes, int, float, complex, bool, type(None), type(...), range, slice, np.generic, np.dtype, np.ufunc)
_CONTAINERS = (list, tuple, deque, dict, set, frozenset)
_BEFORE = {"__init__", "__new__", "__post_init__", "__init_subclass__", "__repr__", "__str__", "__del__"}
_WHOLE = {"__dict__", "vars", "asdict", "astuple", "replace", "fields", "dir"}  # names of what reads every attribute
_NAMING = {"globals", "eval", "exec"}  # whose texts name what is read
_ENVIRONMENT = {"environ", "environb", "getenv", "getenvb", "expandvars"}
_STATES = {"state", "__getstate__", "getstate", "get_state", "deepcopy", "copy", "jumped", "dumps"}  # of a generator
_HOLDERS = {
    "collections",
    "threading",
    "queue",
    "configparser",
}  # Python's modules whose objects hold what users put in


class Reached:
    """What can be reached from `roots`; names in `ignored` are passed over."""

    def __init__(self, roots: Sequence[tuple[str, Any]], ignored: frozenset[str] = frozenset()) -> None:
        self.ignored = ignored
        self.words: set[str] = set()  # names in the code that was reached
        self.texts: set[str] = set()  # strings that were reached: names, for `getattr`
        known = -1
        while known != len(self.words) + len(self.texts):
            known = len(self.words) + len(self.texts)
            self.named = self.words | self.texts
            self.whole = bool(_WHOLE & self.words)
            self.holdings: list[Holding] = []
            self.contents: list[tuple[str, Any]] = []  # arrays and buffers
            self.tensors: list[tuple[str, Tensor]] = []  # each name that one has
            self.paths: dict[int, list[str]] = {}  # an object's id → all that it is called
            self.generators: list[Any] = []
            self.functions: list[FunctionType] = []
            self.builtins: list[Any] = []  # functions that are no Python code
            self.strangers = False  # whether code of installed packages can be called, which nobody looks into
            self.iterators = False  # whether one is in reach: each run may take something else from it
            self.signature: list[Any] = []
            self._seen: dict[int, tuple[int, Any]] = {}  # the objects themselves, so that no two share an id
            self._kinds: set[tuple[type, bool]] = set()
            self._stack: list[tuple[str, Any]] = list(reversed(roots))
            while self._stack:
                self._visit(*self._stack.pop())

    def _visit(self, path: str, x: object) -> None:
        if isinstance(x, Tensor):
            self.signature.append(len(self.tensors))
            self.tensors.append((path, x))
        elif isinstance(x, _VALUES) and of_library(type(x).__module__):
            self.signature.append(frozen(x))
            if isinstance(x, str):
                self.texts.update(filter(str.isidentifier, x.split(".")))
        elif id(x) in self._seen:
            self.paths[id(x)].append(path)
            self.signature.append(("seen", self._seen[id(x)][0]))
        else:
            self.paths[id(x)] = [path]
            self._seen[id(x)] = len(self._seen), x
            self._enter(path, x)

    def _enter(self, path: str, x: object) -> None:
        """Follow an object; the signature gets what tells it from others of its kind."""
        if isinstance(x, FunctionType):
            self.signature.append(Same(x.__code__))
            self._function(path, x)
        elif isinstance(x, type):
            self.signature.append(Same(x))
            self._type(x, made=True)
        elif parts := parts_of(x):
            self.signature.append(type(x))
            self._follow([(_named(part) if part is getattr(x, "__self__", None) else path, part) for part in parts])
        elif isinstance(x, ModuleType):
            self.signature.append(Same(x))
            if not is_library(x):
                self._namespace(path, vars(x), [n for n in vars(x) if n in self.named], vars(x).__setitem__)
        elif isinstance(x, GENERATORS):
            self.signature.append(Same(x))
            self._generator(path, x)
        elif read := holdings.content(x):
            self.signature.append((type(x), read()))
            self.contents.append((path, x))
        elif isinstance(x, (*_VALUES, Enum)):  # of a class of the user's
            self.signature.append(Same(x) if isinstance(x, Enum) else frozen(x.__reduce_ex__(2)[1]))
            self._attributes(path, x)
        elif isinstance(x, _CONTAINERS) or (isinstance(x, Collection) and type(x).__module__ == "builtins"):
            plain = of_library(type(x).__module__)
            self.signature.append((type(x), len(x), getattr(x, "maxlen", None)))
            if path not in self.ignored:
                self._add(holdings.members(path, x))
            if not plain:
                self._attributes(path, x)
        else:
            self._object(path, x)

    def _function(self, path: str, f: FunctionType) -> None:
        held = [(n, c) for n, c in zip(f.__code__.co_freevars, f.__closure__ or ()) if n not in self.ignored]
        if held:
            self._add(holdings.cells([n for n, _ in held], [c for _, c in held]))
        if of_library(f.__module__):
            self.strangers |= is_strange(f.__module__)
            return
        self.functions.append(f)
        codes = codes_of(f.__code__)
        used = {name for code in codes for name in code.co_names}
        for x in _shared(f, used):
            self._generator(type(x).__name__, x)
        written = {text for code in codes for text in texts_of(code.co_consts)}
        texts = {part for text in written for part in text.split(".") if part.isidentifier()}
        if used & _NAMING:
            used |= {word for text in written for word in re.findall(r"[^\W\d]\w*", text)}
        if used & _ENVIRONMENT:
            self._follow([("os.environ", os.environ)])
        self.words |= used | texts
        found = sorted(used & f.__globals__.keys())
        self.strangers |= any(is_strange(home(f.__globals__[n])) for n in found)
        names = [n for n in found if not is_library(f.__globals__[n])]
        self._namespace("", f.__globals__, names, f.__globals__.__setitem__)
        spoken = sorted(used & vars(builtins).keys() - f.__globals__.keys())
        self._namespace("builtins", vars(builtins), spoken, builtins.__dict__.__setitem__)
        self._modules(f, codes, texts)
        self._defaults(path, f)
        if f.__dict__:
            self._attributes(path, f)

    def _generator(self, path: str, x: object) -> None:
        """A generator counts as the object that it is, and where code may read its state, in this state."""
        self.generators.append(x)
        if self.named & _STATES:
            self.contents.append((path, x))
            self.signature.append(frozen(state_of(x)))

    def _modules(self, f: FunctionType, codes: list[CodeType], texts: set[str]) -> None:
        """What the code imports, or finds in `sys.modules`: the user's modules, some of which may not be there yet."""
        package = (f.__globals__.get("__package__") or "").split(".")
        above = [".".join(package[:k]) for k in range(1, len(package) + 1) if package[0]]
        imported = {n for code in codes for n in imports_of(code)}
        imported |= {f"{a}.{n}" if n else a for a in above for n in imported}
        names = [n for n in sorted(imported | (texts & sys.modules.keys())) if not of_library(n)]
        if names:
            self._add(holdings.holding(names, lambda: [sys.modules.get(n, UNSET) for n in names], holdings.unrestored))

    def _defaults(self, path: str, f: FunctionType) -> None:
        """A function's defaults: known by the names of their parameters, which its code calls them by."""
        self.holdings.append(holdings.function(path, f))
        given, by_name = f.__defaults__ or (), f.__kwdefaults__ or {}
        names = f.__code__.co_varnames[: f.__code__.co_argcount][-len(given) :] if given else ()
        self.signature.append((len(given), *by_name))
        self._follow([*zip(names, given), *by_name.items()])

    def _type(self, kind: type, made: bool = False) -> None:
        """The methods and attributes of a user's class that are named or belong to Python's protocols; with `made`,
        those that make an object, too."""
        if (kind, made) in self._kinds:
            return
        self._kinds.add((kind, made))
        every = reads_itself(kind)  # and calls its hooks by itself
        for base in _of_users(kind):
            space = vars(base)
            names = []
            for name, value in space.items():
                special = name.startswith("__") and isinstance(value, FunctionType) and (made or name not in _BEFORE)
                hook = name.startswith("tree_") or (every and isinstance(value, FunctionType) and name not in _BEFORE)
                if special or hook or (name in self.named and not name.startswith("__")):
                    names.append(name)
            self._namespace(base.__name__, space, names, functools.partial(setattr, base))
        if not of_library(type(kind).__module__):
            self._follow([(type(kind).__name__, type(kind))])

    def _object(self, path: str, x: Any) -> None:
        kind = type(x)
        if inspect.getattr_static(x, "__wrapped__", None) is not None:  # a compiled or otherwise decorated function
            self.signature.append(kind)
            self._follow([(path, x.__wrapped__)])
        elif isinstance(x, BuiltinMethodType):
            self.builtins.append(x)
            self.signature.append((kind, x.__name__))
            self._follow([(path, x.__self__)] if not isinstance(x.__self__, ModuleType) else [])
        elif isinstance(x, (property, functools.cached_property)):
            self.signature.append(kind)
            self._follow([(path, x.fget if isinstance(x, property) else x.func)])
        elif isinstance(x, ContextVar):
            self.signature.append(Same(x))
            self._add(holdings.holding([x.name], lambda: [x.get(UNSET)], holdings.unrestored))
        elif isinstance(x, ReferenceType):
            self.signature.append(kind)
            self._add(holdings.holding([path], lambda: [x()], holdings.unrestored))
        elif isinstance(getattr(x, "__dict__", None), dict) or slot_names(_of_users(kind)):
            self.iterators |= isinstance(x, Iterator)
            self.signature.append(kind)
            self._attributes(path or _named(x), x)
        else:
            self.iterators |= isinstance(x, Iterator)
            self.signature.append(frozen(x) if not isinstance(x, Iterator) else Same(x))
            self._type(kind)

    def _attributes(self, path: str, x: object) -> None:
        """An object's attributes, and its class."""
        kind = type(x)
        every = self.whole or dataclasses.is_dataclass(x) or reads_itself(kind) or _holds(kind)
        if isinstance(getattr(x, "__dict__", None), dict):
            names = [n for n in vars(x) if every or n in self.named or n == "__wrapped__"]
            names, paths = self._kept(path, names)
            self.signature.append(tuple(names))
            self._add(holdings.attributes(paths, path, x, names))
        slots = [n for n in slot_names(_of_users(kind)) if every or n in self.named]
        if slots:
            self._add(holdings.slots([f"{path}.{n}" for n in slots], x, slots))
        self._type(kind)

    def _namespace(self, path: str, space: Mapping[str, Any], names: list[str], store: Any) -> None:
        """Some entries of a module's or a class's namespace."""
        names, paths = self._kept(path, names)
        self.signature.append(tuple(names))
        self._add(holdings.namespace(paths, path or "its globals", space, names, store))

    def _kept(self, path: str, names: list[str]) -> tuple[list[str], list[str]]:
        """The names that count, and their paths."""
        paths = {n: f"{path}.{n}" if path else n for n in names}
        kept = [n for n in names if paths[n] not in self.ignored]
        return kept, [paths[n] for n in kept]

    def _add(self, found: Holding) -> None:
        self.holdings.append(found)
        self._follow(found.held())

    def _follow(self, found: list[tuple[str, Any]]) -> None:
        self._stack += reversed([(path, x) for path, x in found if x is not None and x is not UNSET])


def _of_users(kind: type) -> list[type]:
    """The user's classes among a class and its bases."""
    return [base for base in kind.__mro__ if not of_library(base.__module__)]


def _holds(kind: type) -> bool:
    """Whether code of a library reads attributes that hold what a user has put in: a UserDict, a queue, a mapping of
    an installed package."""
    bases = [base for base in kind.__mro__ if of_library(base.__module__)]
    mapping = hasattr(kind, "keys") and hasattr(kind, "__getitem__")
    return mapping or any(base.__module__ in _HOLDERS for base in bases)


def _shared(f: FunctionType, used: set[str]) -> list[Any]:
    """The generators behind the functions of `random` and `np.random`, if the code names these."""
    named = [x for x in map(f.__globals__.get, used) if isinstance(x, ModuleType)]
    numpy = np.random in named or (np in named and "random" in used)
    return [*[np.random.mtrand._rand] * numpy, *[vars(random)["_inst"]] * (random in named)]


def _named(x: object) -> str:
    return type(x).__name__
