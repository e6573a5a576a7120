"""`Trials`: what a job of many short trainings has found so far, so that a stop costs no more than one of them.

`fit` keeps the state of one long training. A comparison is dozens of trainings of a few seconds each, to choose
settings and then to measure, and all that it needs of one that is over is its result. So the results are what is
kept: in one checkpoint, written anew after every training. A job that goes on takes them from there and
begins with the first training that was not over, which starts from its own seed as if nothing had happened.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinymeta.engine import tree
from tinymeta.engine.tensor import Array
from tinymeta.io.save import contents, save
from tinymeta.meta.core.fit import Record


class Trials:
    """The results of trainings by their names, in the checkpoint of a run.

    Parameters
    ----------
    run
        Names the checkpoint, and gets a line in its journal for every training that is over.
    iterations
        The length of a training. Results of another length, before a `--resume --iterations N`, do not count.
    """

    def __init__(self, run: Record, iterations: int) -> None:
        self.run, self.about = run, {"iterations": str(iterations)}
        self.found: dict[str, list[Array]] = {}
        if run.resume and run.checkpoint.exists():
            arrays, about = contents(run.checkpoint)
            if about == self.about:
                for leaf, array in arrays.items():
                    self.found.setdefault(leaf.rpartition(".")[0], []).append(array)

    def once(self, name: str, like: Any, job: Callable[..., Any], *args: Any) -> Any:
        """What `job(*args)` returns, or returned in an earlier session.

        Parameters
        ----------
        name
            Of the training: no other has it, and it is the same in every session.
        like
            A tree of the structure of the result, with any leaves.
        job
            Trains something; its result is a tree of numbers, and depends on nothing but its arguments and seeds.

        Returns
        -------
        Any
            The result with NumPy arrays as its leaves.
        """
        if name not in self.found:
            result = [np.asarray(leaf) for leaf in tree.leaves(job(*args))]
            self.run.log(len(self.found) + 1)  # before the training counts: no stop loses a line
            save(self.run.checkpoint, {**self.found, name: result}, self.about)
            self.found[name] = result
        return tree.unflatten(tree.flatten(like)[1], self.found[name])
