"""A program whose loops were rewritten gives what it gave before: both run on symbols, turn by turn.

Symbols (`place/symbols.py`) add up alike in any order, so what stands outside of a loop in one program, and inside of
it in the other, has to be the same bit for bit.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import TypeAlias

import numpy as np

from tinymeta.compile.place import symbols
from tinymeta.compile.program.calls import Call, Check, Part
from tinymeta.compile.program.loop import Loop
from tinymeta.compile.program.operations import Input, Shape
from tinymeta.compile.program.program import Node, Program
from tinymeta.compile.verify import Broken
from tinymeta.engine.tensor import Array
from tinymeta.engine.typing import Tree

Value: TypeAlias = Tree  # an array, a loop's several, or a seed for what a kernel makes
LARGE = 1 << 22  # elements of all turns of all loops: larger ones are left to the check of results


def check(before: Program, after: Program, image: Mapping[int, int], stage: str) -> None:
    """Raise `Broken` where node `image[i]` of `after` isn't what node i of `before` is."""
    if tuple(image.get(i, -1) for i in before.results) != after.results:
        raise Broken(stage, "the results", f"{before.results} became {after.results}")
    if max(map(_elements, (before, after))) > LARGE:
        return
    given = {n.op.position: _drawn(n.op.position, n.shape) for n in before.nodes if isinstance(n.op, Input)}
    old, new = _values(before, given), _values(after, given)
    for i, at in image.items():
        node, there = before.nodes[i], after.nodes[at]
        if (node.shape, node.dtype) != (there.shape, there.dtype):
            raise Broken(stage, f"node {i}, {node.op}", f"it became {there.op} of {there.shape}, {there.dtype}")
        if node.dtype is not None and not np.array_equal(old[i], new[at]):
            raise Broken(stage, f"node {i}, {node.op}", f"{there.op} is something else")


def _elements(program: Program) -> int:
    inner = sum(n.op.turns * _elements(n.op.body) for n in program.nodes if isinstance(n.op, Loop))
    return inner + sum(n.size for n in program.nodes if not n.op.view)


def _values(program: Program, given: Mapping[int, Array]) -> list[Value]:
    """What all nodes are, as symbols."""
    loops, values = symbols.Loops(program), list[Value]()
    for node in program.nodes:
        values.append(_value(program, node, [values[x] for x in node.inputs], given, loops))
    return values


def _value(program: Program, node: Node, xs: list[Value], given: Mapping[int, Array], loops: symbols.Loops) -> Value:
    if isinstance(node.op, Input):
        return given[node.op.position]
    if node.value is not None:
        return symbols.applied("constant", np.array(np.real(node.value), float).view(np.int64))
    if isinstance(node.op, Loop):
        body = node.op.body

        def turn(_: int, slices: list[Array]) -> list[Array]:
            values = _values(body, dict(enumerate(slices)))
            return [values[i] for i in body.results]

        return node.op(*xs, run=turn)
    if isinstance(node.op, Part):
        return xs[0][node.op.index] if isinstance(xs[0], tuple) else _drawn(xs[0] + node.op.index, node.shape)
    if isinstance(node.op, (Call, Check)):  # whatever it makes, of the same it makes the same
        seed = zlib.crc32(repr((node.op.key, *map(np.ndarray.tobytes, xs))).encode())
        return seed if node.dtype is None else _drawn(seed, node.shape)
    return symbols.value(program, node, xs, loops)


def _drawn(seed: int, shape: Shape) -> Array:
    return symbols.drawn(np.random.default_rng(seed), shape)
