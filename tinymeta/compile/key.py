"""What a recording is for: arguments as a key, which is equal for two calls just if one program serves both.

Numbers count by shape and dtype. All else counts by type and content, as it is at this moment, down to the attributes
of plain objects: `(2,)`, `(2.0,)` and `(True,)` are three keys, and a dict changed in place is another one.
"""

from __future__ import annotations

import functools
import hashlib
import operator
import sys
from collections import deque
from collections.abc import Callable
from types import BuiltinFunctionType, CellType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from tinymeta.engine import tree
from tinymeta.engine.tensor import Array, Tensor
from tinymeta.trees.containers import attributes

DIGESTED = 256  # arrays of more bytes are kept as a digest
_PLAIN = (int, bool, bytes, type(None), type(...))
# What says all about an object, besides its kind.
_PARTS: dict[tuple[type, ...], Callable[[Any], tuple[Any, ...]]] = {
    (slice, range): lambda x: (x.start, x.stop, x.step),
    (MethodType,): lambda x: (x.__func__, x.__self__),
    (functools.partial, functools.partialmethod): lambda x: (x.func, x.args, x.keywords),
    (operator.attrgetter, operator.methodcaller): lambda x: x.__reduce__()[:2],  # keywords are in the first of them
}
_IDENTITIES = (type, ModuleType, BuiltinFunctionType, np.ufunc, np.random.Generator, np.random.RandomState)


class Same:
    """An object that equals only itself; the key keeps it alive, so that no other can take its place in memory."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)


def of_structure(structure: tree.Structure) -> Any:
    """The key of a tree without its leaves. The classes' own static values count by content."""
    kind, meta, children = structure
    if kind is None:
        return None
    keys = None if kind is tuple or kind is list else frozen(meta)
    return kind, keys, *[of_structure(child) for child in children]


def says_all(structure: tree.Structure) -> bool:
    """Whether structures that equal this one in the same order have its key: it holds only positions and names."""
    kind, meta, children = structure
    if kind is dict:
        named = set(map(type, meta)) <= {str} and not getattr(meta, "held", None)
    else:
        sequence = kind is not None and issubclass(kind, (tuple, list)) and not hasattr(kind, "tree_flatten")
        named = kind in (None, type(None)) or (sequence and type(meta) is tuple)
    return named and all(map(says_all, children))


def leaves_like(x: Any, structure: tree.Structure, found: list[Any]) -> bool:
    """Whether the tree `x` has a structure that says all, with its dicts in the same order; its leaves go to `found`.

    To follow a known structure takes a third of the time of taking a tree apart and comparing.
    """
    kind: Any = structure.kind
    meta, parts = structure.meta, structure.children
    if type(x) is not kind:
        return False
    children: Any = x
    if kind is dict:
        stood = getattr(meta, "stood", meta)
        if tuple(x) != stood:
            return False
        children = x.values() if stood is meta else [x[name] for name in meta]
    elif x is None:
        return True
    elif len(x) != len(parts) or getattr(x, "__dict__", None):
        return False
    for child, part in zip(children, parts):
        if part is tree.LEAF:
            if type(child) is not Tensor and type(child) is not np.ndarray and tree.flatten(child)[1] is not tree.LEAF:
                return False
            found.append(child)
        elif not leaves_like(child, part, found):
            return False
    return True


class _HoldsNumbers(Exception):
    """An object is known by identity alone."""


def of_leaf(x: object) -> Any:
    """The key of a leaf that is no number: its content; an object that holds Tensors or arrays (a trainer, whose
    methods are compiled) is itself, and what its attributes are is for `captured.py` to see."""
    if isinstance(x, (np.ndarray, FunctionType)) or type(x) in (str, *_PLAIN):
        return frozen(x)
    return Same(x) if holds_numbers(x) else frozen(x)


def holds_numbers(x: object) -> bool:
    """Whether an object holds Tensors or arrays, however deep."""
    try:
        frozen(x, (_OBJECT,))
    except _HoldsNumbers:
        return True
    return False


_OBJECT = 0  # no object's id: says that the outermost one must hold no numbers


def frozen(value: Any, above: tuple[int, ...] = ()) -> Any:
    """`value` as it is now, in a form that can be compared and hashed: types count, and so does all that it holds.

    `above` are the ids of the objects that hold it, so that a circle comes to an end.
    """
    kind = type(value)
    if kind is str:
        return value  # the only kind that stands for itself
    if kind in _PLAIN:
        return kind, value
    if kind is float:
        return kind, value.hex()  # −0.0 is not 0.0, and NaN is NaN
    if kind is complex:
        return kind, value.real.hex(), value.imag.hex()
    if id(value) in above:
        return "again", len(above) - above.index(id(value))
    return _contents(value, kind, (*above, id(value)))


def _contents(value: Any, kind: type, above: tuple[int, ...]) -> Any:
    def all_of(values: Any) -> tuple[Any, ...]:
        return tuple([frozen(x, above) for x in values])

    if isinstance(value, (Tensor, np.ndarray)) and above[0] == _OBJECT:
        raise _HoldsNumbers
    if isinstance(value, np.ndarray):
        return kind, *of_array(value)
    if isinstance(value, np.generic):
        return kind, *of_array(np.asarray(value))
    if isinstance(value, Tensor):
        return kind, *of_array(value.array)
    if isinstance(value, _IDENTITIES):
        return Same(value)
    if isinstance(value, (tuple, list, deque)):
        return kind, getattr(value, "maxlen", None), *all_of(value), *_attributes(value, above)
    if isinstance(value, dict):
        made = frozen(getattr(value, "default_factory", None), above)
        return kind, made, *zip(all_of(value), all_of(value.values())), *_attributes(value, above)
    if isinstance(value, (set, frozenset)):
        return kind, *all_of(value), *_attributes(value, above)  # equal sets may be walked through in another order
    if isinstance(value, FunctionType):
        held = (value.__defaults__, value.__kwdefaults__, _cells(value))
        return Same(value.__code__), Same(value.__globals__), *all_of(held), *_attributes(value, above)
    if parts := parts_of(value):
        return kind, *all_of(parts)
    if isinstance(value, memoryview):
        return kind, value.format, value.shape, bytes(value)
    if _compares_itself(kind):
        return kind, value, repr(value)  # 1.0 and 1.00 are equal Decimals, one instant has many time zones
    found = _attributes(value, above)
    if any(map(_compares_itself, kind.__mro__)):  # a date or a number, of a class of the user's
        found = (frozen(value.__reduce_ex__(2)[1], above), *found)
    return (kind, *found) if found else Same(value)


def parts_of(x: object) -> tuple[Any, ...]:
    """The objects that one is made of, if it is made of nothing else."""
    return next((parts(x) for kinds, parts in _PARTS.items() if isinstance(x, kinds)), ())


def of_array(x: Array) -> tuple[Any, ...]:
    """Shape, dtype and numbers (large ones as a digest; objects one by one)."""
    if x.dtype.hasobject:
        return x.shape, x.dtype.str, frozen(x.tolist())
    content = x.tobytes()
    if len(content) > DIGESTED:
        content = hashlib.blake2b(content, digest_size=32).digest()
    return x.shape, str(x.dtype), content


def _compares_itself(kind: type) -> bool:
    """Whether objects of this class are values of the standard library or NumPy: dates, fractions, paths, dtypes."""
    library = kind.__module__.partition(".")[0]
    known = (library in sys.stdlib_module_names and library != "__main__") or library == "numpy"
    return known and any("__eq__" in vars(base) for base in kind.__mro__[:-1]) and kind.__hash__ is not None


def _attributes(value: object, above: tuple[int, ...]) -> tuple[Any, ...]:
    return tuple([(name, frozen(x, above)) for name, x in attributes(value).items()])


def _cells(f: FunctionType) -> list[Any]:
    """What a function closes over."""
    return [cell.cell_contents for cell in f.__closure__ or () if cell != _EMPTY]


_EMPTY = CellType()
