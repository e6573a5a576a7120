"""A real scheduler with two real workers, on loopback: the same bits, also where one of them dies in the middle."""

from __future__ import annotations

import concurrent.futures
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tests.meta.learners import LEARNERS, Blobs, flat, start
from tests.meta.trouble import Counted, Troubled, arrivals, fitted, fitted_while_one_hangs, unruly
from tinymeta.meta.spread.gather import Unsendable, gather, shared

distributed = pytest.importorskip("distributed")
ROOT = Path(__file__).parents[2]
ADAM = tm.optim.Adam(0.01)
PATH = os.pathsep.join([str(ROOT), str(ROOT / "kernels"), *sys.path])


class Cluster:
    """A `dask scheduler` and two `dask worker`, each a process."""

    def __init__(self) -> None:
        self.processes: list[subprocess.Popen[str]] = []
        here = ("--host", "127.0.0.1", "--no-dashboard")
        scheduler = self.start("scheduler", *here, "--port", "0", stderr=subprocess.PIPE)
        assert scheduler.stderr is not None
        said = next(filter(None, (re.search(r"Scheduler at:\s*(\S+)", line) for line in scheduler.stderr)))
        self.address = said[1]
        threading.Thread(target=scheduler.stderr.read, daemon=True).start()  # a pipe that nobody reads fills up
        self.workers = [self.worker(), self.worker()]

    def worker(self) -> subprocess.Popen[str]:
        options = ("--host", "127.0.0.1", "--nthreads", "2", "--no-nanny", "--no-dashboard")
        return self.start("worker", self.address, *options, stderr=subprocess.DEVNULL)

    def start(self, *words: str, stderr: int) -> subprocess.Popen[str]:
        command, env = [sys.executable, "-m", "dask", *words], {**os.environ, "PYTHONPATH": PATH}
        self.processes.append(subprocess.Popen(command, stderr=stderr, env=env, text=True))
        return self.processes[-1]

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *error: object) -> None:
        for process in reversed(self.processes):
            process.kill()
            process.wait()

    def replace(self) -> None:
        """Another worker for each that is dead."""
        self.workers = [worker if worker.poll() is None else self.worker() for worker in self.workers]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as cluster:
        yield cluster


@pytest.fixture
def workers(cluster: Cluster) -> Iterator[tm.meta.Dask]:
    cluster.replace()
    with distributed.Client(cluster.address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=120)
        with tm.meta.Dask(client) as workers:
            yield workers


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", ["maml, 1 step", "maml++"])
def test_a_cluster_gives_the_bits_that_one_process_does(name: str, compiled: bool, workers: Any) -> None:
    alone = fitted(LEARNERS[name], chunks=3, compiled=compiled)
    np.testing.assert_array_equal(fitted(LEARNERS[name], chunks=3, compiled=compiled, executor=workers), alone)


def test_an_address_is_enough(cluster: Cluster) -> None:
    with tm.meta.Dask(cluster.address) as workers:
        assert list(workers.map(abs, [-2, 3])) == [2, 3]


def examples() -> list[str]:
    """The programs on the page about workers."""
    page = (ROOT / "tutorials" / "workers.md").read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)


def test_the_examples_of_the_page_run() -> None:
    """A cluster in threads stands in for one in processes, and a thread for Ray."""
    cluster, on_ray = examples()
    learner, threads = LEARNERS["maml, 1 step"], ThreadPoolExecutor(1)
    names: dict[str, Any] = {"tm": tm, "learner": learner, "phi": start(learner), "tasks": Blobs(), "rule": ADAM}
    small = cluster.replace("n_workers=2", "n_workers=1, processes=False, dashboard_address=None")
    exec(small, names)
    whole = tm.meta.fit(learner, start(learner), Blobs(), optimizer=ADAM, iterations=2, meta_batch=8, chunks=8)
    np.testing.assert_array_equal(flat(names["phi"]), flat(whole))

    class Remote:
        def __init__(self, f: Any) -> None:
            self.f = f

        def remote(self, *args: Any) -> Remote:
            self.args = args
            return self

        def future(self) -> Any:
            return threads.submit(self.f, *self.args)

    ray = SimpleNamespace(put=lambda value: value, remote=Remote)
    names |= {"ray": ray, "concurrent": concurrent}
    exec(on_ray, names)
    found = tm.meta.fit(
        learner, start(learner), Blobs(), optimizer=ADAM, iterations=2, meta_batch=8, executor=names["OnRay"]()
    )
    np.testing.assert_array_equal(flat(found), flat(whole))
    threads.shutdown()


def test_a_function_of_a_script_and_a_lambda_travel_too(workers: Any) -> None:
    """Dask sends functions of `__main__` whole, where processes know them by name."""
    assert gather(workers, lambda x: x + 1, [(1,), (2,)]) == [2, 3]


def test_a_worker_killed_in_the_middle_of_a_step_changes_no_bit(cluster: Cluster, workers: Any, tmp_path: Path) -> None:
    found = fitted(Troubled(tmp_path, "killed"), executor=workers)
    np.testing.assert_array_equal(found, fitted(chunks=8))
    assert (tmp_path / "first").exists()
    assert [worker.poll() for worker in cluster.workers].count(None) == 1


def test_a_worker_that_fails_once_changes_no_bit(workers: Any, tmp_path: Path) -> None:
    np.testing.assert_array_equal(fitted(Troubled(tmp_path, "raises"), executor=workers), fitted(chunks=8))


def test_a_worker_that_hangs_is_given_up(
    cluster: Cluster, workers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, hung = fitted_while_one_hangs(workers, tmp_path, monkeypatch)
    np.testing.assert_array_equal(found, fitted(chunks=8))
    (stuck,) = [worker for worker in cluster.workers if worker.pid == hung]
    stuck.kill()
    stuck.wait()


def test_what_calls_share_is_sent_to_a_worker_once(workers: Any) -> None:
    phi = shared(workers, Counted())
    assert max(gather(workers, arrivals, [(phi, k) for k in range(20)])) == 1


def test_what_cannot_be_sent_is_refused(workers: Any) -> None:
    lock = threading.Lock()
    with pytest.raises(Unsendable, match="lock"):
        gather(workers, lambda x: lock, [(1.0,)])


def test_a_mistake_of_the_users_is_told_at_once(workers: Any) -> None:
    with pytest.raises(tm.UserError, match="out of range"):
        gather(workers, unruly, [()])


def test_a_scheduler_that_is_not_there_is_an_error_that_says_how_to_start_one(monkeypatch: pytest.MonkeyPatch) -> None:
    import dask

    with dask.config.set({"distributed.comm.timeouts.connect": "100ms"}), pytest.raises(tm.UserError) as found:
        tm.meta.Dask("tcp://127.0.0.1:9")
    assert "dask scheduler" in str(found.value)
