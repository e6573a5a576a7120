"""A model that brings the state of its update rule along, so that one task's state is where the next one starts.

An inner loop with Adam usually starts with an empty state, so that its first step has the same length for every
weight, whatever the gradient: g/√v̂ is ±1 there. What the tasks before have seen of the gradients' sizes is better
than nothing. Nichol et al.'s code keeps Adam's averages from task to task and puts only the weights back; here
they are part of φ, and Reptile moves them as it moves the weights: to the mean of what the tasks made of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tinymeta.nn.module import Module
from tinymeta.optim.optimizer import Optimizer


class Carried(Module):
    """A model and the state of its rule; called, it is the model."""

    def __init__(self, model: Any, state: Any) -> None:
        self.model, self.state = model, state

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.model(*args, **kwargs)


@dataclass(frozen=True)
class Carrying:
    """The update rule of `Carried` models: `rule`, with its state among the parameters.

    Examples
    --------
    >>> import numpy as np, tinymeta as tm
    >>> rule = Carrying(tm.optim.Adam(0.1, b1=0.0))
    >>> start = rule.carried(tm.tensor(np.ones(2)))
    >>> loss = lambda theta, goal: ((theta.model - goal) ** 2).sum()
    >>> for _ in range(3):  # the tasks; a batch of several moves φ to the mean
    ...     start = tm.meta.adapt(loss, start, 0.0, rule=rule, steps=5, differentiate="reptile")
    >>> float(start.state.taken)
    15.0
    """

    rule: Optimizer

    def carried(self, model: Any) -> Carried:
        """`model` with the state that the rule starts from."""
        return Carried(model, self.rule.init(model))

    def init(self, params: Carried) -> tuple[()]:
        return ()

    def update(self, grads: Carried, state: tuple[()], params: Carried) -> tuple[Carried, tuple[()]]:
        return Carried(*self.rule.update(grads.model, params.state, params.model)), ()
