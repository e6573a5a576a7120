"""`python -m tests.trust`: what is promised of files and interruptions, tried at length; exit 1 if something broke."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from tests.recipes.test_images import write, write_folder
from tests.trust import damaged_runs, interruptions, safetensors_files

OLD = Path(__file__).parents[1] / "recipes" / "old_runs"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.trust", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="runs that are killed at a random moment")
    parser.add_argument("--mutations", type=int, default=100_000, help="of .safetensors files")
    parser.add_argument("--every", type=int, default=1, help="of crash points, full disks and damages one in so many")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rows: list[tuple[str, Callable[[Path], Iterable[str]]]] = [
        ("kills survived", partial(kills, given.kills, given.seed)),
        ("crash points resumed", partial(points, "death", given.every)),
        ("full disks resumed", partial(points, "a full disk", given.every)),
        ("hostile folders refused well", partial(damages, given.every)),
        ("mutations refused or read", partial(mutations, given.mutations, given.seed)),
    ]
    broke = 0
    for title, tried in rows:
        with tempfile.TemporaryDirectory() as folder:
            answers = Counter(tried(Path(folder)))
        good, wrong = answers.pop("", 0), sum(answers.values())
        broke += wrong
        print(f"{title:32} {good:7} of {good + wrong}", flush=True)
        for answer, times in answers.most_common(10):
            print(f"    {times} × {answer}", flush=True)
    return int(broke > 0)


def kills(count: int, seed: int, folder: Path) -> Iterable[str]:
    """SIGKILL after a random line of the journal; the run goes on to the same bits."""
    assert interruptions.toy("--out", str(folder / "whole")) == 0
    expected, rng = interruptions.came_to(folder / "whole"), np.random.default_rng(seed)
    for k in range(count):
        run = folder / f"run{k}"
        killed(run, int(rng.integers(1, 19)))
        yield same(run, expected)


def killed(run: Path, line: int) -> None:
    """Train, and kill the process as soon as its journal has so many lines."""
    program = f"from pathlib import Path; from tests.trust.interruptions import toy; toy('--out', {str(run)!r})"
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    journal = run / "metrics.jsonl"
    while process.poll() is None:
        if journal.exists() and journal.read_bytes().count(b"\n") >= line:
            process.send_signal(signal.SIGKILL)
            break
    process.wait()


def points(what: str, every: int, folder: Path) -> Iterable[str]:
    """Each file operation of a run, one after the other, meets the end of the process or of the disk."""
    assert interruptions.toy("--out", str(folder / "whole")) == 0
    expected = interruptions.came_to(folder / "whole")
    _, operations = interruptions.trial(folder / "counted", 0, what)
    for at in range(1, operations + 1, every):
        run = folder / f"run{at}"
        try:
            interruptions.trial(run, at, what)
        except AssertionError as broken:
            yield f"a traceback at operation {at}: {str(broken)[-200:]}"
            continue
        yield same(run, expected)


def same(run: Path, expected: object) -> str:
    if (run / "result.json").exists():
        # It ended after its last file; its lock, which nobody holds, may be there still.
        found = {**interruptions.came_to(run), "left": []}
        return "" if found == expected else "another result"
    try:
        return "" if interruptions.went_on(run) == expected else "went on to another result"
    except Exception as broken:
        return f"did not go on: {broken!r:.200}"


def damages(every: int, folder: Path) -> Iterable[str]:
    support = write_folder(folder / "new\x1b[31m", range(8, 12))
    (support / "class8").rename(support / "\x1b[31m\u202e")
    of_images = partial(damaged_runs.of_images, support, write(folder / "query.png", 8, 4))
    for run, commands in ((OLD / "0.2.0" / "sine", damaged_runs.of_sine), (OLD / "0.1.0" / "images", of_images)):
        yield from damaged_runs.tried(run, list(damaged_runs.damages(run))[::every], commands, folder)


def mutations(count: int, seed: int, folder: Path) -> Iterable[str]:
    reference = find_spec("safetensors") is not None
    if not reference:
        print("    (the package safetensors is not installed: nothing is compared with it)", file=sys.stderr)
    return safetensors_files.disagreements(seed, count, folder, reference)


if __name__ == "__main__":
    os.environ.setdefault("MPLBACKEND", "agg")
    sys.exit(main())
