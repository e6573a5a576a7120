"""Work shared between threads, cut the same way whatever their number.

Kernels and BLAS let go of the interpreter lock, so plain Python threads use all cores. Unlike Numba's
parallel loops they may be started from several threads at once and survive a fork, and a kernel stays
one simple compilation. Each unit of work writes its own part of the output and is computed alike on any
thread, so results do not depend on how many there are.
"""

import ctypes
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

__all__ = ["count", "cores", "one_blas_thread", "one_core", "run", "set_num_threads"]

Unit = TypeVar("Unit")

_local = threading.local()
_pool: "ThreadPoolExecutor | None" = None


def _available_cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return min(cores, _allowance(Path("/sys/fs/cgroup/cpu.max")))


def _allowance(limit: Path) -> int:
    """How many cores' time a Linux container may use: threads that wait for a rationed core are slower than one."""
    try:
        quota, period = limit.read_text().split()
        return max(1, int(quota) // int(period))
    except (OSError, ValueError):  # there is no container, or its allowance is "max"
        return 1 << 16


count = int(os.environ.get("TINYMETA_NUM_THREADS") or _available_cores())


def set_num_threads(n: int) -> None:
    """Let kernels use ``n`` threads (from the environment: TINYMETA_NUM_THREADS; else all cores).

    Raises: ValueError for less than one: `kernels.set_num_threads(0)`.
    """
    global count, _pool
    if n < 1:
        raise ValueError(f"set_num_threads needs at least 1 thread, got {n}")
    count, _pool = n, None


def cores() -> int:
    """How many cores this thread may use: one, if it is a helper or inside of ``one_core``."""
    return 1 if getattr(_local, "busy", False) else count


@contextmanager
def one_core() -> Iterator[None]:
    """Keep what this thread computes on its core: then sums don't depend on how many cores there are."""
    before = getattr(_local, "busy", False)
    _local.busy = True
    try:
        with one_blas_thread():
            yield
    finally:
        _local.busy = before


def run(work: Callable[[Unit], None], units: Sequence[Unit]) -> None:
    """Call ``work(unit)`` once for each unit, on the free threads; return when all are done.

    Work started by work (or a single unit) stays on the calling thread.
    """
    if len(units) < 2 or cores() < 2:
        for unit in units:
            work(unit)
        return
    waiting = deque(units)  # taking one off is atomic

    def drain() -> None:
        _local.busy = True
        try:
            while True:
                try:
                    unit = waiting.popleft()
                except IndexError:
                    return
                work(unit)
        finally:
            _local.busy = False

    with one_blas_thread():
        helpers = [_workers().submit(drain) for _ in range(min(count, len(units)) - 1)]
        try:
            drain()
        finally:
            for helper in helpers:
                # Nothing is left for a helper that has not started; the others finish their unit.
                if not helper.cancel():
                    helper.result()


def _workers() -> "ThreadPoolExecutor":
    global _pool
    if _pool is None:
        from concurrent.futures import (
            ThreadPoolExecutor,  # an import of 10 ms, which importing tinymeta needn't wait for
        )

        _pool = ThreadPoolExecutor(count - 1, thread_name_prefix="tinymeta-kernels")
    return _pool


def _forget_threads() -> None:
    """A forked child has none of its parent's threads."""
    global _pool, _blas_lock, _blas_users
    _pool, _blas_lock, _blas_users = None, threading.Lock(), 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)

# OpenBLAS threads take turns inside one product, so two Python threads that multiply matrices wait for
# each other. NumPy's wheels carry OpenBLAS under these names; other libraries are left as they are.
_BLAS_PREFIXES = ("scipy_openblas", "openblas")
_BLAS_SUFFIXES = ("64_", "")

_blas_lock = threading.Lock()
_blas_users = 0
_blas_threads_before = 1


@cache
def blas_function(name: str) -> Any:
    library = ctypes.CDLL(import_module("numpy._core._multiarray_umath").__file__)
    for prefix in _BLAS_PREFIXES:
        for suffix in _BLAS_SUFFIXES:
            try:
                return getattr(library, f"{prefix}_{name}{suffix}")
            except AttributeError:
                continue
    return None


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """OpenBLAS on one thread per product while any range of work runs, then as it was."""
    global _blas_users, _blas_threads_before
    get, set_ = blas_function("get_num_threads"), blas_function("set_num_threads")
    if get is None or set_ is None:
        yield
        return
    with _blas_lock:
        if _blas_users == 0:
            _blas_threads_before = get()
            set_(1)
        _blas_users += 1
    try:
        yield
    finally:
        with _blas_lock:
            _blas_users -= 1
            if _blas_users == 0:
                set_(_blas_threads_before)
