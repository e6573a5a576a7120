"""`custom_vjp`: a function with a gradient rule of its own, where the one that its operations imply won't do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from tinymeta.engine import tree
from tinymeta.engine.convert import as_tensor
from tinymeta.engine.errors import ShapeError, UserError, user_site
from tinymeta.engine.state import inside, setting, state
from tinymeta.engine.structure import today, zeros_like
from tinymeta.engine.tensor import Tensor
from tinymeta.engine.typing import Function, Tree, Y
from tinymeta.ops.checkpoint import as_outputs, constant, floats, kept, now, outside, with_floats, with_rule


def custom_vjp(f: Callable[..., Y], vjp: Function) -> Callable[..., Y]:
    """`f` with `vjp` as its gradient rule; what happens inside `f` is not recorded.

    Shapes: those of f; an entry of the rule has that of its argument.
    Raises: UserError if `f` uses a Tensor that is being differentiated and is not among its arguments: the rule has no
    place for its gradient; ShapeError if the rule gives an argument a gradient of another shape.

    Parameters
    ----------
    f
        A function of pytrees.
    vjp
        `vjp(g, y, *args)`, a primitive's own signature: `y` is the result of `f`, `g` its cotangent (of the
        same structure). It returns one entry per argument (a lone entry for a lone argument): a tree like
        the argument, or None for "no gradient". It is written in Tensor operations, which are
        differentiated in their turn: second derivatives are those of the rule.

    Examples
    --------
    A step that lets gradients through as if it were the identity ("straight through"):

    >>> step = tm.custom_vjp(lambda x: tm.sign(x), lambda g, y, x: g)
    >>> float(tm.grad(lambda x: 3 * step(x))(0.5))
    3.0
    """

    @wraps(f)
    def with_own_rule(*args: Tree) -> Tree:
        inputs, structure = tree.flatten(args)
        inputs = [kept(x) for x in inputs]
        followed = [i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]
        birth, opened = now(), state.opened
        outputs, out_structure = tree.flatten(f(*_with(structure, inputs, followed, constant)))
        outputs = as_outputs(outputs, [inputs[i] for i in followed])
        if lost := outside(floats(outputs), birth):
            raise UserError(
                f"the function with a custom_vjp at {user_site()} uses a {lost[0].dtype} Tensor of shape "
                f"{lost[0].shape}, which is being differentiated, from outside: pass it as an argument, or write "
                ".detach()"
            )

        if followed and outputs and not floats(outputs):
            raise UserError(
                f"the function with a custom_vjp at {user_site()} returns integers or booleans, which carry no "
                "gradient to its rule: return floats, as in y.astype(float), and make them integers behind it"
            )

        def rule(gs: Sequence[Tensor | None], ys: Sequence[Tensor], *xs: Tensor) -> list[Tensor | None]:
            fresh = iter(xs)
            now_opened = state.opened
            mapped = [today(x, now_opened) if isinstance(x, Tensor) else x for x in inputs]
            given = _with(structure, mapped, followed, lambda _: today(next(fresh), now_opened))
            ys = [today(y, now_opened) for y in ys]
            y = tree.unflatten(out_structure, with_floats(outputs, ys))
            gs = [zeros_like(y) if g is None else g for y, g in zip(ys, gs)]
            g = tree.unflatten(out_structure, with_floats(outputs, gs))
            with setting(opened=inside(now_opened, opened)):
                entries = vjp(g, y, *given)
            entries = (entries,) if len(given) == 1 else entries
            if not isinstance(entries, tuple) or len(entries) != len(given):
                raise UserError(f"the rule of a custom_vjp with {len(given)} arguments returns a tuple of as many")
            found = [leaf for k in range(len(given)) for leaf in _leaves(k, entries[k], given[k])]
            return [found[i] for i in followed]

        return tree.unflatten(out_structure, with_rule(outputs, [inputs[i] for i in followed], rule))

    return with_own_rule


def _with(structure: tree.Structure, leaves: list[Any], at: list[int], change: Callable[[Tensor], Tensor]) -> Tree:
    """The tree of these leaves, with those `at` some places changed."""
    changed = list(leaves)
    for i in at:
        changed[i] = change(leaves[i])
    return tree.unflatten(structure, changed)


def _leaves(k: int, entry: Tree, argument: Tree) -> Sequence[Tensor | None]:
    """The leaves of the entry for argument `k`, one for each leaf of the argument."""
    xs, expected = tree.flatten(argument)
    if entry is None:
        return [None] * len(xs)
    gs, found = tree.flatten(entry)
    if found != expected:
        raise UserError(f"the rule of a custom_vjp gave argument {k} a gradient of another structure than it has")
    gs = [as_tensor(g) for g in gs]
    for g, x in zip(gs, xs):
        if isinstance(x, Tensor) and g.shape != x.shape:
            raise ShapeError(
                f"the rule of a custom_vjp gave a gradient of shape {g.shape} to argument {k}, where {x.shape} belongs"
            )
    return gs
