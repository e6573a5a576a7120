"""`fit`: the outer loop down the gradient of an objective over tasks, alone or spread over workers."""

from __future__ import annotations

import inspect
import os
from concurrent.futures import Executor
from functools import partial

import numpy as np

from tinymeta.compile import compile
from tinymeta.engine.options import counted
from tinymeta.engine.tensor import Tensor
from tinymeta.engine.transforms import value_and_grad
from tinymeta.engine.typing import Function, Options, Tree
from tinymeta.meta.core.bad_tasks import blame, without_bad_tasks
from tinymeta.meta.core.folder import record_of
from tinymeta.meta.core.loop import Record, Step, Stepped, loop
from tinymeta.meta.core.mistakes import (
    check_batch,
    check_declared,
    check_family,
    check_pairs,
    check_reached,
    of_named_sets,
)
from tinymeta.meta.core.objective import Objective
from tinymeta.meta.core.parts import Moved, in_parts, moved
from tinymeta.meta.core.told_before import told_before
from tinymeta.meta.core.validation import Validation
from tinymeta.optim.optimizer import Optimizer, check_rule

Family = Tree  # has sample(rng, tasks), see tm.tasks.TaskFamily


def fit(
    objective: Objective,
    phi: Tree,
    tasks: Family,
    *,
    optimizer: Optimizer,
    iterations: int,
    meta_batch: int,
    seed: int = 0,
    run: Record | None = None,
    folder: str | os.PathLike[str] | None = None,
    executor: Executor | None = None,
    chunks: int | None = None,
    compiled: bool = False,
    save_every: float = 30.0,
    skip_bad_tasks: bool = False,
    validation: Validation | None = None,
) -> Tree:
    """Minimise `objective(phi, episodes)` over `phi`, on fresh tasks in every iteration.

    Shapes: phi any tree → the same.
    Raises: UserError where loss, gradient or parameters are no longer finite (the message names iteration, task and
    operation); the checkpoint does not fit, or holds steps that other settings were for; a batch has no axis of
    `meta_batch` tasks; the loss depends on nothing of φ (it warns where all gradients of the first step are 0); or no
    worker answers:
    `tm.meta.fit(lambda x, _: x / 0, 1.0, tm.tasks.Sinusoids(), optimizer=tm.optim.SGD(1), iterations=1, meta_batch=1)`.

    Parameters
    ----------
    objective
        A scalar for a batch of episodes, a mean over tasks: any `Learner`, or see `tm.meta.maml`. If it has a
        third parameter called `iteration`, it is told the number of the iteration, as a Tensor.
    phi
        The meta-parameters to start from: any pytree.
    tasks
        Has `sample(rng, tasks) -> episodes`, a tree of arrays whose first axis is that of the tasks.
    optimizer
        The outer rule.
    iterations, meta_batch
        How many outer steps to take, and how many tasks each sees.
    seed
        Decides all tasks that are drawn.
    run
        A record of your own, which receives progress and metrics and names the checkpoint; it may have
        `skip_bad_tasks`, too. None keeps silent and saves nothing, unless there is a `folder`.
    folder
        Show progress, and keep a journal and a checkpoint there. The same call goes on where one was stopped or
        killed, to the same bits, and gives at once what one came to that is over; `iterations` may grow.
    executor, chunks
        Split each batch of tasks into `chunks` parts (8 if there is an executor) and have their gradients computed by
        its workers: `tm.meta.Workers`, `tm.meta.Dask`, any executor of `concurrent.futures`; None: here, one after
        the other. Parts are added in order, and each is computed on one core. So the result depends on `chunks`, by
        rounding, but not on the executor, on how many workers there are, nor on what becomes of them. To processes of
        `concurrent.futures` a lambda can't be sent.
    compiled
        Record the step once and replay it (`tm.compile`). An objective whose Python decisions depend on values,
        or that draws random numbers, needs False.
    save_every
        Seconds between checkpoints.
    skip_bad_tasks
        Leave out of a batch the tasks whose loss or gradient is not finite, and log how many they were, instead of
        stopping at them. The mean is over the others.
    validation
        Look at tasks held out now and then, and stop where they are no longer done better: see `tm.meta.Validation`.

    Returns
    -------
    Tree
        The meta-parameters after the last iteration, or with `validation`, those that did best on it.

    Examples
    --------
    >>> start = lambda rng: tm.nn.Linear(1, 1, rng=rng)
    >>> learner, rng = tm.meta.MAML(tm.meta.regression, network=start, rule=tm.optim.SGD(0.1)), np.random.default_rng(0)
    >>> how = {"optimizer": tm.optim.Adam(0.01), "iterations": 5, "meta_batch": 4}
    >>> tm.meta.fit(learner, learner.init(rng), tm.tasks.LinearRegressions(), **how)
    Linear(2 numbers)
      weight: (1, 1) float32
      bias: (1,) float32
    """
    check_family(tasks)
    check_declared(phi)
    check_rule("optimizer", optimizer)
    iterations, meta_batch = counted(iterations, "iterations"), counted(meta_batch, "meta_batch", 1)
    told = "iteration" in inspect.signature(objective).parameters
    eager: Function = partial(_step, objective, optimizer)
    step, skip = eager, skip_bad_tasks or getattr(run, "skip_bad_tasks", False)
    if executor is not None or chunks is not None:
        step = in_parts(objective, optimizer, executor, chunks, compiled)
    elif compiled:
        step = compile(step)

    def on_fresh_tasks(i: int, rng: np.random.Generator, phi: Tree, state: Tree) -> Stepped:
        batch = (tasks.sample(rng, meta_batch), *[Tensor(np.array(float(i)))] * told)
        check_batch(batch[0], meta_batch)
        try:
            after = step(phi, state, *batch)
        except AttributeError as fault:
            raise of_named_sets(fault) or fault from None
        if i == 0:
            check_pairs(objective, phi, *batch)
            check_reached(objective, optimizer, phi, state, after[0], *batch)
        metrics = {}
        if skip:
            after, skipped = without_bad_tasks(objective, eager, after, phi, state, *batch)
            metrics["skipped"] = float(skipped)
        loss, zero = float(after[2]), float(after[3])
        why = partial(blame, objective, eager, phi, state, *batch)
        return Stepped(after[0], after[1], loss, {"loss": loss, **metrics}, why, zero)

    settings = partial(told_before, objective, optimizer, {"iterations": iterations, "meta_batch": meta_batch})
    how: Options = {"iterations": iterations, "seed": seed, "save_every": save_every, "settings": settings}
    outer: Step = on_fresh_tasks
    state = optimizer.init(phi)
    if validation is not None:
        outer, state = validation.watched(outer, iterations), validation.begun(phi, state)
        how["over"] = validation.over
    with record_of(folder, run) as record:
        return loop(outer, phi, state, run=record, **how)


def _step(objective: Objective, optimizer: Optimizer, phi: Tree, state: Tree, *batch: Tree) -> Moved:
    """One outer step on a batch: the episodes and, if the objective asks for it, the iteration."""
    return moved(optimizer, phi, state, *value_and_grad(objective)(phi, *batch))
