"""The cost of a step by the number of workers: `python -m tests.benchmarks.workers` prints what their page says of it.

The step is one of MAML on Omniglot's shapes with four convolutions, 32 tasks in 8 parts. It is taken by so many
workers, and as a whole by one and by all threads of this process, in turn; each number is the median, the first round
left out. `--dask ADDRESS --workers N` measures a cluster that has N workers in place of processes. `--write`
fills the page.
"""

from __future__ import annotations

import argparse
import platform
import re
import shlex
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from tinymeta_kernels import threads

import tinymeta as tm
from tests.benchmarks.workers_model import Costs, at_least, at_most, worth
from tests.trust.stored import commit
from tinymeta.meta.core.parts import CHUNKS, Job, divided, in_parts, moved, slope
from tinymeta.meta.spread.gather import gather, shared

PAGE = Path(__file__).parents[2] / "tutorials" / "workers.md"
PLACE = re.compile(r"^\| workers \|.*?(?=^With p parts)", re.M | re.S)  # what --write writes anew
TASKS, WAYS, GOAL = 32, 5, 0.9
RULE = tm.optim.Adam(1e-3)


def network(rng: np.random.Generator) -> Any:
    return tm.nn.ConvNet4(WAYS, rng=rng)


LEARNER = tm.meta.MAML(rule=tm.optim.SGD(0.4), steps=1, network=network)


def episodes(rng: np.random.Generator) -> tm.tasks.Episode:
    x = rng.random((2, TASKS, WAYS, 1, 28, 28), np.float32)
    labels = np.tile(np.arange(WAYS), (TASKS, 1))
    return tm.tasks.Episode((x[0], labels), (x[1], labels))


def seconds(ways: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """How long each way takes, in turn."""
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds + 1):
        for way, work in ways.items():
            start = time.perf_counter()
            work()
            times[way].append(time.perf_counter() - start)
    return {way: median(each[1:]) for way, each in times.items()}


def nothing(phi: Any, part: Any) -> Any:
    """What a part's gradient weighs, without computing it."""
    return phi


def costs(executor: Any, phi: Any, batch: Any, rounds: int) -> Costs:
    """What the model needs, measured with one worker."""
    parts = divided(batch, None)[0]
    job = Job("costs", LEARNER, True)

    def here(work: Callable[[], Any]) -> Any:
        with threads.one_core():
            return work()

    def asked(value: Any, some: Any) -> Any:
        return gather(executor, nothing, [(shared(executor, value), part) for part in some])

    found = seconds(
        {
            "part": partial(here, partial(slope, job, phi, parts[0])),
            "finish": partial(here, lambda: RULE.update(phi, RULE.init(phi), phi)),
            "hand": partial(asked, 0, parts),
            "once": partial(asked, 0, parts[:1]),
            "send": partial(asked, phi, parts[:1]),
        },
        rounds,
    )
    send = max(found["send"] - found["once"], 1e-6) / 2
    return Costs(
        found["part"], send, found["hand"] / len(parts) + send, found["finish"]
    )  # a gradient weighs what φ does


def whole(cores: int) -> Callable[..., Any]:
    """The step in this process, on one core or on all."""
    step = tm.compile(lambda phi, state, batch: moved(RULE, phi, state, *tm.value_and_grad(LEARNER)(phi, batch)))

    def on_one(*args: Any) -> Any:
        with threads.one_core():
            return step(*args)

    return on_one if cores == 1 else step


def report(counts: list[int], found: Costs, took: dict[str, float]) -> str:
    """The part of the page: the table, what it was measured on, and the two ratios."""
    rows = ["| workers | ms a step | by the model, from | to | × one worker |", "|---|---|---|---|---|"]
    for count in counts:
        bounds = [bound(found, CHUNKS, count) for bound in (at_least, at_most)]
        ms = " | ".join(f"{1e3 * each:.1f}" for each in (took[f"{count} workers"], *bounds))
        rows.append(f"| {count} | {ms} | {took['1 workers'] / took[f'{count} workers']:.2f} |")
    part, send, hand, finish = (f"{1e3 * each:.2f} ms" for each in found)
    command = shlex.join(["python", "-m", "tests.benchmarks.workers", *sys.argv[1:]])
    lines = [
        *rows,
        "",
        f"Measured by `{command}` (commit {commit()}, {threads.count} cores, {processor()}).",
        f"A part takes t = {part}, φ to a worker s = {send}, a part out and its gradient in h = {hand},",
        f"and the step that these come to {finish}; so it is worth {worth(found, CHUNKS)} workers.",
    ]
    if "2 workers" in took and threads.count > 1:
        one, all_, ratio = 1e3 * took["1 thread"], 1e3 * took["threads"], took["1 thread"] / took["threads"]
        gain = took["1 workers"] / took["2 workers"]
        lines += [
            f"As a whole it takes {one:.1f} ms on one thread, {all_:.1f} on {threads.count}, a ratio of {ratio:.2f}.",
            f"Two workers are {gain:.2f} times as fast as one, {gain / ratio:.2f} of that ratio (the goal: {GOAL:g}).",
        ]
    return "\n".join([*lines, "", ""])


def processor() -> str:
    """The name of the processor."""
    info = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*: (.+)", info.read_text()) if info.exists() else None
    return named[1].strip() if named else platform.processor() or platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.workers", description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--dask", metavar="ADDRESS")
    parser.add_argument("--write", action="store_true", help=f"into {PAGE.name}")
    given = parser.parse_args()
    counts = sorted({1, *given.workers})
    rng = np.random.default_rng(0)
    phi, batch = LEARNER.init(rng), episodes(rng)
    with ExitStack() as stack:
        make = (lambda count: tm.meta.Dask(given.dask)) if given.dask else tm.meta.Workers
        executors = {count: stack.enter_context(make(count)) for count in counts}
        found = costs(executors[1], phi, batch, given.rounds)
        steps = {f"{n} workers": in_parts(LEARNER, RULE, executors[n], None, True) for n in counts}
        steps |= {"1 thread": whole(1), "threads": whole(threads.count)}
        took = seconds({name: partial(step, phi, RULE.init(phi), batch) for name, step in steps.items()}, given.rounds)
    text = report(counts, found, took)
    print(text, end="")
    if given.write:
        PAGE.write_text(PLACE.sub(lambda _: text, PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
