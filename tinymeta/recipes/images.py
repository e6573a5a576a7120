"""Your own pictures: learn from a folder of class folders how to tell new classes apart by a few examples.

    tinymeta run images --data pictures          pictures/cat/1.jpg, pictures/cat/2.png, pictures/dog/1.jpg, ...
    tinymeta classify runs/images-1 --support new --query a.jpg b.jpg          new/fox/1.jpg, new/owl/1.jpg, ...

Some of the classes are kept for testing. The learner is a prototypical network, for it takes any number of new
classes and examples, and every image is normalised by itself. Without --data it learns from generated characters.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

import tinymeta as tm
from tinymeta.engine.errors import UserError
from tinymeta.engine.tensor import Array
from tinymeta.engine.typing import Options, Tree
from tinymeta.recipes import calibrate, divisions, fewshot
from tinymeta.recipes.recipe import Found, Interval, Recipe, Result, Run, Stage, curves, interval, key, user_mistakes
from tinymeta.tasks.images import as_unit_interval

MANY = 5  # ways, shots and query images where the data allow as many


@dataclass(frozen=True)
class Config:
    iterations: int = key(1000, "meta-iterations", least=0)
    size: int = key(28, "side in pixels that images are brought to", least=16, most=512)
    colour: str = key("grey", "one channel or three", choices=("grey", "rgb"))
    invert: bool = key(False, "swap black and white: for dark ink on light paper")
    augment: bool = key(False, "imitate other hands in training: for drawings, light ink on dark paper")
    ways: int = key(0, "classes per task; 0: up to 5, as the data allow", least=0)
    shots: int = key(0, "examples per class; 0: up to 5, as the smallest class allows", least=0)
    query: int = key(0, "query images per class; 0: up to 5, as the smallest class allows", least=0)
    outer_lr: float = key(0.001, "Adam's step size")
    meta_batch: int = key(4, "tasks per iteration", least=1)
    tasks: int = key(600, "test tasks", least=2)
    split_seed: int = key(0, "which classes are kept for testing", least=0)
    splits: int = key(0, "divisions of the classes, a training each; 0: 5 for fewer than 50 classes", least=0, before=1)


def pictures(config: Config, run: Run) -> tm.tasks.ImageClasses:
    """The user's classes of two pictures or more, or generated ones."""
    if run.data is None:
        return fewshot.invented(alphabets=6, characters=10, hands=10, size=config.size)
    colour: Any = config.colour
    with user_mistakes():
        classes = tm.tasks.load_folder(
            run.data, config.size, colour, config.invert, tell=run.say_once, progress=run.progress
        )
    enough = classes.counts >= 2
    return replace(classes.select(enough), found=classes.found)


def families(config: Config, run: Run) -> list[tuple[tm.tasks.FewShotImages, tm.tasks.FewShotImages]]:
    """The distributions of training and of test tasks, for each division: classes of the one are not in the other."""
    classes = pictures(config, run)
    if len(classes) < 4:
        raise UserError(
            f"{run.data} holds {len(classes)} classes, and four are needed, two to learn from and two to test on: "
            "add folders of images"
        )

    def draw(names: list[str]) -> list[divisions.Division]:
        if run.resume and run.checkpoint.exists():  # begun by a version that kept no names
            return [divisions.by_number(names)]
        enough = config.ways or (MANY if len(names) >= 2 * MANY else 2)
        return divisions.drawn(names, config.split_seed, config.splits, enough)

    place = {str(name): index for index, name in enumerate(classes.names)}
    parts = [
        [classes.select([place[name] for name in part]) for part in division]
        for division in divisions.divided(run, classes, draw)
    ]
    fewest = int(min(part.counts.min() for division in parts for part in division))
    ways = config.ways or min(MANY, *(len(part) for division in parts for part in division))
    shots = config.shots or max(1, min(MANY, fewest // 2))
    query = config.query or max(1, min(MANY, fewest - shots))
    # Three channels of an image are changed as one.
    redraw = tm.tasks.Augment(shared=int(config.colour == "rgb" and run.data is not None)) if config.augment else None
    how: Options = {"ways": ways, "shots": shots, "query": query, "flatten": False}
    with user_mistakes():
        return [
            (tm.tasks.FewShotImages(train, augment=redraw, **how), tm.tasks.FewShotImages(test, **how))
            for train, test in parts
        ]


def learner(config: Config, ways: int, channels: int) -> tm.meta.ProtoNet:
    image = (channels, config.size, config.size)
    return tm.meta.ProtoNet(ways=ways, network=partial(fewshot.convnet, image=image, pool=True, norm="group"))


def channels(config: Config, run: Run) -> int:
    return 3 if config.colour == "rgb" and run.data is not None else 1


def start(config: Config, run: Run) -> Tree:
    return learner(config, MANY, channels(config, run)).init(np.random.default_rng([run.seed, 1]))


def stages(config: Config, run: Run, found: Found) -> Iterator[tuple[str, Stage]]:
    if run.data is None and not run.purpose:
        run.say("no --data FOLDER was named: learning from generated characters")
    for number, (training, _) in enumerate(families(config, run)):
        learned = learner(config, training.ways, channels(config, run))
        yield stage(number), Stage.of(config, run, learned, training, tm.optim.Adam(config.outer_lr))


def stage(number: int) -> str:
    """The name of what is trained on a division; classify takes the first."""
    return f"split-{number + 1}" if number else ""


def measure(config: Config, run: Run, found: Found) -> Result:
    parts = families(config, run)
    right, pixels = [], []
    for number, (_, testing) in enumerate(parts):
        episodes = testing.sample(run.stage(stage(number)).rng("test"), config.tasks)
        tested = learner(config, testing.ways, channels(config, run))
        # Every image is normalised by itself: asking about all at once is asking about each alone.
        right.append(fewshot.each_right(tested, found[stage(number)], episodes)["accuracy"])
        pixels.append(100 * fewshot.nearest_neighbour(episodes))
    training, testing = parts[0]
    if run.keeps and not run.purpose:
        held = testing.classes
        x = shaped(np.concatenate([rows[:n] for rows, n in zip(held.images, held.counts)]))
        features = calibrate.embedded(found[""], x)
        calibrate.keep(run.folder, features, np.repeat(np.arange(len(held)), held.counts))
    few = len(training.classes) + len(testing.classes) < divisions.FEW
    what = (
        f"over {len(parts)} divisions of the classes, each with a training of its own"
        if len(parts) > 1
        else "over tasks on one division of the classes" + "; another may differ by more: splits=5" * few
    )
    alone = {"of these, the first, over tasks": interval(right[0], "%")} if len(parts) > 1 else {}
    return Result(
        protocol={
            "classes": f"{len(training.classes)} to learn from, {len(testing.classes)} others to test on",
            "task": f"{testing.ways}-way {testing.shots}-shot, {testing.query} query images per class",
            **({} if run.data is None else {"pictures": divisions.summary(run)}),
            "intervals": what,
            "images": f"{config.size}×{config.size}, {config.colour}",
            "learner": "prototypical network, 4 × 3×3×64, pooling, group norm",
            "outer": f"Adam {config.outer_lr}, {config.iterations} iterations of {config.meta_batch} tasks",
            "test tasks": config.tasks,
        },
        metrics={
            "accuracy on new classes": _over(right),
            **alone,
            "nearest neighbour in pixels": _over(pixels),
            "chance": 100 / testing.ways,
        },
        next=f"tinymeta classify {shlex.quote(str(run.folder))} --support FOLDER --query FILE ...",
    )


def shaped(x: Array) -> Array:
    """Images (n, [channels,] height, width) of bytes as (n, channels, height, width) in [0, 1]."""
    values = as_unit_interval(x, np.float32)
    return values if values.ndim == 4 else values[:, None]


def _over(each: list[Array]) -> Interval:
    """One number per task, by division: over divisions if there are several."""
    return interval(each[0] if len(each) == 1 else [tasks.mean() for tasks in each], "%")


draw = curves("Loss on the query set")
recipe = Recipe.trained(Config, stages, measure, draw)
