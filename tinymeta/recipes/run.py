"""A run and its folder: where a recipe's numbers, plots and checkpoint go, and how one goes on with an old run.

A folder holds `config.json` (what was asked, by which version, and the format of all that is written here),
`metrics.jsonl` (the journal), `checkpoint.npz` (the state that training resumes from), `result.json` (what came out;
its presence says that the run is finished), and the plots. Every file is written whole or not at all.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, ParamSpec

import numpy as np

from tinymeta import __version__
from tinymeta.engine.errors import UserError
from tinymeta.engine.typing import Options
from tinymeta.io.files import FORMAT, check_format, read_json, told, write_text
from tinymeta.io.folder import check_plain
from tinymeta.io.journal import plain
from tinymeta.io.visible import visible
from tinymeta.meta.core.folder import Folder
from tinymeta.view.style import MissingMatplotlib, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

P = ParamSpec("P")

# What `config.json` has to say, and may say: NoneType where nothing is said.
_RECORDED: dict[str, tuple[type, ...]] = {
    "recipe": (str,),
    "seed": (int,),
    "data": (str, NoneType),
    "config": (dict,),
    "begun": (str, NoneType),
    "cores": (int, NoneType),
    "version": (str, NoneType),
    "skip_bad_tasks": (bool, NoneType),
}


class Run(Folder):
    """One run of a recipe, as the recipe sees it.

    Attributes
    ----------
    folder : Path
        The run's folder; it exists.
    recipe : str
        The recipe's name.
    seed : int
        The seed of everything random, through `rng`.
    data : Path or None
        The folder of data that the user named (`--data` or `TINYMETA_DATA`), if any.
    executor : Executor or None
        Who computes parts of the work: the processes of `--workers`, the cluster of `--dask`, or nobody.
    resume : bool
        Whether to go on from `checkpoint` where it exists.
    quiet : bool
        Show no progress.
    skip_bad_tasks : bool
        Whether training goes on without the tasks whose loss or gradient is not finite.
    split : Path or None
        The file of a division of the classes that the user named (`--split`), if any.
    keeps : bool
        Whether it writes to its folder; a measurement need not, and then `write` and `draw` do nothing.
    purpose : str
        `""` for the run itself, `"eval"` for a later evaluation: it has random streams of its own.
    name : str
        The stage of the recipe that this view of the run logs for, or `""`; see `stage`.
    """

    def __init__(
        self,
        folder: Path,
        recipe: str,
        *,
        seed: int = 0,
        data: Path | None = None,
        executor: Executor | None = None,
        resume: bool = False,
        quiet: bool = False,
        skip_bad_tasks: bool = False,
        keeps: bool = True,
        purpose: str = "",
    ) -> None:
        super().__init__(folder, recipe, resume=resume, quiet=quiet)
        self.recipe, self.seed, self.data, self.executor = recipe, seed, data, executor
        self.keeps, self.purpose, self.skip_bad_tasks = keeps, purpose, skip_bad_tasks
        self.split: Path | None = None
        self.plots: list[str] = []
        self._said: set[str] = set()

    def __getstate__(self) -> Options:
        """A trial's worker has no workers of its own."""
        return vars(self) | {"executor": None}

    def rng(self, name: str) -> np.random.Generator:
        """A stream of random numbers for one purpose (`"tasks"`), independent of all other names and seeds."""
        words = f"{self.purpose}/{self.name}/{name}".encode()
        return np.random.default_rng([self.seed, zlib.crc32(words)])

    def say(self, text: str) -> None:
        """A sentence for the user, on stderr; not with `--quiet`."""
        if not self.quiet:
            print(visible(text), file=sys.stderr, flush=True)

    def say_once(self, text: str) -> None:
        """`say`, unless it has been said."""
        if text not in self._said:
            self._said.add(text)
            self.say(text)

    def draw(self, file: str, plot: Callable[P, Figure], *args: P.args, **kwargs: P.kwargs) -> None:
        """Save the figure that `plot(*args, **kwargs)` makes as `file` in the folder.

        Without matplotlib the run goes on, and says once that its plots are skipped.
        """
        if not self.keeps:
            return
        try:
            save(plot(*args, **kwargs), self.folder / file)
        except MissingMatplotlib as missing:
            self.say_once(f"plots are skipped: {missing}")
        else:
            self.plots.append(file)

    def write(self, file: str, content: Mapping[str, object]) -> None:
        """Write `content` as JSON to `file` in the folder, with the recipe, seed, version and format beside it."""
        if not self.keeps:
            return
        stamp = {"recipe": self.recipe, "seed": self.seed, "version": __version__, "format": FORMAT}
        text = json.dumps(plain({**stamp, **content}), indent=2, ensure_ascii=False, allow_nan=False)
        write_text(self.folder / file, text + "\n")


def claim(out: Path | None, recipe: str) -> Path:
    """The folder of a new run: `out`, or the next free `runs/RECIPE-N`; never one that holds anything.

    Raises: UserError where `out` is a file, holds a run or other files, or may not be written to.
    """
    if out is None:
        return _next_free(Path("runs"), recipe)
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file: name a folder")
    with told(out):
        out.mkdir(parents=True, exist_ok=True)
    check_free(out)
    return out


def check_free(out: Path) -> None:
    """Refuse a folder for a new run that holds anything."""
    with told(out):
        held = [entry.name for entry in out.iterdir() if not entry.name.startswith(".")]
    if "config.json" in held:
        state = "a finished" if "result.json" in held else "an unfinished"
        raise UserError(f"{out} holds {state} run: go on with it by --resume, or choose another --out")
    if held:
        raise UserError(f"{out} holds other files ({sorted(held)[0]}): choose an empty or new folder for --out")


def latest(recipe: str) -> Path:
    """The newest `runs/RECIPE-N`, for `--resume` without `--out`."""
    numbers = _numbers(Path("runs"), recipe)
    if not numbers:
        raise UserError(f"runs/ holds no run of {recipe} to resume: name its folder with --out")
    return Path("runs") / f"{recipe}-{max(numbers)}"


def recorded(folder: Path) -> Options:
    """What `config.json` of a run's folder says.

    Raises: UserError where the folder is missing, holds no run, a `config.json` that none of ours wrote, or what is no
    plain file.
    """
    file = folder / "config.json"
    if folder.is_dir():
        check_plain(folder)
    if not file.is_file():
        what = "holds no run (there is no config.json)" if folder.is_dir() else "is no folder of a run"
        raise UserError(f"{folder} {what}: name a folder that `tinymeta run` wrote, such as runs/sine-1")
    content: Options = read_json(file)
    for name, kinds in _RECORDED.items():
        said = isinstance(content, dict) and (name in content or name not in ("recipe", "seed", "data", "config"))
        if not said or type(content.get(name)) not in kinds:
            raise UserError(f"{file} is no configuration of a run ({name}): name a folder that `tinymeta run` wrote")
    check_format(file, content.get("format"))
    if content["seed"] < 0:
        raise UserError(f"{file} has the seed {content['seed']}, and seeds are 0 or more: name another run")
    return content


def _next_free(parent: Path, recipe: str) -> Path:
    while True:
        folder = parent / f"{recipe}-{max(_numbers(parent, recipe), default=0) + 1}"
        with told(folder):
            try:
                folder.mkdir(parents=True)
            except FileExistsError:
                if not parent.is_dir():
                    raise
                continue  # another run took this number in the meantime
        return folder


def _numbers(parent: Path, recipe: str) -> list[int]:
    ends = [entry.name.removeprefix(f"{recipe}-") for entry in parent.glob(f"{recipe}-*")]
    return [int(end) for end in ends if end.isdecimal()]
