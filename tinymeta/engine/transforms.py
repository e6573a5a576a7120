"""Transforms: functions that turn a function into its derivative.

All of them are the sweep with a way in and a way out. On the way in, the arguments become fresh
leaves that carry a mark of this differentiation, so that nested differentiations never confuse
each other's perturbations; on the way out, the mark is taken off again, and with it whatever
record nobody else needs. What is made of these alone (`jvp`, `hessian`) is in `ops/derivatives.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, overload

import numpy as np

from tinymeta.engine import tree
from tinymeta.engine.convert import as_tensor
from tinymeta.engine.errors import DtypeError, ShapeError, user_site
from tinymeta.engine.options import several, wholes
from tinymeta.engine.primitive import bind
from tinymeta.engine.refusals import check_differentiable
from tinymeta.engine.state import differentiating, state
from tinymeta.engine.structure import lift
from tinymeta.engine.sweep import pull
from tinymeta.engine.tensor import ArrayLike, Tensor
from tinymeta.engine.typing import Function, Tree, X


@overload
def grad(f: Callable[Concatenate[X, ...], ArrayLike]) -> Callable[..., X]: ...
@overload
def grad(f: Function, argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Any: ...  # a function, too
def grad(f: Function, argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Function:
    """The gradient of a scalar function, as a function of the same arguments.

    Shapes: f: pytrees → () becomes a function to a pytree like its argument.
    Raises: ShapeError if the result is no scalar: `tm.grad(lambda x: x)([1.0, 2.0])`; DtypeError for integers:
    `tm.grad(lambda x: x)(2)`; TypeError for an argument that isn't passed by position: `tm.grad(lambda x: x)()`.

    Parameters
    ----------
    f
        Returns a scalar Tensor, or `(scalar, aux)` with `has_aux=True`. Its arguments are pytrees.
    argnums
        Which positional argument to differentiate with respect to; a tuple gives a tuple of gradients, and −1 is
        the last argument.
    has_aux
        Whether `f` returns something besides the scalar; then the result is `(gradient, aux)`.

    Examples
    --------
    >>> float(tm.grad(tm.grad(lambda x: x * x * x))(2.0))  # d²/dx² x³ = 6x
    12.0
    """
    both = value_and_grad(f, argnums, has_aux)

    def gradient_of_f(*args: Tree, **kwargs: Tree) -> Tree:
        value, grads = both(*args, **kwargs)
        return (grads, value[1]) if has_aux else grads

    return gradient_of_f


@overload
def value_and_grad(f: Callable[Concatenate[X, ...], ArrayLike]) -> Callable[..., tuple[Tensor, X]]: ...
@overload
def value_and_grad(f: Function, argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Any: ...
def value_and_grad(f: Function, argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Function:
    """Like `grad`, but the result is `(value, gradient)`, or `((value, aux), gradient)`.

    Shapes: f: pytrees → () becomes a function to () and a pytree like its argument.
    Raises: ShapeError (and DtypeError, TypeError) as `grad` does: `tm.value_and_grad(lambda x: x)([1.0, 2.0])`.

    >>> value, slope = tm.value_and_grad(lambda x: x * x)(3.0)
    >>> float(value), float(slope)
    (9.0, 6.0)
    """
    chosen, one = wholes(argnums, "argnums"), not several(argnums)

    def value_and_gradient_of_f(*args: Tree, **kwargs: Tree) -> Tree:
        places = positions("grad", chosen, len(args))
        inputs, structure = tree.flatten([args[i] for i in places])
        with differentiating() as mark:
            xs = [_leaf(x, mark) for x in inputs]
            fresh = list(args)
            for i, value in zip(places, tree.unflatten(structure, xs)):
                fresh[i] = value
            result = f(*fresh, **kwargs)
        y, aux = result if has_aux else (result, None)
        y = _scalar(y)
        grads = tree.unflatten(structure, pull([y], [Tensor(np.ones_like(y.array), y.batch)], xs))
        _release((y, aux, grads))
        return ((y, aux) if has_aux else y), (grads[0] if one else tuple(grads))

    return value_and_gradient_of_f


def vjp(f: Function, *primals: Tree) -> tuple[Tree, Callable[[Tree], tuple[Tree, ...]]]:
    """`f(*primals)`, and the function from a cotangent of it to the cotangents of the primals: v ↦ vᵀJ.

    Shapes: a cotangent like the result of f → a tuple of pytrees like the primals.
    Raises: DtypeError for integers: `tm.vjp(tm.sin, 1)`; ValueError (by that function) for a cotangent of another
    structure, ShapeError of another shape: `tm.vjp(tm.sin, 1.0)[1]([1.0])`.

    >>> y, pullback = tm.vjp(lambda a, b: a * b, 2.0, 5.0)
    >>> [float(g) for g in pullback(1.0)]
    [5.0, 2.0]
    """
    inputs, structure = tree.flatten(list(primals))
    with differentiating() as mark:
        xs = [_leaf(x, mark) for x in inputs]
        outputs, out_structure = tree.flatten(f(*tree.unflatten(structure, xs)))
    ys = [as_tensor(y) for y in outputs]
    for y in ys:
        check_differentiable("vjp", y)

    def pullback(cotangent: Tree) -> tuple[Tree, ...]:
        given, found_structure = tree.flatten(cotangent)
        if found_structure != out_structure:
            raise ValueError("the cotangent has another structure than the function's result")
        gs = [alike(as_tensor(g, y.dtype), y, "cotangent") for g, y in zip(given, ys)]
        return tuple(tree.unflatten(structure, pull(ys, gs, xs)))

    copies = [bind(lift, y, at=y.batch, rise=0) for y in ys]  # `ys` keep their record for the pullback
    _release(copies)
    return tree.unflatten(out_structure, copies), pullback


def positions(what: str, argnums: tuple[int, ...], count: int) -> list[int]:
    """Which of `count` positional arguments are meant; negative numbers count from the last."""
    for i in argnums:
        if not -count <= i < count:
            raise TypeError(
                f"{what} differentiates positional argument {i}, but only {count} were passed ({user_site()}): pass it "
                "by position"
            )
    places = [i % count for i in argnums]
    if len(set(places)) < len(places):
        raise TypeError(f"{what}: argnums={argnums} names an argument twice ({user_site()})")
    return places


def _leaf(x: ArrayLike, mark: int) -> Tensor:
    """A fresh leaf with the value of `x` that carries `mark`. Inside `vmap` each example has its own."""
    x = as_tensor(x)
    if x.dtype.kind not in state.differentiable:
        raise DtypeError(
            f"grad needs floating-point arguments and got {x.dtype} of shape {x.shape} ({user_site()}): pass real "
            "floats, or name the arguments to differentiate with argnums"
        )
    leaf = bind(lift, x, at=x.batch, rise=state.level - x.batch)
    leaf.tracked |= mark
    return leaf


def _scalar(y: Any) -> Tensor:
    if not isinstance(y, Tensor):
        y = as_tensor(y) if isinstance(y, (int, float, np.generic, np.ndarray)) else y
    if not isinstance(y, Tensor) or y.shape != ():
        what = f"shape {y.shape}" if isinstance(y, Tensor) else f"a {type(y).__name__}"
        raise ShapeError(
            f"grad needs a function that returns a scalar Tensor, and this one returned {what} ({user_site()}): "
            "reduce the result, as in loss.mean(), or see has_aux, tm.vjp and tm.jacobian"
        )
    check_differentiable("grad", y)
    return y


def alike(g: Tensor, y: Tensor, what: str) -> Tensor:
    if g.dtype.kind == "c" and y.dtype.kind != "c":
        raise DtypeError(f"a {what} for {y.dtype} is real, and this one is {g.dtype} ({user_site()})")
    if g.shape != y.shape:
        raise ShapeError(f"a {what} has the shape of its value, {y.shape}, and got {g.shape} ({user_site()})")
    return g


def _release(values: Tree) -> None:
    """Tensors that leave a differentiation forget it, and drop their record unless another still follows them."""
    for t in tree.leaves(values):
        if isinstance(t, Tensor):
            t.tracked &= state.mask
            if not t.tracked:
                t.primitive, t.inputs = None, ()
