"""A rewritten program gives, node for node, the numbers of the program before.

Both run on small integers, in float64. What is not a polynomial of its inputs, an argument or a kernel's result, is a
free variable: any numbers do, the same in both programs, and the rule is that it reads the same numbers. What is one
(a product, a sum, a multiple, a view) is computed in both programs. Where a node of the old program lives on in the
new one, the two values are compared, and the old one continues with the new one's, so that nothing adds up:

    |old − new|  ≤  (ε·n + ε′·w) Σ|products|         ε: float64's, n: numbers added up, ε′: the dtype's, w: weights

where the last sum is the same polynomial with all signs positive, and n and w are counted along the way.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinymeta.compile.program.operations import Cast, Constant, Contract, Copy, Elementwise, Reduce, Scale, Ufunc
from tinymeta.compile.program.views import Reshape
from tinymeta.compile.verify import Broken
from tinymeta.engine.tensor import Array

if TYPE_CHECKING:
    from tinymeta.compile.program.program import Node, Program

STAGE = "rewritten program"
LARGE = 1 << 24  # numbers in one program: larger ones are left to the check of results
LARGEST = 2.0**40  # products of two such are far from float64's end
EPS = np.finfo(np.float64).eps


class Value(NamedTuple):
    """Numbers in float64, and what is known of their rounding: the bound above."""

    numbers: Array
    positive: Array  # the same polynomial with all signs positive
    added: float = 0.0
    weights: float = 0.0

    def bound(self, eps: float) -> Array:
        return (EPS * self.added + eps * self.weights) * self.positive


def check(before: Program, after: Program, image: Mapping[int, int], stage: str = STAGE) -> None:
    """Raise `Broken` where node `image[i]` of `after` isn't what node i of `before` is."""
    if tuple(image.get(i, -1) for i in before.results) != after.results:
        raise Broken(stage, "the results", f"{before.results} became {after.results}")
    if max(sum(n.size for n in p.nodes if not n.op.view) for p in (before, after)) > LARGE:
        return
    try:
        _compared(before, after, image, stage, LARGEST)
    except Broken:  # what stood for a number that had grown may have met that number again: so with all that grows
        _compared(before, after, image, stage, math.inf)


def _compared(before: Program, after: Program, image: Mapping[int, int], stage: str, largest: float) -> None:
    """Both programs, node by node, with numbers up to the largest."""
    rng = np.random.default_rng(0)
    old, new, last = _Values(before), _Values(after), before.last_read()
    images = Counter(image.values())
    made = 0
    for i, node in enumerate(before.nodes):
        at = image.get(i)
        if at is None:
            if not old.known(i, node):
                old.values[i] = None  # a reader of it has no equation
        else:
            fresh = at >= made
            for k in range(made, at + 1):
                new.compute(k, rng)
            made = max(made, at + 1)
            _compare(before, after, i, at, old, new, stage)
            if fresh and not after.nodes[at].op.view and images[at] == 1:
                new.shrink(at, rng, largest)
            old.values[i] = _shaped(new.values[at], node)
        for x in last[i]:
            old.values.pop(x, None)


def _compare(before: Program, after: Program, i: int, at: int, old: _Values, new: _Values, stage: str) -> None:
    """One node against its image."""
    node, there = before.nodes[i], after.nodes[at]
    where = f"node {i}, {node.op} of {node.shape}"
    alike = node.shape == there.shape or (node.size == there.size and i not in before.results)
    if not alike or node.dtype != there.dtype:
        raise Broken(stage, where, f"it became {there.op} of {there.shape}, {there.dtype}")
    if old.known(i, node):
        pairs = [(old.values[i], _shaped(new.values[at], node))]
    else:
        if isinstance(there.op, Reshape) and node.op != there.op:
            there = after.nodes[there.inputs[0]]
        same = node.op == there.op or (
            isinstance(node.op, Reduce) and node.op.ufunc is getattr(there.op, "ufunc", None)
        )
        if not same or len(node.inputs) != len(there.inputs):
            raise Broken(stage, where, f"no equation makes it {there.op}")
        sides = ((node, old.values), (there, new.values))
        pairs = list(zip(*([_seen(n, values[x]) for x in n.inputs] for n, values in sides)))
    for ours, theirs in pairs:
        if ours is None and theirs is None:  # a kernel's bundle of results: its parts are compared
            continue
        if ours is None or theirs is None:
            raise Broken(stage, where, "it reads what is gone")
        eps = float(np.finfo(node.dtype).eps) if node.dtype is not None and node.dtype.kind == "f" else EPS
        apart = abs(ours.numbers - theirs.numbers)
        if not (apart <= ours.bound(eps) + theirs.bound(eps)).all():
            raise Broken(stage, where, f"{there.op} differs by {apart.max():.3g} on integers up to 7")
    value = new.values[at]
    new.values[at] = None if value is None else Value(value.numbers, abs(value.numbers))


def _shaped(x: Value | None, node: Node) -> Value | None:
    """The value in the node's shape: what a node has become may lie in other axes."""
    if x is None or x.numbers.shape == node.shape:
        return x
    return x._replace(numbers=x.numbers.reshape(node.shape), positive=x.positive.reshape(node.shape))


def _seen(node: Node, x: Value | None) -> Value | None:
    """What each number of the node's result is made of, one after the other: an input of an elementwise operation as it
    broadcasts, or the numbers that are brought together in one; of other operations, the input as it is."""
    if x is None or not isinstance(node.op, (Elementwise, Reduce)):
        return x
    shape = x.numbers.shape
    gone = [k for k in range(len(shape)) if isinstance(node.op, Reduce) and k in node.op.axes]
    order = [k for k in range(len(shape)) if k not in gone] + gone
    whole = shape if gone else node.shape
    columns = max(1, math.prod(whole) // max(1, node.size))
    numbers, positive = (
        np.transpose(np.broadcast_to(y, whole), order).reshape(node.size, columns) for y in (x.numbers, x.positive)
    )
    return x._replace(numbers=numbers, positive=positive)


class _Values:
    """What is known of a program's nodes so far; None for what has no numbers."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.values: dict[int, Value | None] = {}

    def compute(self, i: int, rng: np.random.Generator) -> None:
        """Node i, a free variable where it isn't a polynomial."""
        node = self.program.nodes[i]
        if not self.known(i, node):
            self.values[i] = None if node.dtype is None else _free(node, rng)

    def shrink(self, i: int, rng: np.random.Generator, largest: float) -> None:
        """A free variable in place of numbers that have grown."""
        value = self.values[i]
        if value is not None and np.any(value.positive > largest):
            self.values[i] = _free(self.program.nodes[i], rng)

    def known(self, i: int, node: Node) -> bool:
        """Compute node i from its inputs, if it is a polynomial of them."""
        if node.value is not None and node.dtype.kind in "fiub":
            finite = np.nan_to_num(node.value.astype(float), nan=1.0, posinf=2.0, neginf=-2.0)
            self.values[i] = Value(finite, abs(finite))
            return True
        given = [self.values.get(x) for x in node.inputs]
        if not given or isinstance(node.op, Constant) or node.dtype is None or any(x is None for x in given):
            return False
        found = _polynomial(node, [x for x in given if x is not None])
        if found is not None:
            self.values[i] = found
        return found is not None


def _free(node: Node, rng: np.random.Generator) -> Value:
    numbers = rng.integers(1, 8, node.shape).astype(float)  # of one sign: sums don't vanish by chance
    return Value(numbers, abs(numbers))


def _polynomial(node: Node, given: list[Value]) -> Value | None:
    """The node's value, if its operation adds, multiplies or moves numbers."""
    op, x = node.op, given[0]
    added, weights = max(v.added for v in given), max(v.weights for v in given)
    compute: Any = op
    if op.view or isinstance(op, (Copy, Cast)):
        move: Any = op if op.view else (lambda y: y)
        return Value(move(x.numbers), move(x.positive), added, weights)
    if isinstance(op, Contract):
        inner = math.prod(n for n, k in zip(x.numbers.shape, op.a) if k not in op.out)
        added, weights = sum(v.added for v in given) + inner, sum(v.weights for v in given)
    elif isinstance(op, Reduce) and op.adds:
        added += x.numbers.size / max(1, node.size)
    elif isinstance(op, Ufunc) and op.signs:
        positive = x.positive if len(given) == 1 else x.positive + given[1].positive
        return Value(compute(*(v.numbers for v in given)), positive, added + 1, weights)
    elif op in (Ufunc(np.multiply), Scale()) and min(v.numbers.size for v in given) == 1:
        added, weights = sum(v.added for v in given) + 1, sum(v.weights for v in given) + 1
    elif op == Ufunc(np.divide) and given[1].numbers.size == 1 and given[1].numbers.all():
        weights += 1
    else:
        return None
    with np.errstate(all="ignore"):
        numbers, positive = compute(*(v.numbers for v in given)), compute(*(v.positive for v in given))
    return Value(numbers, positive, added, weights)
