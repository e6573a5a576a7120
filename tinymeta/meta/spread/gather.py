"""Calls made by others, and made again where a worker is lost, late or in trouble.

What is computed by whom, in which order and how often changes no result: each call counts once, in its own place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from typing import Any, NamedTuple

from tinymeta.engine.errors import UserError
from tinymeta.engine.typing import Function

PATIENCE = 600.0  # seconds without an answer from any worker, after which those that owe one are given up
TRIES = 3  # of a call


class Lost(UserError):
    """A worker has ended before it answered."""


class Unsendable(UserError):
    """What is asked for, or with, can't be sent to a worker."""


class Shared(NamedTuple):
    """A value that many calls are given, and that travels once: to each worker that can keep it."""

    value: object
    there: object  # what stands for it among the arguments of a call


def shared(executor: Executor, value: object) -> Shared:
    """`value` for the calls of an executor: kept by its workers, if it has `share(value)`, else sent with each call."""
    share = getattr(executor, "share", None)
    return Shared(value, value if share is None else share(value))


def gather(
    executor: Executor,
    f: Function,
    calls: Sequence[tuple[object, ...]],
    *,
    patience: float | None = PATIENCE,
    each: Callable[[int, Any], object] | None = None,
) -> list[Any]:
    """`[f(*call) for call in calls]`, each computed by a worker.

    Raises: UserError where no worker has answered a call in time, or all that were asked have died, three times; and
    whatever `f` raised, the third time, a `UserError` at once.

    Parameters
    ----------
    executor
        Has `submit(f, *args) -> Future`. If it has `late(futures)`, it is told whose answers nobody waits for any more.
    f
        Depends on nothing but its arguments, for it may be called more than once.
    calls
        Arguments, some of which may be `Shared`.
    patience
        Seconds that may pass without any answer; None waits for ever.
    each
        Is told of each result when it is there: which call it is of, and the result.
    """
    results: dict[int, Any] = {}
    tries = [0] * len(calls)
    pending: dict[Future[Any], int] = {}

    def ask(k: int) -> None:
        first = tries[k] == 0  # later, what was to be kept may have been lost with who kept it
        args = [(x.there if first else x.value) if isinstance(x, Shared) else x for x in calls[k]]
        tries[k] += 1
        pending[executor.submit(f, *args)] = k

    try:
        for k in range(len(calls)):
            ask(k)
        while len(results) < len(calls):
            done = wait(pending, patience, FIRST_COMPLETED).done
            if not done:
                _give_up(executor, list(pending))
                for k in sorted(set(pending.values()) - results.keys()):
                    if tries[k] == TRIES:
                        raise UserError(_late(k, len(calls), patience))
                    ask(k)
            for future in done:
                k = pending.pop(future)
                error = None if future.cancelled() else future.exception()
                if k in results:
                    continue  # a late answer: the call has been made again, and that one counted
                if not future.cancelled() and error is None:
                    results[k] = future.result()
                    if each is not None:
                        each(k, results[k])
                elif k in pending.values():
                    continue  # made again already
                elif tries[k] == TRIES or (isinstance(error, UserError) and not isinstance(error, Lost)):
                    raise error or Lost(f"part {k + 1} of {len(calls)} was cancelled by its executor {TRIES} times")
                else:
                    ask(k)
    except BrokenExecutor as error:
        raise UserError(f"{error}: this executor does not replace workers that die, tm.meta.Workers does") from error
    finally:
        for future in pending:
            future.cancel()
    return [results[k] for k in range(len(calls))]


def _give_up(executor: Executor, futures: list[Future[Any]]) -> None:
    """Don't count on these any more; what is being computed may still be in time."""
    late = getattr(executor, "late", None)
    if late is not None:
        late(futures)
    for future in futures:
        future.cancel()


def _late(k: int, count: int, patience: float | None) -> str:
    return (
        f"no worker has computed part {k + 1} of {count}, though it was asked of them {TRIES} times and {patience:g} "
        "seconds went by without any answer: look whether workers are there and not stopped; if a part takes as long "
        "as that, cut the work into more parts (chunks=)"
    )
