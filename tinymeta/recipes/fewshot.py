"""What the few-shot image recipes share: characters, networks, the accuracy table, a baseline that learns nothing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np

import tinymeta as tm
from tinymeta.engine.errors import UserError
from tinymeta.engine.typing import Array, Tree
from tinymeta.recipes.report import Interval, interval
from tinymeta.recipes.run import Run

NORMS: dict[str, Any] = {"batch": tm.nn.BatchNorm, "group": partial(tm.nn.GroupNorm, 8)}
CHANNELS = 64
HIDDEN = [256, 128, 64, 64]  # the fully connected network of Finn et al. (2017, § 5.2)
IMAGE = (1, 28, 28)
invented = cache(tm.tasks.glyphs)  # characters for who has no data: the same in training and in testing


def source(config: Any, run: Run) -> str:
    """Where the characters come from: `"omniglot"` or `"glyphs"`, as `config.source` says."""
    if config.source == "omniglot" and run.data is None:
        raise UserError("source=omniglot needs the drawings: name their folder with --data or TINYMETA_DATA")
    return config.source if config.source != "auto" else "omniglot" if run.data else "glyphs"


def mlp(rng: np.random.Generator, outputs: int, *, norm: bool = True) -> tm.nn.MLP:
    """784-256-128-64-64-outputs with ReLU, and batch norm (Finn et al. 2017, § 5.2)."""
    return tm.nn.MLP([IMAGE[1] * IMAGE[2], *HIDDEN, outputs], rng=rng, norm=norm)


def alone(network: object) -> bool:
    """Whether a network looks at every image by itself, so that transductive and inductive are the same."""
    if isinstance(network, tm.nn.BatchNorm):
        return False
    if isinstance(network, tm.nn.Module):
        return all(map(alone, vars(network).values()))
    return all(map(alone, network)) if isinstance(network, (list, tuple)) else True


def convnet(
    rng: np.random.Generator,
    outputs: int | None = None,
    *,
    image: tuple[int, int, int] = IMAGE,
    pool: bool = False,
    halvings: int = 4,
    norm: str = "batch",
) -> tm.nn.ConvNet4:
    """Four convolutions of 64 filters; see `tm.nn.ConvNet4`."""
    shape: Any = {"image": image, "channels": CHANNELS, "pool": pool, "halvings": halvings}
    return tm.nn.ConvNet4(outputs, rng=rng, norm=NORMS[norm], **shape)


def matcher(rng: np.random.Generator, image: tuple[int, int, int] = (1, 56, 56)) -> tm.meta.LocalMatcher:
    """Three residual blocks of up to 128 filters, each place an eighth of the image's side, and their comparison."""
    stem = tm.nn.Conv2d(image[0], 32, 3, rng=rng, stride=2, padding=1, bias=False)
    blocks = [tm.nn.ResidualBlock(*how, rng=rng) for how in ((32, 64, 2), (64, 128, 2), (128, 128, 1))]
    embed = tm.nn.Sequential(stem, tm.nn.GroupNorm(8, 32), tm.nn.relu, *blocks)
    return tm.meta.LocalMatcher(embed, 128, -(-image[1] // 8), rng=rng)


def relation(rng: np.random.Generator, norm: str = "batch") -> tm.meta.Relation:
    """The embedding and the relation module of Sung et al. (2018, § 3.4), for 28×28 images."""

    def block(inputs: int, padding: int, pool: bool) -> tm.nn.Sequential:
        conv = tm.nn.Conv2d(inputs, CHANNELS, 3, rng=rng, padding=padding, bias=False)
        return tm.nn.Sequential(conv, NORMS[norm](CHANNELS), tm.nn.relu, *[halved] * pool)

    embed = tm.nn.Sequential(block(1, 0, True), block(CHANNELS, 0, True), *(block(CHANNELS, 1, False) for _ in "34"))
    maps = tm.nn.Sequential(block(2 * CHANNELS, 1, True), block(CHANNELS, 1, True))  # 5×5, 2×2, 1×1
    scores = tm.nn.MLP([CHANNELS, 8, 1], rng=rng)
    return tm.meta.Relation(embed, tm.nn.Sequential(maps, flat, scores))


def halved(x: tm.Tensor) -> tm.Tensor:
    return tm.nn.max_pool2d(x, 2)


def flat(x: tm.Tensor) -> tm.Tensor:
    y: tm.Tensor = x.reshape((len(x), -1))
    return y


@dataclass(frozen=True)
class Stages:
    """A learner of which only the models after these numbers of steps are measured."""

    learner: tm.meta.Learner
    shown: tuple[int, ...]

    def models(self, phi: Tree, support: Tree) -> list[Any]:
        trail = self.learner.models(phi, support)
        return [trail[k] for k in self.shown]


def columns(learner: tm.meta.Learner) -> dict[str, int]:
    """The columns of a learner's row in the table: numbers of steps, and the place of each among its models."""
    if not isinstance(learner, tm.meta.GradientLearner):
        return {"accuracy": 0}
    last = learner.steps if learner.test_steps is None else learner.test_steps
    return {f"{k} step{'s' * (k != 1)}": k for k in sorted({0, min(learner.steps, last), last})}


def accuracies(
    learner: tm.meta.Learner, phi: Tree, episodes: tm.tasks.Episode, kind: Any = tm.meta.inductive
) -> dict[str, Interval]:
    """A row of the table: the accuracy in per cent, over tasks, `kind` `tm.meta.transductive` or `inductive`."""
    return {name: interval(column, "%") for name, column in each_right(learner, phi, episodes, kind).items()}


def each_right(
    learner: tm.meta.Learner, phi: Tree, episodes: tm.tasks.Episode, kind: Any = tm.meta.inductive
) -> dict[str, Array]:
    """The accuracy in per cent of each task, by column."""
    shown = columns(learner)
    if alone(phi):  # what sees no other image may be asked about all at once, which is the same and faster
        kind = tm.meta.transductive
    stages: Any = Stages(learner, tuple(shown.values()))
    curve = tm.meta.evaluate(stages, kind(tm.nn.accuracy), phi, episodes, compiled=True)
    return {name: 100 * curve[:, k] for k, name in enumerate(shown)}


def nearest_neighbour(episodes: tm.tasks.Episode) -> Any:
    """Accuracy per task of giving each query image the label of the closest support image in pixels."""
    (xs, ys), (xq, yq) = episodes
    xs, xq = xs.reshape(*ys.shape, -1), xq.reshape(*yq.shape, -1)
    distance = (xq**2).sum(-1)[..., None] + (xs**2).sum(-1)[:, None] - 2 * xq @ np.swapaxes(xs, -1, -2)
    guess = np.take_along_axis(ys, distance.argmin(-1), -1)
    return (guess == yq).mean(-1)
