"""How good an implicit meta-gradient is, by the work spent on it: the curves of Rajeswaran et al. (2019, § 5)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from tinymeta.engine import tree
from tinymeta.engine.transforms import grad
from tinymeta.engine.typing import Tree
from tinymeta.meta.core.adapt import Loss, adapt
from tinymeta.meta.core.objective import query_loss
from tinymeta.meta.learners.implicit import Implicit, proximal
from tinymeta.optim.clip import global_norm
from tinymeta.optim.optimizer import Optimizer
from tinymeta.tasks.episode import Episode


def meta_gradient_errors(
    loss: Loss,
    phi: Tree,
    episode: Episode,
    exact: Tree,
    *,
    rule: Optimizer,
    lam: float,
    steps: Sequence[int],
    cg: Sequence[int] = (1, 2, 5),
) -> dict[str, list[float]]:
    """Errors of the meta-gradient at one task for each number of inner steps, in several ways to compute it.

    All ways descend the same inner problem, `loss` + λ/2 ‖θ − φ‖² (eq. 3).

    Shapes: phi and exact, trees of one structure → lists of len(steps) numbers, by name.
    Source: Rajeswaran et al. 2019, § 5.

    Parameters
    ----------
    exact
        The meta-gradient at the true minimum of the inner problem: a tree like `phi`.
    rule, lam, steps, cg
        The inner rule, λ, the numbers of inner steps, and those of conjugate gradient iterations.

    Returns
    -------
    dict
        For `"implicit, K CG"`, `"unrolled"` and `"first-order"`, ‖g − exact‖/‖exact‖ for each entry of `steps`.

    Examples
    --------
    >>> loss, phi, exact = lambda theta, goal: (theta - goal) ** 2, tm.tensor(0.0), tm.tensor(-1.5)
    >>> how = {"rule": tm.optim.SGD(0.1), "lam": 2.0, "steps": [1, 50], "cg": [1]}
    >>> errors = tm.meta.meta_gradient_errors(loss, phi, tm.tasks.Episode(1.0, 2.0), exact, **how)
    >>> {way: [round(e, 2) for e in found] for way, found in errors.items()}
    {'implicit, 1 CG': [0.2, 0.0], 'unrolled': [0.92, 0.0], 'first-order': [1.4, 1.0]}
    """
    ways = {f"implicit, {k} CG": partial(_implicit, how=Implicit(lam, k)) for k in cg}
    ways |= {"unrolled": partial(_unrolled, lam, "exact"), "first-order": partial(_unrolled, lam, "first_order")}
    return {
        name: [_distance(grad(partial(value, loss, rule=rule, steps=k))(phi, episode), exact) for k in steps]
        for name, value in ways.items()
    }


def _implicit(loss: Loss, phi: Tree, episode: Episode, *, how: Implicit, **options: Any) -> Tree:
    return query_loss(loss, phi, episode, differentiate=how, **options)


def _unrolled(lam: float, differentiate: str, loss: Loss, phi: Tree, episode: Episode, **options: Any) -> Tree:
    """The query loss after steps down the same inner problem, in which φ is no constant."""
    inner = proximal(loss, phi, lam)
    return loss(adapt(inner, phi, episode.support, differentiate=differentiate, **options), episode.query)


def _distance(g: Tree, exact: Tree) -> float:
    difference = tree.map(lambda a, b: a - b, g, exact)
    return float(global_norm(difference) / global_norm(exact))
