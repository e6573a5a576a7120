"""`metrics.jsonl`: one line per logged iteration, with the system before the next one starts, and on disk before a
checkpoint is.

A resumed run takes its journal back to where it goes on: the first line that a stage logs in a process drops
that stage's lines from there on, and half a line that a killed process left. So the file of a run that was
killed and resumed has the lines of one that was not.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, SupportsFloat

import numpy as np

from tinymeta.engine.errors import UserError
from tinymeta.io.files import append, read, settle, write_text
from tinymeta.io.visible import visible


class Journal:
    """The metrics of one run, by stage and iteration.

    Parameters
    ----------
    path : Path
        `metrics.jsonl`; it appears with the first line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._start = time.perf_counter()
        self._before: float = max((line["seconds"] for line in self.lines()), default=0.0)
        self.begun: set[str] = set()  # stages that this session has logged lines of

    @property
    def seconds(self) -> float:
        """Seconds that the run has taken, earlier sessions included as far as their last line."""
        return self._before + time.perf_counter() - self._start

    def log(self, stage: str, iteration: int, metrics: Mapping[str, SupportsFloat]) -> None:
        """Append one line; NaN and infinity are written as `null`, which strict JSON can hold."""
        if stage not in self.begun:
            self.begun.add(stage)
            self._take_back(stage, iteration)
        line: dict[str, object] = {"stage": stage} if stage else {}
        line |= {"iteration": iteration, "seconds": round(self.seconds, 3), **metrics}
        append(self.path, _line(line))

    def settle(self) -> None:
        """Make the lines so far survive a power cut."""
        if self.begun:
            settle(self.path)

    def lines(self) -> list[dict[str, Any]]:
        """The whole lines of the file, oldest first."""
        if not self.path.exists():
            return []
        try:
            *whole, _ = read(self.path).decode().split("\n")  # after the last newline: half a line
            lines = [json.loads(line) for line in whole]
            for number, line in enumerate(lines, 1):
                if not _is_line(line):
                    raise ValueError(f"line {number} is none of a journal")
        except (ValueError, RecursionError) as error:
            raise UserError(f"{self.path} is damaged ({error}): move it away, or choose another folder") from error
        return lines

    def _take_back(self, stage: str, iteration: int) -> None:
        if self.path.exists():
            kept = [e for e in self.lines() if e.get("stage", "") != stage or e["iteration"] < iteration]
            write_text(self.path, "".join(map(_line, kept)))


def _is_line(found: object) -> bool:
    """Whether it is what `log` writes: an iteration, seconds, perhaps a stage, and metrics, which may be null."""
    if not isinstance(found, dict) or type(found.get("iteration")) is not int:
        return False
    texts = [*found, found.get("stage", "")]
    if not all(isinstance(text, str) and visible(text) == text for text in texts):
        return False
    numbers = {name: value for name, value in found.items() if name != "stage"}
    metrics = all(value is None or type(value) in (int, float) and abs(value) < 1e300 for value in numbers.values())
    return metrics and numbers.get("seconds") is not None


def _line(entry: Mapping[str, object]) -> str:
    return json.dumps(plain(entry), allow_nan=False) + "\n"


def plain(value: Any) -> Any:
    """`value` in the types of strict JSON: dataclasses become objects, arrays lists, NaN and infinity null."""
    if is_dataclass(type(value)):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(name): plain(entry) for name, entry in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Path):
        return str(value)
    number = float(value)
    return number if math.isfinite(number) else None
