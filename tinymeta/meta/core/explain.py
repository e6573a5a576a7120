"""`explain`: what the second derivatives add to a meta-gradient.

The result of learning depends on φ in two ways: directly, and through the inner gradients. For one
step of MAML, φ′ = φ − α g(φ) with g = ∇L_support, the chain rule gives (Finn et al. 2017, § 5.2)

    ∇ L_query(φ′) = ∇L_query|φ′  −  α H(φ) ∇L_query|φ′,        H = ∂g/∂φ.

The first term is what first-order MAML keeps; the other one, the *Hessian part*, is everything that
reaches φ through the gradients of the inner loop, whatever that loop is. In the record the two are
easy to tell apart: a path to φ belongs to the first-order part if it meets operations of the user's
program only, and to the Hessian part if it meets one that differentiating made.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinymeta.engine import tree
from tinymeta.engine.errors import ShapeError
from tinymeta.engine.state import setting, state
from tinymeta.engine.transforms import vjp
from tinymeta.engine.typing import Tree
from tinymeta.meta.core.adapt import Loss

Vector = NDArray[np.float64]


def explain(meta_loss: Loss, phi: Tree, tasks: Tree) -> Explanation:
    """Split the gradient of `meta_loss(phi, tasks)` with respect to `phi` into its first-order and its Hessian part.

    Shapes: phi a pytree → three like it.
    Raises: ShapeError if the loss is no scalar: `tm.explain(lambda x, _: x, [1.0, 2.0], None)`.
    Source: Finn et al. 2017, § 5.2.

    Parameters
    ----------
    meta_loss
        A scalar function of the meta-parameters and the tasks, with any inner learning in it.
    phi
        The meta-parameters: a pytree.
    tasks
        Handed on to `meta_loss`.

    Returns
    -------
    Explanation
        The total and its parts as trees, norms and cosines per leaf and in all; its `repr` is a table.

    Examples
    --------
    One step of size 0.1 down ½·3x², then the loss ½(x − 1)²: x′ = 0.7 x, so the derivative at x = 2 is
    0.7·(1.4 − 1), of which 1·(1.4 − 1) is first order and −0.1·3·(1.4 − 1) comes through the inner gradient.

    >>> def meta_loss(x, target):
    ...     x = x - 0.1 * tm.grad(lambda x: 1.5 * x * x)(x)
    ...     return 0.5 * (x - target) ** 2
    >>> split = tm.explain(meta_loss, 2.0, 1.0)
    >>> round(float(split.first_order), 12), round(float(split.hessian), 12)
    (0.4, -0.12)
    """
    value, pullback = vjp(lambda phi: meta_loss(phi, tasks), phi)
    if getattr(value, "shape", None) != ():
        raise ShapeError("explain needs a meta_loss that returns a scalar Tensor: reduce its result, as in loss.mean()")
    one = np.ones((), value.dtype)
    (total,) = pullback(one)
    with setting(highest=state.order):
        (first,) = pullback(one)
    return Explanation(total, first, tree.map(lambda whole, part: whole - part, total, first))


@dataclass(frozen=True)
class Part:
    """One leaf's share of the meta-gradient, or the whole of it, in numbers.

    `total`, `first_order` and `hessian` are Euclidean norms; `cosine` is that of the angle between the
    total and its first-order part (1: first-order MAML goes the same way), NaN where one of them is zero.
    """

    name: str
    total: float
    first_order: float
    hessian: float
    cosine: float


@dataclass(frozen=True, repr=False)
class Explanation:
    """The meta-gradient and its two parts, trees like φ with `total = first_order + hessian`; print it for a table."""

    total: Tree
    first_order: Tree
    hessian: Tree

    @property
    def parts(self) -> list[Part]:
        """A `Part` per leaf of φ, by path, and the whole as "all" at the end."""
        names = [name or "phi" for name in tree.paths(self.total)]
        leaves = [[_vector(leaf) for leaf in tree.leaves(t)] for t in (self.total, self.first_order, self.hessian)]
        whole = [np.concatenate(vectors) if vectors else np.zeros(0) for vectors in leaves]
        return [_part(name, *row) for name, *row in zip(names, *leaves)] + [_part("all", *whole)]

    def __repr__(self) -> str:
        head = ("", "total", "first order", "Hessian", "cosine")
        rows = [(p.name, *(f"{x:.4g}" for x in (p.total, p.first_order, p.hessian, p.cosine))) for p in self.parts]
        widths = [max(map(len, column)) for column in zip(head, *rows)]
        lines = [
            "  ".join(cell.rjust(w) if k else cell.ljust(w) for k, (cell, w) in enumerate(zip(row, widths)))
            for row in (head, *rows)
        ]
        return "\n".join(line.rstrip() for line in lines)


def _vector(leaf: Tree) -> Vector:
    return np.asarray(leaf.detach(), np.float64).ravel()


def _part(name: str, total: Vector, first_order: Vector, hessian: Vector) -> Part:
    a, b, c = (float(np.linalg.norm(v)) for v in (total, first_order, hessian))
    return Part(name, a, b, c, cosine=float(total @ first_order) / (a * b) if a * b else float("nan"))
