"""What travels: functions, by name or as their code, and answers, which nobody opens on the way.

An answer is a result or an error, written where it was computed. What can't be written or read is told in words.
"""

from __future__ import annotations

import marshal
import os
import sys
import traceback
from importlib import import_module
from importlib.util import MAGIC_NUMBER
from multiprocessing.reduction import ForkingPickler
from types import CellType, FunctionType
from typing import Any

from tinymeta.engine.typing import Function
from tinymeta.meta.spread.gather import Lost, Unsendable

loaded: Function = ForkingPickler.loads  # pyright: ignore[reportAttributeAccessIssue]


def answer(f: Function, /, *args: object, **options: object) -> bytes:
    """What `f(*args)` came to, for `read`: a worker computes this."""
    try:
        return written((True, f(*args, **options)))
    except Exception as error:
        return refused(error)


def refused(error: Exception) -> bytes:
    """An error as an answer, with the lines that led to it; in words if it can't be sent."""
    words = traceback.format_exception_only(error)[0].strip()
    where = f"in worker process {os.getpid()}:\n{''.join(traceback.format_exception(error))}"
    error.add_note(where)
    try:
        there = written((False, error))
        loaded(there)
        return there
    except Exception:
        told = Lost(f"a worker failed with {words} (told in words, for an error of this class can't be sent)")
        told.add_note(where)
        return written((False, told))


def read(there: bytes) -> tuple[bool, Any]:
    """Whether there is a result, and the result or the error."""
    try:
        succeeded, found = loaded(there)
    except Exception as error:
        return False, Unsendable(f"what a worker has computed can't be read here ({error}): return what can be pickled")
    return succeeded, found


def written(x: object) -> bytes:
    """A value as it is sent.

    Raises: Unsendable.
    """
    try:
        return bytes(_Pickler.dumps(x))
    except Exception as error:
        raise Unsendable(
            f"this can't be sent between processes ({error}): what workers compute is made of functions, of classes at "
            "the top level of a module, and of what can be pickled"
        ) from error


class _Pickler(ForkingPickler):
    """Sends a function that can't be named, such as a lambda, as its code and what it has seen where it was made: the
    other process is of the same Python. (Cloudpickle would send copies of its module's globals, too, in which a lock is
    refused and a counter counts apart; and every `--workers` would need it.)"""

    def reducer_override(self, x: Any) -> Any:
        if not isinstance(x, FunctionType) or _named(x):
            return NotImplemented
        seen = [cell.cell_contents for cell in x.__closure__ or ()]
        made = MAGIC_NUMBER, marshal.dumps(x.__code__), x.__module__, x.__name__, len(seen)
        return _function, made, (x.__defaults__, x.__kwdefaults__, vars(x), seen), None, None, _complete


def _named(f: FunctionType) -> bool:
    found: Any = sys.modules.get(f.__module__)
    for name in f.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is f


def _function(made_by: bytes, code: bytes, module: str, name: str, seen: int) -> FunctionType:
    if made_by != MAGIC_NUMBER:
        raise ValueError("a function without a name goes to the same version of Python only")
    there = vars(import_module(module))
    return FunctionType(marshal.loads(code), there, name, None, tuple(CellType() for _ in range(seen)))


def _complete(f: FunctionType, state: tuple[Any, Any, dict[str, object], list[object]]) -> None:
    """Only now, for what it has seen may be itself."""
    f.__defaults__, f.__kwdefaults__, own, seen = state
    vars(f).update(own)
    for cell, content in zip(f.__closure__ or (), seen):
        cell.cell_contents = content
