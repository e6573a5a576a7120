"""Workers of a cluster that is there already: an executor over `dask.distributed`."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor, Future
from typing import Any, NoReturn
from uuid import uuid4
from weakref import WeakKeyDictionary

from tinymeta.engine.errors import UserError
from tinymeta.engine.typing import Function
from tinymeta.meta.spread.gather import Unsendable


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
        try:
            self._client: Any = Client(address, set_as_default=False) if self._own else address
        except (OSError, ValueError) as error:
            raise UserError(
                f"no Dask scheduler answers at {address} ({error}): start `dask scheduler` and some `dask worker`, and "
                "give the address that it prints, such as tcp://192.168.0.1:8786"
            ) from error
        self._keys: WeakKeyDictionary[Future[Any], str] = WeakKeyDictionary()
        self._stuck: set[str] = set()  # workers that owe an answer

    def __reduce__(self) -> NoReturn:
        raise TypeError("a connection to a cluster can't be copied or sent: make one where it is used")

    def submit(self, f: Function, /, *args: Any, **options: Any) -> Future[Any]:
        """`f(*args)` on one of the cluster's workers; an argument may be a `share`d value."""
        key = f"tinymeta-{uuid4().hex}"
        others = sorted(self._workers() - self._stuck) if self._stuck else []
        executor = self._client.get_executor(pure=False, **({"workers": others} if others else {}))
        try:
            with _large():
                future: Future[Any] = executor.submit(f, *args, **options, key=key)
        except TypeError as error:
            raise Unsendable(f"this can't be sent to a cluster ({error.__cause__ or error})") from error
        self._keys[future] = key
        return future

    def share(self, value: object) -> Any:
        """What stands for `value` among the arguments of calls. One worker gets it, and the others get it from there;
        the scheduler can make it again if that one is lost."""
        with _large():
            return self._client.submit(_itself, value, pure=False)

    def late(self, futures: Iterable[Future[object]]) -> None:
        """Keep away from the workers that have these in hand."""
        keys = {self._keys[future] for future in futures if future in self._keys}
        for worker, held in self._client.processing().items():
            if keys & set(held):
                self._stuck.add(worker)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let go of the cluster, which goes on."""
        if self._own:
            self._client.close()

    def _workers(self) -> set[str]:
        return set(self._client.scheduler_info(n_workers=-1)["workers"])


def _large() -> Any:
    """What is sent may be large; Dask would warn, as it does a user who may be unaware of it."""
    import dask.config

    return dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"})


def _itself(x: object) -> object:
    return x
