"""MLDG (Li, Yang, Song & Hospedales 2018, "Learning to Generalize"): learn what also holds in domains not trained on.

    F(θ)   the mean loss on some of the training domains                           (eq. 1)
    G(θ)   the mean loss on the others, which stand for domains not yet seen       (eq. 2)
    min over θ of  F(θ) + β G(θ − α ∇F(θ))                                         (eq. 3)
                 = F(θ) + β G(θ) − αβ ∇F(θ) · ∇G(θ) + O(α²)

so a step for some domains must be one for the others as well. Where their gradients disagree, θ leans on something
that does not hold everywhere. Which domains are F's is drawn anew in every iteration. Nothing is adapted in the
test: θ itself is the result.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tinymeta.engine import tree
from tinymeta.engine.errors import user_site
from tinymeta.engine.tensor import Tensor
from tinymeta.engine.typing import Tree
from tinymeta.meta.core.adapt import Loss, adapt
from tinymeta.optim.sgd import SGD


def mldg(loss: Loss, *, held_out: int, alpha: float, beta: float = 1.0) -> Callable[[Tree, Tree], Tensor]:
    """MLDG's objective, a function of θ and a batch.

    Shapes: θ any tree, batches (domains, examples, …) → ().
    Raises: ValueError (by the objective) where the batch has no domain left for F:
    `tm.meta.mldg(tm.meta.regression, held_out=2, alpha=0.1)(None, np.ones((2, 1)))`.
    Source: Li, Yang, Song & Hospedales 2018, eq. 1–3.

    Parameters
    ----------
    loss
        `loss(theta, batch)`, a mean over all leading axes, as the losses of `tm.nn` are.
    held_out
        How many domains are G's: the last ones along the first axis of the batch's arrays. Draw the domains of each
        batch in random order, equally many examples of each.
    alpha, beta
        The size of the step for F, and the weight of G after it.

    Examples
    --------
    >>> objective = tm.meta.mldg(lambda theta, goals: ((theta - goals) ** 2).mean(), held_out=1, alpha=0.25)
    >>> objective(tm.tensor(0.0), np.array([1.0, 2.0]))  # F(0) = 1, and G(½) = (½ − 2)²
    tensor(3.25)
    """

    return partial(_objective, loss, held_out, alpha, beta)


def _objective(loss: Loss, held_out: int, alpha: float, beta: float, theta: Tree, batch: Tree) -> Tensor:
    domains = len(tree.leaves(batch)[0])
    if not 0 < held_out < domains:
        raise ValueError(
            f"mldg holds out {held_out} of {domains} domains, and needs at least one in either part ({user_site()})"
        )
    seen = tree.map(lambda a: a[:-held_out], batch)
    unseen = tree.map(lambda a: a[-held_out:], batch)
    ahead = adapt(loss, theta, seen, rule=SGD(alpha), steps=1)
    return loss(theta, seen) + beta * loss(ahead, unseen)
