"""Your own pictures: learn from a folder of class folders how to tell new classes apart by a few examples.

    tinymeta run images --data pictures          pictures/cat/1.jpg, pictures/cat/2.png, pictures/dog/1.jpg, ...
    tinymeta classify runs/images-1 --support new --query a.jpg b.jpg          new/fox/1.jpg, new/owl/1.jpg, ...

Some of the classes are kept for testing, and a fifth of the others for choosing: training stops where it no longer
helps on these, and the head that answers best on them answers in the test. The network is trained as a prototypical
network, or to compare pictures place by place (`score=local`: for drawings): both take any number of new classes and
examples, and every image is normalised by itself. In the end, one more network learns from all classes, as long as was
best; that is what `classify` uses. Without --data it learns from generated characters.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import tinymeta as tm
from tinymeta.engine.errors import UserError
from tinymeta.engine.tensor import Array
from tinymeta.engine.typing import Tree
from tinymeta.meta.core.validation import best_at
from tinymeta.recipes import answering, calibrate, divisions, features, fewshot, handmade, heads
from tinymeta.recipes.answering import Answering
from tinymeta.recipes.families import AUGMENTED, MANY, Families, families
from tinymeta.recipes.recipe import Found, Interval, Recipe, Result, Run, Stage, curves, interval, key

LOOKS = 10  # at the validation tasks, in a training
LOOKED_AT = 100  # validation tasks
ALL = "all"  # the stage that learns from all classes


@dataclass(frozen=True)
class Config:
    iterations: int = key(1000, "meta-iterations, at most", least=0)
    size: int = key(28, "side in pixels that images are brought to", least=16, most=512)
    colour: str = key(
        "auto", "one channel or three; auto: as the pictures", choices=("auto", "grey", "rgb"), before="grey"
    )
    invert: bool = key(False, "swap black and white: for dark ink on light paper")
    augment: str = key(
        "auto",
        "vary pictures in training as other hands, or other photographs; auto: photographs if there is colour",
        choices=("auto", "none", *AUGMENTED, "true", "false"),
    )
    score: str = key("pooled", "how pictures are compared: as a whole, or place by place", choices=("pooled", "local"))
    head: str = key(
        "auto",
        "what answers; auto: what validation finds best",
        choices=("auto", *answering.CHOICES),
        before="prototypes",
    )
    patience: int = key(4, "looks at validation tasks without a gain; 0: train to the end", least=0, before=0)
    final: bool = key(True, "train once more, on all classes, for classify", before=False)
    ways: int = key(0, "classes per task; 0: up to 5, as the data allow", least=0)
    shots: int = key(0, "examples per class; 0: up to 5, as the smallest class allows", least=0)
    query: int = key(0, "query images per class; 0: up to 5, as the smallest class allows", least=0)
    outer_lr: float = key(0.001, "Adam's step size", least=0)
    meta_batch: int = key(4, "tasks per iteration", least=1)
    tasks: int = key(600, "test tasks", least=2)
    split_seed: int = key(0, "which classes are kept for testing", least=0)
    splits: int = key(0, "divisions of the classes, a training each; 0: 5 for fewer than 50 classes", least=0, before=1)


def learner(config: Config, ways: int, shape: tuple[int, ...]) -> Any:
    """What learns from pictures of a shape ([channels,] height, width), or from features (1, features)."""
    if shape[-2] == 1:
        return tm.meta.ProtoNet(ways=ways, network=partial(features.Projection, width=shape[-1]))
    image: Any = (*shape[:-2], 1)[:1] + shape[-2:]
    if config.score == "local":
        return tm.meta.LocalMatching(ways=ways, network=partial(fewshot.matcher, image=image))
    return tm.meta.ProtoNet(ways=ways, network=partial(fewshot.convnet, image=image, pool=True, norm="group"))


def shape(config: Config, run: Run) -> tuple[int, ...]:
    """Of the pictures of a run that has begun; where it was not written down, by its keys."""
    coloured, known = config.colour == "rgb" and run.data is not None, divisions.shape(run)
    if known and known[-2] not in (1, config.size):
        raise UserError(f"{run.folder} learned from {known[-2]} pixels, and its config.json says size={config.size}")
    return known or (*([3] * coloured), config.size, config.size)


def start(config: Config, run: Run) -> Tree:
    return learner(config, MANY, shape(config, run)).init(np.random.default_rng([run.seed, 1]))


def stages(config: Config, run: Run, found: Found) -> Iterator[tuple[str, Stage]]:
    if run.data is None and not run.purpose:
        run.say("no --data FOLDER was named: learning from generated characters")
    if config.score == "local" and config.head not in ("auto", answering.PLACES):
        raise UserError(f"score=local compares places, and head={config.head} asks for an embedding: leave one out")
    looks = config.score == "local" or config.head == "edges"
    if looks and run.data is not None and run.data.suffix == features.SUFFIX:
        raise UserError("score=local and head=edges look at pictures, and these are features: leave them out")
    parts = families(config, run)

    def of(training: tm.tasks.FewShotImages, **how: Any) -> Stage:
        learned = learner(config, training.ways, shape(config, run))
        return Stage.of(config, run, learned, training, tm.optim.Adam(config.outer_lr), **how)

    for number, part in enumerate(parts):
        yield stage(number), of(part.training, validation=part.validation and watch(config, part.validation))
    if config.final:
        first = run.stage(stage(0)).checkpoint
        best = best_at(first) if parts[0].validation and first.exists() else config.iterations
        yield ALL, of(parts[0].whole, iterations=best)


def stage(number: int) -> str:
    """The name of what is trained on a division."""
    return f"split-{number + 1}" if number else ""


def watch(config: Config, held: tm.tasks.FewShotImages) -> tm.meta.Validation:
    """What training is stopped by: the accuracy on tasks of the validation classes."""
    shown, tasks = heads.drawn(held, np.random.default_rng(0), LOOKED_AT)

    def score(phi: Tree) -> float:
        asked = Answering(phi, unchosen(config))
        return float(asked.right(asked.features(shown), tasks).mean())

    return tm.meta.Validation(score, every=max(1, config.iterations // LOOKS), patience=config.patience)


def allowed(config: Config) -> tuple[str, ...]:
    """The heads to choose from; without a choice, prototypes if they are among them."""
    if config.score == "local":
        return (answering.PLACES,)
    return answering.CHOICES if config.head == "auto" else (config.head,)


def unchosen(config: Config) -> str:
    """The head before one is chosen, on what learns: what may stand beside the embedding doesn't."""
    first = allowed(config)[0]
    return "logistic" if first in answering.BESIDE else first


def answers(config: Config, run: Run, found: Found, parts: list[Families]) -> dict[str, Answering]:
    """The head of every division, chosen on its validation tasks when the run ended."""
    chosen: dict[str, Answering] = {}
    for number, part in enumerate(parts):
        name = stage(number)
        kept = answering.kept(run, name, found[name]) if run.purpose else None
        if kept is None:
            among = allowed(config) if part.validation or config.head != "auto" else allowed(config)[:1]
            kept = answering.chosen(found[name], among, part.validation or part.training, run.stage(name).rng("head"))
        chosen[name] = kept
    if not run.purpose:
        answering.keep(run, chosen)
    return chosen


def measure(config: Config, run: Run, found: Found) -> Result:
    parts = families(config, run)
    chosen = answers(config, run, found, parts)
    each = []
    for (name, answering_), part in zip(chosen.items(), parts):
        shown, tasks = heads.drawn(part.testing, run.stage(name).rng("test"), config.tasks)
        learned = answering_.right(answering_.features(shown), tasks)
        each.append({LEARNED: learned, **handmade.rivals(start(config, run), shown, tasks)})
    testing, held, division = parts[0].testing, parts[0].validation, parts[0].division
    if run.keeps and not run.purpose:
        classes = testing.classes
        kept = chosen[stage(0)].features(classes.pictures)
        calibrate.keep(run.folder, kept, np.repeat(np.arange(len(classes)), classes.counts))
    seen = shape(config, run)
    right = {name: [found[name] for found in each] for name in each[0]}
    ahead = {name: [mine - other for mine, other in zip(right[LEARNED], right[name])] for name in right}
    count = sum(map(len, division))
    few = count < divisions.FEW
    what = (
        f"over {len(parts)} divisions of the classes, each with a training of its own"
        if len(parts) > 1
        else "over tasks on one division of the classes" + "; another may differ by more: splits=5" * few
    )
    alone = {"of these, the first, over tasks": interval(right[LEARNED][0], "%")} if len(parts) > 1 else {}
    chosen_by = f", {len(division.validation)} to choose by" if held else ""
    return Result(
        protocol={
            "classes": f"{len(division.train)} to learn from{chosen_by}, {len(division.test)} others to test on",
            "task": f"{testing.ways}-way {testing.shots}-shot, {testing.query} query images per class",
            **({} if run.data is None else {"data": divisions.summary(run)}),
            "intervals": what,
            "images": " × ".join(map(str, seen)),
            "learner": LEARNERS["features" if seen[-2] == 1 else config.score],
            "head": ", ".join(sorted({a.head for a in chosen.values()})) + (", chosen by validation" * bool(held)),
            "outer": f"Adam {config.outer_lr}, {config.iterations} iterations of {config.meta_batch} tasks",
            **({"stopped at the best of validation": "after " + ", ".join(best_of(run, parts))} if held else {}),
            **({"for classify": f"one more network, of all {count} classes"} if config.final else {}),
            **({"HOG + colour": handmade.MISSING} if seen[-2] > 1 and not handmade.can_see_edges() else {}),
            "test tasks": config.tasks,
        },
        metrics={
            LEARNED: _over(right.pop(LEARNED)),
            **alone,
            **({"nearest neighbour in pixels": _over(right["pixels, nearest neighbour"])} if seen[-2] > 1 else {}),
            "chance": 100 / testing.ways,
            **{
                name: {"accuracy": _over(its), "the learner minus it": _over(ahead[name])}
                for name, its in right.items()
            },
        },
        next=f"tinymeta classify {shlex.quote(str(run.folder))} --support FOLDER --query FILE ...",
    )


LEARNED = "accuracy on new classes"
LEARNERS = {
    "features": "prototypical network, a linear map of the features with a correction of rank 64",
    "pooled": "prototypical network, 4 × 3×3×64, pooling, group norm",
    "local": "places compared, residual network of 32 to 128 channels, group norm",
}


def best_of(run: Run, parts: list[Families]) -> list[str]:
    """After how many iterations each training was at its best."""
    return [f"{best_at(run.stage(stage(number)).checkpoint):,}" for number in range(len(parts))]


def _over(each: list[Array]) -> Interval:
    """One number per task, by division: over divisions if there are several."""
    return interval(each[0] if len(each) == 1 else [tasks.mean() for tasks in each], "%")


draw = curves("Loss on the query set")
recipe = Recipe.trained(Config, stages, measure, draw, own_data=True)
