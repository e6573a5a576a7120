"""One contender in a process of its own: it reads requests, a line each, and answers with a line of JSON.

    check FILE  → the gradients in float64 are written to the file, for the comparison with others
    program     → the floating-point operations of one float32 step, and the seconds of a first call with its self-check
                  and without ("tinymeta compiled" alone can tell)
    time S      → repeat the step for S seconds; the median of its times, the first call's, and the peak memory so far

Started by contender.py with another framework's interpreter, it finds this package through PYTHONPATH.
The peak memory is that of the whole process: one that is to time is asked for nothing else.
"""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from tinymeta.bench.backends import backend
from tinymeta.bench.networks import Backend
from tinymeta.bench.workloads import workload
from tinymeta.engine.tree import leaves
from tinymeta.engine.tree import map as tree_map
from tinymeta.engine.typing import DTypeLike


def prepared(job: Any, b: Backend, dtype: DTypeLike) -> tuple[Any, list[Any]]:
    """The step and its first arguments: params, state, data."""
    params, batch = job.draw(np.random.default_rng(0), dtype)
    rng = np.random.default_rng(1)  # by our `tree_map`: each framework goes through a dictionary in an order of its own
    direction = tree_map(lambda p: (0.01 * rng.standard_normal(p.shape)).astype(dtype), params)
    squares = tree_map(lambda v: v * v, direction)
    params, direction, squares = (b.tree_map(b.array, t) for t in (params, direction, squares))
    return b.finish(job.build(b)), [params, (direction, squares), *map(b.array, batch)]


def peak_memory() -> float:
    """The most memory that this process has had, in MB; NaN on Windows.

    Linux tells it in /proc. `getrusage`, which others have, may tell the memory of the process that started this one.
    """
    status = Path("/proc/self/status")
    for line in status.read_text(encoding="utf-8").splitlines() if status.exists() else ():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    if sys.platform == "win32":
        return math.nan
    import resource

    unit = 2**20 if sys.platform == "darwin" else 1024  # bytes there, kB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def program(job: object, b: Backend) -> dict[str, float]:
    """What our compiler makes of a float32 step, and how long its first call takes: the shortest of three."""
    import tinymeta as tm

    compiled, given = prepared(job, b, np.float32)
    compiled(*given)
    found = {"flops": float(compiled.programs()[0][1].flops())}
    for name, check in (("unchecked", False), ("checked", True)):
        times = []
        for _ in range(3):
            fresh = tm.compile(compiled.__wrapped__, check=check)
            start = time.perf_counter()
            fresh(*given)
            times.append(time.perf_counter() - start)
        found[name] = min(times)
    return found


def main(name: str, contender: str, threads: str) -> None:
    job, b = workload(name), backend(contender, int(threads))
    step: Any = None
    arguments: list[Any] = []
    for line in sys.stdin:
        request, _, detail = line.strip().partition(" ")
        if request == "check":
            exact, given = prepared(job, b, np.float64)
            grads = [np.asarray(b.numpy(g), np.float64).ravel() for g in leaves(exact(*given)[2])]
            np.save(detail, np.concatenate(grads), allow_pickle=False)
            answer: dict[str, float] = {}
        elif request == "program":
            answer = program(job, b)
        else:
            first = 0.0
            if step is None:
                start = time.perf_counter()
                step, arguments = prepared(job, b, np.float32)
                b.wait(step(*arguments))
                first = time.perf_counter() - start
            times: list[float] = []
            end = time.perf_counter() + float(detail)
            while time.perf_counter() < end or not times:
                start = time.perf_counter()
                params, state, _ = b.wait(step(*arguments))
                times.append(time.perf_counter() - start)
                arguments[0], arguments[1] = params, state
            answer = {"median": float(np.median(times)), "first": first, "peak": peak_memory()}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
