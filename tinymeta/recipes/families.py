"""The task families of a run of `images`: which classes are learned from, chosen by and tested on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

import tinymeta as tm
from tinymeta.engine.errors import UserError
from tinymeta.engine.tensor import Array
from tinymeta.engine.typing import Options
from tinymeta.recipes import divisions, features, fewshot
from tinymeta.recipes.config import user_mistakes
from tinymeta.recipes.run import Run

MANY = 5  # ways, shots and query images where the data allow as many
FEW = 20  # classes to learn from, below which these turned by quarters are further ones
AUGMENTED = {"drawings": tm.tasks.Augment, "photographs": tm.tasks.AugmentPhotos}


class Families(NamedTuple):
    """The distributions of tasks of one division: no class of the first three is in two; the last has all classes."""

    training: tm.tasks.FewShotImages
    testing: tm.tasks.FewShotImages
    validation: tm.tasks.FewShotImages | None
    whole: tm.tasks.FewShotImages
    division: divisions.Division


@dataclass(frozen=True)
class OnPaper:
    """A change of light ink on dark paper, for either: what most of a batch is, is its paper."""

    change: tm.tasks.Augment

    def __call__(self, rng: np.random.Generator, images: Array) -> Array:
        light = np.median(images) > 0.5
        changed = self.change(rng, 1 - images if light else images)
        return 1 - changed if light else changed


def pictures(config: Any, run: Run) -> tm.tasks.ImageClasses:
    """The user's classes of two pictures or more, or generated ones."""
    if run.data is None:
        return fewshot.invented(alphabets=6, characters=10, hands=10, size=config.size)
    if run.data.suffix == features.SUFFIX:
        classes = features.load(run.data)
        for note in classes.found.notes if classes.found else ():
            run.say_once(note)
        return replace(classes.select(classes.counts >= 2), found=classes.found)
    known = divisions.shape(run)
    colour: Any = config.colour if config.colour != "auto" or not known else ("grey", "rgb")[len(known) == 3]
    with user_mistakes():
        classes = tm.tasks.load_folder(
            run.data, config.size, colour, config.invert, tell=run.say_once, progress=run.progress
        )
    return replace(classes.select(classes.counts >= 2), found=classes.found)


def families(config: Any, run: Run) -> list[Families]:
    """The distributions of tasks, for each division."""
    classes = pictures(config, run)
    if len(classes) < 4:
        raise UserError(
            f"{run.data} holds {len(classes)} classes of two examples or more, and four are needed, two to learn from "
            "and two to test on: add some"
        )

    def draw(names: list[str]) -> list[divisions.Division]:
        if run.resume and run.checkpoint.exists():  # begun by a version that kept no names
            return [divisions.by_number(names)]
        enough = config.ways or (MANY if len(names) >= 2 * MANY else 2)
        return divisions.drawn(names, config.split_seed, config.splits, enough, config.patience > 0)

    place = {str(name): index for index, name in enumerate(classes.names)}
    divided = divisions.divided(run, classes, draw)
    parts = [[classes.select([place[name] for name in part]) for part in division] for division in divided]

    turnable = config.patience > 0 and kind(config, classes) == "drawings"  # colours stay what they are in a turn

    def more(few: tm.tasks.ImageClasses, than: int) -> tm.tasks.ImageClasses:
        return few.turned() if turnable and len(few) < than else few

    fewest = int(min(part.counts.min() for division in parts for part in division if len(part)))
    ways = config.ways or min(MANY, *(n for train, test, _ in parts for n in (len(more(train, FEW)), len(test))))
    shots = config.shots or max(1, min(MANY, fewest // 2))
    query = config.query or max(1, min(MANY, fewest - shots))
    how: Options = {"ways": ways, "shots": shots, "query": query, "flatten": False}
    vary = augmented(config, classes)

    def of(division: divisions.Division, train: Any, test: Any, held: Any) -> Families:
        training = tm.tasks.FewShotImages(more(train, FEW), augment=vary, **how)
        whole = replace(training, classes=more(tm.tasks.ImageClasses.join([train, test, held]), FEW))
        validation = None
        if config.patience and len(held):
            validation = tm.tasks.FewShotImages(more(held, ways), **how | {"ways": min(ways, len(more(held, ways)))})
        return Families(training, tm.tasks.FewShotImages(test, **how), validation, whole, division)

    with user_mistakes():
        return [of(division, *part) for division, part in zip(divided, parts)]


def kind(config: Any, classes: tm.tasks.ImageClasses) -> str:
    """What the pictures are, for what may be done to them: drawings, photographs, or none."""
    if classes.images.shape[-2] == 1:
        return "none"
    named = {"true": "drawings", "false": "none", "auto": "photographs" if classes.images.ndim == 5 else "drawings"}
    return named.get(config.augment, str(config.augment))


def augmented(config: Any, classes: tm.tasks.ImageClasses) -> Any:
    """How pictures are varied in training; the channels of one are changed as one."""
    what = kind(config, classes)
    if what == "none":
        return None
    change = AUGMENTED[what](shared=int(classes.images.ndim == 5))
    return OnPaper(change) if what == "drawings" else change
