"""Everybody who may compute the parts of a step, well or in trouble, beside nobody: the same bits."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tests.meta.trouble import Troubled, fitted, fitted_while_one_hangs

SPAWN = multiprocessing.get_context("spawn")
EXECUTORS: dict[str, Callable[[], Any]] = {
    "a thread": partial(ThreadPoolExecutor, 1),
    "three threads": partial(ThreadPoolExecutor, 3),
    "a pool of two processes": partial(ProcessPoolExecutor, 2, mp_context=SPAWN),
    "a worker": partial(tm.meta.Workers, 1),
    "two workers": partial(tm.meta.Workers, 2),
    "three workers": partial(tm.meta.Workers, 3),
}


@contextmanager
def dask() -> Iterator[Any]:
    """A `dask scheduler` with two `dask worker`s of its own."""
    from distributed import Client

    from tests.meta.test_dask import Cluster

    with Cluster() as cluster, Client(cluster.address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=120)
        with tm.meta.Dask(client) as workers:
            yield workers


def compared(folder: Path) -> Iterator[str]:
    """For each executor, eager and compiled, and for each trouble: an empty string, or that its bits are others."""
    makers = {**EXECUTORS, "a Dask cluster": dask} if find_spec("distributed") else EXECUTORS
    alone = {compiled: fitted(chunks=8, compiled=compiled) for compiled in (False, True)}
    for name, make in makers.items():
        with make() as executor:
            for compiled, expected in alone.items():
                yield same(
                    f"{name}, compiled={compiled}", partial(fitted, executor=executor, compiled=compiled), expected
                )
    for name in ("two workers", "a Dask cluster"):
        for how in ("killed", "raises", "hangs") if name in makers else ():
            place = folder / f"{name}, {how}"
            place.mkdir()
            with makers[name]() as executor:
                yield same(f"{name}, of which one {how}", partial(troubled, executor, how, place), alone[False])


def troubled(executor: Any, how: str, folder: Path) -> Any:
    if how == "hangs":
        with pytest.MonkeyPatch.context() as patch:
            return fitted_while_one_hangs(executor, folder, patch)[0]
    found = fitted(Troubled(folder, how), executor=executor)
    assert (folder / "first").exists()
    return found


def same(name: str, work: Callable[[], Any], expected: Any) -> str:
    try:
        return "" if np.array_equal(work(), expected) else f"{name}: other bits"
    except Exception as broken:
        return f"{name}: {broken!r:.200}"
