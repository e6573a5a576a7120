"""`fit`: the outer loop down the gradient of an objective over tasks, alone or spread over workers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial, reduce
from typing import Any
from uuid import uuid4

import numpy as np

from tinymeta.compile import compile
from tinymeta.engine import tree
from tinymeta.engine.errors import UserError
from tinymeta.engine.tensor import Tensor
from tinymeta.engine.transforms import value_and_grad
from tinymeta.meta.core.loop import Record, Stepped, loop
from tinymeta.meta.core.objective import Objective
from tinymeta.ops.tree import add, scale
from tinymeta.optim.optimizer import Optimizer

Family = Any  # has sample(rng, tasks), see tm.tasks.TaskFamily


def fit(
    objective: Objective,
    phi: Any,
    tasks: Family,
    *,
    optimizer: Optimizer,
    iterations: int,
    meta_batch: int,
    seed: int = 0,
    run: Record | None = None,
    executor: Executor | None = None,
    chunks: int = 1,
    compiled: bool = False,
    save_every: float = 30.0,
) -> Any:
    """Minimise `objective(phi, episodes)` over `phi`, on fresh tasks in every iteration.

    Parameters
    ----------
    objective
        A scalar for a batch of episodes, a mean over tasks: any `Learner`, or see `tm.meta.maml`. If it has a
        third parameter called `iteration`, it is told the number of the iteration, as a Tensor.
    phi
        The meta-parameters to start from: any pytree.
    tasks
        Has `sample(rng, tasks) -> episodes`.
    optimizer
        The outer rule.
    iterations, meta_batch
        How many outer steps to take, and how many tasks each sees.
    seed
        Decides all tasks that are drawn.
    run
        Receives progress and metrics and names the checkpoint; None keeps silent and saves nothing.
    executor, chunks
        Split each batch of tasks into `chunks` equal parts and compute their gradients with `executor.map`
        (one after the other if it is None). They are added in order, so the result depends on `chunks`, by
        rounding, but not on the executor. For processes the objective must be importable: no lambda.
    compiled
        Record the step once and replay it (`tm.compile`). An objective whose Python decisions depend on values,
        or that draws random numbers, needs False.
    save_every
        Seconds between checkpoints.

    Returns
    -------
    Any
        The meta-parameters after the last iteration.

    Raises
    ------
    UserError
        The loss is no longer a finite number, or the checkpoint does not fit.
    """
    if chunks < 1 or meta_batch % chunks:
        raise UserError(f"a meta-batch of {meta_batch} tasks does not split into {chunks} equal parts")
    told = "iteration" in inspect.signature(objective).parameters
    step: Callable[..., Any] = partial(_step, objective, optimizer)
    if executor is not None or chunks > 1:
        step = _spread(objective, optimizer, executor, chunks, compiled)
    elif compiled:
        step = compile(step)

    def on_fresh_tasks(i: int, rng: np.random.Generator, phi: Any, state: Any) -> Stepped:
        iteration = [Tensor(np.array(float(i)))] if told else []
        phi, state, value = step(phi, state, tasks.sample(rng, meta_batch), *iteration)
        return Stepped(phi, state, float(value), {"loss": float(value)})

    how: dict[str, Any] = {"iterations": iterations, "seed": seed, "run": run, "save_every": save_every}
    return loop(on_fresh_tasks, phi, optimizer.init(phi), **how)


def _step(objective: Objective, optimizer: Optimizer, phi: Any, state: Any, *batch: Any) -> tuple[Any, Any, Tensor]:
    """One outer step on a batch: the episodes and, if the objective asks for it, the iteration."""
    value, grads = value_and_grad(objective)(phi, *batch)
    phi, state = optimizer.update(grads, state, phi)
    return phi, state, value


def _spread(
    objective: Objective, optimizer: Optimizer, executor: Executor | None, chunks: int, compiled: bool
) -> Callable[..., Any]:
    """`_step` by parts of the batch, whose gradients are independent of one another."""
    map_ = map if executor is None else executor.map
    job = uuid4().hex

    def step(phi: Any, state: Any, episodes: Any, *iteration: Any) -> tuple[Any, Any, Tensor]:
        parts = [tree.map(lambda a, k=k: np.array_split(a, chunks)[k], episodes) for k in range(chunks)]
        one = partial(_gradient, job, objective, compiled, phi)
        value, grads = reduce(add, map_(one, parts, *([x] * chunks for x in iteration)))
        phi, state = optimizer.update(scale(grads, 1.0 / chunks), state, phi)
        return phi, state, value * (1.0 / chunks)

    return step


_gradients: dict[str, Callable[..., Any]] = {}  # the latest job's, kept in every worker process


def _gradient(job: str, objective: Objective, compiled: bool, phi: Any, *batch: Any) -> Any:
    """Value and gradient of one part. A worker process records the program of a job once, however often it is asked."""
    if job not in _gradients:
        _gradients.clear()
        _gradients[job] = compile(value_and_grad(objective)) if compiled else value_and_grad(objective)
    return _gradients[job](phi, *batch)
