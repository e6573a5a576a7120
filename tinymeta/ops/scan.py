"""`scan`: one function, turn after turn, on what it made in the turn before."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinymeta.engine import tree
from tinymeta.engine.convert import as_tensor
from tinymeta.engine.errors import ShapeError, user_site
from tinymeta.engine.options import whole
from tinymeta.engine.state import state
from tinymeta.engine.tensor import Tensor
from tinymeta.engine.typing import DType, Tree
from tinymeta.ops.arrange import unstack
from tinymeta.ops.checkpoint import checkpoint as checkpointed
from tinymeta.ops.loop import rolled
from tinymeta.ops.tree import stack


def scan(
    f: Callable[[Tree, Tree], tuple[Any, Any]],
    carry: Tree,
    xs: Tree = None,
    length: int | None = None,
    *,
    reverse: bool = False,
    checkpoint: bool | int = False,
) -> tuple[Any, Any]:
    """Run `carry, y = f(carry, x)` for each x of `xs` in turn: a recurrent cell over a sequence, or steps of learning.

    Shapes: a carry of any shapes, xs of leaves (n, …) → the last carry, and leaves (n, …) of what the turns said.
    Raises: ShapeError if the first axes differ, or nothing says how many turns there are:
    `tm.scan(lambda s, x: (s, s), 0.0)`; TypeError if `f` returns something else than a pair, or a carry unlike the one
    that came in: `tm.scan(lambda s, x: s + x, 0.0, np.ones(1))`.

    Parameters
    ----------
    f
        Takes the carry and one slice of `xs`; returns the next carry, alike in structure, shapes and dtypes, and
        what this turn has to say. Both are pytrees; it may use Tensors from outside besides.
    carry
        What goes into the first turn: a pytree of arrays and numbers.
    xs
        A pytree of arrays with first axes of one length, along which they are taken apart; None: there is nothing
        to take, x is None, and `length` says how many turns there are.
    length
        The number of turns, if `xs` doesn't say it; if both do, they agree.
    reverse
        Whether to go from the last x to the first. What was said of x number t stands at t all the same.
    checkpoint
        What is kept for the gradient: everything (False), or every k-th carry alone (k, or True for about √length),
        from where the sweep runs k turns again. Time for memory, see `tm.checkpoint`.

    Returns
    -------
    The last carry, and what the turns said, stacked along a new first axis. Without any turn these are empty, and
    `f` runs once, on zeros, to say of what shape.

    Notes
    -----
    In a compiled function it is one operation: the body is recorded once, first call and program don't grow with the
    number of turns, and the gradient of what all turns share is one product. Where `f` asks for a value, draws, or
    changes what its Python code can see, the turns are written out one after the other, and `report()` says why.

    Examples
    --------
    >>> total, sums = tm.scan(lambda s, x: (s + x, s + x), 0.0, np.array([1.0, 2.0, 3.0]))
    >>> total, sums
    (tensor(6.), tensor([1., 3., 6.]))
    """
    found, structure = tree.flatten(xs)
    arrays = [as_tensor(x) for x in found]
    turns = _turns(arrays, length)
    carry = tree.map(as_tensor, carry)
    if not turns:
        return carry, _nothing(f, carry, tree.unflatten(structure, [_zeros(x.shape[1:], x.dtype) for x in arrays]))
    every = _every(checkpoint, turns) if checkpoint else turns
    if any(watcher.rolls for watcher in state.watchers):
        return _at_once(f, carry, tree.unflatten(structure, arrays), turns, reverse, every)
    slices = [unstack(x) for x in arrays]
    items = [tree.unflatten(structure, [s[t] for s in slices]) for t in range(turns)]

    def part(carry: Tree, items: Sequence[Any]) -> tuple[Any, list[Any]]:
        said = []
        for x in items:
            carry, y = _turn(f, carry, x)
            said.append(y)
        return carry, said

    if reverse:
        items.reverse()
    run = checkpointed(part) if checkpoint else part
    ys: list[Any] = []
    for start in range(0, turns, every):
        carry, said = run(carry, items[start : start + every])
        ys += said
    return carry, stack(ys[::-1] if reverse else ys)


def _at_once(
    f: Callable[[Tree, Tree], Tree], carry: Tree, xs: Tree, turns: int, reverse: bool, every: int
) -> tuple[Tree, Tree]:
    """The scan for whoever looks on and wants it as one operation."""
    (carries, of_carry), (slices, of_slice) = tree.flatten(carry), tree.flatten(xs)
    said: list[tree.Structure] = []

    def turn(carries: list[Tensor], slices: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        made, y = _turn(f, tree.unflatten(of_carry, carries), tree.unflatten(of_slice, slices))
        ys, of_y = tree.flatten(y)
        said[:] = [of_y]
        return tree.leaves(made), [as_tensor(y) for y in ys]

    made, ys = rolled(turn, carries, slices, turns, reverse, every, f)
    return tree.unflatten(of_carry, made), tree.unflatten(said[0], ys)


def _turns(arrays: Sequence[Tensor], length: int | None) -> int:
    """How many turns there are: the length of all first axes."""
    if flat := [x.dtype for x in arrays if not x.ndim]:
        raise ShapeError(f"scan takes xs apart along their first axes, and a {flat[0]} number has none ({user_site()})")
    lengths = {x.shape[0] for x in arrays} | ({whole(length, "length")} if length is not None else set())
    if len(lengths) != 1:
        what = f"found {sorted(lengths)}" if lengths else "nothing says it: pass xs or length"
        raise ShapeError(f"scan needs one number of turns, and {what} ({user_site()})")
    if min(lengths) < 0:
        raise ShapeError(f"scan can't take {length} turns ({user_site()})")
    return lengths.pop()


def _every(checkpoint: bool | int, turns: int) -> int:
    every = math.isqrt(turns - 1) + 1 if checkpoint is True else whole(checkpoint, "checkpoint")
    if every < 1:
        raise ValueError(f"scan keeps every k-th carry, and k is at least 1, not {checkpoint} ({user_site()})")
    return every


def _turn(f: Callable[[Tree, Tree], Tree], carry: Tree, x: Tree) -> tuple[Any, Any]:
    """`f(carry, x)`, whose carry is of the kind that came in."""
    made = f(carry, x)
    if type(made) is not tuple or len(made) != 2:
        raise TypeError(f"scan's function returns (carry, y), and this one a {type(made).__name__} ({user_site()})")
    before, structure = tree.flatten(carry)
    after, found = tree.flatten(made[0])
    if found != structure:
        raise TypeError(f"scan's carry comes out in another structure than it went in ({user_site()})")
    after = [as_tensor(new, old.dtype) for new, old in zip(after, before)]
    for name, new, old in zip(tree.paths(carry), after, before):
        if (new.shape, new.dtype) != (old.shape, old.dtype):
            what = f"carry {name}".rstrip()
            raise TypeError(
                f"scan's {what} goes in as {old.dtype} of shape {old.shape} and comes out as {new.dtype} of shape "
                f"{new.shape} ({user_site()}): start with what each turn gives"
            )
    return tree.unflatten(structure, after), made[1]


def _nothing(f: Callable[[Tree, Tree], Tree], carry: Tree, x: Tree) -> Any:
    """What no turns say: arrays of length 0, of the shapes that one turn gives."""
    said = _turn(f, tree.map(lambda c: _zeros(c.shape, c.dtype), carry), x)[1]
    return tree.map(lambda y: _zeros((0, *y.shape), y.dtype), tree.map(as_tensor, said))


def _zeros(shape: tuple[int, ...], dtype: DType) -> Tensor:
    return Tensor(np.zeros(shape, dtype))
