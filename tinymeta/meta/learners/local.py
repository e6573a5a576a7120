"""Local matching: two drawings are alike where each place of the one finds a place like it, nearby, in the other.

A pooled embedding says what is in a picture, not where, and characters of one alphabet are made of the same strokes.
So pictures are compared place by place. A network gives maps (channels, h, w); a projection makes each place p a
direction u_p of length 1, and a weight w_p > 0, with Σ_p w_p = 1. With τ, s and b learned:

    E_pq = exp(τ (u_p · v_q + b[q − p]))                     how well place q of the other picture answers place p
    score = s/2τ (Σ_p w_p log Σ_q E_pq + Σ_q w_q log Σ_p E_pq)          soft maxima, asked in both directions

The exponent is bounded by τ (1 + max b), so one exponential serves both directions, and nothing is subtracted first. As
τ grows the score becomes that of the best partners alone (as in naive-Bayes nearest neighbours, Boiman et al. 2008).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from tinymeta.engine.errors import ShapeError, user_site
from tinymeta.engine.tensor import Array, ArrayLike, Tensor
from tinymeta.engine.typing import DTypeLike, Tree
from tinymeta.meta.core.adapt import Loss
from tinymeta.meta.core.classes import members
from tinymeta.meta.core.learner import Learner, Model
from tinymeta.meta.learners.matching import unit
from tinymeta.nn.convolution import Conv2d
from tinymeta.nn.losses import cross_entropy
from tinymeta.nn.module import Module
from tinymeta.ops.elementwise import exp, log
from tinymeta.ops.embedding import one_hot
from tinymeta.ops.index import take
from tinymeta.ops.logistic import softplus
from tinymeta.ops.reduce import sum
from tinymeta.ops.shape import moveaxis
from tinymeta.ops.softmax import log_softmax

SHARP, SCALE, NEARNESS = 10.0, 30.0, 0.05  # τ, s and −b per squared place before training

Places = tuple[Tensor, Tensor]  # directions (n, places, depth), and their weights (n, places)


class LocalMatcher(Module):
    """φ: what a place of a picture is like, how much it counts, and where to look for its partner.

    Shapes: `embed` gives maps (n, channels, side, side); called with pictures a (m, …) and b (n, …) → scores (m, n).
    Raises: ShapeError for maps of another side:
    `tm.meta.LocalMatcher(lambda x: x, 1, 2, rng=np.random.default_rng(0)).places(tm.ones((1, 1, 3, 3)))`.

    Parameters
    ----------
    embed
        The network before.
    channels, side
        Of its maps.
    depth
        Of a place's direction.

    Examples
    --------
    >>> phi = tm.meta.LocalMatcher(lambda x: x, 2, 3, rng=np.random.default_rng(0))
    >>> phi(np.ones((4, 2, 3, 3), np.float32), np.ones((5, 2, 3, 3), np.float32)).shape
    (4, 5)
    """

    def __init__(
        self,
        embed: Callable[[Tree], Tree],
        channels: int,
        side: int,
        *,
        rng: np.random.Generator,
        depth: int = 64,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.embed, self.side = embed, side
        self.project = Conv2d(channels, depth, 1, rng=rng, dtype=dtype)
        self.weigh = Conv2d(channels, 1, 1, rng=rng, dtype=dtype)
        self.log_sharpness = Tensor(np.array(np.log(SHARP), dtype))
        self.log_scale = Tensor(np.array(np.log(SCALE), dtype))
        apart = np.arange(1 - side, side) ** 2
        self.nearness = Tensor((-NEARNESS * (apart[:, None] + apart)).astype(dtype).reshape(-1))

    def __call__(self, a: ArrayLike, b: ArrayLike) -> Tensor:
        return self.scores(self.places(a), self.places(b))

    def places(self, x: ArrayLike) -> Places:
        """Pictures (n, …) to the directions and the weights of their places."""
        maps = self.embed(x)
        if maps.shape[-2:] != (self.side, self.side):
            raise ShapeError(
                f"this LocalMatcher compares maps of {self.side}×{self.side} places and got {maps.shape} "
                f"({user_site()}): side= says what it is built for"
            )
        n, count = len(maps), self.side**2
        projected = self.project(maps)
        directions = unit(moveaxis(projected.reshape((*projected.shape[:2], count)), -2, -1))
        weights = softplus(self.weigh(maps).reshape((n, count)))
        return directions, weights / sum(weights, -1, keepdims=True)

    def scores(self, a: Places, b: Places) -> Tensor:
        """Each of m pictures compared with each of n: (m, n)."""
        (u, w), (v, z) = a, b
        (m, p, depth), (n, q, _) = u.shape, v.shape
        sharpness = exp(self.log_sharpness)
        alike = (u.reshape((m * p, depth)) @ v.reshape((n * q, depth)).mT).reshape((m, p, n, q))
        near = take(self.nearness, self.offsets()).expand_dims(1)  # (p, 1, q)
        answers = exp(sharpness * (alike + near))
        there = sum(w.expand_dims(-1) * log(sum(answers, -1)), 1)  # (m, p, n) over p
        back = sum(z * log(sum(answers, 1)), -1)  # (m, n, q) over q
        return (0.5 * exp(self.log_scale) / sharpness) * (there + back)

    def offsets(self) -> Array:
        """Which entry of `nearness` belongs to places p and q: (places, places)."""
        row, column = np.divmod(np.arange(self.side**2), self.side)
        down, right = row - row[:, None] + self.side - 1, column - column[:, None] + self.side - 1
        found: Array = down * (2 * self.side - 1) + right
        return found


def both_ways(model: Model, batch: Tree) -> Tensor:
    """Cross-entropy over the classes of each query and, if each class has one query, over the queries of each class.

    The latter is asked of episodes with as many queries as classes.
    """
    x, labels = batch
    scores = model(x)
    loss = cross_entropy(scores, labels)
    if scores.shape[0] != scores.shape[1]:
        return loss
    mine = one_hot(labels, scores.shape[1], scores.dtype)
    return 0.5 * (loss - sum(mine * log_softmax(scores, 0)) / len(scores))


@dataclass(frozen=True)
class LocalMatching(Learner):
    """Learn to compare pictures place by place.

    Shapes: support (n, …) with labels (n,), queries (m, …) → logits (m, ways).
    Raises: UserError (by `learn`) for a class without an example; IndexError for a label beyond the ways:
    `tm.meta.LocalMatching(ways=1).learn(tm.meta.LocalMatcher(lambda x: x, 1, 1, rng=np.random.default_rng(0)),
    (np.ones((1, 1, 1, 1)), np.array([1])))`.

    Parameters
    ----------
    ways
        Classes per task. A class with several examples has the mean of their scores.

    Examples
    --------
    >>> phi = tm.meta.LocalMatcher(lambda x: x, 2, 3, rng=np.random.default_rng(0))
    >>> maps = np.random.default_rng(1).normal(size=(4, 2, 3, 3)).astype(np.float32)
    >>> logits = tm.meta.LocalMatching(ways=4).learn(phi, (maps, np.arange(4)))(maps)
    >>> logits.argmax(-1).tolist()  # each is most like itself
    [0, 1, 2, 3]
    """

    loss: Loss = both_ways
    ways: int = field(default=5, kw_only=True)

    def learn(self, phi: LocalMatcher, support: Tree) -> Model:
        x, labels = support
        places = phi.places(x)
        mine = members(labels, self.ways, places[0].dtype, "local matching")
        mean = mine / sum(mine, 0)
        return lambda x: phi.scores(phi.places(x), places) @ mean
