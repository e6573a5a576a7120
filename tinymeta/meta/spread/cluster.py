"""Workers of a cluster that is there already: an executor over `dask.distributed`."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, NoReturn
from uuid import uuid4
from weakref import WeakKeyDictionary

from tinymeta.engine.errors import UserError
from tinymeta.engine.typing import Function
from tinymeta.meta.spread.gather import Lost, Unsendable
from tinymeta.meta.spread.sending import answer, read

ANSWER = 30.0  # seconds for a scheduler to say who is there and who does what


class Dask(Executor):
    """The workers of a Dask cluster: an executor for `tm.meta.fit`.

    Shapes: of whatever the function takes.
    Raises: UserError if `distributed` isn't installed, or no scheduler answers.

    Parameters
    ----------
    address
        Of a scheduler that is running, "tcp://host:8786"; or a cluster object (`LocalCluster`, `SLURMCluster`), or a
        `distributed.Client`. Functions and arguments go there, to be run: name only what is yours.
    """

    def __init__(self, address: Any) -> None:
        try:
            from distributed import Client
        except ImportError as error:
            raise UserError("Dask isn't installed: pip install 'tinymeta[dask]'") from error
        self._own = not isinstance(address, Client)
        if self._own:  # what becomes of it is told by errors, once
            logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
        self._client: Any = Client.__new__(Client) if self._own else address
        try:
            if self._own:
                self._client.__init__(address, set_as_default=False)
        except Exception as error:  # of the network, of the address, of certificates
            self._client.status = "closed"  # or it would take leave of whom it never met, and wait for the answer
            raise UserError(
                f"no Dask scheduler answers at {address} ({error}): start `dask scheduler` and some `dask worker`, and "
                "give the address that it prints, such as tcp://192.168.0.1:8786"
            ) from error
        self._keys: WeakKeyDictionary[Future[Any], str] = WeakKeyDictionary()
        self._stuck: set[str] = set()  # workers that owe an answer
        self._shaken = False  # it has let go of what it was asked: is it there still?

    def __reduce__(self) -> NoReturn:
        raise TypeError("a connection to a cluster can't be copied or sent: make one where it is used")

    def submit(self, f: Function, /, *args: Any, **options: Any) -> Future[Any]:
        """`f(*args)` on one of the cluster's workers; an argument may be a `share`d value."""
        key = f"tinymeta-{uuid4().hex}"
        with _sent():
            there = self._workers() if self._stuck or self._shaken else set()
            others = {"workers": sorted(there - self._stuck)} if self._stuck and there - self._stuck else {}
            executor = self._client.get_executor(pure=False, **others)
            theirs: Future[bytes] = executor.submit(answer, f, *args, **options, key=key)
        future: Future[Any] = Future()
        future.add_done_callback(lambda _: theirs.cancel())  # which does nothing to what is done
        theirs.add_done_callback(partial(self._hand_on, future))
        self._keys[future] = key
        return future

    def share(self, value: object) -> Any:
        """What stands for `value` among the arguments of calls. One worker gets it, and the others get it from there;
        the scheduler can make it again if that one is lost."""
        with _sent():
            return self._client.submit(_itself, value, pure=False)

    def late(self, futures: Iterable[Future[object]]) -> None:
        """Keep away from the workers that have these in hand."""
        keys = {self._keys[future] for future in futures if future in self._keys}
        with _sent():
            for worker, held in self._said("processing", workers=None).items():
                if keys & set(held):
                    self._stuck.add(worker)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let go of the cluster, which goes on."""
        if self._own:
            with suppress(OSError):  # a scheduler that is gone takes no leave
                self._client.close(ANSWER)

    def _workers(self) -> set[str]:
        return set(self._said("identity", n_workers=-1)["workers"])

    def _hand_on(self, future: Future[Any], theirs: Future[bytes]) -> None:
        """A cluster's answer, to who waits for it."""
        if theirs.cancelled():
            self._shaken = self._shaken or not future.cancelled()
            future.cancel()
        if not future.set_running_or_notify_cancel():
            return
        error = theirs.exception()
        succeeded, found = read(theirs.result()) if error is None else (False, _trouble(error))
        (future.set_result if succeeded else future.set_exception)(found)

    def _said(self, question: str, **how: object) -> Any:
        return self._client.sync(getattr(self._client.scheduler, question), callback_timeout=ANSWER, **how)


@contextmanager
def _sent() -> Iterator[None]:
    """What can't be sent to a cluster, or to one that is gone, is told in a sentence.

    What is sent may be large; Dask would warn, as it does a user who may be unaware of it.
    """
    import dask.config

    try:
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"}):
            yield
    except TypeError as error:
        raise Unsendable(f"this can't be sent to a cluster ({error.__cause__ or error})") from error
    except Exception as error:
        raise UserError(
            f"the Dask scheduler answers no more ({type(error).__name__}): look whether it runs, and what it printed; "
            "a run that is resumed goes on from its last checkpoint"
        ) from error


def _trouble(error: BaseException) -> UserError:
    """Why a cluster has no answer, whatever it was asked."""
    from distributed import KilledWorker

    if isinstance(error, KilledWorker):  # which have been several
        return UserError(
            f"{error.allowed_failures + 1} workers of the cluster have died over one and the same part of the work: "
            "see what they printed; where memory ran out, cut the work into more parts (chunks=)"
        )
    found = error.__cause__ or error
    return Lost(f"the cluster gave no answer ({type(found).__name__}: {found}): see what its workers printed")


def _itself(x: object) -> object:
    return x
