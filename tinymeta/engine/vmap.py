"""`vmap`: write a function for one example, run it for all of them at once.

No primitive has a batching rule. On entry an argument's batch axis becomes a hidden leading axis;
axes are stored as negative numbers, so no operation notices; on exit the hidden axis becomes
visible again. Both steps are recorded operations, each the other's VJP (`structure.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tinymeta.engine import tree
from tinymeta.engine.convert import as_tensor
from tinymeta.engine.errors import ShapeError, user_site
from tinymeta.engine.options import whole
from tinymeta.engine.primitive import bind
from tinymeta.engine.state import Opened, setting, state
from tinymeta.engine.structure import enter, leave, lift
from tinymeta.engine.tensor import Tensor
from tinymeta.engine.typing import Tree, Y
from tinymeta.trees.containers import children_of


def vmap(f: Callable[..., Y], in_axes: Tree = 0, out_axes: Tree = 0) -> Callable[..., Y]:
    """`f` for one example becomes a function of many.

    Shapes: f: (…) → (…) becomes (n, …) → (n, …), or n at the axes named.
    Raises: ShapeError for batch axes that are missing or of several sizes: `tm.vmap(tm.add)([1.0], [1.0, 2.0])`;
    ValueError for axes of another structure than the arguments: `tm.vmap(tm.add, (0, 0, 0))([1.0], [1.0])`; UserError
    if f draws random numbers, for it runs once: all examples would get the same (`Dropout` draws for each).

    Parameters
    ----------
    f
        Its arguments and results are pytrees of Tensors.
    in_axes
        The batch axis of every argument, or None for what all examples share: one int or None for all
        arguments, or a tuple with an entry per argument, each a pytree prefix of that argument.
    out_axes
        Where the batch axis goes in the results: an int, or a pytree prefix of the result.

    Examples
    --------
    >>> tm.vmap(tm.grad(lambda x: x * x))(np.array([1.0, 2.0, 3.0])).tolist()
    [2.0, 4.0, 6.0]
    """

    def batched(*args: Tree) -> Tree:
        axes_of_args = tuple(in_axes) if isinstance(in_axes, (tuple, list)) else (in_axes,) * len(args)
        if len(axes_of_args) != len(args):
            raise ValueError(f"in_axes has {len(axes_of_args)} entries for {len(args)} arguments ({user_site()})")
        inputs, structure = tree.flatten(args)
        axes = _axes(axes_of_args, args)
        xs = [None if a is None else as_tensor(x) for x, a in zip(inputs, axes)]
        size = _size(xs, axes)
        with _opened(size):
            entered = [x if t is None else _enter(t, a) for x, t, a in zip(inputs, xs, axes)]
            result = f(*tree.unflatten(structure, entered))
            outputs, out_structure = tree.flatten(result)
            left = [_leave(as_tensor(y), a, size) for y, a in zip(outputs, _axes(out_axes, result))]
        return tree.unflatten(out_structure, left)

    return batched


@contextmanager
def _opened(size: int) -> Iterator[None]:
    """One more level of hidden axes, for `size` examples, while the `with` block runs."""
    run = Opened(size)
    try:
        with setting(opened=(*state.opened, run)):
            yield
    finally:
        run.over = True


def _enter(x: Tensor, axis: int | None) -> Tensor:
    if axis is None:
        return x
    axis = axis - x.ndim if axis >= 0 else axis
    return bind(enter, x, axis=axis, at=x.batch, rise=state.level - x.batch)


def _leave(y: Tensor, axis: int | None, size: int) -> Tensor:
    level = state.level
    if axis is None:
        if y.batch == level and y.array.shape[level - 1] != 1:
            raise ValueError("out_axes=None is for results that are the same for every example, and this one isn't")
        return _leave(y, 0, 1)[0]
    if y.batch < level:
        y = bind(lift, y, at=y.batch, rise=level - y.batch)
    rank = y.ndim + 1
    return bind(leave, y, axis=axis - rank if axis >= 0 else axis, at=level - 1, size=size, rise=-1)


def _axes(prefix: Tree, described: Tree) -> list[int | None]:
    """One axis per leaf of `described`, from a prefix tree in which an int or None stands for a whole subtree."""
    parts, children = children_of(prefix), children_of(described)
    if prefix is None or parts is None:
        return [prefix if prefix is None else whole(prefix, "a batch axis")] * len(tree.leaves(described))
    if children is None or type(prefix) is not type(described) or parts[0] != children[0]:
        raise ValueError(f"in_axes or out_axes has another structure than what it describes ({user_site()})")
    axes = [axis for p, w in zip(parts[1], children[1]) for axis in _axes(p, w)]
    if len(axes) != len(tree.leaves(described)):
        raise ValueError(f"in_axes or out_axes goes into a model with tied weights ({user_site()}): give it one axis")
    return axes


def _size(xs: list[Tensor | None], axes: list[int | None]) -> int:
    sizes = set()
    for x, a in zip(xs, axes):
        if x is not None and a is not None:
            if not -x.ndim <= a < x.ndim:
                raise ShapeError(f"vmap has no axis {a} in an argument of shape {x.shape} ({user_site()})")
            sizes.add(x.shape[a])
    if len(sizes) != 1:
        found = f"sizes {sorted(sizes)}" if sizes else "no batch axis at all"
        raise ShapeError(f"vmap needs batch axes of one size and found {found} ({user_site()}): check in_axes")
    return sizes.pop()
