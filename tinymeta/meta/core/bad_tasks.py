"""Tasks whose loss or gradient is not finite: which they are, at which operation it began, and a step without them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from tinymeta.engine import tree
from tinymeta.engine.tensor import Tensor
from tinymeta.engine.transforms import value_and_grad
from tinymeta.engine.typing import Function, Tree
from tinymeta.meta.core.loop import not_finite
from tinymeta.meta.core.objective import Objective
from tinymeta.watch.checked import checked


def bad_tasks(objective: Objective, phi: Tree, episodes: Tree, *iteration: Tensor) -> list[int]:
    """The numbers of the tasks of a batch that have no finite loss and gradient by themselves."""
    return [k for k in range(_count(episodes)) if not _is_good(objective, phi, only(episodes, [k]), *iteration)]


def without_bad_tasks(
    objective: Objective, step: Function, after: Tree, phi: Tree, state: Tree, *batch: Tree
) -> tuple[Tree, int]:
    """What a step came to, `after` (φ, state, loss, 0 · gradient); if that isn't finite, the step on the other tasks,
    and how many were left out. If all of them are bad, or none by itself, it stays as it is."""
    if math.isfinite(float(after[2]) + float(after[3])):
        return after, 0
    episodes, *iteration = batch
    with np.errstate(all="ignore"):
        bad = bad_tasks(objective, phi, episodes, *iteration)
        good = [k for k in range(_count(episodes)) if k not in bad]
        if not (bad and good):
            return after, 0
        return step(phi, state, only(episodes, good), *iteration), len(bad)


def only(episodes: Tree, which: Sequence[int]) -> Tree:
    """Some tasks of a batch, by number: every leaf has the tasks along its first axis."""
    return tree.map(lambda a: a[np.asarray(which)], episodes)


def blame(objective: Objective, step: Function, phi: Tree, state: Tree, *batch: Tree) -> str:
    """In words, the first task of a batch (the episodes, and the iteration) and the operation that are not finite.

    The operation is looked for without the compiler, operation by operation. Where the tasks are all good by
    themselves, it is one of the whole step (the mean over tasks, the optimizer's). Where nothing is found, because
    the objective draws random numbers for instance, it is an empty string.
    """
    episodes, *iteration = batch
    with np.errstate(all="ignore"):
        bad = bad_tasks(objective, phi, episodes, *iteration)
        if bad:
            at = lambda: value_and_grad(objective)(phi, only(episodes, bad[:1]), *iteration)
            who = f"task {bad[0]} of {_count(episodes)}" + f" (and {len(bad) - 1} more)" * (len(bad) > 1)
            return f"{who}{_first(at)}"
        return _first(lambda: step(phi, state, *batch)).removeprefix(", ")


def _first(compute: Callable[[], Tree]) -> str:
    """The first operation of `compute` that isn't finite, and its place."""
    try:
        with checked():
            compute()
    except FloatingPointError as found:
        return f", {found}"
    return ""


def _is_good(objective: Objective, phi: Tree, episodes: Tree, *iteration: Tensor) -> bool:
    value, grads = value_and_grad(objective)(phi, episodes, *iteration)
    return math.isfinite(float(value)) and not not_finite(grads)


def _count(episodes: Tree) -> int:
    return len(tree.leaves(episodes)[0])
