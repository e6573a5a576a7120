"""An in-context learner: a network that reads the support set and answers, with no gradient step in between.

    tokens:   uᵢ = [f(xᵢ), yᵢ]  for the support,      u = [f(x), 0]  for a query
    layers:   u ← u + attend(norm(u), support);   u ← u + mlp(norm(u))
    answer:   head(u) of the query

This is the black-box family (Santoro et al. 2016; Mishra et al. 2018: memory and attention over past
examples): the learning algorithm is whatever the weights φ make of the tokens. Support tokens look at
each other, query tokens look at the support only, so queries do not see one another and the order of the
support set says nothing. Attention is that of Vaswani et al. (2017, eq. 1).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from tinymeta.engine.tensor import ArrayLike, Tensor
from tinymeta.engine.typing import DTypeLike, Tree
from tinymeta.meta.core.learner import Learner, Model
from tinymeta.nn.attention import MultiHeadAttention
from tinymeta.nn.layers import MLP, Linear
from tinymeta.nn.module import Module
from tinymeta.nn.normalization import LayerNorm
from tinymeta.ops.embedding import one_hot
from tinymeta.ops.special import gelu


class Block(Module):
    """One layer: attention to the support set, then a two-layer network, each added to what came in."""

    def __init__(self, width: int, heads: int, *, rng: np.random.Generator, dtype: DTypeLike) -> None:
        self.before_attention, self.before_mlp = LayerNorm(width, dtype=dtype), LayerNorm(width, dtype=dtype)
        self.attention = MultiHeadAttention(width, heads, rng=rng, dtype=dtype)
        self.mlp = MLP([width, 2 * width, width], rng=rng, activation=gelu, dtype=dtype)

    def __call__(self, tokens: Tensor, support: Tensor) -> Tensor:
        tokens = tokens + self.attention(self.before_attention(tokens), self.before_attention(support))
        return tokens + self.mlp(self.before_mlp(tokens))


class Reader(Module):
    """φ: the network that reads a support set.

    Shapes: support (n, …) with targets (n, targets), queries (m, …) → (m, outputs).
    Source: Vaswani et al. 2017, eq. 1, for attention.

    Parameters
    ----------
    embed
        f: examples (n, …) to (n, features).
    features, targets, outputs
        Sizes of f(x), of y (classes, or the entries of a regression target), and of the answer.
    width, heads, layers
        Of the attention layers.

    Examples
    --------
    >>> reader = tm.meta.Reader(lambda x: x, 1, 1, 1, rng=np.random.default_rng(0), width=8, heads=2, layers=1)
    >>> reader.answer(reader.read(np.ones((5, 1)), np.ones((5, 1))), np.ones((3, 1))).shape
    (3, 1)
    """

    def __init__(
        self,
        embed: Callable[[Tree], Tree],
        features: int,
        targets: int,
        outputs: int,
        *,
        rng: np.random.Generator,
        width: int = 64,
        heads: int = 4,
        layers: int = 3,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.embed = embed
        self.from_x = Linear(features, width, rng=rng, dtype=dtype)
        self.from_y = Linear(targets, width, rng=rng, bias=False, dtype=dtype)
        self.blocks = [Block(width, heads, rng=rng, dtype=dtype) for _ in range(layers)]
        self.last, self.head = LayerNorm(width, dtype=dtype), Linear(width, outputs, rng=rng, dtype=dtype)

    def read(self, x: ArrayLike, y: ArrayLike) -> list[Tensor]:
        """The support tokens as each layer sees them."""
        seen = [self.from_x(self.embed(x)) + self.from_y(y)]
        for block in self.blocks:
            seen.append(block(seen[-1], seen[-1]))
        return seen

    def answer(self, seen: list[Tensor], x: ArrayLike) -> Tensor:
        """The outputs for queries x, given what `read` returned."""
        tokens = self.from_x(self.embed(x))
        for block, support in zip(self.blocks, seen):
            tokens = block(tokens, support)
        return self.head(self.last(tokens))


@dataclass(frozen=True)
class InContext(Learner):
    """Learn to read a support set; `network` draws a `Reader`.

    Shapes: called with phi and episodes of a leading task axis → ().
    Source: Santoro et al. 2016; Mishra et al. 2018.

    Parameters
    ----------
    ways
        Classes per task, whose labels are read as unit vectors; None: y is read as it is (regression).

    Examples
    --------
    >>> start = lambda rng: tm.meta.Reader(lambda x: x, 1, 1, 1, rng=rng, width=8, heads=2, layers=1)
    >>> learner, rng = tm.meta.InContext(tm.meta.regression, network=start), np.random.default_rng(0)
    >>> learner(learner.init(rng), tm.tasks.Sinusoids().sample(rng, tasks=3)).shape
    ()
    """

    ways: int | None = field(default=None, kw_only=True)

    def learn(self, phi: Reader, support: Tree) -> Model:
        x, y = support
        seen = phi.read(x, y if self.ways is None else one_hot(y, self.ways, phi.from_y.weight.dtype))
        return lambda x: phi.answer(seen, x)
