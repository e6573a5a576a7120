"""`tinymeta classify RUN --support FOLDER --query FILE ...`: a learner that `images` trained, put to use.

The support folder holds one folder of examples per class, of classes that the learner never saw. Each file is given the
probability of every class, and where it is far from all of them, is said to be none of these.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import tinymeta as tm
from tinymeta.engine.errors import UserError
from tinymeta.engine.tensor import Array
from tinymeta.io.files import named, write_text
from tinymeta.io.visible import visible
from tinymeta.recipes import answering, calibrate, divisions, features, heads, images
from tinymeta.recipes.answering import Answering
from tinymeta.recipes.calibrate import Calibration
from tinymeta.recipes.config import as_written, configure, user_mistakes
from tinymeta.recipes.run import Run, recorded
from tinymeta.recipes.sheet import NONE, Confusion, contact_sheet, truth_of
from tinymeta.tasks.data import within
from tinymeta.tasks.folder import hidden
from tinymeta.tasks.picture import SUFFIXES, picture
from tinymeta.view.table import Row, Table, show

RECIPE = "images"
SHOWN = 3  # classes per file in the table


@dataclass(frozen=True)
class Answers:
    """What was said of pictures.

    Attributes
    ----------
    query : list of Path
        The pictures.
    names : list of str
        The classes.
    chances : (pictures, classes)
        The probability of each class, given that the picture is of one of them.
    none : (pictures,) of bool
        Whether it is far from all classes.
    calibration : Calibration
        What both come from.
    truth : list of str or None
        The class of each picture, where its folder or its file of features says so.
    """

    query: list[Path]
    names: list[str]
    chances: Array
    none: Array
    calibration: Calibration
    truth: list[str | None]

    def answer(self, k: int) -> str | None:
        """The likeliest class of a picture; None for none of them."""
        return None if self.none[k] else self.names[int(self.chances[k].argmax())]

    @property
    def confusion(self) -> Confusion | None:
        """What was taken for what, where that is known."""
        return Confusion.of(self.names, self.truth, [self.answer(k) for k in range(len(self.query))])


Read = tuple[list[Path], list[str | None], tm.tasks.ImageClasses, Array]  # queries' names and truths, classes, queries


def classify(parser: argparse.ArgumentParser, arguments: list[str]) -> None:
    """`tinymeta classify`."""
    parser.add_argument("run", metavar="RUN", type=named, help="the folder of a run of images")
    parser.add_argument(
        "--support", type=named, required=True, metavar="FOLDER", help="a folder of images per new class, or features"
    )
    parser.add_argument(
        "--query", type=named, required=True, nargs="+", metavar="FILE", help="images to classify, folders, or features"
    )
    parser.add_argument("--json", type=named, metavar="FILE", help="write all probabilities there, too")
    parser.add_argument("--csv", type=named, metavar="FILE", help="likewise, as a table")
    parser.add_argument("--sheet", type=named, metavar="FILE", help="a PNG of the pictures under their classes")
    parser.add_argument("--quiet", action="store_true", help="no notes; only the table")
    options = parser.parse_args(arguments)
    if options.sheet and options.sheet.suffix.lower() != ".png":
        raise UserError(f"--sheet {options.sheet} is a PNG: let its name end in .png")
    answers = answered(options.run, options.support, options.query, options.quiet)
    taken = {path.resolve() for path in answers.query}
    for file in filter(None, (options.json, options.csv, options.sheet)):
        if file.resolve() in taken or options.support.resolve() in (file.resolve(), *file.resolve().parents):
            raise UserError(f"{file} would be written over, or among what is classified: name another file")
        taken.add(file.resolve())
    for file, written in ((options.json, as_json), (options.csv, as_csv)):
        if file is not None:
            write_text(file, written(answers))
    if options.sheet:
        write_sheet(options.sheet, answers)
    print()
    show(ranking(answers))
    if found := answers.confusion:
        print()
        show(found.table())
        print("right: {:,} of {:,}".format(*found.right))
    print()
    print(visible(told(answers.calibration)))


def write_sheet(file: Path, answers: Answers) -> None:
    """The contact sheet of answers. Raises: UserError where what was asked about are no pictures."""
    if any(not path.is_file() for path in answers.query):
        raise UserError("--sheet shows pictures, and the queries are features: leave it out")
    said = [answers.answer(k) or NONE for k in range(len(answers.query))]
    contact_sheet(file, {n: [p for p, s in zip(answers.query, said) if s == n] for n in (*answers.names, NONE)})


def probabilities(folder: Path, support: Path, query: list[Path]) -> tuple[list[str], Array]:
    """The names of the classes in a support folder, and their probabilities for each file: (files, classes).

    Raises: UserError where the run is none of `images` or not trained, or an image or folder can't be read.
    """
    answers = answered(folder, support, query)
    return answers.names, answers.chances


def answered(folder: Path, support: Path, query: list[Path], quiet: bool = False) -> Answers:
    """What a run says of pictures, having seen those of a support folder; what is embedded at once is bounded.

    Raises: UserError where the run is none of `images` or not trained, or an image or folder can't be read.
    """
    config, run = trained_run(folder)
    run.quiet = quiet
    known = divisions.shape(run)
    read = partial(_features, known[-1]) if known and known[-2] == 1 else partial(_pictures_of, config, run)
    files, truth, classes, asked = read(support, query)
    if NONE in classes.names:
        raise UserError(f"a class is called {NONE!r}, which is what is said of pictures of no class: rename it")
    answers = answering_of(config, run)
    x = np.concatenate([classes.pictures, asked])
    labels, n = np.repeat(np.arange(len(classes)), classes.counts), int(classes.counts.sum())
    seen = answers.features(x)
    parts = []
    for start in range(n, len(x), heads.BLOCK):
        rows = np.arange(start, min(start + heads.BLOCK, len(x)))[None]
        tasks = heads.Tasks(np.arange(n)[None], labels[None], rows, rows)
        parts.append((answers.scores(seen, tasks)[0], answers.distances(seen, tasks)[0]))
    logits, distances = map(np.concatenate, zip(*parts))
    found = calibrate.calibration(folder, answers, len(classes), int(np.median(classes.counts)))
    chances = tm.nn.softmax(tm.tensor(logits / found.temperature), -1).numpy()
    none = calibrate.strangeness(distances) > found.strangest
    return Answers(files, [str(n) for n in classes.names], chances, none, found, truth)


def _pictures_of(config: images.Config, run: Run, support: Path, query: list[Path]) -> Read:
    files = [file for path in query for file in _pictures(path)]
    colour: Any = ("grey", "rgb")[len(images.shape(config, run)) == 3]
    how: Any = {"size": config.size, "colour": colour, "invert": config.invert, "levels": divisions.levels(run)}
    with user_mistakes():
        classes = tm.tasks.load_folder(support, **how, tell=run.say_once, progress=run.progress)
        how["levels"] = classes.found and classes.found.levels
        truth = [truth_of(path, list(classes.names)) for path in files]
        return files, truth, classes, np.stack([picture(path, **how) for path in files])


def _features(learned: int, support: Path, query: list[Path]) -> Read:
    """Of a run that learned from features: its files hold features, too. An example is called FILE[number]."""
    classes = features.load(support)
    width = classes.images.shape[-1]
    if width != learned:
        raise UserError(f"{support} has {width} features, and the run learned from {learned}: ask one network for both")
    if len(classes) < 2:
        raise UserError(f"{support} holds one class only, {classes.names[0]!r}: a task needs at least two")
    found = [(path, *features.arrays(path)) for path in query]
    for path, x, _ in found:
        if x.shape[1] != width:
            raise UserError(f"{path} has {x.shape[1]} features and {support} has {width}: ask one network for both")
    files = [Path(f"{path}[{k}]") for path, x, _ in found for k in range(len(x))]
    truth = [label for _, x, y in found for label in ([None] * len(x) if y is None else map(str, y))]
    return files, truth, classes, np.concatenate([x[:, None] for _, x, _ in found])


def answering_of(config: images.Config, run: Run) -> Answering:
    """The network of a run that learned from all classes, or else the first, with the head that the run chose."""
    phi = images.start(config, run)
    first = run.stage(images.ALL if run.stage(images.ALL).checkpoint.exists() else "").checkpoint
    phi = tm.meta.trained(first, phi)
    return answering.kept(run, "", phi) or Answering(phi, images.unchosen(config))


def _pictures(path: Path) -> list[Path]:
    """The picture that a path names, or those in a folder and below."""
    if path.is_dir():
        with user_mistakes():
            inside = [
                file
                for file in within(path)
                if file.suffix.lower() in SUFFIXES and file.is_file() and not hidden(file.relative_to(path))
            ]
        if not inside:
            raise UserError(f"--query {path} holds no images: name image files, or a folder of them")
        return inside
    if not path.exists():
        raise UserError(f"--query {path} does not exist")
    return [path]


def trained_run(folder: Path) -> tuple[images.Config, Run]:
    """The config and the run of a folder that `tinymeta run images` wrote."""
    old = recorded(folder)
    if old["recipe"] != RECIPE:
        raise UserError(
            f"{folder} holds a run of recipe {old['recipe']}, and classify needs one of images: "
            "train it with `tinymeta run images --data FOLDER`"
        )
    config = configure(RECIPE, images.Config, as_written(images.Config, old["config"]))
    run = Run(folder, RECIPE, seed=old["seed"], data=Path(old["data"]) if old["data"] else None)
    if not run.checkpoint.exists():
        raise UserError(f"{folder} holds no checkpoint yet: train it first, with --out {folder} --resume")
    return config, run


def ranking(answers: Answers) -> Table:
    """A row per file: its likeliest classes with their probabilities, after a word where it is none of them."""
    shown = min(SHOWN, len(answers.names))
    rows = []
    for k, (path, p) in enumerate(zip(answers.query, answers.chances)):
        best = np.argsort(-p)[:shown]
        cells = [f"{answers.names[c]} {100 * p[c]:.1f} %" for c in best]
        rows.append(Row((str(path), *([f"none of these ({cells[0]})"] if answers.none[k] else cells[:1]), *cells[1:])))
    return Table(("", *("most likely", "then", "then")[:shown]), tuple(rows))


def told(found: Calibration) -> str:
    """What the probabilities come from, in a sentence."""
    if not found.classes:
        return "probabilities are not calibrated: the run kept nothing of its held-out classes; train it anew for that"
    drawn = f"{found.classes} classes that the run had held out, {found.ways}-way {found.shots}-shot"
    if not np.isfinite(found.strangest):
        return f"probabilities are calibrated on {drawn}; these are too few to know what is none of the classes"
    return (
        f"probabilities are calibrated on {drawn}; there, {100 * found.refused:.0f} % of the pictures of a task's "
        f"classes were called none of these, and {100 * found.accepted:.0f} % of pictures of other classes were not"
    )


def as_json(answers: Answers) -> str:
    """All answers, with all probabilities, and what they come from."""
    found = answers.calibration._asdict()
    rows = [
        {
            "file": str(path),
            "answer": answers.answer(k),
            "probabilities": {name: float(p) for name, p in zip(answers.names, answers.chances[k])},
        }
        for k, path in enumerate(answers.query)
    ]
    whole: dict[str, object] = {"calibration": {n: x if np.isfinite(x) else None for n, x in found.items()}}
    if table := answers.confusion:
        whole["confusion"] = {**table._asdict(), "counts": table.counts.tolist()}
    whole["answers"] = rows
    return json.dumps(whole, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def as_csv(answers: Answers) -> str:
    """A row per file: the answer (empty for none of these), and the probability of every class."""
    stream = io.StringIO()
    rows = csv.writer(stream)
    rows.writerow(["file", "answer", *answers.names])
    for k, path in enumerate(answers.query):
        rows.writerow([str(path), answers.answer(k) or "", *(f"{p:.6g}" for p in answers.chances[k])])
    return stream.getvalue()
