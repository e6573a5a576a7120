"""The outer loop itself, whatever one step of it is: progress, metrics, checkpoints and resume, written once.

Iteration i draws from a generator seeded with `(seed, i)`. So nothing about the random state needs saving, and a run
that was killed goes on exactly as if it had not been.

A state counts only if every number of it is finite. Looking at all of them takes a tenth of a small step's time, so it
is done before a line of the journal and before a checkpoint; where it finds something, or the loss is no number, the
steps since the last look are taken again, each with a look, which finds the first one that went wrong.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from tinymeta.engine import tree
from tinymeta.engine.errors import UserError
from tinymeta.engine.tensor import Tensor
from tinymeta.engine.typing import Tree
from tinymeta.io.save import load, metadata, save


class Record(Protocol):
    """Where a run's progress and results go: a folder of `tinymeta run`, or anything with the same few names.

    What is logged may be kept back until `settle()`, if it has that: a checkpoint is written after it.
    """

    resume: bool

    @property
    def checkpoint(self) -> Path: ...
    def progress(self, total: int, title: str = "", done: int = 0) -> AbstractContextManager[Any]: ...
    def log(self, iteration: int, **metrics: float) -> None: ...


class Stepped(NamedTuple):
    """What an outer step leaves: the next meta-parameters, the state of their rule, and the numbers to tell."""

    phi: Tree
    state: Tree
    loss: float  # shown while it runs; no finite number ends the run
    metrics: Mapping[str, float]  # a line of the journal holds their means
    blame: Callable[[], str] = str  # where a number that isn't finite came from, in words
    gradient: float = 0.0  # no finite number where the gradient isn't finite, which the rule may have hidden


class Reached(NamedTuple):
    """How far a training has come, and the metrics that no line of the journal holds yet: a checkpoint."""

    done: int
    phi: Tree
    state: Tree
    window: tuple[Mapping[str, float], ...] = ()


Step = Callable[[int, np.random.Generator, Tree, Tree], Stepped]  # (iteration, rng, phi, state)
Settings = Callable[[int], Mapping[str, float]]


def loop(
    step: Step,
    phi: Tree,
    state: Tree,
    *,
    iterations: int,
    seed: int = 0,
    run: Record | None = None,
    save_every: float = 30.0,
    settings: Settings = lambda done: {},
    over: Callable[[Tree], bool] = lambda state: False,
) -> Tree:
    """The `phi` that `iterations` calls of `step` end with; see `tm.meta.fit` for `seed`, `run` and `save_every`.

    Raises: UserError where the loss or the state is no longer finite, or the checkpoint does not fit.

    Parameters
    ----------
    step
        Draws a batch from the generator it is handed, and goes one step further.
    phi, state
        Where to start. Both are in the checkpoint.
    settings
        What decided the first so many steps, by name, beside the seed. A checkpoint holds it, and goes on to more
        `iterations` if all else is the same.
    over
        Whether a state is one to stop at, before so many iterations.
    """
    now, told = Reached(0, phi, state), lambda done: {"seed": seed, **settings(done)}
    from_the_start = not_finite(phi, state)  # a mask of −inf, say
    if run is not None and run.resume and run.checkpoint.exists():
        now = _read(run.checkpoint, now, told)
        if now.done > iterations:
            raise UserError(
                f"{run.checkpoint} holds {now.done} iterations, and {iterations} are asked for: ask for as many, or "
                "begin anew in another folder"
            )
    good, careful = now, False
    every = max(1, iterations // 500)
    saved = time.monotonic()

    def keep() -> None:
        if run is not None:
            getattr(run, "settle", lambda: None)()
            _write(run.checkpoint, now if sound(now) else good, told)

    def sound(at: Reached | Stepped) -> bool:
        return not_finite(at.phi, at.state) <= from_the_start

    shown = run.progress(iterations, done=now.done) if run is not None else nullcontext()
    # A diverging loss is told below, in words; NumPy's warnings on the way there would drown them.
    with shown as bar, np.errstate(all="ignore"):
        try:
            while now.done < iterations and not over(now.state):
                i = now.done
                after = step(i, np.random.default_rng((seed, i)), now.phi, now.state)
                due = (i + 1) % every == 0 or i + 1 == iterations
                if not math.isfinite(after.loss + after.gradient) or ((due or careful) and not sound(after)):
                    if careful or i == good.done:
                        raise UserError(_diverged(after, i, run is not None and good.done > 0))
                    now, careful = good, True
                    continue
                window = (*now.window, after.metrics)
                if run is not None and due:
                    run.log(i + 1, **_means(window))  # before the step counts: no stop loses a line
                now = Reached(i + 1, after.phi, after.state, () if due else window)
                if due or careful:
                    good = now
                if bar is not None:
                    bar.advance(loss=after.loss)
                if time.monotonic() - saved > save_every:
                    keep()
                    saved = time.monotonic()
        finally:
            keep()
    return now.phi


def trained(checkpoint: Path, like: Tree) -> Tree:
    """The meta-parameters that training left in a checkpoint; `like` is a tree of the same structure and shapes.

    Shapes: those of `like`.
    Raises: UserError where the file is missing or damaged, or holds another tree: `tm.meta.trained("no.npz", 0.0)`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tm.save(f"{folder}/checkpoint.npz", {"phi": {"w": np.ones(2)}, "state": 0})
    ...     tm.meta.trained(f"{folder}/checkpoint.npz", {"w": np.zeros(2)})
    {'w': array([1., 1.])}
    """
    return load(checkpoint, like, within="phi")


def not_finite(*trees: Tree) -> set[tuple[int, int]]:
    """Where some trees hold NaN or an infinity: the numbers of leaf and entry."""
    arrays = (leaf.array if isinstance(leaf, Tensor) else leaf for leaf in tree.leaves(trees))
    fine = ((k, np.isfinite(array)) for k, array in enumerate(arrays))
    return {(k, int(at)) for k, finite in fine if not finite.all() for at in np.flatnonzero(~finite)}


def _means(window: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([line[name] for line in window])) for name in window[-1]}


def _write(checkpoint: Path, at: Reached, settings: Settings) -> None:
    held = {"iteration": np.int64(at.done), "phi": at.phi, "state": at.state}
    texts = {"window": at.window, "settings": settings(at.done)}
    save(checkpoint, held, {name: json.dumps(text) for name, text in texts.items()})


def _read(checkpoint: Path, start: Reached, settings: Settings) -> Reached:
    """What a checkpoint holds. Those of version 0.1.0 and 0.2.0 have no window and no settings."""
    found = load(checkpoint, {"iteration": np.int64(0), "phi": start.phi, "state": start.state})
    done, texts = int(found["iteration"]), metadata(checkpoint)
    try:
        before = {str(name): float(value) for name, value in json.loads(texts.get("settings", "{}")).items()}
        lines = json.loads(texts.get("window", "[]"))
        window = tuple({str(name): float(value) for name, value in line.items()} for line in lines)
        if done < 0 or not not_finite(found["phi"], found["state"]) <= not_finite(start.phi, start.state):
            raise ValueError("its numbers are none of a training")
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise UserError(f"{checkpoint} is damaged ({error}): train again in another folder") from error
    now = settings(done)
    same = {n for n in before.keys() & now.keys() if _same(before[n], now[n])}
    if changed := sorted((before.keys() & now.keys()) - same - {"iterations"}):
        name = changed[0]
        longer = "" if "iterations" in same or "iterations" not in before else f" for {now['iterations']:g} iterations"
        raise UserError(
            f"{checkpoint} was trained with {name} {before[name]:.9g}, which{longer} is {now[name]:.9g}: ask for "
            "what it was begun with, or begin anew in another folder (from tm.meta.trained(checkpoint, phi) if "
            "you mean to go on from these weights)"
        )
    return Reached(done, found["phi"], found["state"], window)


def _same(a: float, b: float) -> bool:
    """Equal, or but for the rounding of a schedule on another machine."""
    exact = float(a).is_integer() and float(b).is_integer()
    return a == b if exact else math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-12)


def _diverged(after: Stepped, iteration: int, kept: bool) -> str:
    whose = "gradient is" if not math.isfinite(after.gradient) else "new parameters are"
    what = f"the loss is {after.loss}" if not math.isfinite(after.loss) else f"the {whose} not finite"
    where = after.blame()
    keeps = "; the checkpoint holds the state before it" if kept else ""
    return (
        f"{what} in iteration {iteration}{': ' if where else ''}{where}: lower a learning rate, clip the "
        f"gradients, or leave such tasks out (skip_bad_tasks=True, --skip-bad-tasks){keeps}"
    )
