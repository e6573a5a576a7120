"""`tinymeta reproduce`: what is claimed, in one table; a claim run again, and whether it holds.

Each seed is a run in a folder of its own, `runs/reproduce/RECIPE-KEYS-COMMIT-SEED`: what is over is read, what was
stopped goes on, and claims of one command share their runs. With workers the seeds run side by side, each on one core.
"""

from __future__ import annotations

import io
import os
import sys
import time
import zlib
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from concurrent.futures import as_completed
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

from tinymeta_kernels import threads

from tinymeta import recipes
from tinymeta.engine.errors import UserError
from tinymeta.io.files import named, read_json, told
from tinymeta.io.visible import visible
from tinymeta.recipes import claims, origin
from tinymeta.recipes.claim import Claim, Measured
from tinymeta.recipes.launch import Wishes, evaluate, launch
from tinymeta.recipes.report import number
from tinymeta.view.table import Row, Table, show


def reproduce(parser: ArgumentParser, arguments: list[str]) -> None:
    """`tinymeta reproduce [NAME ...]`; its exit status is 1 where a claim doesn't hold."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="claims to run again; without one, the table of all")
    parser.add_argument("--list", action="store_true", help="names, commands, and how long a run took")
    seeds = parser.add_mutually_exclusive_group()
    seeds.add_argument("--quick", action="store_true", help="one seed: it is allowed to lie farther off")
    seeds.add_argument("--seeds", nargs="+", type=int, metavar="N", help="these seeds, not those of the claim")
    parser.add_argument("--data", type=named, metavar="DIR", help="folder of data (default: TINYMETA_DATA)")
    parser.add_argument("--out", type=named, metavar="DIR", default=Path("runs/reproduce"), help="folder of the runs")
    parser.add_argument("--write", action="store_true", help="let the new runs be the claim's (in a checkout)")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    others = parser.add_mutually_exclusive_group()
    others.add_argument("--workers", type=int, metavar="N", help="run N seeds at once, each in a process of one core")
    others.add_argument("--dask", metavar="ADDRESS", help="run the seeds on the workers of a Dask scheduler")
    options = parser.parse_args(arguments)
    if data := options.data or os.environ.get("TINYMETA_DATA"):
        options.data = Path(data).absolute()
    if options.seeds and (min(options.seeds) < 0 or len({*options.seeds}) < len(options.seeds)):
        raise UserError("seeds are whole numbers, 0 or more, each of them once")
    stored = {name: claims.load(name) for name in options.names or claims.names()}
    if options.list:
        for name, claim in stored.items():
            print(visible(f"{name:<24} {claim.shown('seconds'):>8}  {claim.command}"))
    elif not options.names:
        show(table(stored))
    else:
        if options.write and not origin.checkout():
            raise UserError("--write replaces a file of a git checkout, and this is none: the results are in --out")
        held = [again(name, claim, options) for name, claim in stored.items()]
        if not all(held):
            raise SystemExit(1)


def table(stored: Mapping[str, Claim]) -> Table:
    """One row a claim: what was measured, beside whom, over which seeds, how it ends, and on which commit."""
    rows = []
    for name, claim in stored.items():
        gain = claim.gain()
        margin = f" by {number(abs(gain.mean), gain.half)}" if gain and claim.verdict in ("better", "worse") else ""
        rival = f"{_title(claim)} {claim.shown(claim.rival)}" if claim.rival else ""
        rival = rival or (f"published {claim.published}" if claim.published else "–")
        found = f"{claim.shown(claim.ours)} {claim.unit}".rstrip()
        carried = all(run.carried for run in claim.runs)
        commit = claim.shown("commit") + " (text)" * carried
        verdict = claim.verdict + margin or "–"
        rows.append(
            Row((name, claim.system, claim.claim, found, rival, claim.shown("seeds"), verdict, commit), carried)
        )
    return Table(("name", "system", "claim", "interval", "rival", "seeds", "verdict", "commit"), tuple(rows))


def _title(claim: Claim) -> str:
    """The rival's name in the recipe's table: of its row, or of its column where both are of one row."""
    ours, rival = claim.numbers[claim.ours], claim.numbers[claim.rival]
    return rival[0] if rival[0] != ours[0] else rival[-1]


def again(name: str, claim: Claim, options: Namespace) -> bool:
    """Run a claim again, say whether it holds, and write what was found beside it, or in its place."""
    seeds = options.seeds or [run.seed for run in claim.runs]
    if not seeds or not all(isinstance(seed, int) for seed in seeds):
        raise UserError(f"{name} has no seeds to run again ('{claim.shown('seeds')}'): name them by --seeds")
    goes_on = f"what is done stays: the same `tinymeta reproduce {name}` goes on"
    try:
        runs = _runs(claim, seeds[: 1 if options.quick else None], options)
    except KeyboardInterrupt as stop:
        stop.__notes__ = [f"stopped; {goes_on}"]
        raise
    except _Unmeasured as error:
        raise UserError(f"{error}; {goes_on}") from error
    new = replace(claim, runs=runs)
    doubts = claim.doubts(new) if claim.runs else []
    show(table({"claimed": claim, "again": new} if claim.runs else {"new": new}))
    print(visible(f"{name}: {'; '.join(doubts) or ('holds' if claim.runs else 'measured')}"))
    file = claims.folder() / f"{name}.json" if options.write else options.out / f"{name}.json"
    claims.write(file, new)
    print(visible(f"written:  {file}"))
    return not doubts


class _Unmeasured(UserError):
    """Seeds whose runs others could not end."""


def _runs(claim: Claim, seeds: list[int], options: Namespace) -> list[Measured]:
    """The seeds' runs: one after the other, or as many at once as there are workers.

    Raises: _Unmeasured where some were refused, or their worker ended; after all others are over.
    """
    with Wishes(workers=options.workers, dask=options.dask).executor() as workers:
        if workers is None:
            return [_run(claim, seed, options) for seed in seeds]
        there = Namespace(**vars(options) | {"out": options.out.absolute(), "quiet": True})
        begun, wrong = time.monotonic(), dict[str, list[int]]()
        asked = {workers.submit(_on_one_core, claim, seed, there): seed for seed in seeds}
        for future in as_completed(asked):
            error, seed = future.exception(), asked[future]
            if isinstance(error, UserError):
                wrong.setdefault(str(error), []).append(seed)
            elif error is not None:
                raise error
            if not options.quiet:
                how = f"not measured: {error}" if error else f"measured after {time.monotonic() - begun:.0f} s"
                print(visible(f"seed {seed}: {how}"), file=sys.stderr, flush=True)
        if wrong:
            whose = (f"seed {', '.join(map(str, sorted(seeds)))}: {error}" for error, seeds in wrong.items())
            raise _Unmeasured(f"not measured: {'; '.join(whose)}")
        return [future.result() for future in asked]


def _on_one_core(claim: Claim, seed: int, options: Namespace) -> Measured:
    with threads.one_core():
        return _run(claim, seed, options)


def _run(claim: Claim, seed: int, options: Namespace) -> Measured:
    """One seed of a claim: read where it is over, gone on with where it was stopped."""
    recipe, keys, commit = recipes.find(claim.recipe), claim.keys or {}, origin.commit()
    data = None if recipe.own_data else options.data  # a claim of own data is of what it invents
    if "DATA" in "".join(keys.values()) and data is None:
        raise UserError(f"`{claim.command}` needs data: name their folder by --data")
    code = origin.sources() if commit.endswith("+") else 0
    digest = zlib.crc32(repr((sorted(keys.items()), str(data))).encode(), code)
    folder = options.out / f"{claim.recipe}-{digest:08x}-{commit}-{seed}"
    with told(options.out):
        options.out.mkdir(parents=True, exist_ok=True)
    with redirect_stdout(io.StringIO()):  # of several runs and one verdict, the verdict is shown
        if not (folder / "result.json").exists():
            begun = (folder / "config.json").exists()
            wishes = Wishes(folder, seed, data, resume=begun, quiet=options.quiet)
            verb = () if claim.recipe == "main" else ("run", claim.recipe)
            there = {key: value.replace("DATA", str(data)) for key, value in keys.items()}
            launch(recipe, there, wishes, verb)
        if claim.then:
            evaluate(folder, claim.then, data, options.quiet)
    result = read_json(folder / "result.json")
    metrics = read_json(folder / "eval.json")["metrics"] if claim.then else result["metrics"]
    found = claims.places(claim, metrics)
    return Measured(seed, commit, result["seconds"], result["peak_mb"], origin.machine(), found)
