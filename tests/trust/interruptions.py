"""Runs that end at any file operation, by a signal that nothing can catch, or on a disk that is full, and go on.

Each trial is a process of its own that trains the toy recipe; what it leaves is gone on with, and has to come to the
bits of a run that nothing happened to.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).parents[2]
OPERATIONS = ("open", "fsync", "replace", "write", "mkdir", "unlink", "ftruncate", "close")


def toy(*arguments: str) -> int:
    """`tinymeta` with the toy recipe, in this process, without a word."""
    from tests.recipes import toy_recipe
    from tinymeta import recipes
    from tinymeta.cli import main

    added = {"toy": recipes.Entry("tests.recipes.toy_recipe", toy_recipe.IDEA)}
    with (
        mock.patch.dict(recipes.RECIPES, added),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        return main(["run", "toy", *arguments, "--quiet"])


def meets(folder: Path, at: int, what: str) -> int:
    """Train in `folder`, and meet `what` ("death" or "a full disk") at file operation number `at` of this process."""
    count = 0

    def instead(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            nonlocal count
            count += 1
            if count == at and what == "death":
                os._exit(9)
            if count == at and real in FILLING:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*args, **options)

        return call

    FILLING = {os.open, os.fsync, os.replace, os.write, os.mkdir}
    for name in OPERATIONS:
        setattr(os, name, instead(getattr(os, name)))
    status = toy("--out", str(folder))
    print(count, flush=True)
    return status


def trial(folder: Path, at: int, what: str) -> tuple[int, int]:
    """The exit status of a process that met `what` at operation `at`, and how many operations it had; 0 if it died."""
    command = [sys.executable, "-c", f"import sys; from pathlib import Path; from {__name__} import meets; "]
    command[2] += f"sys.exit(meets(Path(sys.argv[1]), {at}, {what!r}))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "kernels"))), "MPLBACKEND": "agg"}
    done = subprocess.run([*command, str(folder)], env=environment, capture_output=True, text=True)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, int(done.stdout.split()[-1]) if done.stdout.split() else 0


def came_to(folder: Path) -> dict[str, Any]:
    """The numbers of a run that is over, and its journal without the clock."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    metrics = json.loads((folder / "result.json").read_text(encoding="utf-8"))["metrics"]
    left = [name for name in os.listdir(folder) if name.endswith(".part") or name == ".lock"]
    return {"metrics": metrics, "lines": [(line["iteration"], line["loss"]) for line in lines], "left": left}


def went_on(folder: Path) -> dict[str, Any]:
    """Go on with what a trial left, or begin where it left nothing, and tell what that came to."""
    again = ("--resume",) if (folder / "config.json").exists() else ()
    status = toy("--out", str(folder), *again)
    assert status == 0, f"status {status}"
    return came_to(folder)
