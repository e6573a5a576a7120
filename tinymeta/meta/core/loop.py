"""The outer loop itself, whatever one step of it is: progress, metrics, checkpoints and resume, written once.

Iteration i draws from a generator seeded with `(seed, i)`. So nothing about the random state needs saving, and a run
that was killed goes on exactly as if it had not been.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from tinymeta.engine.errors import UserError
from tinymeta.io.save import load, save


class Record(Protocol):
    """Where a run's progress and results go: a folder of `tinymeta run`, or anything with the same few names."""

    resume: bool

    @property
    def checkpoint(self) -> Path: ...
    def progress(self, total: int, title: str = "", done: int = 0) -> AbstractContextManager[Any]: ...
    def log(self, iteration: int, **metrics: float) -> None: ...


class Stepped(NamedTuple):
    """What an outer step leaves: the next meta-parameters, the state of their rule, and the numbers to tell."""

    phi: Any
    state: Any
    loss: float  # shown while it runs; no finite number ends the run
    metrics: Mapping[str, float]  # a line of the journal holds their means


Step = Callable[[int, np.random.Generator, Any, Any], Stepped]  # (iteration, rng, phi, state)


def loop(
    step: Step,
    phi: Any,
    state: Any,
    *,
    iterations: int,
    seed: int = 0,
    run: Record | None = None,
    save_every: float = 30.0,
) -> Any:
    """The `phi` that `iterations` calls of `step` end with; see `tm.meta.fit` for `seed`, `run` and `save_every`.

    Parameters
    ----------
    step
        Draws a batch from the generator it is handed, and goes one step further.
    phi, state
        Where to start. Both are in the checkpoint.

    Raises
    ------
    UserError
        The loss is no longer a finite number, or the checkpoint does not fit.
    """
    done = 0
    if run is not None and run.resume and run.checkpoint.exists():
        found = load(run.checkpoint, {"iteration": np.int64(0), "phi": phi, "state": state})
        done, phi, state = int(found["iteration"]), found["phi"], found["state"]
    every = max(1, iterations // 500)
    window: list[Mapping[str, float]] = []
    saved = time.monotonic()

    def keep() -> None:
        if run is not None:
            save(run.checkpoint, {"iteration": np.int64(done), "phi": phi, "state": state})

    # A diverging loss is told below, in words; NumPy's warnings on the way there would drown them.
    with run.progress(iterations, done=done) if run is not None else nullcontext() as bar, np.errstate(all="ignore"):
        try:
            for i in range(done, iterations):
                after = step(i, np.random.default_rng((seed, i)), phi, state)
                if not math.isfinite(after.loss):
                    raise UserError(_diverged(after.loss, i, run is not None and done > 0))
                window.append(after.metrics)
                if run is not None and ((i + 1) % every == 0 or i + 1 == iterations):
                    means = {name: float(np.mean([line[name] for line in window])) for name in after.metrics}
                    run.log(i + 1, **means)  # before the step counts: no stop loses a line
                    window.clear()
                phi, state, done = after.phi, after.state, i + 1
                if bar is not None:
                    bar.advance(loss=after.loss)
                if time.monotonic() - saved > save_every:
                    keep()
                    saved = time.monotonic()
        finally:
            keep()
    return phi


def trained(checkpoint: Path, like: Any) -> Any:
    """The meta-parameters that training left in a checkpoint; `like` is a tree of the same structure and shapes."""
    return load(checkpoint, like, within="phi")


def _diverged(loss: float, iteration: int, kept: bool) -> str:
    keeps = "; the checkpoint holds the state before it" if kept else ""
    return f"the loss is {loss} in iteration {iteration}: lower a learning rate or clip the gradients{keeps}"
