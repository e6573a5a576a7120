"""A real scheduler with two real workers, on loopback: the same bits, also where one of them dies in the middle."""

from __future__ import annotations

import concurrent.futures
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tests.meta.learners import LEARNERS, Blobs, flat, start
from tests.meta.trouble import (
    UNSENT,
    Counted,
    Troubled,
    Unreadable,
    arrivals,
    fitted,
    fitted_while_one_hangs,
    tells_what_cannot_travel,
    unruly,
)
from tinymeta.meta.spread import cluster as spreading
from tinymeta.meta.spread.gather import Unsendable, gather, shared

distributed, dask = pytest.importorskip("distributed"), pytest.importorskip("dask")
ROOT = Path(__file__).parents[2]
ADAM = tm.optim.Adam(0.01)
PATH = os.pathsep.join([str(ROOT), str(ROOT / "kernels"), *sys.path])


class Cluster:
    """A `dask scheduler` and two `dask worker`, each a process."""

    def __init__(self, **settings: str) -> None:
        self.settings = settings
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
        command, env = [sys.executable, "-m", "dask", *words], {**os.environ, "PYTHONPATH": PATH, **self.settings}
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
    with dask.config.set({"distributed.comm.timeouts.connect": "100ms"}), pytest.raises(tm.UserError) as found:
        tm.meta.Dask("tcp://127.0.0.1:9")
    assert "dask scheduler" in str(found.value)


@pytest.mark.parametrize("what", UNSENT)
def test_what_cannot_come_back_is_told_in_a_sentence_and_the_worker_goes_on(what: str, workers: Any) -> None:
    tells_what_cannot_travel(workers, what)


def test_what_a_worker_cannot_read_is_told_in_a_sentence(workers: Any) -> None:
    for call in ((Unreadable(),), (shared(workers, Unreadable()),)):
        with pytest.raises(tm.UserError, match="the cluster gave no answer .*no number"):
            gather(workers, id, [call])
    assert gather(workers, abs, [(-1,)]) == [1]


def test_a_part_over_which_workers_die_is_given_up_in_a_sentence() -> None:
    told = pytest.raises(tm.UserError, match="2 workers of the cluster have died over one and the same part")
    once = Cluster(DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="1")
    with once as cluster, tm.meta.Dask(cluster.address) as workers, told:
        gather(workers, os._exit, [(3,)])


@contextmanager
def begun(cluster: Cluster, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A run on a cluster whose workers stand still with parts of it in hand."""
    command = [sys.executable, "-m", "tinymeta", "run", "sine", "--iterations", "100000", "--quiet", "--out", *words]
    env = {**os.environ, "PYTHONPATH": PATH, "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "1s"}
    with distributed.Client(cluster.address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=120)
        for worker in cluster.workers:
            worker.send_signal(signal.SIGSTOP)
        run = subprocess.Popen([*command, "--dask", cluster.address], stderr=subprocess.PIPE, env=env, text=True)
        while not any(client.processing().values()):
            assert run.poll() is None
    try:
        yield run
    finally:
        run.kill()
        run.wait()


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs a signal that stops a process")
@pytest.mark.parametrize(
    ("dies", "said"),
    [("workers", "1 workers of the cluster have died"), ("scheduler", "the Dask scheduler answers no")],
)
def test_a_run_whose_cluster_dies_ends_with_a_sentence(dies: str, said: str, tmp_path: Path) -> None:
    with (
        Cluster(DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0") as cluster,
        begun(cluster, str(tmp_path / "run")) as run,
    ):
        for process in cluster.workers if dies == "workers" else cluster.processes[:1]:
            process.kill()
        found = run.communicate()[1]
    told = [line for line in found.splitlines() if line.startswith("tinymeta: ")]
    assert run.returncode == 2 and len(told) == 1 and said in told[0] and "Traceback" not in found, found


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs a signal that stops a process")
def test_a_scheduler_that_stands_still_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreading, "ANSWER", 0.1)
    with Cluster() as cluster, tm.meta.Dask(cluster.address) as workers:
        cluster.processes[0].send_signal(signal.SIGSTOP)
        with pytest.raises(tm.UserError, match="the Dask scheduler answers no more"):
            gather(workers, abs, [(1,)], patience=0.1)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_functions_go_over_the_encrypted_connection_that_the_user_chose_and_over_no_other(tmp_path: Path) -> None:
    key, certificate = str(tmp_path / "key.pem"), str(tmp_path / "certificate.pem")
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate]
    subprocess.run([*made, "-days", "2", "-subj", "/CN=127.0.0.1"], check=True, capture_output=True)
    files = {
        f"{who}.{what}": path
        for who in ("client", "scheduler", "worker")
        for what, path in (("key", key), ("cert", certificate))
    }
    tls = {f"distributed.comm.tls.{name}": path for name, path in {**files, "ca-file": certificate}.items()}
    with dask.config.set({**tls, "distributed.comm.require-encryption": True}):
        security = distributed.Security()
        with distributed.LocalCluster(1, processes=False, dashboard_address=None, security=security) as cluster:
            assert cluster.scheduler_address.startswith("tls://")
            for address in (cluster, cluster.scheduler_address):
                with tm.meta.Dask(address) as workers:
                    assert gather(workers, abs, [(-1,)]) == [1]
            plain = dask.config.set({**dict.fromkeys(tls), "distributed.comm.timeouts.connect": "1s"})
            with plain, pytest.raises(tm.UserError, match="no Dask scheduler answers"):
                tm.meta.Dask(cluster.scheduler_address)
