"""`Learner`: an algorithm that learns a task from its support set, and that is itself learned from tasks.

    learn(phi, support) → model,   then the loss of that model on the query set.

Every algorithm of this package is a Learner, whether it takes gradient steps (`GradientLearner`), compares
with the support set (`protonet.py`) or reads it (`incontext.py`). So training, measuring and predicting
are written once:

    learner = tm.meta.ProtoNet(ways=5, network=network)
    phi = tm.meta.fit(learner, learner.init(rng), tasks, optimizer=…, iterations=…, meta_batch=…)
    accuracy = tm.meta.evaluate(learner, tm.meta.inductive(tm.nn.accuracy), phi, episodes)
    labels = learner.models(phi, support)[-1](new_images).argmax(-1)

Learners are frozen dataclasses of plain settings, so they travel to worker processes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from tinymeta.engine.errors import UserError
from tinymeta.engine.tensor import Tensor
from tinymeta.engine.typing import Tree
from tinymeta.meta.core.adapt import Loss
from tinymeta.meta.core.objective import over_tasks
from tinymeta.nn.losses import cross_entropy, mse_loss
from tinymeta.tasks.episode import Episode

Network = Callable[[np.random.Generator], Tree]
Model = Callable[[Tree], Tree]


def classification(model: Model, batch: Tree) -> Tensor:
    """The cross-entropy of `model(x)`, logits, with the labels y of a batch (x, y).

    Shapes: x (n, …), y (n,) of integers → ().

    >>> tm.meta.classification(lambda x: 0.0 * x, (np.ones((3, 2)), np.array([0, 1, 1])))
    tensor(0.6931)
    """
    x, labels = batch
    return cross_entropy(model(x), labels)


def regression(model: Model, batch: Tree) -> Tensor:
    """The mean squared error of `model(x)` on a batch (x, y).

    Shapes: x (n, …), y (n, outputs) → ().
    Raises: ShapeError where the model's outputs are not like y: `tm.meta.regression(tm.sum, (np.ones(3), np.ones(3)))`.

    >>> tm.meta.regression(lambda x: 2.0 * x, (np.ones((3, 1)), np.ones((3, 1))))
    tensor(1.)
    """
    x, y = batch
    return mse_loss(model(x), y)


@dataclass(frozen=True)
class Learner:
    """Base class: a subclass says in `learn` what it makes of a support set.

    Shapes: called with phi and episodes of a leading task axis → ().
    Raises: UserError for a subclass that doesn't say what it learns, or one without a network to start from:
    `tm.meta.Learner().init(np.random.default_rng(0))`.

    Parameters
    ----------
    loss
        `loss(model, (x, y))`, a scalar.
    network
        Draws the network's first weights: a function of a random generator. Only `init` needs it.

    Examples
    --------
    >>> class Mean(tm.meta.Learner):
    ...     def learn(self, phi, support):
    ...         return lambda x: 0.0 * x + phi * support[1].mean()
    >>> learner, rng = Mean(tm.meta.regression), np.random.default_rng(0)
    >>> learner(1.0, tm.tasks.LinearRegressions().sample(rng, tasks=4)).shape
    ()
    """

    loss: Loss = classification
    network: Network | None = field(default=None, kw_only=True)

    def init(self, rng: np.random.Generator) -> Tree:
        """The meta-parameters before training."""
        return self.weights(rng)

    def weights(self, rng: np.random.Generator) -> Tree:
        """A freshly drawn network."""
        if self.network is None:
            raise UserError(
                f"{type(self).__name__} has no network to start from: pass network=, a function from a random "
                "generator to a model, or give fit meta-parameters of your own"
            )
        return self.network(rng)

    def learn(self, phi: Tree, support: Tree) -> Model:
        """What the learner makes of a support set (x, y): a function from x to outputs, differentiable in `phi`."""
        raise UserError(f"{type(self).__name__} defines no learn(phi, support): say there what a task's model is")

    def models(self, phi: Tree, support: Tree) -> list[Model]:
        """What it makes of a support set when it is put to the test: one model for each of its stages."""
        return [self.learn(phi, support)]

    def task_loss(self, phi: Tree, episode: Episode) -> Tensor:
        """The loss on one task's query set, having learned from its support set."""
        return self.loss(self.learn(phi, episode.support), episode.query)

    def __call__(self, phi: Tree, episodes: Episode) -> Tensor:
        """The objective that `fit` minimises: the mean `task_loss` of a batch of episodes."""
        return over_tasks(self.task_loss)(phi, episodes)


@dataclass(frozen=True)
class GradientLearner(Learner):
    """Base class of what learns a task by gradient steps; a subclass says in `path` where they lead.

    Shapes: called with phi and episodes of a leading task axis → ().
    Raises: UserError for a subclass that doesn't say where its steps lead:
    `tm.meta.GradientLearner().learn(1.0, None)`.

    Parameters
    ----------
    steps
        How many steps to take in training.
    test_steps
        How many when put to the test; as many if None.

    Examples
    --------
    >>> class Halving(tm.meta.GradientLearner):
    ...     def path(self, phi, support, steps):
    ...         return [lambda x, k=k: phi * 0.5**k * x for k in range(steps + 1)]
    >>> [model(1.0) for model in Halving(tm.meta.regression, test_steps=2).models(8.0, None)]
    [8.0, 4.0, 2.0]
    """

    steps: int = field(default=1, kw_only=True)
    test_steps: int | None = field(default=None, kw_only=True)

    def path(self, phi: Tree, support: Tree, steps: int) -> list[Model]:
        """The models after 0, 1, …, `steps` steps on a support set."""
        raise UserError(f"{type(self).__name__} defines no path(phi, support, steps): say there where the steps lead")

    def learn(self, phi: Tree, support: Tree) -> Model:
        return self.path(phi, support, self.steps)[-1]

    def models(self, phi: Tree, support: Tree) -> list[Model]:
        """The models after 0, 1, …, `test_steps` steps."""
        return self.path(phi, support, self.steps if self.test_steps is None else self.test_steps)
