"""Options of the command line, folders of runs, and what is classified."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np

from tests.awkward.cases import Case, Refused, Says, told
from tests.awkward.files import BRIEFLY, X, Y
from tests.recipes.pictures import write, write_folder

BEGUN = ["run", "images", "--quiet", *BRIEFLY]
Make = Callable[[Path], object]


@cache
def trained() -> Path:
    """A folder that holds a run of pictures and a run of features."""
    home = Path(mkdtemp())
    assert told(*BEGUN, "size=16", "--data", write_folder(home / "data", range(8)), "--out", home / "pictures") == Says(
        ""
    )
    np.savez(home / "x.npz", X=X, y=Y)
    assert told(*BEGUN, "--data", home / "x.npz", "--out", home / "features") == Says("")
    return home


def forget() -> None:
    """Remove the runs that were trained for cases."""
    if trained.cache_info().currsize:
        shutil.rmtree(trained())
        trained.cache_clear()


def run(*words: str, data: int = 8) -> Make:
    """A run on so many classes, with other words."""
    return lambda folder: told(*BEGUN, *words, "--data", write_folder(folder / "data", range(data)))


def split(said: Any) -> Make:
    def made(folder: Path) -> object:
        (folder / "split.json").write_text(json.dumps(said))
        return run("--split", "split.json")(folder)

    return made


def classified(*words: str, make: Make = lambda _: None, of: str = "pictures") -> Make:
    """Pictures of four new classes, by the run."""

    def made(folder: Path) -> object:
        write_folder(folder / "new", range(8, 12))
        write(folder / "q.png", 8, 4)
        make(folder)
        return told("classify", trained() / of, "--support", "new", "--quiet", *words)

    return made


def changed(make: Make, *words: str) -> Make:
    """A copy of the run in which something is other than it was, and a command on it."""

    def made(folder: Path) -> object:
        shutil.copytree(trained() / "pictures", folder / "run")
        make(folder / "run")
        return told(*words or ("eval", "run", "--quiet"))

    return made


def edited(file: str, old: str, new: str) -> Make:
    return lambda run: (run / file).write_text((run / file).read_text(encoding="utf-8").replace(old, new))


def asked(*rows: Any) -> Make:
    """Features of two new classes, and others that are asked about."""

    def made(folder: Path) -> object:
        for name, (x, y) in zip(("new", "q"), rows):
            np.savez(folder / f"{name}.npz", X=x, y=y)
        return told("classify", trained() / "features", "--support", "new.npz", "--query", "q.npz", "--quiet")

    return made


HIDDEN: Make = lambda f: (write(f / "new/q.png", 8, 4), os.makedirs(f / "e"), (f / "e/._q.png").write_bytes(b"\0"))
TWO = {"train": ["class0", "class1"], "test": ["class2", "class3"]}
CASES = {
    "a key that there is none of": Case(run("shot=2"), Refused("did you mean 'shots'?")),
    "a key without a value": Case(run("shots="), Refused("shots must be a whole number, not ''")),
    "half a pixel": Case(run("size=16.5"), Refused("must be a whole number, not '16.5'")),
    "a step uphill": Case(run("outer_lr=-1"), Refused("outer_lr must be 0 or more")),
    "a step of NaN": Case(run("outer_lr=nan"), Refused("outer_lr must be a number")),
    "pictures of 10 gigapixels": Case(run("size=100000"), Refused("size must be at most 512")),
    "more ways than classes": Case(run("ways=9"), Refused("cannot make 9-way tasks")),
    "more shots than pictures": Case(run("shots=4"), Refused("needs 4 + ")),
    "three classes": Case(run(data=3), Refused("and four are needed")),
    "a seed below 0": Case(run("--seed", "-1"), Refused("argument --seed: must be a whole number, 0 or more")),
    "no worker": Case(run("--workers", "0"), Refused("--workers: must be 1 or more")),
    "an option that there is none of": Case(run("--shots", "2"), Refused("unrecognized arguments: --shots 2")),
    "a path of nothing": Case(run("--out", ""), Refused("a path is empty")),
    "a path with NUL": Case(run("--out", "a\0b"), Refused("no path holds NUL")),
    "a path of 5,000 letters": Case(
        lambda f: told(*BEGUN, "--data", "x" * 5000), Refused("no file has a name as long as")
    ),
    "a device for a folder": Case(run("--out", "/dev/null"), Refused("--out /dev/null is a file")),
    "a folder with other things": Case(
        lambda f: (noted(f / "mine" / "thesis.txt"), run("--out", "mine")(f))[1],
        Refused("holds other files (thesis.txt)"),
    ),
    "data that aren't there": Case(
        lambda f: told(*BEGUN, "--data", "nowhere"), Refused("there is no folder or file nowhere")
    ),
    "nothing to go on with": Case(
        lambda f: told("run", "images", "--resume"), Refused("holds no run of images to resume")
    ),
    "a division that is no JSON": Case(
        lambda f: (noted(f / "s"), run("--split", "s")(f))[1], Refused("s is damaged, or no JSON")
    ),
    "a division of a class that isn't there": Case(
        split(TWO | {"validation": ["a", "b"]}), Refused("the data don't hold: a, b")
    ),
    "a division with a class twice": Case(
        split(TWO | {"train": ["class0"] * 2}), Refused("names a class twice: class0")
    ),
    "a division with a part that is none": Case(split(TWO | {"val": []}), Refused("has a part 'val'")),
    "a division of numbers": Case(split({"train": [0, 1], "test": [2, 3]}), Refused("is no division of classes")),
    "another training in eval": Case(changed(lambda _: None, "eval", "run", "--set", "shots=1"), Refused("train anew")),
    "other weights": Case(
        changed(lambda r: shutil.copy(trained() / "features/checkpoint.npz", r / "checkpoint.npz")),
        Refused("lacks the leaf"),
    ),
    "another size in the account": Case(
        changed(edited("config.json", '"size": 16', '"size": 20')), Refused("learned from 16 pixels")
    ),
    "no weights": Case(changed(lambda r: (r / "checkpoint.npz").unlink()), Refused("holds no checkpoint yet")),
    "a run of another kind": Case(
        changed(lambda _: None, "run", "sine", "--out", "run", "--resume"), Refused("not of sine")
    ),
    "fewer iterations than there were": Case(
        changed(lambda _: None, "run", "images", "--out", "run", "--resume", "--iterations", "0"),
        Refused("another iterations"),
    ),
    "a text to classify": Case(
        classified("--query", "q.txt", make=lambda f: noted(f / "q.txt")), Refused("q.txt is not a readable image")
    ),
    "answers over the question": Case(
        classified("--query", "q.png", "--json", "q.png"), Refused("would be written over")
    ),
    "answers over one another": Case(
        classified("--query", "q.png", "--json", "a", "--csv", "a"), Refused("a would be written over")
    ),
    "answers into a folder": Case(classified("--query", "q.png", "--json", "."), Refused(". is a folder")),
    "a class called as no class is": Case(
        classified("--query", "q.png", make=lambda f: (f / "new/class8").rename(f / "new/none of these")),
        Refused("which is what is said of pictures of no class"),
    ),
    "what a Macintosh leaves among the questions": Case(
        classified("--query", "e", make=HIDDEN), Refused("--query e holds no images")
    ),
    "pictures for features": Case(classified("--query", "q.png", of="features"), Refused("new is no .npz file")),
    "new features of another width": Case(asked((X[:, :2], Y), (X[:, :2], Y)), Refused("the run learned from 3")),
    "features to ask about of another width": Case(
        asked((X, Y), (X[:, :2], Y)), Refused("has 2 features and new.npz has 3")
    ),
    "features of which none is asked about": Case(asked((X, Y), (X[:0], Y[:0])), Refused("of shape (0, 3)")),
}


def noted(file: Path) -> None:
    """A file of someone's notes."""
    file.parent.mkdir(exist_ok=True)
    file.write_text("to whom it may concern", encoding="utf-8")
