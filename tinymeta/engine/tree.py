"""Pytrees: nested containers of Tensors, taken apart and put together again.

Containers are dicts, lists, tuples, NamedTuples, dataclasses, and any class with `tree_flatten()` and
`tree_unflatten()` (every `tm.nn.Module` has them). None and `tm.nn.constant` hold nothing; all else is a leaf. The
leaves of a dict come in the order of its sorted keys; what is put together has its order again, and the attributes
that a subclass added.

A Tensor that stands in several places of a model is one leaf, and whatever is put together with the model's
structure holds one value there: tied weights stay tied. Where values can't show it (numbers, or one Tensor put into
places that are not tied), the model remembers what was put where (`tree_ties`). In all other containers each place is
a leaf of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from numpy import ndarray

from tinymeta.engine.tensor import Tensor
from tinymeta.engine.typing import Tree
from tinymeta.trees.containers import BUILT_IN, NUMBERS, Constant, children_of, reconstructed, refilled

NUMBERS.append(Tensor)


class Structure(NamedTuple):
    """The shape of a tree without its leaves. Two trees fit together if their structures are equal."""

    kind: type | None  # None: a leaf
    meta: Any = None  # what the kind needs besides its children: keys, field names, static attributes
    children: tuple[Structure, ...] = ()


class Tie:
    """The kind of a place that holds the same as an earlier leaf of its model; `meta` is that leaf's number there."""


LEAF = Structure(None)
Place = tuple[Any, ...]  # the names that lead there
Ties = dict[Place, tuple[Any, int]]  # a place → what has been put there, and as which leaf


def flatten(tree: Tree) -> tuple[list[Any], Structure]:
    """The leaves of `tree`, from left to right, and its structure.

    Shapes: any tree → a list of its leaves as they are.
    Raises: TypeError for a dataclass with an array that is no field and that its constructor doesn't make again.

    >>> tm.tree.flatten({"w": 1.0, "b": [2.0, None]})[0]
    [2.0, 1.0]
    """
    found: list[Any] = []
    return found, _take_apart(tree, found, inside=False)


def unflatten(structure: Structure, leaves: Sequence[Any]) -> Tree:
    """The tree of this structure with these leaves: the inverse of `flatten`.

    Shapes: as many leaves as the structure holds, of any shape → a tree of them.
    Raises: ValueError for too few leaves, or too many: `tm.tree.unflatten(tm.tree.flatten([1.0])[1], [])`.

    >>> leaves, structure = tm.tree.flatten({"w": 1.0, "b": [2.0]})
    >>> tm.tree.unflatten(structure, [20, 10])
    {'w': 10, 'b': [20]}
    """
    rest = iter(leaves)
    try:
        tree = _put_together(structure, rest, None, _distinct(leaves))
    except StopIteration:
        raise ValueError("too few leaves for the structure") from None
    if next(rest, rest) is not rest:
        raise ValueError(f"too many leaves: the structure holds {len(places(structure))} and got {len(leaves)}")
    return tree


def leaves(tree: Tree) -> list[Any]:
    """The leaves of `tree`, from left to right; the keys of a dict are sorted.

    Shapes: any tree → a list of its leaves as they are.

    >>> tm.tree.leaves({"w": 1.0, "b": [2.0, None]})
    [2.0, 1.0]
    """
    return flatten(tree)[0]


def map(f: Callable[..., Any], tree: Tree, *rest: Tree) -> Tree:
    """A tree of `f(leaf, *leaves at the same place in rest)`.

    Shapes: trees of one structure → the same structure.
    Raises: ValueError where the trees differ in structure, naming the first such place:
    `tm.tree.map(max, [1], [1, 2])`.

    >>> tm.tree.map(lambda p, g: p - 0.5 * g, {"w": 1.0, "b": 2.0}, {"w": 2.0, "b": 0.0})
    {'w': 0.0, 'b': 2.0}
    """
    first, structure = flatten(tree)
    columns = [first]
    for other in rest:
        more, found = flatten(other)
        if found != structure:
            raise ValueError(f"the trees differ at {_difference(structure, found) or 'their static parts'}")
        columns.append(more)
    return unflatten(structure, [f(*row) for row in zip(*columns)])


def paths(tree: Tree) -> list[str]:
    """The name of every leaf's place, in the order of `leaves`.

    Shapes: any tree → a list of as many names as leaves.

    >>> tm.tree.paths({"layers": [{"weight": 1.0, "bias": 2.0}]})
    ['layers.0.bias', 'layers.0.weight']
    """
    return places(flatten(tree)[1])


def places(structure: Structure) -> list[str]:
    """The name of every leaf's place in trees of this structure."""
    return [".".join(map(str, place)) for place in _at(structure, (None,))]


def _take_apart(tree: Tree, found: list[Any], inside: bool) -> Structure:
    parts = children_of(tree)
    if parts is None:
        found.append(tree)
        return LEAF
    meta, children = parts
    outermost = not inside and type(tree) not in BUILT_IN and hasattr(tree, "tree_ties")
    first, places = len(found), []
    for child in children:
        if type(child) is Tensor or type(child) is ndarray:  # most are, and need no call
            found.append(child)
            places.append(LEAF)
        else:
            places.append(_take_apart(child, found, inside or outermost))
    structure = Structure(type(tree), meta, tuple(places))
    return _tied(tree, structure, found, first) if outermost else structure


def _tied(model: Tree, structure: Structure, found: list[Any], first: int) -> Structure:
    """A model's structure with its ties; of the leaves in its places, `found[first:]`, each one stays once."""
    held = found[first:]
    if _distinct(held):
        return structure
    numbers = _numbers(held, structure, _remembered(model, structure))
    leaves, parts = list[Any](), list[Structure]()
    for n, x in zip(numbers, held):
        parts.append(LEAF if n == len(leaves) else Structure(Tie, n))
        leaves += [x] if n == len(leaves) else []
    found[first:] = leaves
    return _filled(structure, iter(parts))


def _filled(structure: Structure, parts: Iterator[Structure]) -> Structure:
    """The structure with other parts in its leaves' places."""
    if structure.kind is None:
        return next(parts)
    return structure._replace(children=tuple([_filled(part, parts) for part in structure.children]))


def _remembered(tree: Tree, structure: Structure, at: Place = ()) -> Iterator[tuple[Place, Ties]]:
    """Where each model in `tree` stands, the outermost one last, and what it remembers."""
    for name, child, part in zip(names(structure), (children_of(tree) or ((), ()))[1], structure.children):
        yield from _remembered(child, part, (*at, name))
    if hasattr(tree, "tree_ties"):
        yield at, tree.tree_ties()


def _numbers(held: Sequence[object], structure: Structure, remembered: Iterable[tuple[Place, Ties]] = ()) -> list[int]:
    """Which leaf of a model each of its places holds.

    What a model remembers to have been put into a place, and is there still, holds what it was put there as. In all
    other places the same array is the same leaf, and nothing else is.
    """
    places = _at(structure)
    now = dict(zip(places, held))
    then = {(*at, *to): (at, n) for at, put in remembered for to, (x, n) in put.items() if now.get((*at, *to)) is x}
    known: dict[int, Any] = {id(now[place]): key for place, key in then.items()}
    keys = [
        then[place] if place in then
        else known.setdefault(id(x), place) if isinstance(x, (Tensor, ndarray))
        else place
        for place, x in now.items()
    ]  # fmt: skip
    return _from_zero(keys)


def _from_zero(keys: Iterable[Hashable]) -> list[int]:
    """0 for the first key and all that equal it, 1 for the next one, and so on."""
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(key, len(numbers)) for key in keys]


def _distinct(leaves: Sequence[object]) -> bool:
    return len({id(x) for x in leaves}) == len(leaves)


def _at(structure: Structure, kinds: tuple[type | None, ...] = (None, Tie)) -> list[Place]:
    """Where leaves and ties stand, or those of such kinds alone."""
    if not structure.children:
        return [()] * (structure.kind in kinds)
    return [(name, *rest) for name, part in zip(names(structure), structure.children) for rest in _at(part, kinds)]


class _Model:
    """The outermost model around a place: its leaves so far, and for all of its places which leaf they hold."""

    def __init__(self) -> None:
        self.leaves: list[Any] = []
        self.places: list[int] = []

    def ties(self, structure: Structure, first: int) -> Ties:
        """What a part, whose places are those from the `first` on, has to remember: nothing where one sees its ties."""
        numbers = self.places[first:]
        held = [self.leaves[n] for n in numbers]
        if _from_zero(numbers) == _numbers(held, structure):
            return {}
        return dict(zip(_at(structure), zip(held, numbers)))


def _put_together(structure: Structure, rest: Iterator[Any], model: _Model | None, plain: bool) -> Tree:
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
    if kind is Constant:
        return meta.array
    ties = kind not in BUILT_IN and hasattr(kind, "tree_ties")
    if ties and model is None and not (plain and not _has_ties(structure)):
        model = _Model()
    if model is None:
        children = [next(rest) if part is LEAF else _put_together(part, rest, None, plain) for part in parts]
    else:
        first = len(model.places)
        children = [_put_together(part, rest, model, plain) for part in parts]
        if ties and (known := model.ties(structure, first)):
            return kind.tree_unflatten(meta, children, known)  # type: ignore[attr-defined]
    if kind is dict:
        found = dict(zip(meta, children))
        return found if type(meta) is tuple else {key: found[key] for key in meta.stood}
    if kind is tuple or kind is list:
        return kind(children)
    if hasattr(kind, "tree_unflatten"):
        return kind.tree_unflatten(meta, children)  # pyright: ignore[reportAttributeAccessIssue]
    if issubclass(kind, (dict, list, tuple)):
        return refilled(kind, meta, children)
    return reconstructed(kind, meta, children)


def _has_ties(structure: Structure) -> bool:
    return structure.kind is Tie or any(_has_ties(part) for part in structure.children)


def names(structure: Structure) -> Sequence[Any]:
    """What the children of a container are called: keys, fields, attributes, places."""
    given = getattr(structure.kind, "tree_names", None)
    found = given(structure.meta) if given else structure.meta
    named = isinstance(found, tuple) and len(found) == len(structure.children)
    return found if named else range(len(structure.children))


def _difference(a: Structure, b: Structure, path: str = "") -> str:
    """Where two structures part, in words; empty if only static values differ."""
    if a.kind is not b.kind or len(a.children) != len(b.children):
        what = [getattr(s.kind, "__name__", "a leaf") + f" of {len(s.children)}" * bool(s.kind) for s in (a, b)]
        return f"'{path or 'the top'}': {what[0]} against {what[1]}"
    for name, left, right in zip(names(a), a.children, b.children):
        if found := _difference(left, right, f"{path}.{name}".strip(".")):
            return found
    return ""
