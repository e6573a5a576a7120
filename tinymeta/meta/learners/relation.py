"""Relation networks (Sung, Yang, Zhang, Xiang, Torr & Hospedales 2018): learn the comparison as well.

    r_{k,j} = g(C(Σ_{i in class k} f(xᵢ), f(x_j)))     in (0, 1)            (eq. 1; C: concatenation of channels)
    min over f and g of  Σ (r_{k,j} − 1[y_j = k])²                          (eq. 2)

φ is a `Relation`: the embedding f and the relation module g.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tinymeta.engine.tensor import ArrayLike, Tensor
from tinymeta.engine.typing import Tree
from tinymeta.meta.core.adapt import Loss
from tinymeta.meta.core.classes import members
from tinymeta.meta.core.learner import Learner, Model
from tinymeta.nn.losses import mse_loss
from tinymeta.nn.module import Module
from tinymeta.ops.embedding import one_hot
from tinymeta.ops.logistic import sigmoid
from tinymeta.ops.shape import broadcast_to, concat


class Relation(Module):
    """φ: an embedding, and how two embeddings are compared.

    Shapes: `embed` gives vectors (n, C) or maps (n, C, H, W); `compare` takes twice the channels and gives (n, 1).

    >>> phi = tm.meta.Relation(embed=lambda x: x, compare=lambda both: both[:, :1] * both[:, 1:])
    >>> phi.compare(np.array([[2.0, 3.0]]))
    array([[6.]])
    """

    def __init__(self, embed: Callable[[Tree], Tree], compare: Callable[[Tree], Tree]) -> None:
        self.embed, self.compare = embed, compare


def relation_loss(model: Model, batch: Tree) -> Tensor:
    """Mean squared error of the relation scores σ(model(x)) (eq. 2)."""
    x, labels = batch
    scores = sigmoid(model(x))
    return mse_loss(scores, one_hot(labels, scores.shape[-1], scores.dtype))


@dataclass(frozen=True)
class RelationNet(Learner):
    """Learn an embedding and how to compare two embeddings.

    Shapes: support (n, …) with labels (n,), queries (m, …) → logits (m, ways).
    Raises: UserError (by `learn`) for a class without an example; IndexError for a label beyond the ways:
    `tm.meta.RelationNet(ways=2).learn(tm.meta.Relation(lambda x: x, None), (tm.ones((2, 1)), np.array([0, 2])))`.
    Source: Sung et al. 2018, eq. 1 and 2.

    Parameters
    ----------
    ways
        Classes per task.

    Examples
    --------
    >>> phi = tm.meta.Relation(embed=lambda x: x, compare=lambda both: both[:, :1] * both[:, 1:])
    >>> support = tm.tensor([[1.0], [2.0], [5.0]]), np.array([0, 0, 1])
    >>> tm.meta.RelationNet(ways=2).learn(phi, support)(tm.tensor([[10.0]]))  # 10 times the sum of each class
    tensor([[30., 50.]])
    """

    loss: Loss = relation_loss
    ways: int = field(default=5, kw_only=True)

    def learn(self, phi: Relation, support: Tree) -> Model:
        x, labels = support
        z = phi.embed(x)
        shape = z.shape[1:]
        mine = members(labels, self.ways, z.dtype, "a relation network")
        classes = (mine.mT @ z.reshape((len(z), -1))).reshape((self.ways, *shape))

        def logits(x: ArrayLike) -> Tensor:
            z = phi.embed(x)
            pairs = (len(z), self.ways, *shape)
            both = [broadcast_to(classes, pairs), broadcast_to(z.expand_dims(1), pairs)]
            r = phi.compare(concat(both, 2).reshape((len(z) * self.ways, 2 * shape[0], *shape[1:])))
            return r.reshape((len(z), self.ways))  # type: ignore[no-any-return]

        return logits
