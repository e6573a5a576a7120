"""A comparison: each method takes the setting that is best in validation, and is measured on the test, once.

Where one rival has something to choose, its scores are asked for:

    rate = best(comparison.scores("SGD", (0.01, 0.1), lambda rate: accuracy(rate, validation)))

Where all have, the whole comparison is a table of methods and one function:

    METHODS = {"no memory": {"no memory, rate 0.01": 0.01, "no memory, rate 0.1": 0.1}, ...}     # its trials

    def trained(setting, data):                    # one trial, to its results
        ...

    comparison = Comparison(run, config.iterations)
    outcomes = comparison.of(METHODS, trained, like=like, score=score, validation=validation, test=test)
    metrics = {name: {"accuracy": interval(outcome.found.accuracy, "%")} for name, outcome in outcomes.items()}

`fit` keeps the state of one long training. A comparison is dozens of trainings of a few seconds each, and all that it
needs of one that is over is its result. So the results are what is kept: in one checkpoint, written anew after every
trial. A job that goes on takes them from there and begins with the first trial that was not over, which starts from
its own seed as if nothing had happened. (A later evaluation has data of its own to choose on, and keeps nothing.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from tinymeta_kernels.threads import one_core

from tinymeta.engine import tree
from tinymeta.engine.typing import Array, Function, Tree
from tinymeta.io.save import contents, save
from tinymeta.meta.spread.gather import Unsendable, gather
from tinymeta.recipes.run import Run

D = TypeVar("D")
F = TypeVar("F")
K = TypeVar("K")
S = TypeVar("S")


class Outcome(NamedTuple, Generic[S, F]):
    """What a method chose in validation, and what it found in the test."""

    setting: S
    stage: int  # of its scores: after how many steps to stop, for instance
    found: F


def best(scores: Mapping[K, Any], *, least: bool = False) -> K:
    """The key of the best score, the first of equals: the largest, or the `least`. What diverged (NaN) is the worst.

    >>> best({"0.1": 2.0, "0.3": 1.5, "1": float("nan")}, least=True)
    '0.3'
    """

    def worth(key: K) -> float:
        score = float(scores[key])
        return -math.inf if math.isnan(score) else -score if least else score

    return max(scores, key=worth)


class Comparison:
    """The results of trials by their names, in the checkpoint of a run.

    Parameters
    ----------
    run : Run
        Names the checkpoint, and gets a line in its journal for every trial that is over.
    iterations : int
        The length of a training. Results of another length, before a `--resume --iterations N`, do not count.
    """

    def __init__(self, run: Run, iterations: int) -> None:
        self.run, self.about = run, {"iterations": str(iterations)}
        self.kept: dict[str, list[Array]] = {}
        goes_on = run.resume or run.name in run.journal.begun
        if goes_on and not run.purpose and run.checkpoint.exists():
            arrays, about = contents(run.checkpoint)
            if about == self.about:
                for leaf, array in arrays.items():
                    self.kept.setdefault(leaf.rpartition(".")[0], []).append(array)

    def of(
        self,
        methods: Mapping[str, Mapping[str, S]],
        trial: Callable[[S, D], F],
        *,
        like: Tree,
        score: Callable[[F], ArrayLike],
        validation: D,
        test: D,
    ) -> dict[str, Outcome[S, F]]:
        """For every method the setting that scores best in validation, and what it finds in the test.

        Parameters
        ----------
        methods : mapping
            Of each method the settings to choose from, by the name of the trial, which no other has.
        trial : callable
            `trial(setting, data)` trains, and depends on nothing but its arguments and seeds.
        like
            A tree of the structure of what `trial` finds, with any leaves.
        score : callable
            What was found to a score, more is better; or to one for every stage, of which the best is chosen, too.
        validation, test
            The data for choosing and for measuring.
        """
        chosen, outcomes = {}, {}
        self._ahead({t: (trial, s, validation) for settings in methods.values() for t, s in settings.items()})
        with self.run.progress(sum(map(len, methods.values()))) as bar:
            for name, settings in methods.items():
                scores: dict[tuple[str, int], float] = {}
                for tried, setting in settings.items():
                    found = np.ravel(score(self.once(tried, like, trial, setting, validation)))
                    scores |= {(tried, stage): float(one) for stage, one in enumerate(found)}
                    bar.advance(score=found.max())
                tried, stage = best(scores)
                chosen[name] = settings[tried], stage
        self._ahead({f"{name}, test": (trial, setting, test) for name, (setting, _) in chosen.items()})
        with self.run.progress(len(chosen), "tests") as bar:
            for name, (setting, stage) in chosen.items():
                result = self.once(f"{name}, test", like, trial, setting, test)
                outcomes[name] = Outcome(setting, stage, result)
                bar.advance(score=np.ravel(score(result))[stage])
        return outcomes

    def scores(self, name: str, grid: Iterable[S], score: Callable[[S], Any]) -> dict[S, Any]:
        """`score(setting)`, a number or many as an array, for every setting of a grid; what diverges is no number.

        Parameters
        ----------
        name : str
            Of whom the settings are for; no other grid has it, and no two settings are written alike.
        """
        settings, found = list(grid), {}
        job = partial(_array, score)
        self._ahead({f"{name}, {setting}": (job, setting) for setting in settings})
        with self.run.progress(len(settings), f"tuning {name}") as bar, np.errstate(all="ignore"):
            for setting in settings:
                found[setting] = self.once(f"{name}, {setting}", 0.0, job, setting)
                bar.advance(score=float(np.mean(found[setting])))
        return found

    def tuned(
        self, name: str, grid: Iterable[S], curve: Callable[[S, D], Array], validation: D, test: D, shown: Iterable[int]
    ) -> dict[int, Outcome[S, Array]]:
        """For every number of steps that is `shown` the setting of least mean loss in validation, and its test losses.

        Parameters
        ----------
        curve : callable
            `curve(setting, data)`, the loss on each task after 0, 1, … steps: (tasks, steps + 1).
        """
        means = self.scores(name, grid, lambda setting: curve(setting, validation).mean(0))
        chosen = {k: best({setting: mean[k] for setting, mean in means.items()}, least=True) for k in shown}
        with np.errstate(all="ignore"):
            found = {setting: curve(setting, test) for setting in set(chosen.values())}
        return {k: Outcome(setting, k, found[setting][:, k]) for k, setting in chosen.items()}

    def once(self, name: str, like: Tree, job: Callable[..., F], *args: object) -> F:
        """What `job(*args)` returns, or returned in an earlier session, with NumPy arrays as its leaves.

        Parameters
        ----------
        name : str
            Of the trial: no other has it, and it is the same in every session.
        like
            A tree of the structure of the result, with any leaves.
        job : callable
            Its result is a tree of numbers, and depends on nothing but its arguments and seeds.
        """
        if name not in self.kept:
            self._keep(name, _leaves(job, *args))
        found: F = tree.unflatten(tree.flatten(like)[1], self.kept[name])
        return found

    def _keep(self, name: str, result: list[Array]) -> None:
        if not self.run.purpose:
            self.run.log(len(self.kept) + 1)  # before the trial counts: no stop loses a line
            save(self.run.checkpoint, {**self.kept, name: result}, self.about)
        self.kept[name] = result

    def _ahead(self, jobs: Mapping[str, tuple[Any, ...]]) -> None:
        """Have the run's workers compute the jobs, `(function, *args)`, that are not over yet, as many at once as they
        are; those that can't be sent are left to this process."""
        names = [name for name in jobs if name not in self.kept]
        if self.run.executor is None or not names:
            return
        with self.run.progress(len(names), "trials of all workers") as bar, suppress(Unsendable):

            def keep(k: int, result: list[Array]) -> None:
                self._keep(names[k], result)
                bar.advance(trials=len(self.kept))

            gather(self.run.executor, _alone, [jobs[name] for name in names], patience=None, each=keep)


def _leaves(job: Function, *args: object) -> list[Array]:
    return [np.asarray(leaf) for leaf in tree.leaves(job(*args))]


def _alone(job: Function, *args: object) -> list[Array]:
    """What a worker does: the same bits on any number of cores."""
    with one_core(), np.errstate(all="ignore"):
        return _leaves(job, *args)


def _array(score: Callable[[Tree], Tree], setting: object) -> Array:
    return np.asarray(score(setting))
