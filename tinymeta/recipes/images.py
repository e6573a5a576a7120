"""Your own pictures: learn from a folder of class folders how to tell new classes apart by a few examples.

    tinymeta run images --data pictures          pictures/cat/1.jpg, pictures/cat/2.png, pictures/dog/1.jpg, ...
    tinymeta classify runs/images-1 --support new --query a.jpg b.jpg          new/fox/1.jpg, new/owl/1.jpg, ...

Some of the classes are kept for testing. The learner is a prototypical network, for it takes any number of new
classes and examples, and every image is normalised by itself. Without --data it learns from generated characters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import tinymeta as tm
from tinymeta.engine.errors import UserError
from tinymeta.engine.typing import Tree
from tinymeta.recipes import fewshot
from tinymeta.recipes.recipe import Found, Recipe, Result, Run, Stage, curves, interval, key, user_mistakes

KEPT = 0.3  # share of the classes that training never sees
MANY = 5  # ways, shots and query images where the data allow as many


@dataclass(frozen=True)
class Config:
    iterations: int = key(1000, "meta-iterations", least=0)
    size: int = key(28, "side in pixels that images are brought to", least=16)
    colour: str = key("grey", "one channel or three", choices=("grey", "rgb"))
    invert: bool = key(False, "swap black and white: for dark ink on light paper")
    augment: bool = key(False, "imitate other hands in training: for drawings, light ink on dark paper")
    ways: int = key(0, "classes per task; 0: up to 5, as the data allow", least=0)
    shots: int = key(0, "examples per class; 0: up to 5, as the smallest class allows", least=0)
    query: int = key(0, "query images per class; 0: up to 5, as the smallest class allows", least=0)
    outer_lr: float = key(0.001, "Adam's step size")
    meta_batch: int = key(4, "tasks per iteration", least=1)
    tasks: int = key(600, "test tasks", least=2)


def pictures(config: Config, run: Run) -> tm.tasks.ImageClasses:
    """The user's classes, or generated ones."""
    if run.data is None:
        return fewshot.invented(alphabets=6, characters=10, hands=10, size=config.size)
    colour: Any = config.colour
    with user_mistakes():
        return tm.tasks.load_folder(
            run.data, config.size, colour, config.invert, tell=run.say_once, progress=run.progress
        )


def families(config: Config, run: Run) -> tuple[tm.tasks.FewShotImages, tm.tasks.FewShotImages]:
    """The distributions of training and of test tasks: classes of the one are not in the other."""
    classes = pictures(config, run)
    if len(classes) < 4:
        raise UserError(
            f"{run.data} holds {len(classes)} classes, and four are needed, two to learn from and two to test on: "
            "add folders of images"
        )
    kept = max(2, round(KEPT * len(classes)))
    parts = tm.tasks.split(classes, "random", np.random.default_rng(0), sizes=(len(classes) - kept, 0, kept))
    fewest = int(classes.counts.min())
    ways = config.ways or min(MANY, kept, len(classes) - kept)
    shots = config.shots or max(1, min(MANY, fewest // 2))
    query = config.query or max(1, min(MANY, fewest - shots))
    # Three channels of an image are changed as one.
    redraw = tm.tasks.Augment(shared=int(config.colour == "rgb" and run.data is not None))
    with user_mistakes():
        return (
            tm.tasks.FewShotImages(
                parts.train, ways, shots, query, flatten=False, augment=redraw if config.augment else None
            ),
            tm.tasks.FewShotImages(parts.test, ways, shots, query, flatten=False),
        )


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
    training, _ = families(config, run)
    learned = learner(config, training.ways, channels(config, run))
    yield "", Stage.of(config, run, learned, training, tm.optim.Adam(config.outer_lr))


def measure(config: Config, run: Run, found: Found) -> Result:
    training, testing = families(config, run)
    episodes = testing.sample(run.rng("test"), config.tasks)
    tested = learner(config, testing.ways, channels(config, run))
    # Every image is normalised by itself: asking about all at once is asking about each alone.
    row = fewshot.accuracies(tested, found[""], episodes, tm.meta.transductive)
    return Result(
        protocol={
            "classes": f"{len(training.classes)} to learn from, {len(testing.classes)} others to test on",
            "task": f"{testing.ways}-way {testing.shots}-shot, {testing.query} query images per class",
            "images": f"{config.size}×{config.size}, {config.colour}",
            "learner": "prototypical network, 4 × 3×3×64, pooling, group norm",
            "outer": f"Adam {config.outer_lr}, {config.iterations} iterations of {config.meta_batch} tasks",
            "test tasks": config.tasks,
        },
        metrics={
            "accuracy on new classes": row["accuracy"],
            "nearest neighbour in pixels": interval(100 * fewshot.nearest_neighbour(episodes), "%"),
            "chance": 100 / testing.ways,
        },
        next=f"tinymeta classify {run.folder} --support FOLDER --query FILE ...",
    )


draw = curves("Loss on the query set")
recipe = Recipe.trained(Config, stages, measure, draw)
