"""Faults to plant in a primitive's rule, to see whether a test notices.

A test that can't fail proves nothing. Each fault here is one that has been shipped by some engine: a wrong
factor, a gradient forgotten, a sum over broadcast axes forgotten, a value cut off from the record (right
at first order, wrong at second), arguments mixed up, a constant in single precision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinymeta.engine.primitive import Primitive, bind
from tinymeta.engine.structure import add, astype, stop_gradient
from tinymeta.engine.tensor import Array, Tensor
from tinymeta.engine.typing import Static
from tinymeta.ops.elementwise import subtract
from tinymeta.testing.oracle import replaced

Entries = list[Tensor | None]


class Rule:
    """A primitive's rule with a fault in it, which notes whether the fault has made any difference."""

    def __init__(self, primitive: type[Primitive], fault: str, entry: int) -> None:
        self.right, self.fault, self.entry = primitive.vjp, FAULTS[fault], entry
        self.effective = False

    def __call__(self, g: object, y: object, *inputs: Tensor, **static: Any) -> tuple[Tensor | None, ...]:
        right = self.entries(g, y, inputs, static)
        wrong = self.fault(self, right, g, y, inputs, static)
        self.effective = self.effective or any(_differs(a, b) for a, b in zip(right, wrong))
        return tuple(wrong)

    def entries(self, g: object, y: object, inputs: tuple[Tensor, ...], static: Static) -> Entries:
        """What the right rule gives, with every entry computed."""
        given = self.right(g, y, *inputs, **static)  # type: ignore[misc]
        given = given if isinstance(given, tuple) else (given,)
        return [h if h is None or isinstance(h, Tensor) else h() for h in given]


@contextmanager
def planted(primitive: type[Primitive], fault: str, entry: int = 0) -> Iterator[Rule]:
    """Inside the block, the rule of `primitive` is wrong in the way that `fault` names (a key of `FAULTS`).

    `entry` says for which input. Put your own tests inside, and see whether they notice. A primitive that declares no
    rule, for it is differentiated as its plain form, has none to spoil: that is a ValueError.
    """
    if primitive.vjp is None or primitive.vjp is primitive.plain:
        raise ValueError(f"{primitive.__name__} declares no rule of its own in which a fault could be planted")
    with replaced(primitive, "vjp", rule := Rule(primitive, fault, entry)):
        yield rule


def _unsummed(rule: Rule, right: Entries, g: object, y: object, inputs: tuple[Tensor, ...], _: object) -> Entries:
    """The shape is put right by taking the first of the entries that belong together, in place of their sum."""
    x = inputs[rule.entry]

    def first(h: Tensor) -> Tensor:
        lead = h.ndim - x.ndim
        key = [0] * lead + [slice(0, 1) if m == 1 else slice(None) for m in x.shape]
        return h[tuple(key)] if h.shape != x.shape else h

    return _changed(right, rule.entry, first)


def _values_cut_off(rule: Rule, right: Entries, g: Any, y: Any, inputs: tuple[Tensor, ...], static: Static) -> Entries:
    """Right at first order by construction: only a property of the second order can notice."""
    values = tuple(stop_gradient(v) for v in y) if isinstance(y, tuple) else stop_gradient(y)
    return rule.entries(g, values, tuple(stop_gradient(x) for x in inputs), static)


def _without_a_term(
    rule: Rule, right: Entries, g: object, y: object, inputs: tuple[Tensor, ...], static: Static
) -> Entries:
    """Every sum of two terms inside the rule keeps only its first."""

    def first(a: Array, b: Array) -> Array:
        return np.broadcast_to(a, np.broadcast_shapes(a.shape, b.shape)).astype(np.result_type(a, b))

    with replaced(add, "kernel", first), replaced(subtract, "kernel", first):
        return rule.entries(g, y, inputs, static)


def _swapped(rule: Rule, right: Entries, *_: Any) -> Entries:
    given = [i for i, h in enumerate(right) if h is not None]
    if len(given) < 2:
        return right
    wrong = list(right)
    wrong[given[0]], wrong[given[1]] = right[given[1]], right[given[0]]
    return wrong


def _single(rule: Rule, right: Entries, *_: Any) -> Entries:
    def rounded(h: Tensor) -> Tensor:
        if h.dtype != np.float64:
            return h
        return bind(astype, bind(astype, h, dtype=np.dtype("f4")), dtype=h.dtype)

    return _changed(right, rule.entry, rounded)


FAULTS: dict[str, Callable[..., Entries]] = {
    "× 1.001": lambda rule, right, *_: _changed(right, rule.entry, lambda h: h * 1.001),
    "entry missing": lambda rule, right, *_: [None if i == rule.entry else h for i, h in enumerate(right)],
    "a term dropped": _without_a_term,
    "broadcast not summed": _unsummed,
    "result detached": lambda rule, right, *_: _changed(right, rule.entry, lambda h: stop_gradient(h)),
    "values detached": _values_cut_off,
    "arguments swapped": _swapped,
    "float32 constant": _single,
}


def _changed(right: Entries, i: int, change: Callable[[Tensor], Tensor]) -> Entries:
    return [change(h) if j == i and h is not None else h for j, h in enumerate(right)]


def _differs(a: Tensor | None, b: Tensor | None) -> bool:
    """Whether two entries differ in a number, or in what they depend on."""
    if a is None or b is None:
        return a is not b
    if a.shape != b.shape or not np.array_equal(a.array, b.array, equal_nan=True):
        return True
    return a.requires_grad and not _leaves(a) <= _leaves(b)


def _leaves(t: Tensor) -> set[int]:
    """The recorded Tensors without inputs that `t` was made from."""
    found, seen, stack = set(), set(), [t]
    while stack:
        node = stack.pop()
        if node.id not in seen:
            seen.add(node.id)
            stack.extend(node.inputs)
            if not node.inputs and node.requires_grad:
                found.add(node.id)
    return found
