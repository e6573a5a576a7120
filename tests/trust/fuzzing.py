"""`python -m tests.trust.fuzzing`: bytes drawn by hypothesis and by atheris in place of files; 1 if a reader breaks.

hypothesis edits whole files here and there. atheris (`pip install atheris`) watches which lines of the readers an input
reaches, and goes on from those that reach new ones.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from hypothesis import HealthCheck, Phase, given, settings, strategies
from hypothesis import seed as seeded

from tests.trust.foreign_files import KINDS, tried, whole

MISSING = "atheris is not installed, so hypothesis alone drew: pip install atheris (Linux and macOS)"
Edit = tuple[int, int, bytes]


class Fuzzed(NamedTuple):
    """What came of one kind of file."""

    by: str
    kind: str
    files: int
    wrong: str  # what broke the reader, if something did


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.trust.fuzzing", description=__doc__)
    parser.add_argument("--kind", action="append", choices=KINDS, help="of file (all)")
    parser.add_argument("--by", action="append", choices=DRIVERS, help="who draws (both)")
    parser.add_argument("--files", type=int, default=20_000, help="of each kind, by each")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    by, broke = asked.by or list(DRIVERS), 0
    for found in fuzzed(asked.kind or list(KINDS), by, asked.files, asked.seed):
        broke += bool(found.wrong)
        print(f"{found.by:12} {found.kind:12} {found.files:8} files, {found.wrong or 'no crash'}", flush=True)
    if "atheris" in by and find_spec("atheris") is None:
        print(MISSING)
        broke += by == ["atheris"]
    return int(broke > 0)


def fuzzed(kinds: list[str], by: list[str], files: int, seed: int) -> Iterator[Fuzzed]:
    for who in by:
        for kind in kinds if who != "atheris" or find_spec("atheris") else ():
            with TemporaryDirectory() as folder:
                yield Fuzzed(who, kind, *DRIVERS[who](kind, files, seed, Path(folder)))


def by_hypothesis(kind: str, files: int, seed: int, folder: Path) -> tuple[int, str]:
    count, start = 0, whole(kind)
    place, bytes_out = strategies.integers(0, len(start)), strategies.integers(0, 9)
    edits = strategies.lists(strategies.tuples(place, bytes_out, strategies.binary(max_size=9)), max_size=5)

    @seeded(seed)
    @settings(
        max_examples=files, database=None, deadline=None, phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(edits.map(lambda edits: edited(start, edits)) | strategies.binary(max_size=300))
    def read(content: bytes) -> None:
        nonlocal count
        count += 1
        tried(kind, content, folder)

    try:
        read()
    except Exception as error:
        return count, f"{type(error).__name__}: {error!s:.300}"
    return count, ""


def edited(content: bytes, edits: list[Edit]) -> bytes:
    """`content` with some bytes taken out, and others put in, at some places."""
    for at, out, new in edits:
        content = content[:at] + new + content[at + out :]
    return content


def by_atheris(kind: str, files: int, seed: int, folder: Path) -> tuple[int, str]:
    command = [sys.executable, "-m", "tests.trust.under_atheris", kind, str(files), str(seed), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    said = done.stdout + done.stderr
    count = max(map(int, re.findall(r"^#(\d+)", said, re.MULTILINE)), default=0)
    return count, "" if done.returncode == 0 and re.search(r"^Done \d+ ", said, re.MULTILINE) else said[-3000:]


DRIVERS = {"hypothesis": by_hypothesis, "atheris": by_atheris}

if __name__ == "__main__":
    sys.exit(main())
