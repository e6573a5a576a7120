"""What travels to a process: functions by name or as their code, and nothing that can't be pickled."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tests.meta.learners import LEARNERS
from tests.meta.trouble import UNSENT, Counted, arrivals, distance, fitted, tells_what_cannot_travel
from tinymeta.meta.spread import sending
from tinymeta.meta.spread.gather import gather, shared
from tinymeta.meta.spread.sending import written


@pytest.fixture(scope="module")
def workers() -> Iterator[Any]:
    with tm.meta.Workers(1) as workers:
        yield workers


def test_a_function_without_a_name_is_sent_as_its_code_and_what_it_has_seen(workers: Any) -> None:
    base = [3]

    def power(n: int, times: int = 2, *, plus: int = 1) -> int:
        return plus + base[0] * (n if times == 0 else power(n, times - 1, plus=plus))

    there = gather(workers, lambda n: (power(n), power(n, plus=5), os.getpid()), [(n,) for n in range(4)])
    assert [found[:2] for found in there] == [(power(n), power(n, plus=5)) for n in range(4)]
    assert os.getpid() not in {found[2] for found in there}


def test_an_objective_without_a_name_has_the_same_bits_there(workers: Any) -> None:
    objective = replace(LEARNERS["maml, 1 step"], loss=lambda model, batch: tm.mean(model(batch[0]) ** 2))
    np.testing.assert_array_equal(fitted(objective, executor=workers), fitted(objective, chunks=8))


def test_what_cannot_be_sent_is_refused_with_the_way_out(workers: Any) -> None:
    lock = threading.Lock()
    for f in (partial(distance, lock), lambda x: lock, lambda x, lock=lock: x):
        with pytest.raises(tm.UserError, match="what can be pickled"):
            gather(workers, f, [(1.0,)])


@pytest.mark.parametrize("what", UNSENT)
def test_what_cannot_come_back_is_told_in_a_sentence_and_the_worker_goes_on(what: str, workers: Any) -> None:
    tells_what_cannot_travel(workers, what)


class Elsewhere:
    """Is found in one process alone, and told so in the other."""

    def __reduce__(self) -> Any:
        return int, ("no such name",)


def test_what_a_worker_cannot_read_is_told_in_a_sentence(workers: Any) -> None:
    for call in ((Elsewhere(),), (shared(workers, Elsewhere()),)):
        with pytest.raises(tm.UserError, match="can't read what it was sent .*no such name"):
            gather(workers, id, [call])
    assert gather(workers, abs, [(-1,)]) == [1]


def test_a_function_without_a_name_keeps_what_was_put_on_it(workers: Any) -> None:
    f = lambda: f.title  # type: ignore[attr-defined]
    f.title = "on it"  # type: ignore[attr-defined]
    assert gather(workers, f, [()]) == ["on it"]


def test_code_of_another_python_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "MAGIC_NUMBER", b"else")
    there = written(lambda: 1)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="same version of Python"):
        sending.loaded(there)


def test_what_calls_share_is_sent_to_a_worker_once(workers: Any) -> None:
    phi, job = shared(workers, Counted()), shared(workers, Counted())
    assert gather(workers, arrivals, [(phi, k) for k in range(4)]) == [1] * 4
    assert gather(workers, arrivals, [(phi, job), (phi, job), (job, Counted()), (job,)]) == [2, 2, 3, 3]
