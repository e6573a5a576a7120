"""Contenders: every one in its own process, taking turns, until each has had the same number of rounds.

Turns are what makes a ratio mean something on a machine that is not quite idle: whatever slows one
round slows all contenders in it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tinymeta.bench.backends import CONTENDERS
from tinymeta.bench.workloads import Workload

SECONDS = 0.4  # of a turn


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


def present(workload: Workload, peers: str | None, threads: int, names: Iterable[str]) -> list[Contender]:
    """The contenders of these names that are installed, each started for one workload."""
    contenders = []
    for name in names:
        framework = CONTENDERS[name]
        interpreter = sys.executable if framework == "tinymeta" else peers
        if interpreter and _has(interpreter, framework):
            contenders.append(Contender(name, workload, interpreter, threads))
    return contenders


def race(contenders: list[Contender], rounds: int) -> list[Contender]:
    """Turn by turn, `rounds` times after a first turn that compiles and warms up; those that could run."""
    alive = [c for c in contenders if c.turn(SECONDS)]
    for c in alive:
        c.rounds.clear()
    for _ in range(rounds):
        alive = [c for c in alive if c.turn(SECONDS)]
    return alive


def _has(interpreter: str, framework: str) -> bool:
    if framework == "tinymeta":
        return True
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec('{framework}') is None)"
    return subprocess.run([interpreter, "-c", code], check=False, capture_output=True).returncode == 0
