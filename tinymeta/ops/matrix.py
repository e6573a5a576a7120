"""Functions of square matrices, over the last two axes; the axes in front of them broadcast.

Sources of the derivatives: Giles 2008, "Collected matrix derivative results", sections 2.2 to 2.3;
Murray 2016, "Differentiation of the Cholesky decomposition", section 3.1.
"""

from __future__ import annotations

import numpy as np

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.domain import Domain, Sample, reals
from tinymeta.engine.errors import ShapeError, user_site
from tinymeta.engine.options import whole
from tinymeta.engine.primitive import Primitive, bind
from tinymeta.engine.tensor import Array, ArrayLike, Tensor
from tinymeta.engine.typing import Cotangents
from tinymeta.ops.creation import tril
from tinymeta.ops.elementwise import scale
from tinymeta.ops.index import getitem
from tinymeta.ops.linalg import matmul_matrices
from tinymeta.ops.reduce import sum
from tinymeta.ops.shape import expand_dims, floats, moveaxis, squeeze
from tinymeta.ops.widen import real

_square = Domain(0.5, 2, "invertible")


class solve_matrices(Primitive):
    """X = A⁻¹ B,   dX = A⁻¹(dB − dA X)."""

    kernel = reference = np.linalg.solve
    raises = True
    domain, kinks = (_square, reals(-2, 2)), ()
    samples = (Sample(((3, 3), (3, 2)), {}), Sample(((2, 2, 2), (2, 1)), {}))

    @staticmethod
    def vjp(g: Tensor, y: Tensor, a: Tensor, b: Tensor) -> Cotangents:
        gb = bind(solve_matrices, a.mT, g)
        return lambda: -bind(matmul_matrices, gb, y.mT), gb


class inv_matrices(Primitive):
    """Y = A⁻¹,   dY = −Y dA Y."""

    kernel = reference = np.linalg.inv
    raises = True
    domain, kinks = (_square,), ()
    samples = (Sample(((3, 3),), {}), Sample(((2, 2, 2),), {}))
    vjp = lambda g, y, a: -bind(matmul_matrices, bind(matmul_matrices, y.mT, g), y.mT)


class det_matrices(Primitive):
    """y = det A,   dy = y tr(A⁻¹ dA): the gradient needs an invertible A."""

    kernel = reference = np.linalg.det
    domain, kinks = (_square,), ()
    samples = (Sample(((3, 3),), {}), Sample(((2, 2, 2),), {}))
    vjp = lambda g, y, a: scale(_as_matrix(g * y), bind(inv_matrices, a).mT)


class log_abs_det(Primitive):
    """y = log |det A|,   dy = tr(A⁻¹ dA)."""

    kernel = staticmethod(lambda a: np.linalg.slogdet(a)[1])

    @staticmethod
    def reference(a: Array) -> Array:
        y: Array = np.linalg.det(a)
        return np.log(np.where(np.real(y) < 0, -y, y))

    domain, kinks = (_square,), ()
    samples = (Sample(((3, 3),), {}), Sample(((2, 2, 2),), {}))
    vjp = lambda g, y, a: scale(_as_matrix(g), bind(inv_matrices, a).mT)


class sign_det(Primitive):
    """y = the sign of det A. It is constant between its jumps, so it has no gradient."""

    kernel = staticmethod(lambda a: np.linalg.slogdet(a)[0])
    reference = staticmethod(lambda a: np.sign(np.real(np.linalg.det(a))))
    domain, kinks, vjp = (_square,), (), None
    samples = (Sample(((3, 3),), {}),)


class cholesky_matrices(Primitive):
    """(A + Aᵀ)/2 = L Lᵀ with L lower triangular,   dL = L Φ(L⁻¹ dA L⁻ᵀ), Φ: lower triangle with half the diagonal."""

    kernel = staticmethod(lambda a: np.linalg.cholesky((a + a.mT) / 2))

    @staticmethod
    def reference(a: Array) -> Array:
        a = (a + a.mT) / 2
        y = np.zeros_like(a)
        for i in range(a.shape[-1]):  # the Cholesky–Banachiewicz recurrences, which are analytic
            for j in range(i + 1):
                rest = a[..., i, j] - np.sum(y[..., i, :j] * y[..., j, :j], axis=-1)
                y[..., i, j] = np.sqrt(rest) if i == j else rest / y[..., j, j]
        return y

    raises = True
    domain, kinks = (Domain(0.5, 2, "spd"),), ()
    samples = (Sample(((3, 3),), {}), Sample(((2, 2, 2),), {}))

    @staticmethod
    def vjp(g: Tensor, y: Tensor, a: Tensor) -> Tensor:
        inner = bind(matmul_matrices, y.mT, g)
        lower = tril(inner) - inner * (0.5 * np.eye(y.shape[-1], dtype=y.dtype))
        middle = bind(solve_matrices, y.mT, lower)  # L⁻ᵀ Φ
        gx = bind(solve_matrices, y.mT, middle.mT)  # (L⁻ᵀ Φ L⁻¹)ᵀ
        return (gx + gx.mT) * 0.5


def solve(a: ArrayLike, b: ArrayLike) -> Tensor:
    """The x with a x = b.

    Shapes: (…, n, n) and a vector (n,) or matrices (…, n, k) → the shape of b, after broadcasting.
    Raises: numpy.linalg.LinAlgError for a singular a: `tm.solve([[0.0]], [1.0])`; ShapeError where they don't fit:
    `tm.solve([[1.0]], [1.0, 2.0])`; DtypeError of integers: `tm.solve([[1]], [1])`.
    Source: Giles 2008, section 2.3.

    >>> tm.solve([[2.0, 0.0], [0.0, 4.0]], [1.0, 1.0])
    tensor([0.5 , 0.25])
    """
    a, b = floats("solve", a, b)
    _check_square("solve", a)
    vector = b.ndim == 1
    if b.ndim == 0 or b.shape[0 if vector else -2] != a.shape[-1]:
        raise ShapeError(f"solve: matrices {a.shape} and right-hand sides {b.shape} don't fit ({user_site()})")
    y = bind(solve_matrices, a, expand_dims(b, -1) if vector else b)
    return squeeze(y, -1) if vector else y


def inv(x: ArrayLike) -> Tensor:
    """The inverse of matrices. To solve an equation `tm.solve` is faster and more exact.

    Shapes: (…, n, n) → the same.
    Raises: numpy.linalg.LinAlgError for a singular one: `tm.inv([[0.0]])`; ShapeError for one that isn't square:
    `tm.inv([[1.0, 2.0]])`; DtypeError of integers: `tm.inv([[1]])`.
    Source: Giles 2008, section 2.2.

    >>> tm.inv([[2.0, 0.0], [0.0, 4.0]])
    tensor([[0.5 , 0.  ],
            [0.  , 0.25]])
    """
    return _of_square("inv", inv_matrices, x)


def det(x: ArrayLike) -> Tensor:
    """The determinant of matrices. Its gradient needs them invertible.

    Shapes: (…, n, n) → (…).
    Raises: ShapeError for a matrix that isn't square: `tm.det([[1.0, 2.0]])`; DtypeError of integers: `tm.det([[1]])`.
    Source: Giles 2008, section 2.2.

    >>> tm.det([[1.0, 2.0], [3.0, 4.0]])
    tensor(-2.)
    """
    return _of_square("det", det_matrices, x)


def slogdet(x: ArrayLike) -> tuple[Tensor, Tensor]:
    """Sign and log |·| of the determinant of matrices, where the determinant itself would overflow.

    Shapes: (…, n, n) → (…), twice.
    Raises: ShapeError for one that isn't square: `tm.slogdet([[1.0, 2.0]])`; DtypeError of integers:
    `tm.slogdet([[1]])`.

    >>> tm.slogdet([[1.0, 2.0], [3.0, 4.0]])
    (tensor(-1.), tensor(0.6931))
    """
    return _of_square("slogdet", sign_det, x), _of_square("slogdet", log_abs_det, x)


def cholesky(x: ArrayLike, upper: bool = False) -> Tensor:
    """The lower triangular L with L Lᵀ = x, or its transpose, of positive definite matrices.

    It reads the symmetric part (x + xᵀ)/2, so gradients are symmetric.

    Shapes: (…, n, n) → the same.
    Raises: numpy.linalg.LinAlgError where x isn't positive definite: `tm.cholesky([[-1.0]])`; ShapeError where it isn't
    square: `tm.cholesky([[1.0, 2.0]])`; DtypeError of integers: `tm.cholesky([[1]])`.
    Source: Murray 2016, section 3.1.

    >>> tm.cholesky([[4.0, 2.0], [2.0, 5.0]])
    tensor([[2., 0.],
            [1., 2.]])
    """
    y = _of_square("cholesky", cholesky_matrices, real("cholesky", as_tensor(x)))
    return y.mT if upper else y


def diagonal(x: ArrayLike, offset: int = 0, axes: tuple[int, int] = (-2, -1)) -> Tensor:
    """The entries x[…, i, i + offset]; the two axes are dropped, and the diagonal's is the last of the result.

    Shapes: (…, m, n) → (…, k), k the length of that diagonal.
    Raises: ShapeError for axes that x lacks: `tm.diagonal([1, 2])`.

    >>> tm.diagonal([[1, 2], [3, 4]])
    tensor([1, 4])
    """
    x, offset = moveaxis(x, axes, (-2, -1)), whole(offset, "offset")
    rows, columns = x.shape[-2:]
    first = -offset if offset < 0 else 0
    n = max(0, min(rows - first, columns - first - offset))
    at = np.arange(first, first + n)
    return getitem(x, (..., at, at + offset))


def matrix_trace(x: ArrayLike, offset: int = 0) -> Tensor:
    """Σ x[…, i, i + offset] over the last two axes. (`tm.trace` steps through a program.)

    Shapes: (…, m, n) → (…).
    Raises: ShapeError of fewer than two axes: `tm.matrix_trace([1, 2])`.

    >>> tm.matrix_trace([[1, 2], [3, 4]])
    tensor(5)
    """
    return sum(diagonal(x, offset), -1)


def _of_square(what: str, primitive: type[Primitive], x: ArrayLike) -> Tensor:
    (x,) = floats(what, x)
    _check_square(what, x)
    return bind(primitive, x)


def _check_square(what: str, x: Tensor) -> None:
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ShapeError(f"{what} needs square matrices (…, n, n), not shape {x.shape} ({user_site()})")


def _as_matrix(x: Tensor) -> Tensor:
    return x.reshape((*x.shape, 1, 1))
