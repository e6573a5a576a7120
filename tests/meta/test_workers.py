"""Steps that are shared out: the same bits from anybody, whatever becomes of the workers."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tinymeta_kernels import threads

import tinymeta as tm
from tests.meta.learners import LEARNERS
from tests.meta.trouble import (
    Goals,
    Troubled,
    distance,
    fitted,
    fitted_while_one_hangs,
    stopped,
    surroundings,
    unruly,
)
from tinymeta.compile.run import machine
from tinymeta.meta.core import parts
from tinymeta.meta.core.objective import Apart
from tinymeta.meta.spread import gather as gathering
from tinymeta.meta.spread import workers as spreading
from tinymeta.meta.spread.gather import TRIES, gather

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def workers() -> Any:
    with tm.meta.Workers(2) as workers:
        yield workers


@pytest.fixture(scope="module")
def one() -> Any:
    with tm.meta.Workers(1) as one:
        yield one


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", ["maml, 1 step", "maml++"])  # the second is told the iteration
def test_nobody_threads_and_processes_give_the_same_bits(name: str, compiled: bool, workers: Any, one: Any) -> None:
    objective = LEARNERS[name]
    whole: Any = partial(fitted, objective, compiled=compiled)
    alone = whole(chunks=3)
    with ThreadPoolExecutor(3) as pool:
        np.testing.assert_array_equal(whole(chunks=3, executor=pool), alone)
    np.testing.assert_array_equal(whole(chunks=3, executor=workers), alone)
    np.testing.assert_array_equal(whole(chunks=3, executor=one), alone)


def test_a_pool_of_processes_will_do() -> None:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        np.testing.assert_array_equal(fitted(executor=pool), fitted(chunks=8))


def test_there_are_as_many_parts_for_one_worker_as_for_many() -> None:
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(3) as three:
        alone = fitted(executor=one)
        np.testing.assert_array_equal(fitted(executor=three), alone)
    np.testing.assert_array_equal(fitted(chunks=8), alone)
    assert len(parts.divided(np.zeros((3, 2)), None)[0]) == 3  # and none without a task


def test_a_part_is_computed_on_one_core_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sum over tasks that is large enough to be shared between cores, by which its rounding would depend on them."""

    def shared_between_cores(cores: int) -> Any:
        raise AssertionError("shared")

    monkeypatch.setattr(machine, "crew", shared_between_cores)
    monkeypatch.setattr(threads, "count", 2)
    f = tm.compile(lambda x: tm.sum(tm.vmap(lambda row: tm.sum(tm.tanh(row @ row)))(x)))
    x = np.zeros((64, 64, 64))
    with threads.one_core():
        assert float(f(x)) == 0
    with pytest.raises(AssertionError, match="shared"):
        f(x)
    assert threads.cores() == 2


@pytest.mark.parametrize("compiled", [False, True])
def test_trainings_apart_are_shared_out_each_with_its_own_parameters(compiled: bool, workers: Any) -> None:
    """Five of them in three parts are five by themselves, with five times the gradient of their mean."""
    start = {"w": np.linspace(1.1, 1.9, 5), "b": np.zeros((5, 2))}

    def found(which: slice, rate: float, **more: Any) -> Any:
        how = {"optimizer": tm.optim.SGD(rate), "iterations": 3, "compiled": compiled, "meta_batch": 5, **more}
        phi = tm.tree.map(lambda p: p[which], start)
        return [leaf.numpy() for leaf in tm.tree.leaves(tm.meta.fit(Apart(distance), phi, Goals(which), **how))]

    alone, every = found(slice(5), 0.1, chunks=3), found(slice(5), 0.1)
    for k, leaf in enumerate(found(slice(5), 0.1, chunks=3, executor=workers)):
        np.testing.assert_array_equal(leaf, alone[k])
        np.testing.assert_allclose(leaf, every[k], rtol=0, atol=1e-14)  # a few roundings of numbers of order 1
        by_themselves = [found(slice(n, n + 1), 0.02)[k] for n in range(5)]
        np.testing.assert_allclose(leaf, np.concatenate(by_themselves), rtol=0, atol=1e-14)


@pytest.mark.parametrize("chunks", [1, 3, 10])
def test_a_batch_in_parts_learns_what_the_whole_batch_does(chunks: int) -> None:
    """Parts of 3, 3 and 4 tasks, too: each counts by its tasks."""
    sgd = tm.optim.SGD(0.1)
    np.testing.assert_allclose(fitted(chunks=chunks, optimizer=sgd), fitted(optimizer=sgd), rtol=0, atol=1e-14)


def test_parts_that_are_not_there_are_refused() -> None:
    with pytest.raises(tm.UserError, match="10 tasks does not split into 11"):
        fitted(chunks=11)
    with pytest.raises(tm.UserError, match="1 part or more"):
        fitted(chunks=0)


def test_a_batch_without_an_axis_of_tasks_is_refused() -> None:
    with pytest.raises(tm.UserError, match="leading axis of tasks"):
        parts.divided((np.zeros((4, 2)), np.zeros(3)), 2)


@pytest.mark.parametrize("how", ["killed", "raises"])
def test_a_worker_that_is_killed_or_fails_changes_no_bit(how: str, workers: Any, tmp_path: Path) -> None:
    np.testing.assert_array_equal(fitted(Troubled(tmp_path, how), executor=workers), fitted(chunks=8))
    assert (tmp_path / "first").exists()


def test_a_worker_that_hangs_is_given_up(workers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, hung = fitted_while_one_hangs(workers, tmp_path, monkeypatch)
    np.testing.assert_array_equal(found, fitted(chunks=8))
    left = gather(workers, surroundings, [()] * 4)
    assert hung not in [place["pid"] for place in left]


class Slow(ThreadPoolExecutor):
    """Its first answer waits until the same call, made again, has been answered."""

    def __init__(self) -> None:
        super().__init__(2)
        self.asked = 0
        self.again = threading.Event()

    def submit(self, f: Any, /, *args: Any, **options: Any) -> Future[Any]:
        self.asked += 1
        future = super().submit(self.slowly if self.asked == 1 else f, *((f, *args) if self.asked == 1 else args))
        if self.asked == 9:  # after eight parts
            future.add_done_callback(lambda _: self.again.set())
        return future

    def slowly(self, f: Any, *args: Any) -> Any:
        found = f(*args)
        assert self.again.wait(60)
        return found


def test_an_answer_that_comes_late_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    late = [True]

    def impatient(pending: Any, patience: float, when: str) -> Any:
        return wait([], 0) if late and late.pop() else wait(pending, None, when)

    monkeypatch.setattr(gathering, "wait", impatient)
    with Slow() as slow:
        np.testing.assert_array_equal(fitted(executor=slow), fitted(chunks=8))
        assert slow.asked > 16 and slow.again.is_set()


class Silent(Executor):
    """Never answers."""

    def __init__(self) -> None:
        self.asked = 0

    def submit(self, f: Any, /, *args: Any, **options: Any) -> Future[Any]:
        self.asked += 1
        return Future()


def test_workers_that_never_answer_are_an_error_that_says_so() -> None:
    silent = Silent()
    with pytest.raises(tm.UserError, match="no worker has computed part 1 of 2, .* look whether workers are there"):
        gather(silent, abs, [(1,), (2,)], patience=0.001)
    assert silent.asked == 2 * TRIES


def test_what_always_fails_is_raised_with_the_lines_that_led_to_it(workers: Any) -> None:
    with pytest.raises(ZeroDivisionError) as found:
        gather(workers, divmod, [(1, 1), (1, 0)])
    assert "in worker process" in found.value.__notes__[0]


def test_a_mistake_of_the_users_is_told_at_once() -> None:
    calls = []
    with ThreadPoolExecutor(1) as pool, pytest.raises(tm.UserError, match="out of range"):
        gather(pool, lambda: (calls.append(1), unruly()), [()])
    assert len(calls) == 1


def test_a_pool_that_has_broken_is_an_error_that_names_one_that_does_not() -> None:
    with (
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool,
        pytest.raises(tm.UserError, match="Workers"),
    ):
        gather(pool, os._exit, [(1,)])


def test_a_worker_that_always_dies_is_an_error(workers: Any) -> None:
    with pytest.raises(tm.UserError, match="ended with exit code 3"):
        gather(workers, os._exit, [(3,)])


def test_a_worker_has_one_core_and_the_parent_keeps_its_own(workers: Any) -> None:
    before = dict(os.environ)
    places = gather(workers, surroundings, [()] * 8)
    assert os.getpid() not in {place["pid"] for place in places}
    assert all(place["cores"] == 1 and place["BLAS"] in (None, 1) and place["OMP"] == "1" for place in places)
    assert dict(os.environ) == before


def test_workers_end_with_the_process_that_started_them() -> None:
    """Its standard output is theirs, too, and ends with the last of them."""
    path = os.pathsep.join([str(ROOT), *sys.path])
    command = [sys.executable, "-m", "tests.meta.trouble"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path})
    assert child.stdout is not None
    assert int(child.stdout.readline()) != child.pid
    child.kill()
    assert child.stdout.read() == b""
    child.stdout.close()
    child.wait()


def test_a_with_block_that_is_left_by_an_error_waits_for_nobody() -> None:
    with pytest.raises(KeyboardInterrupt), tm.meta.Workers(1) as workers:
        stuck = [workers.submit(stopped) for _ in range(2)]
        while not stuck[0].running():
            pass
        raise KeyboardInterrupt
    assert isinstance(stuck[0].exception(), tm.UserError) and stuck[1].cancelled()


@pytest.mark.parametrize("how", ["left", "late"])
def test_a_process_that_is_given_up_while_it_starts_is_ended(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    starting, given_up = threading.Event(), threading.Event()

    class Slow(spreading._Process):
        def __init__(self) -> None:
            super().__init__()
            starting.set()
            assert given_up.wait(60)

    def late(self: tm.meta.Workers, futures: Any) -> None:
        give_up(self, futures)
        given_up.set()

    give_up = tm.meta.Workers.late
    monkeypatch.setattr(tm.meta.Workers, "late", late)
    monkeypatch.setattr(spreading, "_Process", Slow)
    with suppress(KeyboardInterrupt), tm.meta.Workers(1) as workers:
        stuck = workers.submit(stopped)
        assert starting.wait(60)
        if how == "left":
            raise KeyboardInterrupt
        workers.late([stuck])
    assert isinstance(stuck.exception(), tm.UserError)


def test_workers_that_were_dismissed_say_so() -> None:
    with tm.meta.Workers(1) as workers:
        pass
    with pytest.raises(RuntimeError, match="inside of"):
        workers.submit(abs, 1)
    with pytest.raises(tm.UserError, match="1 or more"):
        tm.meta.Workers(0)
