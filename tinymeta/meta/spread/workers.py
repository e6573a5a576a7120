"""Processes on this machine, each with one core to itself, that compute what they are asked."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from itertools import count
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any, NamedTuple, NoReturn
from weakref import WeakSet

from tinymeta.engine.errors import UserError
from tinymeta.engine.typing import Function
from tinymeta.meta.spread.gather import Lost
from tinymeta.meta.spread.sending import answer, loaded, read, refused, written

# Read by the libraries when they are loaded: each process has one core, and its BLAS starts no threads of its own.
ONE_CORE = {
    f"{library}_NUM_THREADS": "1" for library in ("TINYMETA", "OPENBLAS", "OMP", "MKL", "BLIS", "NUMEXPR", "NUMBA")
} | {"VECLIB_MAXIMUM_THREADS": "1"}

_environment = threading.Lock()
_next = count().__next__


class Kept(NamedTuple):
    """The number of a value that a worker keeps, in the place of the value."""

    number: int


class Parcel:
    """A value ready to be sent, and its number; written out once, however many workers get it."""

    def __init__(self, value: object) -> None:
        self.number, self.content = _next(), written(value)


class Workers(Executor):
    """Processes on this machine with one core each: an executor for `tm.meta.fit`.

    They are started when there is work, and end with the `with` block. A process that has died, or was given up, is
    replaced. Arguments are pickled; functions travel by name, and where they have none, as their code and what it has
    seen. A script that uses workers begins its work under `if __name__ == "__main__":`.

    Shapes: of whatever the function takes.
    Raises: UserError for fewer than one: `tm.meta.Workers(0)`.

    >>> with tm.meta.Workers(2) as workers:
    ...     list(workers.map(abs, [-1, 2]))
    [1, 2]
    """

    def __init__(self, count: int) -> None:
        if count < 1:
            raise UserError(f"Workers({count}): there must be 1 or more")
        self._asked: SimpleQueue[tuple[Future[object], Function, tuple[object, ...]] | None] = SimpleQueue()
        self._at_work: dict[Future[object], _Process] = {}
        self._late = WeakSet[Future[object]]()  # nobody waits for these any more
        self._over = self._left = False  # no more is taken on; nobody waits for anything
        self._threads = [
            threading.Thread(target=self._serve, name="tinymeta-worker", daemon=True) for _ in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def __reduce__(self) -> NoReturn:
        raise TypeError("workers are processes of this one, and can't be copied or sent: make them where they are used")

    def submit(self, f: Function, /, *args: Any, **options: Any) -> Future[Any]:
        """`f(*args)` in one of the processes; an argument may be a `share`d value."""
        if self._over:
            raise RuntimeError("these workers have been dismissed: submit inside of `with Workers(…)`")
        if options:
            raise TypeError("workers take arguments by position only")
        future: Future[object] = Future()
        self._asked.put((future, f, args))
        return future

    def share(self, value: object) -> Parcel:
        """What stands for `value` among the arguments of calls: it is sent to each process once, and kept there."""
        return Parcel(value)

    def late(self, futures: Iterable[Future[object]]) -> None:
        """End the processes that compute these: nobody waits for them any more."""
        for future in futures:
            self._late.add(future)
            process = self._at_work.get(future)
            if process is not None:
                process.kill()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._over = True
        if cancel_futures:
            while not self._asked.empty():
                asked = self._asked.get()
                if asked is not None:
                    asked[0].cancel()
        for _ in self._threads:
            self._asked.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def __exit__(self, kind: object, *error: object) -> None:
        if kind is not None:  # nobody will look at what is still being computed
            self._left = True
            self.late(list(self._at_work))
        self.shutdown(cancel_futures=kind is not None)

    def _serve(self) -> None:
        """One thread's work: hand on what is asked for to a process of its own, and its answer back."""
        process: _Process | None = None
        while (asked := self._asked.get()) is not None:
            future, f, args = asked
            if not future.set_running_or_notify_cancel():
                continue
            try:
                process = process or _Process()
                self._at_work[future] = process
                if self._left or future in self._late:  # given up while its process was being started
                    process.kill()
                succeeded, found = process.ask(f, args)
            except (EOFError, OSError) as error:
                how = "could not be started" if process is None else f"ended with exit code {process.end()}"
                process, succeeded, found = None, False, Lost(f"a worker process {how} ({error}): see what it printed")
            except Exception as error:  # it can't be sent
                succeeded, found = False, error
            self._at_work.pop(future, None)
            if succeeded:
                future.set_result(found)
            else:
                future.set_exception(found)
            del future, f, args, found
        if process is not None:
            process.end()


class _Process:
    """A process, our end of the pipe to it, and what it keeps."""

    def __init__(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_work, args=(theirs,), name="tinymeta-worker", daemon=True)
        with _environment, _changed(ONE_CORE):
            self._process.start()
        theirs.close()
        self._keeps: set[int] = set()

    def ask(self, f: Function, args: tuple[object, ...]) -> tuple[bool, Any]:
        """Whether `f(*args)` has a result, and the result or the error."""
        parcels = {x.number: x.content for x in args if isinstance(x, Parcel)}
        named = [Kept(x.number) if isinstance(x, Parcel) else x for x in args]
        call, fresh = written((f, named)), [number for number in parcels if number not in self._keeps]
        self._pipe.send((call, list(parcels), fresh))
        for number in fresh:
            self._pipe.send_bytes(parcels[number])
        succeeded, found = read(self._pipe.recv_bytes())
        self._keeps = set(parcels) if succeeded else set()
        return succeeded, found

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> int | None:
        """End it, and give its exit code."""
        self._pipe.close()
        self._process.join(1.0)
        self._process.kill()
        self._process.join()
        return self._process.exitcode


@contextmanager
def _changed(names: dict[str, str]) -> Iterator[None]:
    """The environment that a process starts in."""
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(names)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _work(pipe: Connection) -> None:
    """What a worker process does: it answers until its parent has no more to ask, or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes of a terminal: the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    kept: dict[int, object] = {}
    try:
        while True:
            call, numbers, fresh = pipe.recv()
            sent = {number: pipe.recv_bytes() for number in fresh}
            try:
                kept = {k: loaded(sent[k]) if k in sent else kept[k] for k in numbers}
                f, named = loaded(call)
            except Exception as error:
                there = refused(Lost(f"a worker can't read what it was sent ({error})"))
            else:
                there = answer(f, *[kept[x.number] if isinstance(x, Kept) else x for x in named])
            pipe.send_bytes(there)
    except (EOFError, OSError):
        return


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
