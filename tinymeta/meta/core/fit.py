"""`fit`: the outer loop down the gradient of an objective over tasks, alone or spread over workers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Any

import numpy as np

from tinymeta.compile import compile
from tinymeta.engine.tensor import Tensor
from tinymeta.engine.transforms import value_and_grad
from tinymeta.meta.core.loop import Record, Stepped, loop
from tinymeta.meta.core.objective import Objective
from tinymeta.meta.core.parts import in_parts
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
    chunks: int | None = None,
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
        Split each batch of tasks into `chunks` parts (8 if there is an executor) and have their gradients computed by
        its workers: `tm.meta.Workers`, `tm.meta.Dask`, any executor of `concurrent.futures`; None: here, one after
        the other. Parts are added in order, and each is computed on one core. So the result depends on `chunks`, by
        rounding, but not on the executor, on how many workers there are, nor on what becomes of them. For processes
        the objective must be importable: no lambda.
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
        The loss is no longer a finite number, the checkpoint does not fit, or no worker answers.
    """
    told = "iteration" in inspect.signature(objective).parameters
    step: Callable[..., Any] = partial(_step, objective, optimizer)
    if executor is not None or chunks is not None:
        step = in_parts(objective, optimizer, executor, chunks, compiled)
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
