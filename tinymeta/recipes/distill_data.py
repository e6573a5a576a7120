"""Learning the data: one synthetic image per class, made by back-propagating through training.

Dataset distillation (Wang et al. 2018): the images and the step sizes are learned so that a network which starts
anywhere and sees nothing else classifies real images. What they are compared with is one real image per class,
drawn at random, with the best step size for that; and the mean image of each class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal, NamedTuple

import numpy as np

import tinymeta as tm
from tinymeta.engine.errors import UserError
from tinymeta.engine.typing import Array, Tree
from tinymeta.meta.core.objective import Apart
from tinymeta.meta.tuning.distill_data import Synthetic, Trial, Trials, distillation, distilled
from tinymeta.recipes import fewshot
from tinymeta.recipes.comparison import Comparison, best
from tinymeta.recipes.recipe import Found, Recipe, Result, Run, Stage, curves, key, user_mistakes
from tinymeta.recipes.report import Interval, ahead, interval
from tinymeta.view import plots

CLASSES = 10
LABELS = np.arange(CLASSES)
OURS = "one synthetic image per class"
RATES = (0.02, 0.05, 0.1, 0.2)  # step sizes that training on real images chooses from,
LONGER = 5  # with as many steps as the synthetic ones have, or so many times as many; that
TRIED = 1  # network per set is tried for
DRAWS, MANY = 3, 10  # how often one real image per class is drawn; and how many per class are a further comparison
START = 0.1  # the step sizes before they are learned; the images begin as the mean of every class
COPIES = 20  # how often an Omniglot drawing is drawn again for training, a little different each time


@dataclass(frozen=True)
class Config:
    iterations: int = key(600, "updates of the images", least=0)
    tasks: int = key(6, "sets of ten characters, each distilled by itself", least=2)
    meta_batch: int = key(2, "random networks per set and iteration", least=1)
    networks: int = key(10, "random networks to test with, per set", least=1)
    steps: int = key(10, "training steps on the synthetic images", least=1)
    width: int = key(64, "hidden units", least=1)
    batch: int = key(100, "real images that a network is judged by in training", least=1)
    outer_lr: float = key(0.01, "Adam's step size for images and log step sizes, decaying to 0", least=0)


class Images(NamedTuple):
    """Real images of every set, (sets, classes, instances, 784), with mean 0 and variance 1 in each set."""

    train: Array
    test: Array
    mean: Array  # what was subtracted, and
    deviation: Array  # divided by


def load(config: Config, run: Run, source: str) -> Images:
    """The characters of one source. Hands that draw the test images draw none for training."""
    if source == "glyphs":
        drawn = fewshot.invented(alphabets=config.tasks, characters=CLASSES, hands=100, seed=run.seed).images
        train, test = np.split((drawn / np.float32(255)).reshape(config.tasks, CLASSES, 100, 28, 28), [70], axis=2)
    else:
        with user_mistakes():
            classes = tm.tasks.load_omniglot(run.data)
        if config.tasks * CLASSES > len(classes):
            raise UserError(
                f"Omniglot has {len(classes)} characters, enough for {len(classes) // CLASSES} sets: lower tasks"
            )
        rng = np.random.default_rng([run.seed, 1])
        chosen = rng.permutation(len(classes))[: config.tasks * CLASSES].reshape(config.tasks, CLASSES)
        train, test = np.split(classes.images[chosen] / np.float32(255), [14], axis=2)
        again = np.repeat(train, COPIES, axis=2)
        train = np.concatenate([train, tm.tasks.Augment()(rng, again)], axis=2)
    train, test = (part.reshape(*part.shape[:-2], -1) for part in (train, test))
    mean, deviation = train.mean((1, 2), keepdims=True), train.std((1, 2, 3), keepdims=True)
    return Images((train - mean) / deviation, (test - mean) / deviation, mean, deviation)


def network(config: Config) -> Callable[[np.random.Generator], tm.nn.MLP]:
    return lambda rng: tm.nn.MLP([28 * 28, config.width, CLASSES], rng=rng)


class Sets(NamedTuple):
    """Trials of every set: what `fit` samples from. Leaves are (sets, networks, …)."""

    sets: list[Trials]

    def sample(self, rng: np.random.Generator, tasks: int) -> Trial:
        drawn = [trials.sample(rng, tasks) for trials in self.sets]
        stacked: Trial = tm.tree.map(lambda *leaves: np.stack(leaves), *drawn)
        return stacked


def trials(config: Config, images: Images) -> Sets:
    labels = np.repeat(LABELS, images.train.shape[2])
    flat = [train.reshape(-1, train.shape[-1]) for train in images.train]
    return Sets([Trials(network(config), x, labels, config.batch) for x in flat])


def random_images(config: Config, images: Images, rng: np.random.Generator) -> Array:
    """One real image per class and set: (sets, classes, 784)."""
    some = rng.integers(images.train.shape[2], size=images.train.shape[:2])
    return np.take_along_axis(images.train, some[..., None, None], axis=2)[:, :, 0]


def rates(config: Config, rate: float, times: int = 1) -> tm.Tensor:
    """The logarithm of one step size, for all steps of every set, `times` as many as usual."""
    return tm.full((config.tasks, times * config.steps), np.log(rate), dtype=np.float32)


def stages(config: Config, run: Run, found: Found) -> Iterator[tuple[str, Stage]]:
    """The synthetic images and step sizes of every set, all sets at once, for every source of characters."""
    outer = tm.optim.Adam(tm.optim.schedules.cosine(config.outer_lr, max(config.iterations, 1)))
    for source in ["glyphs"] + ["omniglot"] * (run.data is not None):
        images = load(config, run, source)
        start = Synthetic(tm.tensor(images.train.mean(2)), rates(config, START))
        # The sets have nothing in common, and Adam has no use for the scale: the mean will do for each of them.
        mean = Apart(distillation(tm.meta.classification, LABELS))
        yield source, Stage.of(config, run, mean, trials(config, images), outer, start)


def accuracies(config: Config, run: Run, comparison: Comparison, images: Images, phi: Synthetic) -> dict[str, Interval]:
    """Accuracy on the test images of networks trained on different examples: an interval over the sets."""
    rng = run.rng("test")
    real = {
        "one real image per class": [random_images(config, images, rng) for _ in range(DRAWS)],
        "mean image of each class": [images.train.mean(2)],
        f"{MANY} real images per class": [np.concatenate([random_images(config, images, rng) for _ in range(MANY)], 1)],
    }
    found = {OURS: score(config, run, images, phi)}
    found |= {name: tuned(config, run, comparison, name, images, examples) for name, examples in real.items()}
    return {name: interval(accuracy, "%") for name, accuracy in found.items()} | ahead(found, OURS, "%")


def tuned(config: Config, run: Run, comparison: Comparison, name: str, images: Images, examples: list[Array]) -> Array:
    """The test accuracy of training on real examples, the mean over several draws of them. The step size and number of
    steps are those that are best on all training images, which is more than who has only the examples could do."""
    few = replace(config, networks=TRIED)
    trial = lambda how: score(few, run, images, Synthetic(examples[0], rates(config, *how)), "train").mean()
    chosen = rates(config, *best(comparison.scores(f"{run.name}, {name}", product(RATES, (1, LONGER)), trial)))
    found: Array = np.mean([score(config, run, images, Synthetic(x, chosen)) for x in examples], 0)
    return found


def score(config: Config, run: Run, images: Images, phi: Synthetic, part: Literal["train", "test"] = "test") -> Array:
    """Per cent right of the real images of `part`, for every set the mean over random networks: (sets,)."""
    labels = np.tile(LABELS, phi.examples.shape[1] // CLASSES)
    real: Array = getattr(images, part)
    truth = np.repeat(LABELS, real.shape[2])
    networks = Trials(network(config), real, truth, 1).networks(run.rng(f"networks to {part}"), config.networks)

    def accuracy(theta: Tree, phi: Synthetic, x: object) -> tm.Tensor:
        return tm.nn.accuracy(distilled(tm.meta.classification, phi, labels, theta)(x), truth)

    over_networks = tm.vmap(accuracy, in_axes=(0, None, None))
    flat = real.reshape(len(real), -1, real.shape[-1])
    accuracies: Array = 100 * tm.vmap(over_networks, in_axes=(None, 0, 0))(networks, phi, flat).numpy().mean(1)
    return accuracies


def draw(config: Config, run: Run, found: Found) -> None:
    """Of the first set a real drawing of every class, the mean image, and the synthetic one (grey is 0)."""
    for source, phi in found.items():
        images = load(config, run, source)
        ink = images.train[0] * images.deviation[0, 0] + images.mean[0, 0]
        made = 0.5 + 0.5 * phi.examples.numpy()[0] / np.abs(phi.examples.numpy()[0]).max(1, keepdims=True)
        rows = np.stack([ink[:, 0], ink.mean(1), made]).reshape(3, CLASSES, 28, 28)
        run.draw(f"images-{source}.png", plots.images, rows, rows=["real", "mean", "synthetic"], title=source)
    curves("Loss on real images after training")(config, run, found)


def measure(config: Config, run: Run, found: Found) -> Result:
    comparison = Comparison(run.stage("tuning"), config.iterations)
    columns = {
        source: accuracies(config, run.stage(source), comparison, load(config, run, source), phi)
        for source, phi in found.items()
    }
    metrics = {name: {source: column[name] for source, column in columns.items()} for name in columns["glyphs"]}
    protocol: dict[str, object] = {
        "sets": f"{config.tasks} sets of {CLASSES} characters, each distilled by itself",
        "network": f"784-{config.width}-{CLASSES} ReLU, drawn anew for every training",
        "training": f"{config.steps} steps of gradient descent on all examples, step sizes learned",
        "training on real images": f"step size of {RATES}, {config.steps} or {LONGER * config.steps} steps, whichever "
        "is best on the training images",
        "outer": f"Adam {config.outer_lr}, cosine to 0, {config.iterations} iterations, {config.meta_batch} networks "
        f"and {config.batch} real images each",
        "test": f"images by other hands; mean over {config.networks} random networks (one real image per class: over "
        f"{DRAWS} draws, too); interval over the sets",
    }
    if "omniglot" in columns:
        protocol["Omniglot"] = f"14 of 20 drawers to train on, and {COPIES} distorted copies of each; 6 drawers to test"
    return Result(protocol=protocol, metrics=metrics)


recipe = Recipe.trained(Config, stages, measure, draw)
