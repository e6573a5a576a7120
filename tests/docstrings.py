"""What the docstring of a public name must hold, and how the tests read it. The site's reference is made of the same.

    First sentence: what it is, with its formula.

    Shapes: of what comes in → of what goes out.
    Raises: AnError where this is wrong: `tm.a_call([0], "that raises it")`; AnotherError where that is.
    Source: authors and year.

    >>> tm.an_example([1.0])
    tensor(1.)

Examples have the names of `AT_HAND`, and floats are shown to four places.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import re
import textwrap
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

import numpy as np
import tinymeta_kernels as kernels

import tinymeta as tm
from tests.public_api import stored
from tinymeta.engine import errors, tree
from tinymeta.engine.convert import as_tensor, as_tensors
from tinymeta.engine.options import several, whole, wholes
from tinymeta.engine.primitive import Primitive, bind

# What a reader has imported: import numpy as np, tinymeta as tm, tinymeta_kernels as kernels.
AT_HAND = {"np": np, "tm": tm, "kernels": kernels}
FIELDS = ("Shapes", "Raises", "Source")
# What these refuse is the same wherever they are called: what isn't a number, or not a whole one, and unlike trees.
SAID_ONCE = {as_tensor, as_tensors, bind, several, tree.flatten, tree.map, tree.unflatten, whole, wholes}


class Claim(NamedTuple):
    """One entry of `Raises`: an error, when it comes, and a call that shows it, if there is one."""

    error: type[BaseException]
    when: str
    call: str


def documented() -> dict[str, Any]:
    """Every public function and class by its shortest name: one of several names, and those of public modules."""
    found: dict[int, tuple[str, Any]] = {}
    groups = [g for g in stored() if g == "tm" or re.fullmatch(r"tinymeta[\w.]*", g)]
    for group in groups:
        for name in sorted(stored()[group]):
            value = getattr(import_module({"tm": "tinymeta"}.get(group, group)), name, None)
            inner = vars(value) if isinstance(value, ModuleType) and value.__name__ not in groups else {}
            own = {f"{name}.{n}": v for n, v in inner.items() if getattr(v, "__module__", "") == value.__name__}
            for short, v in {name: value, **own}.items():
                if callable(v) and not short.rpartition(".")[2].startswith("_"):
                    found.setdefault(id(v), (f"{group.removeprefix('tinymeta.')}.{short}", v))
    return dict(sorted(found.values(), key=lambda entry: entry[0]))


def text_of(thing: Any) -> str:
    """The docstring; of a class with those of its own methods, which say what they raise."""
    parts = [inspect.getdoc(thing) or ""]
    if isinstance(thing, type):
        parts += [inspect.cleandoc(m.__doc__) for m in _methods(thing) if m.__doc__]
    return "\n\n".join(parts)


def fields(text: str, name: str) -> list[str]:
    """What stands after each `name:` at the beginning of a line, to the next field or empty line."""
    ends = "|".join(rf"\n{other}: " for other in FIELDS)
    return [" ".join(found.split()) for found in re.findall(rf"^{name}: ((?:.|\n)+?)(?=\n\s*\n|{ends}|\Z)", text, re.M)]


def claims(text: str) -> list[Claim]:
    """The entries of `Raises`, which semicolons part."""
    entries = [e for found in fields(text, "Raises") for e in re.split(r";\s+(?=[\w.]+(?:Error|Warning)\b)", found)]
    return [_claim(entry) for entry in entries]


def _claim(entry: str) -> Claim:
    name, _, when = entry.partition(" ")
    call = re.search(r"`((?:tm|np|kernels)\.[^`]*\))`", when)
    return Claim(_error(name), when, call[1] if call else "")


def _error(name: str) -> type[BaseException]:
    places = [errors, builtins, tm.tasks, np.linalg, import_module("tinymeta.compile")]
    for place in places:
        if isinstance(found := getattr(place, name.rpartition(".")[2], None), type):
            return found
    raise LookupError(f"{name!r} is the name of no error")


def raises(thing: Any) -> bool:
    """Whether a function raises, one that it calls by name does, or one of a class's own methods."""
    if isinstance(thing, type) and issubclass(thing, Primitive):
        return thing.raises
    bodies = _methods(thing) if isinstance(thing, type) else [inspect.unwrap(thing)]
    return any(_raises(g) for f in bodies if isinstance(f, FunctionType) for g in _with_parts(f))


def _methods(kind: type) -> Iterator[Any]:
    """Functions written in the class itself."""
    for value in vars(kind).values():
        value = inspect.unwrap(getattr(value, "__func__", getattr(value, "fget", value)))
        is_written = isinstance(value, FunctionType) and value.__code__.co_filename[0] != "<"  # a dataclass makes some
        if is_written and value.__module__.startswith("tinymeta"):
            yield value


def _is_ours(f: Any) -> bool:
    return isinstance(f, FunctionType) and f.__module__.startswith("tinymeta") and f not in SAID_ONCE


def _with_parts(f: FunctionType) -> set[FunctionType]:
    """`f`, the functions that it calls by name, and the private ones beside each of these, which are parts of it."""
    return {part for g in {f, *(g for p in _parts(f) for g in _called(p))} for part in _parts(g)}


def _parts(f: FunctionType) -> set[FunctionType]:
    found, todo = set(), [f]
    while todo:
        found.add(g := todo.pop())
        private = [h for h in _called(g) if h.__name__[0] == "_" and h.__module__ == f.__module__]
        todo += [h for h in private if h not in found]
    return found


@cache
def _called(f: FunctionType) -> list[FunctionType]:
    """The functions of this package that the body calls by a global name, or as a module's attribute."""
    called = [_named(node.func, f) for node in ast.walk(_source(f)) if isinstance(node, ast.Call)]
    return [g for g in map(inspect.unwrap, called) if _is_ours(g)]


def _named(expression: ast.expr, f: FunctionType) -> Any:
    if isinstance(expression, ast.Attribute) and isinstance(module := _named(expression.value, f), ModuleType):
        return getattr(module, expression.attr, None)
    return f.__globals__.get(expression.id) if isinstance(expression, ast.Name) else None


@cache
def _raises(f: FunctionType) -> bool:
    return any(isinstance(node, ast.Raise) and node.exc is not None for node in ast.walk(_source(f)))


def _source(f: FunctionType) -> ast.AST:
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(f)))
    except SyntaxError:  # a lambda in the middle of an expression
        return ast.Module([], [])
