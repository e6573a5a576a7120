"""The cost of a step by the number of workers: `python -m tests.benchmarks.workers` prints the table of their page.

The step is one of MAML on Omniglot's shapes with four convolutions, 32 tasks in 8 parts; `--dask ADDRESS` measures a
cluster's workers in place of processes. Each number is the median of some steps, the first ones left out.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import numpy as np
from tinymeta_kernels.threads import one_core

import tinymeta as tm
from tests.benchmarks.workers_model import Costs, at_most, worth
from tinymeta.meta.core.parts import CHUNKS, Job, divided, in_parts, slope
from tinymeta.meta.spread.gather import gather, shared

TASKS, WAYS, STEPS = 32, 5, 5
RULE = tm.optim.Adam(1e-3)


def network(rng: np.random.Generator) -> Any:
    return tm.nn.ConvNet4(WAYS, rng=rng)


LEARNER = tm.meta.MAML(rule=tm.optim.SGD(0.4), steps=1, network=network)


def episodes(rng: np.random.Generator) -> tm.tasks.Episode:
    x = rng.random((2, TASKS, WAYS, 1, 28, 28), np.float32)
    labels = np.tile(np.arange(WAYS), (TASKS, 1))
    return tm.tasks.Episode((x[0], labels), (x[1], labels))


def seconds(work: Callable[[], Any]) -> float:
    work()
    times = []
    for _ in range(STEPS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return median(times)


def nothing(phi: Any, part: Any) -> Any:
    """What a part's gradient weighs, without computing it."""
    return phi


def costs(executor: Any, phi: Any, batch: Any) -> Costs:
    """What the model needs, measured with one worker."""
    parts, shares = divided(batch, None)
    job = Job("costs", LEARNER, True)
    with one_core():
        part = seconds(partial(slope, job, phi, parts[0]))
        finish = seconds(lambda: RULE.update(phi, RULE.init(phi), phi))
    hand = seconds(lambda: gather(executor, nothing, [(shared(executor, 0), p) for p in parts])) / len(parts)
    once = seconds(lambda: gather(executor, nothing, [(shared(executor, 0), parts[0])]))
    send = max(seconds(lambda: gather(executor, nothing, [(shared(executor, phi), parts[0])])) - once, 1e-6) / 2
    return Costs(part, send, hand + send, finish)  # a gradient comes back that weighs as much as φ


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--dask", metavar="ADDRESS")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    phi, batch = LEARNER.init(rng), episodes(rng)
    with tm.meta.Dask(options.dask) if options.dask else tm.meta.Workers(1) as one:
        found = costs(one, phi, batch)
    print(
        f"part {found.part * 1e3:.2f} ms, φ to a worker {found.send * 1e3:.2f}, handing {found.hand * 1e3:.2f}, ",
        end="",
    )
    print(f"finish {found.finish * 1e3:.2f}; worth {worth(found, CHUNKS)} workers\n")
    print("| workers | ms a step | by the model, at most | × one worker |\n|---|---|---|---|")
    alone = 0.0
    for count in options.workers:
        with tm.meta.Dask(options.dask) if options.dask else tm.meta.Workers(count) as workers:
            step = in_parts(LEARNER, RULE, workers, None, True)
            took = seconds(lambda step=step: step(phi, RULE.init(phi), batch))  # type: ignore[misc]
        alone = alone or took
        print(f"| {count} | {took * 1e3:.1f} | {at_most(found, CHUNKS, count) * 1e3:.1f} | {alone / took:.2f} |")


if __name__ == "__main__":
    main()
