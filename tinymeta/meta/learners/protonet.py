"""Prototypical networks (Snell, Swersky & Zemel 2017): every class is the mean of its examples' embeddings.

    c_k = mean of f(xᵢ) over the support examples of class k               (eq. 1)
    p(y = k | x) = softmax_k(−‖f(x) − c_k‖²)                               (eq. 2)

φ is the embedding f. Nothing is adapted: learning a task is one forward pass.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tinymeta.engine.tensor import ArrayLike, Tensor
from tinymeta.engine.typing import Tree
from tinymeta.meta.core.classes import members
from tinymeta.meta.core.learner import Learner, Model
from tinymeta.ops.elementwise import square
from tinymeta.ops.reduce import sum


@dataclass(frozen=True)
class ProtoNet(Learner):
    """Learn an embedding in which classes are round.

    Shapes: support (n, …) with labels (n,), queries (m, …) → logits (m, ways).
    Raises: UserError (by `learn`) for a class without an example; IndexError for a label beyond the ways:
    `tm.meta.ProtoNet(ways=2).learn(lambda x: x, (tm.zeros((2, 1)), np.array([0, 2])))`.
    Source: Snell, Swersky & Zemel 2017, eq. 1 and 2.

    Parameters
    ----------
    ways
        Classes per task. The test may have another number than training: `dataclasses.replace(learner, ways=20)`.

    Examples
    --------
    >>> support = tm.tensor([[0.0], [2.0], [5.0]]), np.array([0, 0, 1])
    >>> tm.meta.ProtoNet(ways=2).learn(lambda x: x, support)(tm.tensor([[3.0]]))  # −(3 − 1)² and −(3 − 5)²
    tensor([[-4., -4.]])
    """

    ways: int = field(default=5, kw_only=True)

    def learn(self, phi: Tree, support: Tree) -> Model:
        x, labels = support
        prototypes = class_means(phi(x), labels, self.ways)
        return lambda x: -squared_distances(phi(x), prototypes)


def class_means(embeddings: Tensor, labels: ArrayLike, ways: int) -> Tensor:
    """The mean embedding of every class: (n, features) and (n,) give (ways, features)."""
    mine = members(labels, ways, embeddings.dtype, "a prototypical network")
    return (mine.mT @ embeddings) / sum(mine, 0).expand_dims(-1)


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """‖aᵢ − bⱼ‖² for all pairs: (m, features) and (n, features) give (m, n)."""
    lengths = sum(square(a), -1).expand_dims(-1) + sum(square(b), -1).expand_dims(-2)
    return lengths - 2.0 * (a @ b.mT)
