"""An outer step whose tasks are shared out: the gradient of a mean over tasks is the mean of those of its parts.

Each part is computed on one core, alike wherever that is, and the parts are added in their order. So how many workers
there are, who they are and which of them fail changes no bit of the result.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial, reduce
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np
from tinymeta_kernels.threads import one_core

from tinymeta.compile import compile
from tinymeta.engine import tree
from tinymeta.engine.errors import UserError
from tinymeta.engine.tensor import Tensor
from tinymeta.engine.transforms import value_and_grad
from tinymeta.engine.typing import Function, Tree
from tinymeta.meta.core.objective import Apart, Objective
from tinymeta.meta.spread.gather import gather, shared
from tinymeta.ops.reduce import sum
from tinymeta.ops.shape import concat
from tinymeta.ops.tree import add, scale
from tinymeta.optim.optimizer import Optimizer

CHUNKS = 8  # however many workers there are, so that these change no number


Slope = Callable[..., tuple[Tensor, Tree]]  # value and gradient
Moved = tuple[Tree, Tree, Tensor, Tensor]


class Job(NamedTuple):
    """What all parts of all steps have in common."""

    name: str
    objective: Objective
    compiled: bool


def in_parts(
    objective: Objective, optimizer: Optimizer, executor: Executor | None, chunks: int | None, compiled: bool
) -> Function:
    """One outer step, from `(phi, state, episodes, *iteration)` to what `moved` gives, by parts of the episodes."""
    if chunks is not None and chunks < 1:
        raise UserError(f"chunks={chunks}: a batch of tasks has 1 part or more")
    job: Any = Job(uuid4().hex, objective, compiled)
    job = job if executor is None else shared(executor, job)
    apart = isinstance(objective, Apart)
    finish: Callable[..., Moved] = partial(_finished, optimizer, apart)
    finish = compile(finish) if compiled else finish

    def step(phi: Tree, state: Tree, episodes: Tree, *iteration: Any) -> Moved:
        common: Any = phi if executor is None or apart else shared(executor, phi)
        parts, shares = divided((phi, episodes) if apart else episodes, chunks)
        calls = [(job, *part, *iteration) if apart else (job, common, part, *iteration) for part in parts]
        found = [slope(*call) for call in calls] if executor is None else gather(executor, slope, calls)
        with one_core():
            return finish(phi, state, found, shares)

    return step


def divided(episodes: Tree, chunks: int | None) -> tuple[list[Tree], list[float]]:
    """Parts of a batch that differ by at most one task, and each one's share of the tasks."""
    sizes = {(*getattr(leaf, "shape", ()), 0)[0] for leaf in tree.leaves(episodes)}
    if len(sizes) != 1:
        raise UserError(
            f"the arrays of a batch of episodes have {sorted(sizes)} as their first lengths: a batch that is shared "
            "out to workers has a leading axis of tasks in each array"
        )
    (tasks,) = sizes
    if chunks is not None and chunks > tasks:
        raise UserError(f"a meta-batch of {tasks} tasks does not split into {chunks} parts")
    count = min(CHUNKS, tasks) if chunks is None else chunks
    bounds = [k * tasks // count for k in range(count + 1)]
    parts = [tree.map(lambda x, a=a, b=b: x[a:b], episodes) for a, b in zip(bounds, bounds[1:])]
    return parts, [(b - a) / tasks for a, b in zip(bounds, bounds[1:])]


def slope(job: Job, phi: Tree, *batch: Tree) -> tuple[Tensor, Tree]:
    """Value and gradient of the mean over one part's tasks."""
    with one_core():
        return _slope_of(job)(phi, *batch)


_slopes: dict[str, Slope] = {}  # by the names of jobs: a worker records a job's program once
_LATEST = 8  # jobs that are kept


def _slope_of(job: Job) -> Slope:
    found = _slopes.get(job.name)
    if found is None:
        made = value_and_grad(job.objective)
        found = _slopes.setdefault(job.name, compile(made) if job.compiled else made)
        for name in list(_slopes)[:-_LATEST]:
            _slopes.pop(name, None)
    return found


def _finished(
    optimizer: Optimizer, apart: bool, phi: Tree, state: Tree, found: list[tuple[Tensor, Tree]], shares: list[float]
) -> Moved:
    """The step that the parts' gradients come to, together."""
    each = [scale(part, share) for part, share in zip(found, shares)]
    value, grads = reduce(add, each)
    if apart:
        grads = tree.map(lambda *parts: concat(parts), *[grads for _, grads in each])
    return moved(optimizer, phi, state, value, grads)


def moved(optimizer: Optimizer, phi: Tree, state: Tree, value: Tensor, grads: Tree) -> Moved:
    """The step down a gradient: φ, state, value, and 0 times the sum of the gradient, NaN where that isn't finite
    (which a rule may hide: clipped, an infinity is a number)."""
    zero = reduce(add, [sum(0 * g) for g in tree.leaves(grads)], Tensor(np.zeros(())))
    return (*optimizer.update(grads, state, phi), value, zero)
