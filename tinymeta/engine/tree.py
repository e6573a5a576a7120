"""Pytrees: nested containers of Tensors, taken apart and put together again.

Containers are dicts, lists, tuples, NamedTuples, dataclasses, and any class with `tree_flatten()` and
`tree_unflatten()` (every `tm.nn.Module` has them). None holds nothing; all else is a leaf. The leaves of a
dict come in the order of its sorted keys; what is put together has its order again, and the attributes that a
subclass added.

A Tensor that stands in several places of a model is one leaf, and whatever is put together with the model's
structure holds one value there: tied weights stay tied (`tree_ties`). In all other containers each place is a
leaf of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from numpy import ndarray

from tinymeta.engine.containers import BUILT_IN, children_of, reconstructed, refilled
from tinymeta.engine.tensor import Tensor


class Structure(NamedTuple):
    """The shape of a tree without its leaves. Two trees fit together if their structures are equal."""

    kind: type | None  # None: a leaf
    meta: Any = None  # what the kind needs besides its children: keys, field names, static attributes
    children: tuple[Structure, ...] = ()


class Tie:
    """The kind of a place that holds the same as an earlier leaf of its model; `meta` is that leaf's number there."""


LEAF = Structure(None)


def flatten(tree: Any) -> tuple[list[Any], Structure]:
    """The leaves of `tree`, from left to right, and its structure."""
    found: list[Any] = []
    return found, _take_apart(tree, found, None)


def unflatten(structure: Structure, leaves: Sequence[Any]) -> Any:
    """The tree of this structure with these leaves: the inverse of `flatten`."""
    rest = iter(leaves)
    try:
        tree = _put_together(structure, rest, None)
    except StopIteration:
        raise ValueError("too few leaves for the structure") from None
    if next(rest, rest) is not rest:
        raise ValueError(f"too many leaves: the structure holds {_count(structure)} and got {len(leaves)}")
    return tree


def leaves(tree: Any) -> list[Any]:
    """The leaves of `tree`, from left to right."""
    return flatten(tree)[0]


def map(f: Callable[..., Any], tree: Any, *rest: Any) -> Any:
    """A tree of `f(leaf, *leaves at the same place in rest)`.

    Raises
    ------
    ValueError
        If the trees differ in structure; the message names the first place where they do.
    """
    first, structure = flatten(tree)
    columns = [first]
    for other in rest:
        more, found = flatten(other)
        if found != structure:
            raise ValueError(f"the trees differ at {_difference(structure, found) or 'their static parts'}")
        columns.append(more)
    return unflatten(structure, [f(*row) for row in zip(*columns)])


def paths(tree: Any) -> list[str]:
    """The name of every leaf's place, in the order of `leaves`: `["layers.0.weight", …]`."""
    return places(flatten(tree)[1])


def places(structure: Structure) -> list[str]:
    """The name of every leaf's place in trees of this structure."""
    return _paths(structure, "")


class _Model:
    """The outermost model around a place: its leaves so far, and for all of its places which leaf they hold."""

    def __init__(self, ties: Sequence[int] | None) -> None:
        self.ties = ties  # the leaf that each place holds; None: the same object is the same leaf
        self.leaves: list[Any] = []
        self.places: list[int] = []
        self.numbers: dict[int, int] = {}  # an array's id → its number

    def place(self, x: Any) -> int:
        """The number of the leaf at the next place, where `x` stands."""
        if self.ties is not None:
            number = self.ties[len(self.places)]
        else:
            new = len(self.leaves)
            number = self.numbers.setdefault(id(x), new) if isinstance(x, (Tensor, ndarray)) else new
        self.places.append(number)
        if number == len(self.leaves):
            self.leaves.append(x)
        return number


def _take_apart(tree: Any, found: list[Any], model: _Model | None) -> Structure:
    parts = children_of(tree)
    if parts is None:
        if model is not None:
            known = len(model.leaves)
            if (number := model.place(tree)) < known:
                return Structure(Tie, number)
        found.append(tree)
        return LEAF
    meta, children = parts
    if model is None and type(tree) not in BUILT_IN and hasattr(tree, "tree_ties") and (ties := tree.tree_ties()) != ():
        model = _Model(ties)
    places = []
    for child in children:
        if model is None and (type(child) is Tensor or type(child) is ndarray):  # most are, and need no call
            found.append(child)
            places.append(LEAF)
        else:
            places.append(_take_apart(child, found, model))
    return Structure(type(tree), meta, tuple(places))


def _put_together(structure: Structure, rest: Any, model: _Model | None) -> Any:
    kind, meta, parts = structure
    if kind is None:
        leaf = next(rest)
        if model is not None:
            model.places.append(len(model.leaves))
            model.leaves.append(leaf)
        return leaf
    if kind is Tie:
        model.places.append(meta)  # type: ignore[union-attr]
        return model.leaves[meta]  # type: ignore[union-attr]
    if kind is type(None):
        return None
    ties = kind not in BUILT_IN and hasattr(kind, "tree_ties")
    if ties and model is None and _has_ties(structure):
        model = _Model(None)
    first = len(model.places) if model is not None else 0
    if model is None:
        children = [next(rest) if part is LEAF else _put_together(part, rest, None) for part in parts]
    else:
        children = [_put_together(part, rest, model) for part in parts]
    if ties and model is not None:
        return kind.tree_unflatten(meta, children, _numbered(model.places[first:]))  # type: ignore[attr-defined]
    if kind is dict and type(meta) is tuple:
        return dict(zip(meta, children))
    if kind is tuple or kind is list:
        return kind(children)
    if hasattr(kind, "tree_unflatten"):
        return kind.tree_unflatten(meta, children)  # pyright: ignore[reportAttributeAccessIssue]
    if issubclass(kind, (dict, list, tuple)):
        return refilled(kind, meta, children)
    return reconstructed(kind, meta, children)


def _has_ties(structure: Structure) -> bool:
    return structure.kind is Tie or any(_has_ties(part) for part in structure.children)


def _numbered(places: Sequence[int]) -> tuple[int, ...]:
    """The leaves that a part's places hold, counted within the part; () if it has no ties of its own."""
    numbers: dict[int, int] = {}
    ties = tuple(numbers.setdefault(k, len(numbers)) for k in places)
    return ties if len(numbers) < len(ties) else ()


def _count(structure: Structure) -> int:
    return 1 if structure.kind is None else sum(_count(child) for child in structure.children)


def _names(structure: Structure) -> Sequence[Any]:
    if structure.kind is Tie:
        return ()
    names = getattr(structure.kind, "tree_names", None)
    return names(structure.meta) if names else structure.meta or ()


def _paths(structure: Structure, prefix: str) -> list[str]:
    if structure.kind is None:
        return [prefix]
    dotted = f"{prefix}." if prefix else ""
    return [p for name, part in zip(_names(structure), structure.children) for p in _paths(part, f"{dotted}{name}")]


def _difference(a: Structure, b: Structure, path: str = "") -> str:
    """Where two structures part, in words; empty if only static values differ."""
    if a.kind is not b.kind or len(a.children) != len(b.children):
        what = [getattr(s.kind, "__name__", "a leaf") + f" of {len(s.children)}" * bool(s.kind) for s in (a, b)]
        return f"'{path or 'the top'}': {what[0]} against {what[1]}"
    for name, left, right in zip(_names(a), a.children, b.children):
        if left != right and (found := _difference(left, right, f"{path}.{name}".strip("."))):
            return found
    return ""
