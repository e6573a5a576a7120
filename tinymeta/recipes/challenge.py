"""The Omniglot challenge: 20 characters of one new alphabet, each seen once (Lake, Salakhutdinov & Tenenbaum 2015).

Characters of one alphabet look alike, so this is much harder than the usual 20-way task, whose classes come from
everywhere. It is learned from 30 alphabets (`train=background`) or from five (`small1`, `small2`), and tested on the
20 alphabets of the evaluation set: on the official runs, where `runs` names them, and on many more episodes of
the same kind. The learner is a prototypical network, trained on tasks that look like the test's. Every image is
normalised by itself, so nothing here is transductive. It also means that a test image has one embedding, whatever
the episode: each is computed once, and with one example of each class the answer is the nearest neighbour.

`augment=strokes` draws every image anew by an affine map, a smooth bending and a change of pen, and bends whole
classes into further classes; `affine` leaves out what changes strokes, and `none` takes the drawings as they are.
With `turns=yes` an alphabet turned by quarters is a further alphabet, however its drawings vary. Where training
redraws, so does the test: an image's embedding is the mean over `views` of it, all but one slightly moved.
Several `networks` are trained from one seed after the other; each is reported by itself, and all together, their
embeddings side by side.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

import tinymeta as tm
from tinymeta.engine.typing import Function, Options, Tree
from tinymeta.recipes import fewshot
from tinymeta.recipes.recipe import Found, Recipe, Result, Run, Stage, curves, interval, key, published, user_mistakes
from tinymeta.tasks.images import as_unit_interval

EPISODES, RUNS = "error, within-alphabet episodes", "error, official runs"
GLANCE = tm.tasks.Augment(rotate=5, shear=0.06, scale=0.06, translate=0.6, bend=0.0, pen=0.0)
AT_ONCE = 400  # images embedded at a time


@dataclass(frozen=True)
class Config:
    iterations: int = key(7000, "meta-iterations", least=0)
    source: str = key("auto", "where characters come from", choices=("auto", "omniglot", "glyphs"))
    train: str = key("background", "Omniglot's set to learn from", choices=("background", "small1", "small2"))
    augment: str = key("strokes", "how drawings vary in training", choices=("strokes", "affine", "none"))
    turns: bool = key(False, "count an alphabet turned by a quarter, a half and three quarters as further alphabets")
    runs: str = key("", "the official runs: an archive or a folder of run01, run02, ...")
    ways: int = key(20, "classes per training task", least=2)
    query: int = key(1, "query images per class in training", least=1)
    pool: bool = key(True, "a network that pools (Snell et al. 2017); else stride 2, four times cheaper")
    halvings: int = key(3, "how many of the four blocks halve the image; 3 keeps where features are", choices=(2, 3, 4))
    outer_lr: float = key(0.005, "Adam's step size, falling to 0 on half a cosine")
    meta_batch: int = key(2, "tasks per iteration", least=1)
    tasks: int = key(5000, "test episodes", least=2)
    networks: int = key(1, "networks to train, each from a seed of its own, and to ask together", least=1)
    views: int = key(9, "test: slightly moved copies of an image to embed; one where training redraws none", least=1)


@dataclass(frozen=True)
class Redraw:
    """Every class becomes a similar one, and then every image of it another hand's."""

    affine_only: bool = False

    def __call__(self, rng: np.random.Generator, images: Any) -> Any:
        for change in (tm.tasks.Augment(pen=0.0, shared=1), tm.tasks.Augment()):
            images = (replace(change, bend=0.0, pen=0.0) if self.affine_only else change)(rng, images)
        return images


def redraws(config: Config) -> bool:
    return config.augment in ("strokes", "affine")


def families(config: Config, run: Run) -> tuple[tm.tasks.FewShotImages, tm.tasks.FewShotImages]:
    """The distributions of training tasks and of test episodes, both within one alphabet."""
    redraw = Redraw(affine_only=config.augment == "affine") if redraws(config) else None
    with user_mistakes():
        if fewshot.source(config, run) == "glyphs":
            classes = fewshot.invented(alphabets=16, characters=20, hands=10)
            parts = tm.tasks.split(classes, "groups", np.random.default_rng(0), sizes=(10, 0, 6))
            training, test = parts.train, parts.test
        else:
            part: Any = config.train
            training, test = tm.tasks.load_omniglot(run.data, part), tm.tasks.load_omniglot(run.data, "evaluation")
        tasks = tm.tasks.challenge_tasks(training, config.ways, flatten=False)
        tasks = replace(tasks, query=config.query, augment=redraw, rotations=config.turns)
        return tasks, tm.tasks.challenge_tasks(test, flatten=False)


def learner(config: Config, ways: int) -> tm.meta.ProtoNet:
    shape: Options = {"pool": config.pool, "halvings": config.halvings, "norm": "group"}
    return tm.meta.ProtoNet(ways=ways, network=partial(fewshot.convnet, **shape))


def stages(config: Config, run: Run, found: Found) -> Iterator[tuple[str, Stage]]:
    """One for each network, with a seed of its own."""
    official(config)  # a wrong path is told before the training, not after it
    training, _ = families(config, run)
    rule = tm.optim.Adam(tm.optim.schedules.cosine(config.outer_lr, max(config.iterations, 1)))
    among = learner(config, config.ways)
    for number in range(config.networks):
        stage = Stage.of(config, run, among, training, rule, seed=run.seed + number)
        yield str(number) * (config.networks > 1), stage


def official(config: Config) -> list[tm.tasks.Episode]:
    """The official runs, if the user named them."""
    with user_mistakes():
        return tm.tasks.load_runs(config.runs, flatten=False) if config.runs else []


def embedded(phi: Tree, images: Any, views: int, rng: np.random.Generator) -> Any:
    """The mean embedding of `views` of each image: (..., height, width) to (..., features)."""
    network = tm.compile(lambda phi, x: phi(x))
    pictures = as_unit_interval(images, np.float32).reshape(-1, *fewshot.IMAGE)
    total: Any = 0
    for view in range(views):
        seen = GLANCE(rng, pictures) if view else pictures
        total += np.concatenate([network(phi, seen[i : i + AT_ONCE]).numpy() for i in range(0, len(seen), AT_ONCE)])
    return total.reshape(*images.shape[:-2], -1) / views


def errors(episodes: tm.tasks.Episode) -> Any:
    """Per cent of wrong answers in each task: with one example of each class, its embedding is the prototype."""
    return 100 - 100 * fewshot.nearest_neighbour(episodes)


def exams(config: Config, run: Run) -> dict[str, tuple[list[Any], Function]]:
    """By name: the images to embed, and the function from their features to the errors, one per task."""
    test, runs = families(config, run)[1], official(config)

    def episodes(x: Any) -> Any:
        characters = replace(test.classes, images=x[:, :, None])  # features as images of one row
        return errors(replace(test, classes=characters, flatten=True).sample(run.rng("test"), config.tasks))

    found: dict[str, tuple[list[Any], Function]] = {EPISODES: ([test.classes.images], episodes)}
    if runs:
        (xs, ys), (xq, yq) = tm.tasks.stack(runs)
        found[RUNS] = ([xs, xq], lambda s, q: errors(tm.tasks.Episode((s, ys), (q, yq))))
    return found


def measure(config: Config, run: Run, found: Found) -> Result:
    where, test = fewshot.source(config, run), families(config, run)[1]
    views = config.views if redraws(config) else 1
    metrics: dict[str, Any] = {}
    alone: dict[str, Any] = {}
    for name, (images, judge) in exams(config, run).items():
        each = []
        for number, phi in enumerate(found.values()):
            each.append([embedded(phi, x, views, np.random.default_rng(0)) for x in images])
            alone[f"{name}, seed {run.seed + number} alone"] = interval(judge(*each[-1]), "%")
        together = [np.concatenate(features, axis=-1) for features in zip(*each)]
        metrics[name] = interval(judge(*together), "%")
    metrics |= alone if len(found) > 1 else {}
    pixels = errors(test.sample(run.rng("test"), config.tasks))
    metrics["error, nearest neighbour in pixels"] = interval(pixels, "%")
    size = "30 alphabets" if config.train == "background" else "5 alphabets"
    return Result(
        protocol={
            "characters": f"Omniglot, {config.train} ({size})" if where == "omniglot" else "glyphs, 10 alphabets",
            "task": "20-way within one alphabet, one example of each by one person, one query of each by another",
            "statistics": "inductive",
            "network": f"4 × 3×3×64, {'pooling' if config.pool else 'stride 2'}, {config.halvings} times halved, "
            "group norm",
            "augmentation": config.augment + ", alphabets turned by quarters" * config.turns,
            "views of a test image": views,
            "networks": f"{config.networks}, the squared distances of their features added" if len(found) > 1 else 1,
            "outer": f"Adam {config.outer_lr} on half a cosine, {config.iterations} iterations of "
            f"{config.meta_batch} tasks, {config.ways}-way, {config.query} query images per class",
            "test episodes": config.tasks,
            "official runs": len(official(config)),
        },
        metrics=metrics,
        published=published("challenge", size) if where == "omniglot" else {},
    )


draw = curves("Loss on the query set")
recipe = Recipe.trained(Config, stages, measure, draw)
