"""Derivatives made of others: `jvp` of two VJPs, the Jacobian of one VJP that `vmap` asks for each row.

They are functions of `engine/transforms.py` and operations, and need nothing else of the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tinymeta.engine import tree
from tinymeta.engine.convert import as_tensor
from tinymeta.engine.options import whole
from tinymeta.engine.structure import zeros_like
from tinymeta.engine.tensor import ArrayLike
from tinymeta.engine.transforms import alike, grad, positions, vjp
from tinymeta.engine.typing import Function, Tree, X
from tinymeta.engine.vmap import vmap


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
    vs = [alike(as_tensor(v, as_tensor(x).dtype), as_tensor(x), "tangent") for v, x in zip(given, inputs)]
    (tangent,) = push(tuple(tree.unflatten(structure, vs)))
    return y, tangent


def hvp(f: Callable[[X], ArrayLike], x: X, v: X) -> X:
    """The Hessian of a scalar function at `x` times `v`, without the Hessian: two sweeps.

    Shapes: x and v, pytrees of one structure → the same.
    Raises: ShapeError if f gives no scalar: `tm.hvp(lambda x: x, [1.0, 2.0], [1.0, 0.0])`.
    Source: Pearlmutter 1994.

    >>> tm.hvp(lambda x: (x**3).sum(), np.array([1.0, 2.0]), np.array([1.0, 0.0])).tolist()
    [6.0, 0.0]
    """
    return vjp(grad(f), x)[1](v)[0]  # type: ignore[no-any-return]


def jacobian(f: Function, argnums: int = 0) -> Function:
    """The Jacobian of `f` with respect to one argument (−1 is the last), as a function.

    `f` runs once. One sweep, batched by `vmap` over the elements of the output.

    Shapes: for arrays `f(x).shape + x.shape`; for pytrees a tree like the output that holds trees like the input.
    Raises: TypeError for an argument that isn't passed by position: `tm.jacobian(tm.sin, 1)(1.0)`.

    >>> tm.jacobian(lambda x: x * x)(np.array([1.0, 2.0])).tolist()
    [[2.0, 0.0], [0.0, 4.0]]
    """

    argnum = whole(argnums, "argnums")

    def jacobian_of_f(*args: Tree) -> Tree:
        (at,) = positions("jacobian", (argnum,), len(args))

        y, pullback = vjp(lambda x: f(*args[:at], x, *args[at + 1 :]), args[at])
        outputs, structure = tree.flatten(y)
        ys = [as_tensor(y) for y in outputs]
        blocks = []
        for k, y in enumerate(ys):
            units = [np.zeros((y.size, *other.shape), other.dtype) for other in ys]
            units[k] = np.eye(y.size, dtype=y.dtype).reshape(y.size, *y.shape)
            block = vmap(lambda *unit: pullback(tree.unflatten(structure, unit))[0])(*units)
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
