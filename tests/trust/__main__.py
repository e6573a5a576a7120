"""`python -m tests.trust`: what is promised of files, interruptions and workers, tried at length; the table of it.

All of it takes about an hour. `--row` tries some rows, `--stored` none: the others are read from `results.json`, as are
the two that have commands of their own. The exit status is 1 if something that was tried broke.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
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

from tests import matrix
from tests.mutants.__main__ import DRAWN
from tests.recipes.test_images import write, write_folder
from tests.trust import damaged_runs, executors, fuzzing, interruptions, safetensors_files
from tests.trust.foreign_files import KINDS
from tests.trust.stored import Row, commit, store, stored

OLD = Path(__file__).parents[1] / "recipes" / "old_runs"
ELSEWHERE = {"environments passed": "python -m tests.matrix --write"} | {
    f"mutants killed, {room}": f"python -m tests.mutants --room {room} --keep" for room in DRAWN
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.trust", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="runs that are killed at a random moment")
    parser.add_argument("--mutations", type=int, default=100_000, help="of .safetensors files")
    parser.add_argument("--files", type=int, default=20_000, help="that are fuzzed, of each kind by each fuzzer")
    parser.add_argument("--every", type=int, default=1, help="of crash points, full disks and damages one in so many")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--row", action="append", metavar="TITLE", help="what to try, by the beginning of its title")
    parser.add_argument("--stored", action="store_true", help="try nothing")
    parser.add_argument("--keep", action="store_true", help="keep what is tried in results.json")
    given = parser.parse_args()
    rows: dict[str, Callable[[Path], Iterable[str]]] = {
        "kills survived": partial(kills, given.kills, given.seed),
        "crash points resumed": partial(points, "death", given.every),
        "full disks resumed": partial(points, "a full disk", given.every),
        "hostile folders refused well": partial(damages, given.every),
        "hostile .safetensors read alike": partial(mutations, given.mutations, given.seed),
        "fuzzed files without a crash": partial(fuzzed, given.files, given.seed),
        "executors bit-equal": executors.compared,
    }
    begins = tuple(given.row or [""])
    broke, found = 0, dict.fromkeys((*rows, *ELSEWHERE)) | stored() | environments()
    for title, row in found.items():
        if title in rows and title.startswith(begins) and not given.stored:
            good, tried = counted(rows[title])
            row = Row(good, tried, shlex.join(["python", "-m", "tests.trust", *sys.argv[1:]]), commit())
            broke += tried - good
            if given.keep:
                store(title, good, tried, row.command.replace(" --keep", ""))
        how = ELSEWHERE.get(title, f"python -m tests.trust --row '{title}' --keep")
        print(f"{title:32} {row or f'not tried: {how}'}", flush=True)
    print(f"{'two workers over one':32} {speed()}")
    return int(broke > 0)


def speed() -> str:
    """What the page of workers holds of how much faster two are than one, beside two threads on the same step."""
    page = (Path(__file__).parents[2] / "tutorials" / "workers.md").read_text(encoding="utf-8")
    ratio, commit = re.search(r"Two workers are (.+) \(the goal", page), re.search(r"Measured by `(.+)` \((.+?),", page)
    return f"{ratio[1]}   {commit[1]}, {commit[2]}" if ratio and commit else "not measured"


def environments() -> dict[str, Row]:
    """How many of all environments have passed, at which commits."""
    rows = matrix.read(matrix.TABLE.read_text(encoding="utf-8")).values() if matrix.TABLE.exists() else ()
    commits = " ".join(sorted({row.commit for row in rows}))
    return (
        {"environments passed": Row(len(rows), len(matrix.ENVIRONMENTS), ELSEWHERE["environments passed"], commits)}
        if rows
        else {}
    )


def counted(tried: Callable[[Path], Iterable[str]]) -> tuple[int, int]:
    """How many trials came out well, and of how many; what went wrong is printed."""
    with tempfile.TemporaryDirectory() as folder:
        answers = Counter(tried(Path(folder)))
    good = answers.pop("", 0)
    for answer, times in answers.most_common(10):
        print(f"    {times} × {answer}", flush=True)
    return good, good + answers.total()


def fuzzed(files: int, seed: int, folder: Path) -> Iterable[str]:
    if find_spec("atheris") is None:
        print(f"    {fuzzing.MISSING}", file=sys.stderr)
    for found in fuzzing.fuzzed(list(KINDS), list(fuzzing.DRIVERS), files, seed):
        yield from [""] * (found.files - bool(found.wrong))
        if found.wrong:
            yield f"{found.by}, {found.kind}: {found.wrong}"


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
    if find_spec("safetensors") is None:
        return ["there is nothing to compare with: pip install safetensors"]
    return safetensors_files.disagreements(seed, count, folder, reference=True)


if __name__ == "__main__":
    os.environ.setdefault("MPLBACKEND", "agg")
    sys.exit(main())
