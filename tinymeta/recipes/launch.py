"""From a recipe and a user's wishes to a finished folder and a table: what `run` and `eval` do.

folder ─ config ─ recipe.run(config, run) ─ result.json ─ table, protocol, files, next command
"""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from tinymeta_kernels import threads

import tinymeta as tm
from tinymeta import __version__, recipes
from tinymeta.engine.errors import UserError
from tinymeta.engine.typing import Options
from tinymeta.io.folder import sole_writer
from tinymeta.io.visible import visible
from tinymeta.recipes.config import as_written, configure, written
from tinymeta.recipes.recipe import Recipe
from tinymeta.recipes.refused import as_it_was, withdrawn
from tinymeta.recipes.report import Result, tables
from tinymeta.recipes.run import Run, check_free, claim, latest, recorded
from tinymeta.recipes.was_trained import check_later, reached
from tinymeta.view.table import show


@dataclass(frozen=True)
class Wishes:
    """What the user said about a run beyond the recipe's keys; `None` where nothing was said."""

    out: Path | None = None
    seed: int | None = None
    data: Path | None = None
    resume: bool = False
    quiet: bool = False
    skip_bad_tasks: bool = False
    workers: int | None = None
    dask: str | None = None
    split: Path | None = None

    @property
    def help(self) -> tuple[str, ...]:
        """The words of the command that ask for workers."""
        return (
            ("--dask", self.dask) if self.dask is not None else ("--workers", str(self.workers)) if self.workers else ()
        )

    def executor(self) -> AbstractContextManager[Executor | None]:
        """Who computes parts of the work, if anybody does beside this process."""
        if self.dask is not None:
            return tm.meta.Dask(self.dask)
        return nullcontext() if self.workers is None else tm.meta.Workers(self.workers)


def launch(recipe: Recipe[Any], changes: Mapping[str, object], wishes: Wishes, verb: tuple[str, ...]) -> Result:
    """Run `recipe` in a new folder, or go on in an old one, and print what came out.

    Raises: UserError for a wish that can't be met, in one sentence; KeyboardInterrupt for Ctrl-C, with a note that
    holds the command that resumes.

    Parameters
    ----------
    recipe : Recipe
    changes : mapping
        Keys that differ from the recipe's defaults, as texts or values.
    wishes : Wishes
    verb : tuple of str
        The words after `tinymeta` that start this job, for the command that resumes it.
    """
    with wishes.executor() as executor:
        if wishes.resume:
            folder = wishes.out or latest(recipe.name)
            recorded(folder)  # what is no run's folder is not locked
            with sole_writer(folder):
                config, run, begun = _again(recipe, changes, wishes, folder)
                run.executor = executor
                with as_it_was(run):
                    return _finish(recipe, config, run, begun, verb, wishes.help)
        config = configure(recipe.name, recipe.config, changes)
        data = _named(wishes.data) or (None if recipe.own_data else _path(os.environ.get("TINYMETA_DATA")))
        if wishes.split is not None and not hasattr(config, "split_seed"):
            raise UserError(f"recipe {recipe.name} takes no --split: it has its own division of training and test")
        folder = claim(wishes.out, recipe.name)
        with withdrawn(folder), sole_writer(folder):
            check_free(folder)
            run = Run(folder, recipe.name, seed=wishes.seed or 0, data=data, executor=executor, quiet=wishes.quiet)
            run.skip_bad_tasks, run.split = wishes.skip_bad_tasks, wishes.split
            return _finish(recipe, config, run, __version__, verb, wishes.help)


def _finish(
    recipe: Recipe[Any], config: Any, run: Run, begun: str, verb: tuple[str, ...], help: tuple[str, ...]
) -> Result:
    """Train, measure, write and print what `launch` does, in a folder that nobody else writes to."""
    command = _command(recipe, config, run, (*verb, *help))
    said = {"data": run.data, "config": asdict(config), "skip_bad_tasks": run.skip_bad_tasks, "in_parts": bool(help)}
    run.write("config.json", {**said, "cores": threads.cores(), "command": command, "begun": begun})
    resume = shlex.join(["tinymeta", *verb, "--out", str(run.folder), "--resume", *help])
    try:
        with _filesby(begun, run.folder):
            result = recipe.run(config, run)
    except KeyboardInterrupt as stop:
        stop.add_note(f"stopped; this goes on from the last checkpoint:\n  {resume}")
        raise
    _conclude("result.json", result, run, run.journal.seconds, command)
    _show(result, run, f"tinymeta eval {shlex.quote(str(run.folder))}" if recipe.evaluate else "tinymeta list")
    return result


def evaluate(folder: Path, changes: Mapping[str, object], data: Path | None, quiet: bool) -> Result:
    """Measure the trained run in `folder` on fresh tasks, write `eval.json` there, and print the table."""
    old = recorded(folder)
    recipe = recipes.find(old["recipe"])
    if recipe.evaluate is None:
        raise UserError(f"recipe {recipe.name} has nothing to evaluate later: run it again with another --seed")
    began, config = (_configured(recipe, old, asked) for asked in ({}, changes))
    if not any(folder.glob("checkpoint*.npz")):
        raise UserError(f"{folder} holds no checkpoint yet: train it first, with --out {folder} --resume")
    check_later(folder, began, config)
    config, stopped = reached(config, folder)
    data = _named(data) or _path(old["data"])
    with ExitStack() as writing:
        refusal = None
        try:
            writing.enter_context(sole_writer(folder))
        except UserError as error:  # numbers can be shown all the same
            refusal = error
        how: Options = {"resume": True, "quiet": quiet, "keeps": refusal is None, "purpose": "eval"}
        run = Run(folder, recipe.name, seed=old["seed"], data=data, **how)
        start = time.perf_counter()
        with _filesby(_version(old), folder):
            result = recipe.evaluate(config, run)
        result = replace(result, protocol={**result.protocol, **stopped})
        command = shlex.join(["tinymeta", "eval", str(folder), *_set(changes)])
        _conclude("eval.json", result, run, time.perf_counter() - start, command)
        _show(result, run, "tinymeta list")
        if refusal is not None:
            print(visible(f"kept:     nothing of this; {refusal}"))
    return result


def _again(recipe: Recipe[Any], changes: Mapping[str, object], wishes: Wishes, folder: Path) -> tuple[Any, Run, str]:
    """The config and the run of a folder to go on with, if the wishes agree with what it holds, and its version.

    One key may change: more iterations continue where fewer ended.
    """
    old = recorded(folder)
    if old["recipe"] != recipe.name:
        raise UserError(f"{folder} holds a run of recipe {old['recipe']}, not of {recipe.name}: name another --out")
    config = _configured(recipe, old, changes)
    before = asdict(_configured(recipe, old, {})) | {"seed": old["seed"]}
    asked = asdict(config) | {"seed": old["seed"] if wishes.seed is None else wishes.seed}
    if asked.get("iterations", 0) > before.get("iterations", 0):
        before["iterations"] = asked["iterations"]
    changed = [
        f"{name} ({written(before[name])}, now {written(asked[name])})"
        for name in before
        if before[name] != asked[name]
    ]
    if changed:
        raise UserError(
            f"{folder} was run with another {' and '.join(changed)}: resume without that, or choose another --out"
        )
    data = _named(wishes.data) or _path(old["data"])
    run = Run(folder, recipe.name, seed=old["seed"], data=data, resume=True, quiet=wishes.quiet)
    run.skip_bad_tasks, run.split = wishes.skip_bad_tasks or bool(old.get("skip_bad_tasks")), wishes.split
    if bool(old.get("in_parts")) != bool(wishes.help):
        how = "with" if old.get("in_parts") else "without"
        run.say(f"{folder} was begun {how} workers: from here on its sums are rounded otherwise")
    elif not wishes.help and (cores := old.get("cores") or threads.cores()) != threads.cores():
        run.say(f"{folder} was begun on {cores} cores, not {threads.cores()}: from here on sums are rounded otherwise")
    begun = _version(old)
    if begun != __version__:
        run.say(f"{folder} was begun by tinymeta {begun} and goes on with {__version__}")
    return config, run, begun


def _configured(recipe: Recipe[Any], old: Options, changes: Mapping[str, object]) -> Any:
    """The config of a run that is there, with changes."""
    return configure(recipe.name, recipe.config, {**as_written(recipe.config, old["config"]), **changes})


def _version(old: Mapping[str, object]) -> str:
    """The version that a folder was begun by."""
    return str(old.get("begun") or old.get("version", "of unknown version"))


@contextmanager
def _filesby(begun: str, folder: Path) -> Iterator[None]:
    """Where what another version began is refused, name both versions."""
    try:
        yield
    except UserError as refusal:
        if begun == __version__:
            raise
        raise UserError(f"{folder} was begun by tinymeta {begun}, and this is {__version__}: {refusal}") from refusal


def _conclude(file: str, result: Result, run: Run, seconds: float, command: str) -> None:
    run.write(
        file,
        {
            "protocol": result.protocol,
            "metrics": result.metrics,
            "published": result.published,
            "seconds": round(seconds, 2),
            "peak_mb": _peak(),
            "plots": run.plots,
            "command": command,
        },
    )


def _peak() -> int | None:
    """The most memory that this process has held, in MB; None where the system doesn't say."""
    if sys.platform == "win32":
        return None
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kB elsewhere
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6)


def _show(result: Result, run: Run, proposal: str) -> None:
    for table in tables(result):
        print()
        show(table)
    print()
    width = max(map(len, result.protocol), default=0)
    for place, (name, value) in enumerate(result.protocol.items()):
        print(visible(f"{'' if place else 'protocol:':<9} {name:<{width}}  {_told(value)}"))
    names = ("result.json", "eval.json", "data.json", "heads.json", "metrics.jsonl")
    there = [name for name in names if (run.folder / name).exists()]
    checkpoints = sorted(entry.name for entry in run.folder.glob("checkpoint*.npz"))
    print(visible(f"files:    {run.folder}{os.sep} {', '.join([*there, *checkpoints, *run.plots])}"))
    print(visible(f"next:     {result.next or proposal}"))


def _told(value: object) -> str:
    return "yes" if value is True else "no" if value is False else written(value)


def _command(recipe: Recipe[Any], config: Any, run: Run, verb: tuple[str, ...]) -> str:
    """The line that starts this run from scratch on any machine."""
    changed = {
        entry.name: getattr(config, entry.name)
        for entry in fields(config)
        if getattr(config, entry.name) != entry.default
    }
    iterations = changed.pop("iterations", None)
    words = ["tinymeta", *verb]
    words += ["--iterations", str(iterations)] if iterations is not None else []
    words += ["--seed", str(run.seed)]
    words += ["--data", str(run.data)] if run.data else []
    words += ["--skip-bad-tasks"] * run.skip_bad_tasks
    words += ["--split", str(run.split)] if run.split else []
    return shlex.join([*words, *_set(changed)])


def _set(changes: Mapping[str, object]) -> list[str]:
    pairs = [f"{name}={written(value)}" for name, value in changes.items()]
    return ["--set", *pairs] if pairs else []


def _path(text: str | None) -> Path | None:
    return Path(text).absolute() if text else None


def _named(data: Path | None) -> Path | None:
    """The folder that `--data` names, if it does, as it is found from anywhere."""
    if data is not None and not data.exists():
        raise UserError(f"there is no folder or file {data}: name the one that holds the data")
    return data.absolute() if data is not None else None
