"""The contest: every contender in its own process, taking turns, until each has had the same number of rounds.

Turns are what makes a ratio mean something on a machine that is not quite idle: whatever slows one
round slows all contenders in it. A row says the median over rounds of each round's median.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import numpy as np

from tinymeta.bench.backends import CONTENDERS
from tinymeta.bench.workloads import WORKLOADS, Workload
from tinymeta.engine.errors import UserError
from tinymeta.engine.files import write_text

ROUNDS, SECONDS = 5, 0.4


class Contender:
    """A worker process for one workload."""

    def __init__(self, name: str, workload: Workload, interpreter: str, threads: int) -> None:
        root = Path(__file__).resolve().parents[2]
        paths = os.pathsep.join([str(root), str(root / "kernels")])
        counts = {f"{library}_NUM_THREADS": str(threads) for library in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
        flags = {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"} if threads == 1 else {}
        self.name = name
        self.rounds: list[float] = []
        self.first = self.peak = 0.0
        self.process = subprocess.Popen(
            [interpreter, "-W", "ignore", "-m", "tinymeta.bench.worker", workload.name, name, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **counts, **flags, "PYTHONPATH": paths},
        )

    def ask(self, request: str) -> dict[str, float] | None:
        """The worker's answer, or None if it has died."""
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write(request + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return None
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def turn(self, seconds: float) -> bool:
        """One round; False if the contender can't run this workload."""
        answer = self.ask(f"time {seconds}")
        if answer is None:
            return False
        self.rounds.append(answer["median"])
        self.first = self.first or answer["first"]
        self.peak = answer["peak"]
        return True

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def bench(parser: ArgumentParser, arguments: list[str]) -> None:
    """`tinymeta bench [W1 …] [--peers [PYTHON]]`."""
    parser.add_argument(
        "workloads", nargs="*", metavar="W", help=f"of {', '.join([*WORKLOADS, 'micro'])} (default: all)"
    )
    parser.add_argument(
        "--peers", nargs="?", const=sys.executable, metavar="PYTHON",
        help="also JAX and PyTorch, as far as this interpreter (default: our own) has them",
    )  # fmt: skip
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="threads for each contender (default 2)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help=f"rounds (default {ROUNDS})")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there, too")
    options = parser.parse_args(arguments)
    chosen = options.workloads or [*WORKLOADS, "micro"]
    unknown = [name for name in chosen if name not in WORKLOADS and name != "micro"]
    if unknown:
        raise UserError(f"there is no workload '{unknown[0]}': they are {', '.join([*WORKLOADS, 'micro'])}")
    rows = [["workload", "contender", "ms", "ratio to ours", "first call, s", "peak, MB", "gradient differs by"]]
    for name in chosen:
        if name == "micro":
            from tinymeta.bench.micro import micro

            rows += micro(options.peers)
        else:
            rows += measure(WORKLOADS[name], options.peers, options.threads, options.rounds)
        print(_aligned(rows if name == chosen[0] else rows[-1:] if name == "micro" else rows), flush=True)
    if options.markdown:
        head, *body = ["| " + " | ".join(row) + " |" for row in rows]
        write_text(options.markdown, "\n".join([head, "|---" * len(rows[0]) + "|", *body]) + "\n")


def measure(workload: Workload, peers: str | None, threads: int, rounds: int) -> list[list[str]]:
    """The rows of one workload."""
    contenders = []
    for name, framework in CONTENDERS.items():
        interpreter = sys.executable if framework == "tinymeta" else peers
        if interpreter and _has(interpreter, framework):
            contenders.append(Contender(name, workload, interpreter, threads))
    try:
        differences = _agreement(contenders)
        alive = [c for c in contenders if c.turn(SECONDS)]  # the first turn compiles and warms up
        for c in alive:
            c.rounds.clear()
        for _ in range(rounds):
            alive = [c for c in alive if c.turn(SECONDS)]
    finally:
        for c in contenders:
            c.close()
    ours = {c.name: float(np.median(c.rounds)) for c in alive}
    rows = []
    for c in contenders:
        if c not in alive:
            rows.append([workload.name, c.name, "can't run it", "", "", "", ""])
            continue
        ratio = ours[c.name] / ours["tinymeta compiled"]
        numbers = [f"{1e3 * ours[c.name]:.3g}", f"{ratio:.2f}", f"{c.first:.2f}", f"{c.peak:.0f}", differences[c.name]]
        rows.append([workload.name, c.name, *numbers])
    return rows


def _agreement(contenders: list[Contender]) -> dict[str, str]:
    """How far each contender's gradient in float64 is from ours, relative to the largest entry."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for k, c in enumerate(contenders):
            file = Path(folder) / f"{k}.npy"
            if c.ask(f"check {file}") is not None:
                found[c.name] = np.load(file, allow_pickle=False)
    ours = found.get("tinymeta eager")
    if ours is None:
        return {c.name: "?" for c in contenders}
    scale = np.abs(ours).max()
    return {c.name: f"{np.abs(found[c.name] - ours).max() / scale:.0e}" if c.name in found else "?" for c in contenders}


def _has(interpreter: str, framework: str) -> bool:
    if framework == "tinymeta":
        return True
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec('{framework}') is None)"
    return subprocess.run([interpreter, "-c", code], check=False, capture_output=True).returncode == 0


def _aligned(rows: list[list[str]]) -> str:
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)
