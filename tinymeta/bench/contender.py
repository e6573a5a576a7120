"""Contenders: every one in processes of its own, taking turns, until each has had the same number of rounds.

Turns are what makes a ratio mean something on a machine that is not quite idle: whatever slows one
round slows all contenders in it.

A process that checks gradients never times: it is closed before the first that times is started, so that a
contender's peak memory is that of float32 steps and nothing else.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from tinymeta.bench.backends import CONTENDERS
from tinymeta.bench.networks import Workload
from tinymeta.engine.tensor import Array

SECONDS = 0.4  # of a turn
PATIENCE = 300.0  # seconds that a contender may take for an answer
COMPILED = "tinymeta compiled"
AGREE = float(np.sqrt(np.finfo(np.float64).eps))  # half of the digits: rounding takes three or four of sixteen


class Contender:
    """A framework's way to run one workload; between `start` and `close` there is a worker process."""

    def __init__(
        self, name: str, workload: Workload, interpreter: str = sys.executable, *, threads: int, patience: float,
        root: Path | None = None,
    ) -> None:  # fmt: skip
        self.name = name
        self.trouble = ""  # why it is out of the contest
        self.rounds: list[float] = []
        self.first = self.peak = 0.0
        self._command = [
            *(interpreter, "-W", "ignore", "-m", "tinymeta.bench.worker"),
            *(workload.name, name, str(threads)),
        ]
        self._environment = environment(threads, root)
        self._patience = patience
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """A fresh process, which has computed nothing yet."""
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=self._environment,
        )

    def ask(self, request: str) -> dict[str, float] | None:
        """The worker's answer; None if it has died, or has not answered in time and is ended."""
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        watch = threading.Timer(self._patience, self._give_up, [process])
        watch.start()
        try:
            process.stdin.write(request + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            watch.cancel()
        if not line:
            self.trouble = self.trouble or "can't run it"
        return json.loads(line) if line else None

    def _give_up(self, process: subprocess.Popen[str]) -> None:
        self.trouble = f"no answer in {self._patience:.0f} s"
        process.kill()

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
        """End the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def environment(threads: int, root: Path | None = None) -> dict[str, str]:
    """The variables of a process that computes with so many threads, with the checkout in folder `root` (else ours)."""
    root = root or Path(__file__).resolve().parents[2]
    counts = {f"{library}_NUM_THREADS": str(threads) for library in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
    flags = {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"} if threads == 1 else {}
    path = os.pathsep.join([str(root), str(root / "kernels")])
    alone = {"PYTHONPATH": path, "PYTHONSAFEPATH": "1"}  # the folder that we are in doesn't come before these
    return {**os.environ, **counts, **flags, **alone}


def present(
    workload: Workload, peers: str | None, threads: int, names: Iterable[str], patience: float = PATIENCE
) -> list[Contender]:
    """The contenders of these names that are installed, for one workload; none has been started.

    One that takes more than `patience` seconds for an answer, which may include compiling, is out.
    """
    contenders = []
    for name in names:
        framework = CONTENDERS[name]
        interpreter = sys.executable if framework == "tinymeta" else peers
        if interpreter and _has(interpreter, framework):
            contenders.append(Contender(name, workload, interpreter, threads=threads, patience=patience))
    return contenders


def gradients(
    contenders: Sequence[Contender], told: Callable[[Contender], object] = lambda c: None
) -> list[Array | None]:
    """The float64 gradient of each, None if it has none: one process after the other, gone before the next starts.

    `told` may ask a process more before it ends.
    """
    found: list[Array | None] = []
    with tempfile.TemporaryDirectory() as folder:
        for k, c in enumerate(contenders):
            file = Path(folder) / f"{k}.npy"
            c.start()
            try:
                found.append(None if c.ask(f"check {file}") is None else np.load(file, allow_pickle=False))
                told(c)
            finally:
                c.close()
    return found


def apart(theirs: Array | None, ours: Array | None) -> float:
    """How far two gradients are apart, relative to the largest entry of `ours`: NaN if one is missing, infinite if
    their shapes differ."""
    if theirs is None or ours is None:
        return math.nan
    return float(np.abs(theirs - ours).max() / np.abs(ours).max()) if theirs.shape == ours.shape else math.inf


def checked(contenders: list[Contender]) -> tuple[dict[str, str], dict[str, float]]:
    """How far each gradient is from ours; the operations of our program, and the seconds of its first calls.

    Who computes something else is out: its time says nothing.
    """
    told: dict[str, float] = {}
    found = gradients(contenders, lambda c: c.name == COMPILED and told.update(c.ask("program") or {}))
    eager = next((grads for c, grads in zip(contenders, found) if c.name == "tinymeta eager"), None)
    distances = {c.name: apart(grads, eager) for c, grads in zip(contenders, found)}
    for c in contenders:
        if eager is not None and not distances[c.name] <= AGREE:
            c.trouble = c.trouble or f"another gradient: it differs by {distances[c.name]:.0e}"
    return {name: f"{distance:.0e}" for name, distance in distances.items()}, told


def race(contenders: list[Contender], rounds: int) -> list[Contender]:
    """Turn by turn in fresh processes, `rounds` times after a first turn that compiles and warms up; those that
    could run. All processes have ended when it returns."""
    try:
        alive = [c for c in contenders if not c.trouble]
        for c in alive:
            c.start()
        alive = [c for c in alive if c.turn(SECONDS)]
        for c in alive:
            c.rounds.clear()
        for _ in range(rounds):
            alive = [c for c in alive if c.turn(SECONDS)]
    finally:
        for c in contenders:
            c.close()
    return alive


def _has(interpreter: str, framework: str) -> bool:
    if framework == "tinymeta":
        return True
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec('{framework}') is None)"
    return subprocess.run([interpreter, "-c", code], check=False, capture_output=True).returncode == 0
