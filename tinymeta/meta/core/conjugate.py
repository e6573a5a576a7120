"""Conjugate gradients: solve A x = b for a symmetric positive definite A that is known by its products alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.errors import UserError, user_site
from tinymeta.engine.tensor import Tensor
from tinymeta.engine.typing import Tree
from tinymeta.ops.custom import custom_vjp
from tinymeta.ops.logic import logical_and, logical_not
from tinymeta.ops.select import where
from tinymeta.ops.tree import add_scaled, dot, zeros_like


def conjugate_gradients(product: Callable[[Tree], Tree], b: Tree, iterations: int) -> Tree:
    """`iterations` steps of conjugate gradients from x = 0 (Hestenes & Stiefel 1952, eq. 3:1).

    Shapes: b any tree → the same.
    Raises: UserError from whoever differentiates it:
    `tm.grad(lambda b: tm.meta.conjugate_gradients(tm.sin, b, 1))(1.0)`.
    Source: Hestenes & Stiefel 1952, eq. 3:1.

    Parameters
    ----------
    product
        v ↦ A v, on trees like `b`. Where A turns out not to be positive definite, in a direction with d·Ad ≤ 0, x
        stays what it was before (Steihaug 1983), instead of going anywhere.
    b
        A tree of Tensors. Under `vmap` each example has its own system.
    iterations
        Exact after as many as A has distinct eigenvalues, up to rounding. A residual of 0 stays 0.

    Returns
    -------
    A tree like `b`, of which nobody may take a derivative. That of the steps is not the solution's where they go on
    after it is found, in directions that are rounding errors; the solution's own is another solution.

    Examples
    --------
    x = A⁻¹b has the cotangents b̄ = A⁻¹g and Ā = −b̄xᵀ, at all orders:

    >>> products = lambda a: lambda v: tm.matmul(a, v)
    >>> def of_solution(g, x, a, b):
    ...     y = solve(a, g)
    ...     return -y[:, None] * x, y
    >>> solve = tm.custom_vjp(lambda a, b: tm.meta.conjugate_gradients(products(a), b, 2), of_solution)
    >>> tm.jacobian(lambda b: solve(np.diag([1.0, 2.0]), b))(np.array([1.0, 0.0]))
    tensor([[1. , 0. ],
            [0. , 0.5]])
    """
    x = zeros_like(b)
    residual = direction = b
    square, going = dot(residual, residual), as_tensor(True)
    for _ in range(iterations):
        image = product(direction)
        curvature = dot(direction, image)
        curvature = curvature + 0 * curvature  # NaN for ±∞, and then x is, too
        going = logical_and(going, logical_not(curvature <= 0))
        step = where(going, _ratio(square, curvature), 0)
        x = add_scaled(x, direction, step)
        residual = add_scaled(residual, image, -step)
        before, square = square, dot(residual, residual)
        direction = add_scaled(residual, direction, _ratio(square, before))
    return _without_derivative(x)


def _refuse(*_: Tree) -> NoReturn:
    raise UserError(
        f"conjugate_gradients has no derivative of its own ({user_site()}): its steps have one, but go on in "
        "directions that are rounding errors once the solution is found. Give the solution's, x̄ ↦ A⁻¹x̄, by "
        "tm.custom_vjp, as in the example of tm.meta.conjugate_gradients; solve a matrix that you hold by tm.solve"
    )


_without_derivative = custom_vjp(lambda x: x, _refuse)


def _ratio(a: Tensor, b: Tensor) -> Tensor:
    """a/b, and 0 where b is 0: the system is solved, and stays so."""
    return where(b == 0, 0, a / where(b == 0, 1, b))
