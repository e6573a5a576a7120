"""`tinymeta runs`: lists the runs in a folder with their size on disk, compares two, and removes some.

What stands in a folder may be anybody's: each is read by `recorded`, as every verb reads a run, and one that is none
is listed with the reason. Nothing here follows a link. Removed are folders that are runs, hold nothing but what runs
write, and are being written by nobody.
"""

from __future__ import annotations

import json
import math
import os
import shlex
import stat
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from tinymeta import recipes
from tinymeta.engine.errors import UserError
from tinymeta.engine.typing import Options
from tinymeta.io.files import named, read_json, told
from tinymeta.io.folder import LOCK, sole_writer, writer
from tinymeta.io.visible import visible
from tinymeta.recipes.config import as_written, configure, written
from tinymeta.recipes.report import number
from tinymeta.recipes.run import recorded
from tinymeta.view.table import Row, Table, show

OWN = {".json", ".jsonl", ".npz", ".png", ".html"}  # the suffixes of what runs write
HOME = Path("runs")  # where `tinymeta run` puts them


@dataclass(frozen=True)
class Listed:
    """A folder in the list: what it holds, or why it is no run."""

    folder: str
    recipe: str
    seed: int | None
    state: str  # finished, unfinished, being written; or the sentence that says what is wrong
    bytes: int
    written: str  # when last, in local time


def runs(parser: ArgumentParser, arguments: list[str]) -> None:
    """`tinymeta runs [FOLDER …]`."""
    parser.add_argument("folders", metavar="FOLDER", nargs="*", type=named, help="a run, or a folder of runs: runs/")
    deeds = parser.add_mutually_exclusive_group()
    deeds.add_argument("--compare", action="store_true", help="two runs: settings that differ, metrics side by side")
    deeds.add_argument("--clean", action="store_true", help="remove the runs named, after asking")
    parser.add_argument("--unfinished", action="store_true", help="only those that came to no result")
    parser.add_argument("--yes", action="store_true", help="with --clean: without asking")
    parser.add_argument("--json", action="store_true", help="print JSON in place of tables")
    options = parser.parse_args(arguments)
    if options.compare:
        return _compare(options.folders, options.json)
    if options.clean and not options.folders:
        raise UserError("--clean takes the runs to remove: name them, or runs/ for all that are there")
    found = [each for folder in options.folders or [HOME] for each in _within(folder)]
    listed = sorted(map(_listed, found), key=lambda run: (run.written, run.folder))
    listed = [run for run in listed if run.state != "finished"] if options.unfinished else listed
    if options.clean:
        _clean(listed, options.yes, options.json)
    elif options.json:
        _print_json([asdict(run) for run in listed])
    else:
        _show_list(listed)


def _within(folder: Path) -> list[Path]:
    """The folder itself if it is a run, or else what is in it."""
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}: name one that holds runs, or a run")
    with told(folder, "read"):
        held = list(folder.iterdir())
    return [folder] if "config.json" in {each.name for each in held} else [x for x in held if x.is_dir()]


def _listed(folder: Path) -> Listed:
    recipe, seed, held, last = "", None, 0, 0.0
    try:
        _check_no_link(folder)
        for mode, count, when in _files(folder):
            held, last = held + count * stat.S_ISREG(mode), max(last, when)
        said = recorded(folder)
        recipe, seed, state = said["recipe"][:40], said["seed"], "unfinished"
        if owner := writer(folder):
            state = f"being written by {owner}"
        elif (folder / "result.json").exists():
            _metrics(folder)
            state = "finished"
    except UserError as fault:
        state = str(fault)[:300]
    return Listed(str(folder), recipe, seed, state, held, time.strftime("%Y-%m-%d %H:%M", time.localtime(last)))


def _files(folder: Path) -> Iterator[tuple[int, int, float]]:
    """Mode, size and time of last change of all that a folder holds; links aren't followed."""
    for path, _, names in os.walk(folder):
        for name in (".", *names):
            with suppress(OSError):  # gone meanwhile, or not ours to see
                found = os.lstat(os.path.join(path, name))
                yield found.st_mode, found.st_size, min(max(found.st_mtime, 0.0), 2.0**32)


def _check_no_link(folder: Path) -> None:
    if folder.is_symlink():
        raise UserError(f"{folder} is a link: name the folder that it leads to")


def _show_list(listed: list[Listed]) -> None:
    rows = [
        Row(
            (run.folder, run.recipe, "" if run.seed is None else str(run.seed), size(run.bytes), run.written, run.state)
        )
        for run in listed
    ]
    show(Table(("run", "recipe", "seed", "size", "written", "state"), tuple(rows)))
    print(f"{len(listed)} in all, {size(sum(run.bytes for run in listed))}")


def size(count: int) -> str:
    """Bytes as people read them.

    >>> size(999), size(1_234_567), size(2_000_000_000)
    ('999 B', '1.2 MB', '2.0 GB')
    """
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count} B"


def _compare(folders: list[Path], as_json: bool) -> None:
    """Settings that differ, and metrics side by side."""
    if len(folders) != 2:
        raise UserError(f"--compare takes two runs, not {len(folders)}: name both folders")
    settings, metrics = _beside(map(_settings, folders)), _beside(map(_metrics, folders))
    differ = {name: pair for name, pair in settings.items() if pair[0] != pair[1]}
    if as_json:
        return _print_json({"runs": list(map(str, folders)), "settings": differ, "metrics": metrics})
    for title, pairs, cell in (("setting", differ, written), ("metric", metrics, _text)):
        rows = [Row((name, *["–" if x is MISSING else cell(x) for x in pair])) for name, pair in pairs.items()]
        show(Table((title, *map(str, folders)), tuple(rows)))
        print()


MISSING = "missing"  # where only the other run has a setting or a metric


def _beside(both: Iterable[dict[str, object]]) -> dict[str, list[object]]:
    first, second = both
    return {name: [each.get(name, MISSING) for each in (first, second)] for name in dict.fromkeys([*first, *second])}


def _settings(folder: Path) -> dict[str, object]:
    """What was asked for, defaults included."""
    said = recorded(folder)
    recipe = recipes.find(said["recipe"])
    config = configure(recipe.name, recipe.config, as_written(recipe.config, said["config"]))
    return {name: said.get(name) for name in ("recipe", "seed", "data", "version", "cores")} | asdict(config)


def _metrics(folder: Path) -> dict[str, object]:
    """The numbers of a `result.json`, those of a grid by row and column; none if there is no such file."""
    file = folder / "result.json"
    if not file.exists():
        return {}
    said = read_json(file)
    found: dict[str, object] = {}
    try:
        for name, value in said["metrics"].items():
            grid = isinstance(value, dict) and "mean" not in value
            found |= {f"{name}, {column}": each for column, each in value.items()} if grid else {name: value}
        list(map(_text, found.values()))
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as fault:
        raise UserError(f"{file} is no result of a run ({fault!r:.80}): measure it again by --resume") from fault
    return found


def _text(value: object) -> str:
    """A metric as a run's own table shows it; null is a number that was not finite."""
    parts: Options = value if isinstance(value, dict) else {"mean": value, "half": None, "unit": ""}
    mean, half = (math.nan if parts[name] is None else math.fsum([parts[name]]) for name in ("mean", "half"))
    return number(mean, half, str(parts["unit"]))


def _clean(listed: list[Listed], yes: bool, as_json: bool) -> None:
    """Remove the runs among what is listed, after asking. Raises: UserError for the first of those that are kept."""
    removed, kept = list[str](), [run.state for run in listed if not run.recipe]
    there = [run for run in listed if run.recipe]
    for run in there if yes or not there or _agreed(there) else []:
        try:
            _remove(Path(run.folder))
            removed.append(run.folder)
        except UserError as fault:
            kept.append(str(fault))
    if as_json:
        _print_json({"removed": removed, "kept": kept})
    else:
        print(*[visible(f"removed:  {name}") for name in removed] or ["nothing removed"], sep="\n")
    if kept:
        raise UserError(f"kept {len(kept)} of {len(listed)}: {kept[0]}")


def _agreed(there: list[Listed]) -> bool:
    """Whether the user says so. Raises: UserError where nobody can be asked."""
    if not sys.stdin.isatty():
        raise UserError("there is no terminal to ask on: say --yes to remove them")
    with redirect_stdout(sys.stderr):
        _show_list(there)
        print("remove them? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _remove(folder: Path) -> None:
    """Remove a folder that is a run and holds nothing else; `config.json` goes last, so that half of one is a run."""
    _check_no_link(folder)
    recorded(folder)
    with sole_writer(folder):
        names = sorted(set(os.listdir(folder)) - {LOCK}, key=lambda name: name == "config.json")
        for name in names:
            if Path(name).suffix not in OWN or not stat.S_ISREG((folder / name).lstat().st_mode):
                raise UserError(f"{folder} holds {shlex.quote(name)}, which no run wrote: move it away first")
        for name in names:
            with told(folder / name, "remove"):
                (folder / name).unlink(missing_ok=True)
    with told(folder, "remove"):
        folder.rmdir()


def _print_json(found: object) -> None:
    print(json.dumps(found, indent=2))
