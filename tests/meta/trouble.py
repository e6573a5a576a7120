"""What worker processes compute in the tests of workers: at module level, so that they can import it."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import wait
from dataclasses import dataclass
from multiprocessing.connection import Client, Listener
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tinymeta_kernels import threads

import tinymeta as tm
from tests.meta.learners import LEARNERS, Blobs, flat, start
from tinymeta.meta.spread import gather as gathering

LEARNER = LEARNERS["maml, 1 step"]


def fitted(objective: Any = LEARNER, **options: Any) -> Any:
    """All numbers of what two iterations with ten tasks each come to."""
    settings: dict[str, Any] = {"optimizer": tm.optim.Adam(0.01), "meta_batch": 10, "iterations": 2} | options
    return flat(tm.meta.fit(objective, start(getattr(objective, "learner", objective)), Blobs(), **settings))


@dataclass
class Goals:
    """Some of five points, always the same."""

    which: slice

    def sample(self, rng: np.random.Generator, tasks: int) -> Any:
        return np.random.default_rng(0).normal(size=(5, 2))[self.which]


def distance(phi: Any, goal: Any) -> Any:
    return tm.sum((phi["b"] + phi["w"] * goal - goal) ** 2)


@dataclass
class Troubled:
    """An objective, and what happens to the worker that is asked for it first, in one part of one step."""

    folder: Path
    how: str
    address: Any = None  # who wants to know
    learner: Any = LEARNER

    def __call__(self, phi: Any, episodes: Any) -> Any:
        try:
            (self.folder / "first").touch(exist_ok=False)
        except FileExistsError:
            return self.learner(phi, episodes)
        if self.how == "killed":
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
        if self.how == "raises":
            raise OSError("no space left on this one")
        assert self.how == "hangs"
        with Client(self.address) as line:
            line.send(os.getpid())
        threading.Event().wait()


def fitted_while_one_hangs(workers: Any, folder: Path, monkeypatch: Any) -> tuple[Any, int]:
    """What `fitted` comes to, and the process that hung: patience ends when it has said so, and not by the clock."""
    hung: list[int] = []

    def patient(pending: Any, patience: float, when: str) -> Any:
        if not hung:
            with listener.accept() as line:
                hung.append(line.recv())
            return wait([], 0)
        return wait(pending, None, when)

    monkeypatch.setattr(gathering, "wait", patient)
    with Listener() as listener:
        found = fitted(Troubled(folder, "hangs", listener.address), executor=workers)
    return found, hung[0]


def surroundings() -> dict[str, Any]:
    """Where a worker finds itself."""
    get = threads.blas_function("get_num_threads")
    return {"pid": os.getpid(), "cores": threads.count, "BLAS": get and get(), "OMP": os.environ["OMP_NUM_THREADS"]}


class Counted:
    """Counts how often it has been made anew from what was sent."""

    arrivals = 0

    def __setstate__(self, state: Any) -> None:
        Counted.arrivals += 1

    def __getstate__(self) -> Any:
        return "something"


def arrivals(*_: Any) -> int:
    return Counted.arrivals


class Unreadable:
    """Can be written, and not be read again."""

    def __reduce__(self) -> Any:
        return int, ("no number",)


class TwoWords(Exception):
    """An error that can be written, and not be read again: it is made of two words and keeps one."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one)


class Locked(Exception):
    """An error that can't be written."""

    def __init__(self) -> None:
        super().__init__("locked", threading.Lock())


def failing(kind: type[Exception], *args: str) -> None:
    raise kind(*args)


# What a worker may come to that can't travel, and what is said of it.
UNSENT: dict[str, tuple[tuple[Any, ...], str]] = {
    "a result that can't be written": ((threading.Lock,), "can't be sent between processes .*lock"),
    "a result that can't be read": ((Unreadable,), "computed can't be read here .*no number"),
    "an error that can't be written": ((failing, Locked), "failed with .*Locked: .*locked"),
    "an error that can't be read": ((failing, TwoWords, "one", "two"), "failed with .*TwoWords: one"),
}


def tells_what_cannot_travel(workers: Any, what: str) -> None:
    """And goes on."""
    (f, *args), said = UNSENT[what]
    with pytest.raises(tm.UserError, match=said):
        gathering.gather(workers, f, [tuple(args)])
    assert gathering.gather(workers, abs, [(-1,)]) == [1]


def unruly() -> None:
    raise tm.UserError("a label out of range")


def stopped() -> None:
    threading.Event().wait()


if __name__ == "__main__":  # a worker is at work when this process is killed
    with tm.meta.Workers(1) as workers:
        print(workers.submit(os.getpid).result(), flush=True)
        workers.submit(stopped).result()
