"""Implicit MAML (Rajeswaran, Finn, Kakade & Levine 2019): the meta-gradient from where the inner loop ended.

The inner problem is kept close to its start (eq. 3),

    θ*(φ) = argmin L(θ) + λ/2 ‖θ − φ‖²,            so     ∇L(θ*) + λ(θ* − φ) = 0,

and differentiating that condition instead of the steps that solved it gives (Lemma 1)

    dθ*/dφ = (I + H/λ)⁻¹,        H = ∇²L(θ*).

The product of this with the query gradient is computed by conjugate gradients, each iteration of which
takes one Hessian-vector product (Algorithm 2). No inner step is kept in memory. How far θ* is from
stationary and how many iterations there are bound the error (Theorem 1); nothing else does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, NoReturn

from tinymeta.engine import tree
from tinymeta.engine.errors import UserError, user_site
from tinymeta.engine.structure import stop_gradient
from tinymeta.engine.tensor import Tensor
from tinymeta.engine.transforms import grad, vjp
from tinymeta.engine.typing import Tree
from tinymeta.meta.core.conjugate import conjugate_gradients
from tinymeta.ops.custom import custom_vjp
from tinymeta.ops.elementwise import square
from tinymeta.ops.reduce import sum

Inner = Callable[[Tree, Tree], Tensor]


class Implicit(NamedTuple):
    """`differentiate=Implicit(lam, cg, damping)`: λ, how many conjugate gradient iterations to spend, and caution.

    Where a few steps end there is no minimum, and H + λI may have negative eigenvalues, which conjugate gradients
    do not bear. `damping` is added to λ in Lemma 1, not in the inner problem; with 0 the gradient is exact at a
    minimum.

    Shapes: those of φ, in `adapt`.
    Raises: UserError (in `adapt`) for a second derivative, which holds terms that Lemma 1 leaves out.
    Source: Rajeswaran et al. 2019, Lemma 1 and algorithm 2.

    >>> loss, how = lambda theta, goal: (theta - goal) ** 2, tm.meta.Implicit(lam=2.0, cg=1)
    >>> adapted = lambda phi: tm.meta.adapt(loss, phi, 1.0, rule=tm.optim.SGD(0.2), steps=20, differentiate=how)
    >>> round(float(tm.grad(adapted)(0.0)), 6)  # (1 + H/λ)⁻¹ with H = 2
    0.5
    """

    lam: float = 2.0
    cg: int = 5
    damping: float = 0.0


def proximal(inner: Inner, phi: Tree, lam: float) -> Inner:
    """L(θ) + λ/2 ‖θ − φ‖², the inner objective of eq. 3."""

    def regularised(theta: Tree, batch: Tree) -> Tensor:
        distance: Tensor | float = 0.0
        for t, p in zip(tree.leaves(theta), tree.leaves(phi)):
            distance = distance + sum(square(t - p))
        return inner(theta, batch) + 0.5 * lam * distance

    return regularised


def implicit_dependence(loss: Callable[[Tree], Tensor], phi: Tree, solution: Tree, how: Implicit) -> Tree:
    """`solution`, as a function of everything that the condition F = ∇L(θ*) + λ(θ* − φ) = 0 depends on.

    Where F moves by dF, θ* moves by −(H + λI)⁻¹ dF: of `phi` that makes Lemma 1, and Tensors that `loss`
    takes from around it (a learned loss, weights on examples) get their gradient in the same way. On `damping` the
    result does not depend. Its second derivatives, which hold third ones of `loss`, are an error.
    """
    solution = tree.map(stop_gradient, solution)
    damping = stop_gradient(how.damping) if isinstance(how.damping, Tensor) else how.damping
    stiffness = how.lam + damping

    def solved(g: Tree, y: Tree, condition: Tree) -> Tree:
        _, hessian = vjp(grad(loss), solution)  # recorded once: every product below is one sweep

        def product(v: Tree) -> Tree:
            return tree.map(lambda hv, v: stop_gradient(hv + stiffness * v), hessian(v)[0], v)

        # Linear in g and symmetric: a rule of its own is right also at g = 0, where conjugate gradients take no step.
        inverse = custom_vjp(lambda b: conjugate_gradients(product, b, how.cg), lambda g, y, b: inverse(g))
        return tree.map(lambda x, d: d - x, inverse(g), _once(condition, how.damping))

    no_change = custom_vjp(_nothing, solved)
    condition = tree.map(lambda g, t, p: g + stiffness * (t - p), grad(loss)(solution), solution, phi)
    return tree.map(lambda t, d: t + d, solution, no_change(condition))


def _nothing(condition: Tree, *_: Tree) -> Tree:
    return tree.map(lambda f: f * 0, condition)


def _refuse(*_: Tree) -> NoReturn:
    raise UserError(
        "adapt(…, differentiate='implicit') has first derivatives only: the second ones hold third derivatives of the "
        f"loss, which Lemma 1 leaves out ({user_site()}): take differentiate='exact', or detach() the meta-gradient"
    )


# 0, as something that depends on the condition in a way nobody may differentiate: better than half of the terms.
_once = custom_vjp(_nothing, _refuse)
