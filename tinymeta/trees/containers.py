"""One container taken apart into its children and put together again, as it was down to its order and attributes."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from numpy import array_equal, dtype, ndarray

Tree: TypeAlias = Any  # a pytree: nested containers with Tensors, or what becomes one, at the leaves
NUMBERS: list[type] = [ndarray]  # the classes of most leaves, which need not be asked what they hold; Tensor is one


class Names(tuple[Any, ...]):
    """A container's sorted keys, or the places of its children, which compare as such; with what its like has, too."""

    stood: tuple[Any, ...] = ()  # a dict's keys as they stood in it
    held: dict[str, Any]  # attributes that are no children


class Constant(ndarray[tuple[int, ...], dtype[Any]]):
    """An array that belongs to its tree's structure, as None does: no leaf, so nothing trains, maps or saves it."""


class Held:
    """What a structure knows of a constant; two that hold the same numbers are equal."""

    __slots__ = ("array",)

    def __init__(self, array: Constant) -> None:
        self.array = array

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Held):
            return NotImplemented
        a, b = self.array, other.array
        return a is b or (a.dtype == b.dtype and array_equal(a, b, equal_nan=a.dtype.kind in "fc"))

    def __hash__(self) -> int:
        return hash(self.array.shape)


def children_of(tree: Tree) -> tuple[Any, Sequence[Any]] | None:
    """(meta, children) of a container; None for a leaf."""
    kind = type(tree)
    if kind in NUMBERS:
        return None
    if tree is None:
        return None, ()
    if isinstance(tree, dict):
        stood = tuple(tree)
        keys = _sorted(stood)
        if kind is not dict or keys != stood:
            keys = _names_of(tree, keys, stood)
        return keys, [tree[k] for k in keys]
    if kind is list or kind is tuple:
        return tuple(range(len(tree))), tree
    if hasattr(kind, "tree_flatten"):
        return tree.tree_flatten()  # type: ignore[no-any-return]
    if kind is Constant:
        return Held(tree), ()
    if isinstance(tree, (list, tuple)):
        names: tuple[Any, ...] = getattr(kind, "_fields", tuple(range(len(tree))))
        return (_names_of(tree, names) if attributes(tree) else names), tree
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        names = tuple([f.name for f in dataclasses.fields(tree)])
        undeclared = attributes(tree).keys() - names
        return _with_undeclared(tree, names) if undeclared else names, [getattr(tree, name) for name in names]
    return None


def attributes(x: object) -> dict[str, Any]:
    """An object's attributes: those of its `__dict__`, and of its classes' `__slots__`."""
    kind: type = type(x)
    found = dict(getattr(x, "__dict__", {}))
    found.update([(name, getattr(x, name)) for name in _slots(kind) if hasattr(x, name)])
    return found


@lru_cache(maxsize=4096)
def _slots(kind: type) -> tuple[str, ...]:
    return tuple(slot_names(kind.__mro__))


def slot_names(kinds: Iterable[type]) -> list[str]:
    """The slots of classes, by the names that Python gives them: a private one carries its class's name."""
    found = []
    for kind in kinds:
        given = vars(kind).get("__slots__", ())
        for name in (given,) if isinstance(given, str) else given:
            private = name.startswith("__") and not name.endswith("__")
            found.append(f"_{kind.__name__.lstrip('_')}{name}" if private else name)
    return [n for n in found if n not in ("__dict__", "__weakref__")]


def _sorted(keys: tuple[Any, ...]) -> tuple[Any, ...]:
    """A dict's keys in an order that doesn't depend on when they came, as far as they have one."""
    if len({type(k) for k in keys}) > 1:
        return keys
    try:
        return tuple(sorted(keys))
    except TypeError:  # members of an enumeration, and other objects
        return tuple(sorted(keys, key=repr))


BUILT_IN = (dict, tuple, list)  # containers in which every place is a leaf of its own


def _names_of(tree: Tree, names: tuple[Any, ...], stood: tuple[Any, ...] = ()) -> Names:
    found = Names(names)
    found.stood, found.held = stood, attributes(tree)
    if isinstance(tree, defaultdict):
        found.held["default_factory"] = tree.default_factory
    return found


def _with_undeclared(tree: Tree, names: tuple[Any, ...]) -> Names:
    """A dataclass's field names, and those of its other attributes that its constructor wouldn't give it again."""
    found = Names(names)
    again = attributes(type(tree)(**{f.name: getattr(tree, f.name) for f in dataclasses.fields(tree) if f.init}))
    others = {name: x for name, x in attributes(tree).items() if name not in names}
    numbers = [name for name, x in others.items() if isinstance(x, tuple(NUMBERS))]  # each of them has to be derived
    found.held = {
        name: x for name, x in others.items() if name not in again or (name not in numbers and again[name] != x)
    }
    if lost := sorted(found.held.keys() & set(numbers)):
        raise TypeError(
            f"{type(tree).__name__}.{lost[0]} is no field, and the constructor doesn't make it: a tree made of the "
            f"fields would lose it. Declare {lost[0]} as a field"
        )
    return found


def refilled(kind: Any, meta: Any, children: list[Any]) -> Tree:
    """A dict, list or tuple of a class of its own, whose constructor may ask for other things than its content."""
    made: Any = tuple.__new__(kind, children) if issubclass(kind, tuple) else kind.__new__(kind)
    if issubclass(kind, list):
        list.extend(made, children)
    if issubclass(kind, dict):
        put = OrderedDict.__setitem__ if issubclass(kind, OrderedDict) else dict.__setitem__
        values = dict(zip(meta, children))
        for key in meta.stood:
            put(made, key, values[key])
    for name, value in getattr(meta, "held", {}).items():
        object.__setattr__(made, name, value)
    return made


def reconstructed(kind: Any, meta: Any, children: list[Any]) -> Tree:
    """A dataclass with these fields, and whatever else its constructor derives from them."""
    fields = dict(zip(meta, children))
    made = kind(**{f.name: fields[f.name] for f in dataclasses.fields(kind) if f.init})
    changed = [name for name, value in fields.items() if getattr(made, name, made) is not value]
    if changed and (derived := sorted(attributes(made).keys() - fields)):
        raise TypeError(
            f"{kind.__name__} changes its field {changed[0]} when it is made, and derives {derived[0]} from it: made "
            f"again from its own fields it is another one. Declare {derived[0]} as a field, or give the class "
            "tree_flatten() and tree_unflatten()"
        )
    for name, value in ({name: fields[name] for name in changed} | getattr(meta, "held", {})).items():
        object.__setattr__(made, name, value)
    return made
