"""Matching networks (Vinyals, Blundell, Lillicrap, Kavukcuoglu & Wierstra 2016): a label is a weighted vote.

    ŷ = Σᵢ a(x, xᵢ) yᵢ                                                     (eq. 1)
    a(x, xᵢ) = softmaxᵢ(cosine(f(x), f(xᵢ)))                               (§ 2.1.1)

The vote goes over support examples, not classes. Full context embeddings (§ 2.1.2) are left out: the
embedding of an example does not depend on the rest of the support set.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tinymeta.engine.tensor import Tensor
from tinymeta.meta.core.classes import members
from tinymeta.meta.core.learner import Learner, Model
from tinymeta.ops.elementwise import exp, log
from tinymeta.ops.linalg import vector_norm


@dataclass(frozen=True)
class MatchingNet(Learner):
    """Learn an embedding in which the angle says who belongs together.

    Parameters
    ----------
    ways
        Classes per task.
    """

    ways: int = field(default=5, kw_only=True)

    def learn(self, phi: Any, support: Any) -> Model:
        x, labels = support
        directions = unit(phi(x))
        votes = members(labels, self.ways, directions.dtype, "a matching network")

        def logits(x: Any) -> Tensor:
            # Unnormalised log ŷ: a class has e^cosine summed over its examples, which lies in [1/e, e] for each.
            return log(exp(unit(phi(x)) @ directions.mT) @ votes)

        return logits


def unit(x: Tensor) -> Tensor:
    """Vectors along the last axis, of length 1."""
    return x / (vector_norm(x, -1, keepdims=True) + 1e-8)
