"""`checkpoint`: forget what happens inside a function, and do it again when its gradient is wanted.

A recorded program holds every intermediate value until it is differentiated. A checkpointed function
keeps its arguments and results only; the sweep runs it a second time, recorded, differentiates that
record at once and drops it. Memory for time: training through K inner steps needs the memory of one.

The rule that recomputes is itself checkpointed, so a second derivative keeps as little as the first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce, wraps
from typing import Any

import numpy as np

from tinymeta.engine import tree
from tinymeta.engine.convert import as_tensor
from tinymeta.engine.errors import Site, UserError, user_site
from tinymeta.engine.primitive import Primitive, bind, outputs_of
from tinymeta.engine.state import differentiating, setting, state
from tinymeta.engine.structure import lift
from tinymeta.engine.sweep import sweep
from tinymeta.engine.tensor import Tensor
from tinymeta.engine.typing import Function, Tree, Y


class unrecorded(Primitive):
    """The `n` results of a function that ran unrecorded, followed by what they depend on; `rule` is its VJP."""

    kernel = reference = staticmethod(lambda *arrays, rule, n: arrays[:n])
    domain, kinks, broadcasts, aligns, raw = (), (), False, False, True
    vjp = lambda g, y, *inputs, rule, n: (*(None,) * n, *rule(g, y, *inputs[n:]))


def checkpoint(f: Callable[..., Y]) -> Callable[..., Y]:
    """`f`, but nothing inside it is kept for the gradient: the sweep runs it again instead.

    Shapes: those of f.
    Raises: UserError (while differentiating) if `f` gave another result the second time.
    Source: Griewank & Walther 2008, chapter 12; Chen et al. 2016.

    Parameters
    ----------
    f
        Any function of pytrees. It must give the same result twice: no random numbers but those that are
        passed in, nothing counted or changed outside. It may use Tensors from outside besides its arguments.

    Returns
    -------
    A function with the same values, derivatives of every order, and derivative orders of its nodes.

    Examples
    --------
    >>> float(tm.grad(tm.checkpoint(lambda x: tm.sin(tm.sin(x))))(0.0))
    1.0
    """

    @wraps(f)
    def checkpointed(*args: Tree, **kwargs: Tree) -> Tree:
        inputs, structure = tree.flatten((args, kwargs))
        inputs = [kept(x) for x in inputs]
        followed = [i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]

        def run(xs: Sequence[Tensor]) -> tuple[list[Any], tree.Structure]:
            fresh = list(inputs)
            for i, x in zip(followed, xs):
                fresh[i] = x
            new_args, new_kwargs = tree.unflatten(structure, fresh)
            outputs, out_structure = tree.flatten(f(*new_args, **new_kwargs))
            return as_outputs(outputs, xs), out_structure

        xs = [inputs[i] for i in followed]
        birth = now()
        outputs, out_structure = run([constant(x) for x in xs])
        ys = floats(outputs)
        captured = outside(ys, birth)
        rule = _rule(run, ys, captured, birth, user_site())
        return tree.unflatten(out_structure, with_rule(outputs, [*xs, *captured], rule))

    return checkpointed


def _rule(run: Function, ys: Sequence[Tensor], captured: Sequence[Tensor], birth: int, site: Site) -> Function:
    """The VJP of a checkpointed call: recompute as it was computed, and sweep what that recorded."""
    before = [y.array for y in ys]

    def looked_at(again: Sequence[Tensor]) -> None:
        for a, b in zip(again, before):
            if not np.allclose(a.array, b, rtol=1e-3, atol=1e-6, equal_nan=True):
                raise UserError(
                    f"the function checkpointed at {site} gave another result when it was recomputed: "
                    "pass its random numbers in as arguments, and change nothing outside it"
                )

    pull = recomputing(lambda leaves: floats(run(leaves)[0]), captured, birth, looked_at)
    return lambda g, y, *xs: checkpoint(pull)(g, *xs)


def recomputing(run: Function, captured: Sequence[Tensor], birth: int, look: Function) -> Function:
    """Cotangents of what `run` made, and its inputs and then `captured`, to cotangents of these: it runs again, in the
    state that is now, and its record is swept. `look` sees the results."""
    order, maker, opened = state.order, state.maker, state.opened

    def pull(gs: Sequence[Tensor | None], *xs: Tensor) -> list[Tensor | None]:
        with setting(order=order, maker=maker, opened=opened, highest=math.inf), differentiating() as mark:
            leaves = [_leaf(x, mark) for x in xs]
            with setting(mask=reduce(int.__or__, [c.tracked for c in captured], state.mask)):
                again = run(leaves)
        look(again)
        theirs = dict(zip([c.id for c in captured], leaves[len(leaves) - len(captured) :]))
        _redirect(again, birth, theirs)
        return sweep([theirs.get(y.id, y) for y in again], gs, leaves)

    return pull


def with_rule(outputs: Sequence[Any], inputs: Sequence[Tensor], rule: Function) -> list[Any]:
    """`outputs`, cut off from their record; the floating-point ones depend on `inputs` through `rule` instead."""
    ys: Sequence[Tensor] = floats(outputs)
    if not inputs or not ys:
        return with_floats(outputs, [constant(y) for y in ys])
    most = max(ys, key=lambda y: y.batch)
    ys = outputs_of(bind(unrecorded, *[_cut(copied(y, most)) for y in ys], *inputs, rule=rule, n=len(ys)))
    return with_floats(outputs, ys)


def outside(ys: Sequence[Tensor], birth: int) -> list[Tensor]:
    """The Tensors older than `birth` that `ys` were made from and that a differentiation follows."""
    nodes = {y.id: y for y in ys}
    for node in _since(ys, birth):
        nodes.update((x.id, x) for x in node.inputs)
    return [x for i, x in nodes.items() if i < birth and x.requires_grad]


def as_outputs(values: Sequence[Any], xs: Sequence[Tensor]) -> list[Any]:
    """The results of a function of `xs`, arrays and floats among them as Tensors: these can have a gradient, too."""
    if not xs:
        return list(values)
    return [as_tensor(y, xs[0].dtype) if isinstance(y, (np.ndarray, np.generic, float)) else y for y in values]


def kept(value: Any) -> Any:
    """An argument for a function that runs again later: arrays as they are now, whatever is written into them."""
    if isinstance(value, np.ndarray):
        return value.copy("K")
    foreign = not isinstance(value, (Tensor, np.generic)) and (
        hasattr(value, "__array__") or hasattr(value, "__dlpack__")
    )
    return as_tensor(value) if foreign else value


def floats(values: Sequence[Any]) -> list[Tensor]:
    """The floating-point Tensors among `values`: what a gradient can concern."""
    return [y for y in values if _is_float(y)]


def with_floats(values: Sequence[Any], ys: Sequence[Any]) -> list[Any]:
    """`values` with `ys` in place of the floating-point Tensors: what `floats` takes out, put back."""
    rest = iter(ys)
    return [next(rest) if _is_float(value) else value for value in values]


def _is_float(value: object) -> bool:
    return isinstance(value, Tensor) and value.dtype.kind in "fc"


def now() -> int:
    """An id between those of the Tensors that exist and those yet to come."""
    return Tensor(np.empty(0)).id


def _since(ys: Sequence[Tensor], birth: int) -> list[Tensor]:
    """The recorded nodes that `ys` were made from, as far back as `birth`."""
    seen: dict[int, Tensor] = {}
    stack = list(ys)
    while stack:
        node = stack.pop()
        if node.id >= birth and node.id not in seen:
            seen[node.id] = node
            stack.extend(node.inputs)
    return list(seen.values())


def _redirect(ys: Sequence[Tensor], birth: int, leaves: dict[int, Tensor]) -> None:
    """Let the nodes of a fresh record depend on `leaves` in place of the Tensors of those ids."""
    for node in _since(ys, birth):
        if any(x.id in leaves for x in node.inputs):
            node.inputs = tuple(leaves.get(x.id, x) for x in node.inputs)


def constant(x: Tensor) -> Tensor:
    """`x` without its past. Not `stop_gradient`: that would be for good, and here a rule takes over."""
    return _cut(copied(x, x))


def _cut(x: Tensor) -> Tensor:
    x.tracked, x.primitive, x.inputs = 0, None, ()
    return x


def _leaf(x: Tensor, mark: int) -> Tensor:
    leaf = copied(x, x)
    leaf.tracked |= mark * (x.dtype.kind in "fc")
    return leaf


def copied(x: Tensor, like: Tensor) -> Tensor:
    """`x` as a new Tensor with as many hidden axes as `like`, of the same `vmap`s."""
    with setting(opened=like.opened):
        return bind(lift, x, at=x.batch, rise=like.batch - x.batch)
