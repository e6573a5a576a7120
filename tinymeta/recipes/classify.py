"""`tinymeta classify RUN --support FOLDER --query FILE ...`: a learner that `images` trained, put to use.

The support folder holds one folder of examples per class, of classes that the learner never saw. Each file is
given the probability of every class.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import tinymeta as tm
from tinymeta.engine.errors import UserError
from tinymeta.recipes import images
from tinymeta.recipes.config import configure, user_mistakes
from tinymeta.recipes.run import Run, recorded
from tinymeta.tasks.images import as_unit_interval
from tinymeta.tasks.picture import picture
from tinymeta.view.table import Row, Table, show

RECIPE = "images"
SHOWN = 3  # classes per file in the table


def classify(parser: argparse.ArgumentParser, arguments: list[str]) -> None:
    """`tinymeta classify`."""
    parser.add_argument("run", metavar="RUN", type=Path, help="the folder of a run of images")
    parser.add_argument(
        "--support", type=Path, required=True, metavar="FOLDER", help="one folder of example images per new class"
    )
    parser.add_argument("--query", type=Path, required=True, nargs="+", metavar="FILE", help="images to classify")
    options = parser.parse_args(arguments)
    names, chances = probabilities(options.run, options.support, options.query)
    print()
    show(ranking(options.query, names, chances))


def probabilities(folder: Path, support: Path, query: list[Path]) -> tuple[list[str], Any]:
    """The names of the classes in a support folder, and their probabilities for each file: (files, classes).

    Raises: UserError where the run is none of `images` or not trained, or an image or folder can't be read.
    """
    config, run = trained_run(folder)
    for path in query:
        if not path.is_file():
            what = "is a folder: name image files" if path.is_dir() else "does not exist"
            raise UserError(f"--query {path} {what}")
    colour: Any = config.colour if images.channels(config, run) == 3 else "grey"
    with user_mistakes():
        classes = tm.tasks.load_folder(support, config.size, colour, config.invert, tell=run.say_once)
        asked = [picture(path, config.size, colour, config.invert) for path in query]
    phi = tm.meta.trained(run.checkpoint, images.start(config, run))
    model = images.learner(config, len(classes), images.channels(config, run)).learn(phi, examples(classes))
    logits = model(tm.tensor(shaped(np.stack(asked))))
    return [str(name) for name in classes.names], tm.nn.softmax(logits, -1).numpy()


def trained_run(folder: Path) -> tuple[images.Config, Run]:
    """The config and the run of a folder that `tinymeta run images` wrote."""
    old = recorded(folder)
    if old["recipe"] != RECIPE:
        raise UserError(
            f"{folder} holds a run of recipe {old['recipe']}, and classify needs one of images: "
            "train it with `tinymeta run images --data FOLDER`"
        )
    config = configure(RECIPE, images.Config, old["config"])
    run = Run(folder, RECIPE, seed=old["seed"], data=Path(old["data"]) if old["data"] else None)
    if not run.checkpoint.exists():
        raise UserError(f"{folder} holds no checkpoint yet: train it first, with --out {folder} --resume")
    return config, run


def examples(classes: tm.tasks.ImageClasses) -> tuple[Any, Any]:
    """All images of all classes as one support set (x, y)."""
    x = np.concatenate([images[:count] for images, count in zip(classes.images, classes.counts)])
    return tm.tensor(shaped(x)), tm.tensor(np.repeat(np.arange(len(classes)), classes.counts))


def shaped(x: Any) -> Any:
    """Images (n, [channels,] height, width) of bytes as (n, channels, height, width) in [0, 1]."""
    values = as_unit_interval(x, np.float32)
    return values if values.ndim == 4 else values[:, None]


def ranking(query: list[Path], names: list[str], chances: Any) -> Table:
    """A row per file: its likeliest classes with their probabilities."""
    shown = min(SHOWN, len(names))
    rows = []
    for path, p in zip(query, chances):
        best = np.argsort(-p)[:shown]
        rows.append(Row((str(path), *(f"{names[k]} {100 * p[k]:.1f} %" for k in best))))
    return Table(("", *("most likely", "then", "then")[:shown]), tuple(rows))
