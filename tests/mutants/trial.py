"""Which tests see a mutation: one process collects them, and forks for each mutation, where those that reach it run.

First the tests are run once, unchanged, and of each is kept how long it takes and which functions it calls. A mutation
is then tried by the tests that call its function, the quickest first, until one fails. A fork that dies, or takes ten
times as long, has seen it as well.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from types import CodeType, FrameType
from typing import Any, NamedTuple

import pytest

from tests.mutants.mutations import ROOT, Site
from tests.mutants.plant import changed_by, plant

MEMORY = 8 << 30  # bytes: a loop that no longer ends doesn't take the machine with it
_OPTIONS = ["--capture=no", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:randomly"]
_forks: Any = multiprocessing.get_context("fork" if hasattr(os, "fork") else None)


class Verdict(NamedTuple):
    """What became of a mutation."""

    site: Site
    outcome: str  # "killed", "survived", "called by no test", "not planted"
    by: str = ""  # the test that saw it, or how


class Ran(NamedTuple):
    """A test that passed, unchanged."""

    item: pytest.Item
    seconds: float
    calls: frozenset[tuple[str, int]]  # the functions that it called: file and first line


def verdicts(sites: Sequence[Site], tests: Sequence[str], until: float) -> Iterator[Verdict]:
    """Try mutations by the tests of some files and folders, one after the other, until time.monotonic() is `until`."""
    receiver, sender = _forks.Pipe(duplex=False)
    process = _forks.Process(target=_session, args=(sites, tests, until, sender))
    process.start()
    sender.close()
    try:
        while True:
            number, outcome, by = receiver.recv()
            yield Verdict(sites[number], outcome, by)
    except EOFError:
        process.join()
    finally:
        process.terminate()
    if process.exitcode:
        raise RuntimeError(f"pytest {' '.join(tests)} ended with status {process.exitcode}")


def _session(sites: Sequence[Site], tests: Sequence[str], until: float, sender: Connection) -> None:
    os.chdir(ROOT)
    _silence()
    status = pytest.main([*_OPTIONS, *tests], plugins=[_Trials(sites, until, sender)])
    sender.close()
    os._exit(int(status))


class _Trials:
    """The plugin that runs the mutations in place of the tests, and watches for the first failure."""

    def __init__(self, sites: Sequence[Site], until: float, sender: Connection) -> None:
        self.sites, self.until, self.sender = sites, until, sender
        self.failed = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.failed = self.failed or report.failed

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            raise session.Interrupted("the tests can't be collected")
        found = _in_fork(lambda: self._unchanged(session.items), 3600)
        ran = [Ran(session.items[i], seconds, calls) for i, seconds, calls in found]
        for number, site in enumerate(self.sites):
            if time.monotonic() > self.until:
                break
            self.sender.send((number, *self._tried(site, ran)))
        return True

    def _tried(self, site: Site, ran: Sequence[Ran]) -> tuple[str, str]:
        line = max(code.co_firstlineno for code in changed_by(site))
        reach = sorted(
            (test for test in ran if (str(ROOT / site.path), line) in test.calls), key=lambda test: test.seconds
        )
        if not reach:
            return "called by no test", ""
        limit = 30 + 10 * sum(test.seconds for test in reach)
        return _in_fork(lambda: self._changed(site, reach), limit) or ("killed", "the process died or went on and on")

    def _changed(self, site: Site, reach: Sequence[Ran]) -> tuple[str, str]:
        """In a fork: plant the mutation, and run the tests until one fails."""
        if not plant(site):
            return "not planted", ""
        for test, after in zip(reach, [*(test.item for test in reach[1:]), None]):
            if not self._passes(test.item, after):
                return "killed", test.item.nodeid
        return "survived", ""

    def _unchanged(self, items: Sequence[pytest.Item]) -> list[tuple[int, float, frozenset[tuple[str, int]]]]:
        """In a fork: run all tests as they are; of those that pass their number, seconds, and calls."""
        product, found = str(ROOT / "tinymeta"), []
        for i, (item, after) in enumerate(zip(items, [*items[1:], None])):
            called: dict[int, CodeType] = {}  # by identity, for comparing codes is slow

            def follow(frame: FrameType, event: str, arg: Any, called: dict[int, CodeType] = called) -> None:
                if event == "call":
                    called[id(frame.f_code)] = frame.f_code

            begun = time.perf_counter()
            threading.setprofile(follow)  # of threads that are yet to start
            sys.setprofile(follow)
            passes = self._passes(item, after)
            sys.setprofile(None)
            threading.setprofile(None)
            calls = {(c.co_filename, c.co_firstlineno) for c in called.values() if c.co_filename.startswith(product)}
            if passes:
                found.append((i, time.perf_counter() - begun, frozenset(calls)))
        return found

    def _passes(self, item: pytest.Item, after: pytest.Item | None) -> bool:
        self.failed = False
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
        return not self.failed


def _in_fork(work: Callable[[], Any], seconds: float) -> Any:
    """What `work()` gives in a fork of this process; None if it dies or takes longer."""
    receiver, sender = _forks.Pipe(duplex=False)
    process = _forks.Process(target=_work, args=(work, sender))
    process.start()
    sender.close()
    try:
        return receiver.recv() if receiver.poll(seconds) else None
    except EOFError:
        return None
    finally:
        process.kill()
        process.join()


def _work(work: Callable[[], Any], sender: Connection) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    sender.send(work())


def _silence() -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
