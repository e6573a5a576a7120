"""Meta-learning without a label: pseudo-tasks made of unlabelled images prepare for real few-shot tasks.

UMTRA takes single images and their distortions for classes, CACTUs the clusters of an embedding, here of the one
that UMTRA learned. A prototypical network is trained on such tasks alone (the published figures are of MAML); the
test is on real classes that no training image shows, against the same network trained from scratch on the support
set, and against nearest neighbours in pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import tinymeta as tm
from tinymeta.engine.typing import Array, Tree
from tinymeta.meta.learners.pseudo_tasks import Cactus, Umtra, partitions_of
from tinymeta.recipes import fewshot
from tinymeta.recipes.recipe import Comparison, Found, Recipe, Result, Run, Stage, best, curves, key, user_mistakes
from tinymeta.recipes.report import ahead, interval, published
from tinymeta.view import plots

AUGMENT = tm.tasks.Augment(rotate=12, shear=0.15, scale=0.15, translate=1.5, bend=1.0, pen=0.25)
RATES, STEPS = (0.03, 0.1, 0.3), (5, 20)  # step sizes that training from scratch chooses from, and numbers of steps


@dataclass(frozen=True)
class Config:
    iterations: int = key(500, "meta-iterations on each kind of pseudo-task", least=0)
    tasks: int = key(600, "real test tasks", least=2)
    meta_batch: int = key(16, "pseudo-tasks per iteration", least=1)
    source: str = key("auto", "where images come from", choices=("auto", "omniglot", "glyphs"))
    ways: int = key(5, "classes per task", least=2)
    query: int = key(3, "images per pseudo-class to judge by in training", least=1)
    channels: int = key(32, "channels of the four convolutions", least=1)
    clusters: int = key(400, "clusters of each partition for CACTUs", least=5)
    partitions: int = key(8, "partitions for CACTUs", least=1)
    outer_lr: float = key(0.001, "Adam's step size", least=0)


def images(config: Config, run: Run) -> tm.tasks.Split:
    """Characters for training, whose labels nobody looks at, and others for validation and test."""
    rng = np.random.default_rng(0)
    with user_mistakes():
        if fewshot.source(config, run) == "glyphs":
            classes = fewshot.invented(alphabets=30, characters=20, hands=20)
            split = tm.tasks.split(classes, "random", rng, sizes=(440, 60, 100))
        else:
            split = tm.tasks.split(tm.tasks.load_omniglot(run.data), "random", rng)
        real(config, split.validation)  # are there enough classes? Better told before training than after
    return split


def real(config: Config, classes: tm.tasks.ImageClasses) -> tm.tasks.FewShotImages:
    """The tasks that count, with labels."""
    return tm.tasks.FewShotImages(classes, config.ways, 1, 1, flatten=False)


def network(channels: int, rng: np.random.Generator) -> tm.nn.ConvNet4:
    return tm.nn.ConvNet4(rng=rng, channels=channels)


def learner(config: Config) -> tm.meta.ProtoNet:
    return tm.meta.ProtoNet(ways=config.ways, network=partial(network, config.channels))


def unlabelled(split: tm.tasks.Split) -> Array:
    """All training images, (n, height, width) in [0, 1]."""
    drawn = split.train.images
    return drawn.reshape(-1, *drawn.shape[-2:]) / np.float32(255)


def embedded(phi: Tree, x: Array) -> Array:
    """What a network makes of images, 1,000 at a time."""
    parts = [phi(x[i : i + 1000, None]).numpy() for i in range(0, len(x), 1000)]
    return np.concatenate(parts)


def start(config: Config, run: Run) -> Tree:
    return learner(config).init(np.random.default_rng([run.seed, 1]))


def stages(config: Config, run: Run, found: Found) -> Iterator[tuple[str, Stage]]:
    x = unlabelled(images(config, run))
    umtra = Umtra(x, config.ways, config.query, AUGMENT)

    def on(tasks: object) -> Stage:
        return Stage.of(config, run, learner(config), tasks, tm.optim.Adam(config.outer_lr))

    def on_clusters(phi: Tree, **where: Any) -> Any:  # in training alone: the measurement needs no clusters
        rng = run.rng("clusters")
        partitions = partitions_of(rng, embedded(found["UMTRA"], x), config.clusters, config.partitions)
        with user_mistakes():
            cactus = Cactus(x, partitions, config.ways, config.query, AUGMENT)
        draw_tasks(config, run, {"UMTRA": umtra, "CACTUs": cactus})
        return on(cactus).fit(phi, **where)

    yield "UMTRA", on(umtra)
    yield "CACTUs", Stage(start(config, run), on_clusters)


def from_scratch(config: Config, run: Run, validation: tm.tasks.Episode, test: tm.tasks.Episode) -> tuple[Array, str]:
    """Accuracy of a network trained on the support set alone, with the step size and number of steps that are best on
    validation tasks."""
    network = tm.nn.ConvNet4(config.ways, rng=run.rng("from scratch"), channels=config.channels)

    def curve(rate: float, shown: tuple[int, ...], episodes: tm.tasks.Episode) -> Array:
        stages: Any = fewshot.Stages(tm.meta.MAML(rule=tm.optim.SGD(rate), steps=max(shown)), shown)
        return tm.meta.evaluate(stages, tm.meta.inductive(tm.nn.accuracy), network, episodes)

    comparison = Comparison(run.stage("tuning"), config.iterations)
    means = comparison.scores("from scratch", RATES, lambda rate: curve(rate, STEPS, validation).mean(0))
    rate, steps = best({(rate, k): mean for rate in RATES for k, mean in zip(STEPS, means[rate])})
    return curve(rate, (steps,), test)[:, 0], f"SGD {rate}, {steps} steps"


def draw_tasks(config: Config, run: Run, families: dict[str, Any]) -> None:
    """A pseudo-task of each kind: the support image of a class, and its query images."""
    shown, names = [], []
    for name, family in families.items():
        (xs, _), (xq, _) = family.sample(run.rng("picture"), 1)
        size = xs.shape[-2:]
        for way in range(config.ways):
            shown.append(np.concatenate([xs[0, way], xq[0].reshape(config.ways, -1, *size)[way]]))
            names.append(f"{name} {way + 1}")
    run.draw("tasks.png", plots.images, np.stack(shown), rows=names, title="Pseudo-tasks: a class per row")


def measure(config: Config, run: Run, found: Found) -> Result:
    split = images(config, run)
    validation = real(config, split.validation).sample(run.rng("validation"), min(config.tasks, 100))
    test = real(config, split.test).sample(run.rng("test"), config.tasks)
    accuracies = {}
    for name, phi in {**found, "the same network, untrained": start(config, run)}.items():
        accuracies[name] = tm.meta.evaluate(learner(config), tm.meta.inductive(tm.nn.accuracy), phi, test)[:, 0]
    accuracies["from scratch"], how = from_scratch(config, run, validation, test)
    accuracies["nearest neighbour in pixels"] = fewshot.nearest_neighbour(test)
    rights = {name: 100 * accuracy for name, accuracy in accuracies.items()}
    found_out = {name: interval(right, "%") for name, right in rights.items()}
    where, task = fewshot.source(config, run), f"{config.ways}-way 1-shot"
    figures = {name: published("unsupervised", name) for name in found if where == "omniglot"}
    run.draw("accuracy.png", plots.bars, found_out, {"chance": 100 / config.ways}, title=f"{task}, {where}")
    return Result(
        protocol={
            "images": f"{where}, {len(split.train)} characters unlabelled, {len(split.test)} others for the test",
            "task": f"{task}, 1 query image per class, inductive",
            "learner": f"prototypical network, four convolutions of {config.channels} channels",
            "pseudo-tasks": f"UMTRA: an image and its distortions; CACTUs: {config.partitions} partitions of UMTRA's "
            f"embedding into {config.clusters} clusters",
            "training": f"Adam {config.outer_lr}, {config.iterations} iterations of {config.meta_batch} pseudo-tasks",
            "from scratch": f"the same convolutions and a linear layer, {how}, chosen on validation tasks",
            "test tasks": config.tasks,
        },
        metrics={name: {task: accuracy} for name, accuracy in (found_out | ahead(rights, "UMTRA", "%")).items()},
        published={name: {task: there[task]} for name, there in figures.items() if task in there},
    )


recipe = Recipe.trained(Config, stages, measure, curves("Loss on pseudo-tasks"))
