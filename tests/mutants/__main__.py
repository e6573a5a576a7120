"""`python -m tests.mutants`: plant small faults in the product at random, and exit 1 if the tests miss one.

What may survive stands in `survivors.toml`, with the reason. `.ci/run` draws for some minutes, and shows what survives
without failing for it: what is drawn is chance, and no commit is to blame for what a seed finds in older code.
"""

from __future__ import annotations

import argparse
import os
import random
import secrets
import shlex
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.mutants.mutations import ROOT, Site, sites
from tests.mutants.trial import verdicts
from tests.trust.stored import commit, store

# The rooms, and the folders of tests that see most of them.
ROOMS = {
    "engine": ("engine",),
    "ops": ("ops", "engine"),
    "nn": ("nn",),
    "optim": ("optim",),
    "watch": ("watch", "view"),
    "io": ("io",),
    "compile": ("compile",),
    "meta": ("meta", "recipes"),
}
DRAWN = ("engine", "ops", "nn", "optim")
SURVIVORS = Path(__file__).with_name("survivors.toml")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--room", action="append", choices=ROOMS, help=f"where (any of {', '.join(DRAWN)})")
    parser.add_argument("--seed", type=int, help="of the order in which mutations are drawn (random if left out)")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="how long")
    parser.add_argument("--count", type=int, help="how many of them, drawn at random (all)")
    parser.add_argument("--wide", action="store_true", help="survivors are tried by all other tests, too")
    parser.add_argument("--only", action="append", metavar="TEXT", help="mutations whose name begins so")
    parser.add_argument("--tests", nargs="+", metavar="PATH", help="what to try them by (the rooms' own folders)")
    parser.add_argument("--keep", action="store_true", help="keep the numbers of each room for tests.trust")
    parser.add_argument("--list", action="store_true", help="name the mutations, and plant none")
    given = parser.parse_args()
    seed = secrets.randbelow(1 << 40) if given.seed is None else given.seed
    rooms = given.room or DRAWN
    drawn = [site for room in rooms for site in of_room(room)]
    random.Random(seed).shuffle(drawn)
    if given.only:
        drawn = [site for site in drawn if site.name.startswith(tuple(given.only))]
    drawn = drawn[: given.count]
    if given.list:
        print("\n".join(site.name for site in drawn))
        return 0
    if not hasattr(os, "fork"):
        parser.error("mutations are planted in forks of one process, and this system has none")
    print(f"python -m tests.mutants {' '.join(f'--room {room}' for room in rooms)} --seed {seed}", flush=True)
    folders = dict.fromkeys(f"tests/{folder}" for room in rooms for folder in ROOMS[room])
    near = given.tests or [*folders, "tests/test_docstrings.py"]  # examples and what they say is raised
    return report(drawn, near, time.monotonic() + 60 * given.minutes, given.wide, given.keep)


def of_room(room: str) -> list[Site]:
    paths = sorted((ROOT / "tinymeta" / room).rglob("*.py"))
    return [site for path in paths for site in sites(path.relative_to(ROOT).as_posix())]


def report(drawn: Sequence[Site], near: Sequence[str], until: float, wide: bool, keep: bool) -> int:
    """Try the mutations; say which survive, and of those that may, why."""
    allowed = {(entry["file"], entry["line"], entry["mutation"]): entry["why"] for entry in explained()}
    came: Counter[str] = Counter()
    made: Counter[str] = Counter()  # by room
    left: list[Site] = []
    explain = [site for site in drawn if (site.path, site.text, site.what) in allowed]
    for verdict in verdicts([site for site in drawn if site not in explain], near, until):
        came[verdict.outcome] += 1
        made[verdict.site.room] += verdict.outcome != "not planted"
        if verdict.outcome in ("survived", "called by no test"):
            left.append(verdict.site)
            print(f"{verdict.outcome}: {verdict.site.name}\n    {verdict.site.text}", flush=True)
    if wide and left:
        far = sorted(
            str(path.relative_to(ROOT))
            for path in (ROOT / "tests").iterdir()
            if path.is_dir() and any(path.glob("test_*"))
        )
        print(f"those {len(left)}, by all other tests:")
        for verdict in verdicts(left, [folder for folder in far if folder not in near], float("inf")):
            if verdict.outcome == "killed":
                left.remove(verdict.site)
            print(f"{verdict.outcome}: {verdict.site.name} {verdict.by}", flush=True)
    unmade = came.pop("not planted", 0)
    command = shlex.join(["python", "-m", "tests.mutants", *sys.argv[1:]]).replace(" --keep", "")
    at = commit() if keep else ""
    for room in made if keep else ():
        store(f"mutants killed, {room}", made[room] - [site.room for site in left].count(room), made[room], command, at)
    print(f"made {came.total()}, killed {came.total() - len(left)}, survived {len(left)}", end="; ")
    print(f"left out: {len(explain)} that are explained, {unmade} in what runs at import only")
    return int(bool(left))


def explained() -> list[dict[str, str]]:
    """The entries of the list: `file`, `line` (its text), `mutation`, `why`."""
    return tomllib.loads(SURVIVORS.read_text(encoding="utf-8")).get("survivor", [])


if __name__ == "__main__":
    sys.exit(main())
