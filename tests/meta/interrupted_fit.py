"""A training that can be killed: `python -m tests.meta.interrupted_fit FILE ITERATIONS` saves in every iteration."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import tinymeta as tm
from tests.meta import learners


class Bar:
    """Says every iteration on standard output, so that a parent knows when to kill."""

    def advance(self, loss: float) -> None:
        print("done", flush=True)


class Folder:
    """The least that `fit` needs of a run."""

    def __init__(self, checkpoint: Path, resume: bool = False) -> None:
        self.checkpoint, self.resume = checkpoint, resume
        self.logged: list[tuple[int, float]] = []

    def progress(self, total: int, title: str = "", done: int = 0) -> AbstractContextManager[Any]:
        return nullcontext(Bar())

    def log(self, iteration: int, **metrics: float) -> None:
        self.logged.append((iteration, metrics["loss"]))


def train(run: Folder, iterations: int) -> Any:
    learner = learners.LEARNERS["maml, 1 step"]
    options: dict[str, Any] = {"optimizer": tm.optim.Adam(tm.optim.schedules.cosine(0.01, 100)), "meta_batch": 4}
    return tm.meta.fit(
        learner, learners.start(learner), learners.Blobs(), iterations=iterations, run=run, save_every=0.0, **options
    )


if __name__ == "__main__":
    train(Folder(Path(sys.argv[1])), int(sys.argv[2]))
