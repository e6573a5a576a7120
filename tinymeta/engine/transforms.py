"""Transforms: functions that turn a function into its derivative.

All of them are the sweep with a way in and a way out. On the way in, the arguments become fresh
leaves that carry a mark of this differentiation, so that nested differentiations never confuse
each other's perturbations; on the way out, the mark is taken off again, and with it whatever
record nobody else needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Concatenate, overload

import numpy as np

from tinymeta.engine import tree
from tinymeta.engine.convert import as_tensor
from tinymeta.engine.errors import DtypeError, ShapeError, user_site
from tinymeta.engine.options import several, whole, wholes
from tinymeta.engine.primitive import bind
from tinymeta.engine.refusals import check_differentiable
from tinymeta.engine.state import differentiating, state
from tinymeta.engine.structure import lift, zeros_like
from tinymeta.engine.sweep import pull
from tinymeta.engine.tensor import ArrayLike, Tensor
from tinymeta.engine.typing import Function, Tree, X
from tinymeta.engine.vmap import vmap


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
        places = _positions("grad", chosen, len(args))
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
        gs = [_like(as_tensor(g, y.dtype), y, "cotangent") for g, y in zip(given, ys)]
        return tuple(tree.unflatten(structure, pull(ys, gs, xs)))

    copies = [bind(lift, y, at=y.batch, rise=0) for y in ys]  # `ys` keep their record for the pullback
    _release(copies)
    return tree.unflatten(out_structure, copies), pullback


def jvp(f: Function, primals: Sequence[Tree], tangents: Sequence[Tree]) -> tuple[Tree, Tree]:
    """`f(*primals)` and its derivative along the tangents: v ↦ Jv.

    By the double-VJP identity: u ↦ uᵀJ is linear, so its own VJP is J, and no forward rules are needed.

    Shapes: tangents like the primals → the result of f, twice.
    Raises: ValueError for tangents of another structure: `tm.jvp(tm.sin, [1.0], [1.0, 2.0])`; ShapeError of another
    shape: `tm.jvp(tm.sin, [1.0], [np.ones(2)])`; DtypeError for integers: `tm.jvp(tm.sin, [1], [1])`.

    >>> [float(t) for t in tm.jvp(lambda a, b: a * b, [2.0, 5.0], [1.0, 0.0])]
    [10.0, 5.0]
    """
    given, structure = tree.flatten(list(tangents))
    inputs, expected = tree.flatten(list(primals))
    if structure != expected:
        raise ValueError("the tangents have another structure than the primals")
    y, pullback = vjp(f, *primals)
    u = tree.map(lambda leaf: zeros_like(as_tensor(leaf)), y)
    _, push = vjp(lambda u: pullback(u), u)
    vs = [_like(as_tensor(v, as_tensor(x).dtype), as_tensor(x), "tangent") for v, x in zip(given, inputs)]
    (tangent,) = push(tuple(tree.unflatten(structure, vs)))
    return y, tangent


def hvp(f: Callable[[X], ArrayLike], x: X, v: X) -> X:
    """The Hessian of a scalar function at `x` times `v`, without the Hessian: two sweeps.

    Shapes: x and v, pytrees of one structure → the same.
    Raises: ShapeError if f gives no scalar: `tm.hvp(lambda x: x, [1.0, 2.0], [1.0, 0.0])`.

    >>> tm.hvp(lambda x: (x**3).sum(), np.array([1.0, 2.0]), np.array([1.0, 0.0])).tolist()
    [6.0, 0.0]
    """
    return vjp(grad(f), x)[1](v)[0]  # type: ignore[no-any-return]


def jacobian(f: Function, argnums: int = 0) -> Function:
    """The Jacobian of `f` with respect to one argument (−1 is the last), as a function.

    One sweep, batched by `vmap` over the elements of the output.

    Shapes: for arrays `f(x).shape + x.shape`; for pytrees a tree like the output that holds trees like the input.
    Raises: TypeError for an argument that isn't passed by position: `tm.jacobian(tm.sin, 1)(1.0)`.

    >>> tm.jacobian(lambda x: x * x)(np.array([1.0, 2.0])).tolist()
    [[2.0, 0.0], [0.0, 4.0]]
    """

    argnum = whole(argnums, "argnums")

    def jacobian_of_f(*args: Tree) -> Tree:
        (at,) = _positions("jacobian", (argnum,), len(args))

        def rows(*unit: ArrayLike) -> Tree:
            y, pullback = vjp(lambda x: f(*args[:at], x, *args[at + 1 :]), args[at])
            return pullback(tree.unflatten(structure, unit))[0]

        outputs, structure = tree.flatten(f(*args))
        ys = [as_tensor(y) for y in outputs]
        blocks = []
        for k, y in enumerate(ys):
            units = [np.zeros((y.size, *other.shape), other.dtype) for other in ys]
            units[k] = np.eye(y.size, dtype=y.dtype).reshape(y.size, *y.shape)
            block = vmap(rows)(*units)
            blocks.append(tree.map(lambda row, y=y: row.reshape(y.shape + row.shape[1:]), block))
        return tree.unflatten(structure, blocks)

    return jacobian_of_f


def hessian(f: Function, argnums: int = 0) -> Function:
    """The Hessian of a scalar function, as a function: the Jacobian of its gradient.

    Shapes: for arrays `x.shape + x.shape`; for pytrees a tree of trees.
    Raises: ShapeError if f gives no scalar: `tm.hessian(lambda x: x)(np.ones(2))`.

    >>> tm.hessian(lambda x: x[0] * x[1])(np.array([1.0, 2.0])).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    return jacobian(grad(f, argnums), argnums)


def _positions(what: str, argnums: tuple[int, ...], count: int) -> list[int]:
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


def _like(g: Tensor, y: Tensor, what: str) -> Tensor:
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
