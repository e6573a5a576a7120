"""MAML (Finn, Abbeel & Levine 2017): weights from which a few gradient steps fit any task.

    θ'ᵢ = θ − α ∇ L_support,ᵢ(θ)               inner step, or several              (§ 2.2)
    θ ← θ − β ∇_θ Σᵢ L_query,ᵢ(θ'ᵢ)            outer step                          (eq. 1)

φ is θ itself. By the chain rule the meta-gradient of one inner step is (I − αHᵢ) ∇L_query,ᵢ(θ'ᵢ); first-order
MAML (§ 5.2) drops αHᵢ. Which of them, or the implicit gradient, or Reptile's, is the word `differentiate`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tinymeta.engine.tensor import Tensor
from tinymeta.engine.typing import Options, Tree
from tinymeta.meta.core.adapt import Differentiate, Only, adapt
from tinymeta.meta.core.learner import GradientLearner, Model
from tinymeta.meta.core.objective import both_sets_loss, query_loss
from tinymeta.optim.optimizer import Optimizer
from tinymeta.tasks.episode import Episode


@dataclass(frozen=True)
class MAML(GradientLearner):
    """Learn the initial weights.

    Shapes: called with phi and episodes of a leading task axis → ().
    Raises: ValueError (by `learn`) for another `differentiate` than `adapt` knows:
    `tm.meta.MAML(rule=tm.optim.SGD(0.1), differentiate="second_order").learn(1.0, None)`.
    Source: Finn, Abbeel & Levine 2017, § 2.2 and eq. 1.

    Parameters
    ----------
    rule
        The inner update rule, for instance `tm.optim.SGD(0.4)`.
    differentiate, only, parts
        As in `adapt`.

    Examples
    --------
    >>> start = lambda rng: tm.nn.MLP([1, 8, 1], rng=rng)
    >>> learner, rng = tm.meta.MAML(tm.meta.regression, network=start, rule=tm.optim.SGD(0.1)), np.random.default_rng(0)
    >>> phi, episodes = learner.init(rng), tm.tasks.Sinusoids().sample(rng, tasks=3)
    >>> learner(phi, episodes).shape, max(tm.orders(*tm.tree.leaves(tm.grad(learner)(phi, episodes))))
    ((), 2)
    """

    rule: Optimizer = field(kw_only=True)
    differentiate: Differentiate = field(default="exact", kw_only=True)
    only: Only = field(default=None, kw_only=True)
    parts: int = field(default=1, kw_only=True)

    @property
    def inner(self) -> Options:
        """The options of `adapt`, but for the number of steps."""
        return {"rule": self.rule, "differentiate": self.differentiate, "only": self.only, "parts": self.parts}

    def path(self, phi: Tree, support: Tree, steps: int) -> list[Model]:
        return [*adapt(self.loss, phi, support, steps=steps, path=True, **self.inner)]

    def task_loss(self, phi: Tree, episode: Episode) -> Tensor:
        return query_loss(self.loss, phi, episode, steps=self.steps, **self.inner)


@dataclass(frozen=True)
class Joint(MAML):
    """Joint training, what MAML is compared with: no task is adapted to before the test.

    Shapes: called with phi and episodes of a leading task axis → ().

    >>> start, rng = lambda rng: tm.nn.MLP([1, 8, 1], rng=rng), np.random.default_rng(0)
    >>> learner = tm.meta.Joint(tm.meta.regression, network=start, rule=tm.optim.SGD(0.1))
    >>> learner(learner.init(rng), tm.tasks.Sinusoids().sample(rng, tasks=3)).shape
    ()
    """

    def task_loss(self, phi: Tree, episode: Episode) -> Tensor:
        return both_sets_loss(self.loss, phi, episode)


@dataclass(frozen=True)
class ANIL(MAML):
    """Almost no inner loop (Raghu, Raghu, Bengio & Vinyals 2020, § 4): only the head moves in a task.

    θ' = (θ_body, θ_head − α ∇_head L_support(θ)); both are learned outside, by the meta-gradient. MAML's body hardly
    moves in the inner loop anyway (ibid. § 3), and without it a step and its second derivatives cost next to nothing.

    Shapes: called with phi and episodes of a leading task axis → ().
    Source: Raghu, Raghu, Bengio & Vinyals 2020, § 4.

    Parameters
    ----------
    only
        As in `adapt`: the leaves that move, by default the head of `tm.nn.MLP` and `tm.nn.ConvNet4`.

    Examples
    --------
    >>> start = lambda rng: tm.nn.MLP([1, 8, 1], rng=rng)
    >>> learner, rng = tm.meta.ANIL(tm.meta.regression, network=start, rule=tm.optim.SGD(0.1)), np.random.default_rng(0)
    >>> phi, episode = learner.init(rng), next(tm.tasks.unstack(tm.tasks.Sinusoids().sample(rng, tasks=1)))
    >>> adapted = learner.learn(phi, episode.support)
    >>> adapted.layers[0].weight is phi.layers[0].weight, adapted.head.weight is phi.head.weight
    (True, False)
    """

    only: Only = field(default="head.*", kw_only=True)
