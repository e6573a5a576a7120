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
from tests.meta.trouble import Counted, arrivals, distance, fitted
from tinymeta.meta.spread.gather import gather, shared


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


def test_what_calls_share_is_sent_to_a_worker_once(workers: Any) -> None:
    phi, job = shared(workers, Counted()), shared(workers, Counted())
    assert gather(workers, arrivals, [(phi, k) for k in range(4)]) == [1] * 4
    assert gather(workers, arrivals, [(phi, job), (phi, job), (job, Counted()), (job,)]) == [2, 2, 3, 3]
