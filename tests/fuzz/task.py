"""What a learner is to learn: a drawn network with its loss and data, and what a strategy makes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tests.fuzz.flow import Flow
from tests.fuzz.layers import flattened
from tests.fuzz.losses import Loss
from tinymeta import nn
from tinymeta.tasks import Episode


class Task(NamedTuple):
    """What is learned: the network, what flows into it and out of it, and the loss."""

    network: Callable[[Any], Any]  # a generator → a model
    flow: Flow
    output: tuple[int, ...]  # of one example
    loss: Loss
    dtype: Any
    tasks: int
    shots: int
    head: str  # the pattern of the last layer's weights

    def x(self, r: Any, *leading: int) -> Any:
        shape = (*leading, *self.flow.shape)
        return r.integers(0, self.flow.ids, shape) if self.flow.ids else r.normal(size=shape).astype(self.dtype)

    def batch(self, r: Any, *leading: int) -> Any:
        return self.x(r, *leading), self.loss.targets(r, leading, self.output, self.dtype)

    def episodes(self, r: Any) -> Any:
        return Episode(self.batch(r, self.tasks, self.shots), self.batch(r, self.tasks, self.shots + 1))

    def classes(self, r: Any, ways: int, each: int) -> Any:
        """Tasks with `each` examples of every class."""
        labels = np.tile(np.repeat(np.arange(ways), each), (self.tasks, 1))
        return self.x(r, self.tasks, ways * each), labels

    def labelled(self, r: Any, ways: int) -> Any:
        return Episode(self.classes(r, ways, int(min(self.shots, 3))), self.classes(r, ways, 2))


class Learned(NamedTuple):
    """`objective(φ, data)`, a scalar."""

    objective: Callable[[Any, Any], Any]
    phi: Any
    data: Callable[[Any], Any]


Strategy = Callable[[Any, Task], "Learned | None"]


def features_of(task: Task) -> Callable[[Any], Any]:
    return lambda rng: nn.Sequential(task.network(rng), flattened)
