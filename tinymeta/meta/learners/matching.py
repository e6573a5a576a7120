"""Matching networks (Vinyals, Blundell, Lillicrap, Kavukcuoglu & Wierstra 2016): a label is a weighted vote.

    ŷ = Σᵢ a(x, xᵢ) yᵢ                                                     (eq. 1)
    a(x, xᵢ) = softmaxᵢ(cosine(f(x), f(xᵢ)))                               (§ 2.1.1)

The vote goes over support examples, not classes. Full context embeddings (§ 2.1.2) are left out: the
embedding of an example does not depend on the rest of the support set.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tinymeta.engine.tensor import ArrayLike, Tensor
from tinymeta.engine.typing import Tree
from tinymeta.meta.core.classes import members
from tinymeta.meta.core.learner import Learner, Model
from tinymeta.ops.elementwise import exp, log
from tinymeta.ops.linalg import vector_norm


@dataclass(frozen=True)
class MatchingNet(Learner):
    """Learn an embedding in which the angle says who belongs together.

    Shapes: support (n, …) with labels (n,), queries (m, …) → logits (m, ways).
    Raises: UserError (by `learn`) for a class without an example; IndexError for a label beyond the ways:
    `tm.meta.MatchingNet(ways=2).learn(lambda x: x, (tm.ones((2, 1)), np.array([0, 2])))`.
    Source: Vinyals et al. 2016, eq. 1 and § 2.1.1.

    Parameters
    ----------
    ways
        Classes per task.

    Examples
    --------
    >>> support = tm.tensor([[1.0, 0.0], [0.0, 1.0]]), np.array([0, 1])
    >>> tm.meta.MatchingNet(ways=2).learn(lambda x: x, support)(tm.tensor([[3.0, 0.0]]))  # the cosines
    tensor([[1., 0.]])
    """

    ways: int = field(default=5, kw_only=True)

    def learn(self, phi: Tree, support: Tree) -> Model:
        x, labels = support
        directions = unit(phi(x))
        votes = members(labels, self.ways, directions.dtype, "a matching network")

        def logits(x: ArrayLike) -> Tensor:
            # Unnormalised log ŷ: a class has e^cosine summed over its examples, which lies in [1/e, e] for each.
            return log(exp(unit(phi(x)) @ directions.mT) @ votes)

        return logits


def unit(x: Tensor) -> Tensor:
    """Vectors along the last axis, of length 1."""
    return x / (vector_norm(x, -1, keepdims=True) + 1e-8)
