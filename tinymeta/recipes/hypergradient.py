"""Step sizes and decays tuned by their own gradient, beside a grid.

Online (Baydin et al. 2018): softmax regression on invented characters with noisy labels, trained once from a step
size that is too small by decades or too large. The grid trains once for each of its step sizes, and is read off at its
best one by the very loss that is compared.

Unrolled (Maclaurin et al. 2015): a step size, its decay over the training and a weight decay for a network that sees
five drawings of each character, chosen by the gradient of the validation loss through all of training; the grid over
the three chooses by the same validation loss, and both are compared on test images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np

import tinymeta as tm
from tinymeta.engine.typing import Function, Options, Tree
from tinymeta.meta.core.objective import Apart
from tinymeta.optim.optimizer import Optimizer
from tinymeta.recipes.recipe import Comparison, Recipe, Result, Run, Stage, best, curves, interval, key
from tinymeta.view import plots

CHARACTERS, SIDE = 20, 14
HANDS = {"train": 200, "valid": 20, "test": 80}  # drawings of each character
STARTS = (0.001, 0.01, 0.1)
GRID = tuple(10.0 ** (k / 2 - 4) for k in range(11))  # 10⁻⁴ to 10 by half decades
RULES: dict[str, Callable[[Tree], Optimizer]] = {
    "SGD": lambda lr: tm.optim.SGD(lr),
    "momentum": lambda lr: tm.optim.SGD(lr, momentum=0.9),
    "Adam": lambda lr: tm.optim.Adam(lr),
}
FEW = 5  # drawings of each character that the unrolled training sees
SETTINGS = {  # the grid of the unrolled training, in the units of `scheduled`
    "lr": np.log(np.geomspace(0.003, 3.0, 7)),
    "drop": np.array([0.0, 1.0, 2.0, 4.0, 6.0]),
    "decay": np.log(np.geomspace(1e-5, 1e-1, 7)),
}


@dataclass(frozen=True)
class Config:
    iterations: int = key(1000, "steps of an online training; the unrolled one takes a twentieth", least=1)
    seeds: int = key(5, "divisions of the drawings, label noises and first weights to repeat everything with", least=2)
    batch: int = key(200, "examples per step of the online training", least=1)
    flipped: float = key(0.3, "share of the training labels that are drawn anew at random", least=0)
    beta: float = key(0.1, "step size of the step size, online", least=0)
    trainings: int = key(60, "trainings to differentiate through, unrolled", least=0)
    outer_lr: float = key(0.15, "Adam's step size for the logarithms of the hyperparameters, unrolled", least=0)


class Images(NamedTuple):
    """Drawings and labels, with an axis of seeds in front."""

    train: tuple[Any, Any]
    valid: tuple[Any, Any]
    test: tuple[Any, Any]


def characters(config: Config, run: Run) -> Images:
    """The drawings of one alphabet, for every seed divided anew by hand, with other wrong labels."""
    rng = run.rng("characters")
    images = tm.tasks.glyphs(1, CHARACTERS, sum(HANDS.values()), seed=int(rng.integers(2**31)), size=SIDE).images
    parts: dict[str, list[tuple[Any, Any]]] = {name: [] for name in HANDS}
    for _ in range(config.seeds):
        drawn, first = images[:, rng.permutation(images.shape[1])], 0
        for name, hands in HANDS.items():
            x = drawn[:, first : first + hands].reshape(-1, SIDE * SIDE).astype(np.float32) / 255
            y = np.repeat(np.arange(CHARACTERS), hands)
            if name == "train":
                y = np.where(rng.random(len(y)) < config.flipped, rng.integers(CHARACTERS, size=len(y)), y)
            parts[name].append((x, y))
            first += hands
    return Images(*((np.stack(x), np.stack(y)) for x, y in (zip(*part) for part in parts.values())))


def networks(config: Config, run: Run, sizes: list[int]) -> Tree:
    rng = run.rng("weights")
    return tm.tree.stack([tm.nn.MLP(sizes, rng=rng) for _ in range(config.seeds)])


# ------------------------------------------------------------------------------------------------------------ online


def trainings(
    config: Config, run: Run, images: Images, rule: Callable[[Tree], Optimizer], lrs: Tree
) -> tuple[Any, Any]:
    """Train from every step size of `lrs` on every seed, all at once.

    Returns the final loss on all training examples, (lrs, seeds), and the step sizes in force, (steps, lrs, seeds).
    """
    models = networks(config, run, [SIDE * SIDE, CHARACTERS])
    models = tm.tree.stack([models] * len(lrs))
    lrs = np.repeat(np.asarray(lrs, np.float32)[:, None], config.seeds, 1)

    def step(lr: object, model: Tree, state: Tree, batch: Tree) -> Tree:
        model, state = rule(lr).update(tm.grad(tm.meta.classification)(model, batch), state, model)
        return model, state, getattr(state, "phi", lr)

    state = everywhere(lambda lr, model: rule(lr).init(model))(lrs, models)
    advance = tm.compile(everywhere(step, (0, 0, 0, None)))
    rng, course = run.rng("batches"), []
    x, y = images.train
    with np.errstate(all="ignore"):  # the grid holds step sizes that diverge
        for _ in range(config.iterations):
            rows = rng.integers(x.shape[1], size=(config.seeds, config.batch))
            batch = np.take_along_axis(x, rows[..., None], 1), np.take_along_axis(y, rows, 1)
            models, state, now = advance(lrs, models, state, batch)
            course.append(np.array(now))
        return everywhere(tm.meta.classification, (0, None))(models, images.train).numpy(), np.stack(course)


def everywhere(f: Function, axes: object = 0) -> Function:
    """`f` for every step size, which `axes` are for, and every seed."""
    return tm.vmap(tm.vmap(f), in_axes=axes)


def online(config: Config, run: Run, comparison: Comparison, images: Images) -> dict[str, Any]:
    """Each rule with fixed step sizes, with one that tunes itself, and how far above the best of the fixed it ends."""
    rows: dict[str, Any] = {}
    ends: dict[str, dict[str, plots.Points]] = {}
    courses: dict[str, dict[str, plots.Points]] = {}
    at = [int(np.argmin(np.abs(np.log(np.array(GRID) / start)))) for start in STARTS]
    columns, many = [f"from {start:g}" for start in STARTS], f"best of {len(GRID)}"
    for name, rule in RULES.items():
        itself = partial(tm.meta.Hypergradient, rule, beta=config.beta)
        (fixed, _), (tuned, course) = (
            comparison.once(f"{name}, {which}", (0, 0), trainings, config, run, images, how, lrs)
            for which, how, lrs in (("grid", rule, GRID), ("online", itself, STARTS))
        )
        means = dict(zip(GRID, fixed.mean(1)))
        lr = best(means, least=True)
        least = fixed[GRID.index(lr)]
        rows[f"{name}, step size fixed"] = {
            many: interval(least),
            **{column: interval(fixed[k]) for column, k in zip(columns, at)},
        }
        rows[f"{name}, tuned online"] = {column: interval(line) for column, line in zip(columns, tuned)}
        rows[f"{name}, online above {many}"] = {
            column: interval(100 * (line / least - 1), "%") for column, line in zip(columns, tuned)
        }
        ends[name] = {
            "fixed": {rate: mean for rate, mean in means.items() if mean < 2 * means[lr]},
            "tuned online, by its start": dict(zip(STARTS, tuned.mean(1))),
        }
        means_over_seeds = np.exp(np.log(course).mean(-1)).T
        courses[name] = {column: dict(enumerate(line, 1)) for column, line in zip(columns, means_over_seeds)}
        run.say(f"{name}: {many} at {lr:.3g}")
    words: Options = {"xlabel": "first step size", "ylabel": "final training loss", "log": "x"}
    run.draw("ends.png", plots.curve_panels, ends, title="One run against a grid", marks=True, **words)
    words = {"xlabel": "training step", "ylabel": "step size", "log": "xy"}
    run.draw("step-sizes.png", plots.curve_panels, courses, title="Step sizes that tune themselves", **words)
    return rows


# ---------------------------------------------------------------------------------------------------------- unrolled


def scheduled(steps: int, phi: Tree) -> Any:
    """Momentum with the step size exp(lr − drop·t/T) after t of T steps, and the weight decay exp(decay)."""
    lr = lambda taken: tm.exp(phi["lr"] - phi["drop"] * (taken / steps))
    return tm.optim.SGD(lr, momentum=0.9, weight_decay=tm.exp(phi["decay"]))


class Always(NamedTuple):
    """A family of tasks that are always the same ones, a problem for each seed."""

    problems: Tree

    def sample(self, rng: np.random.Generator, tasks: int) -> Any:
        return self.problems


def query_loss(steps: int) -> Any:
    """(φ, problem) ↦ the loss on the problem's query set, trained by the hyperparameters φ."""
    return partial(tm.meta.unrolled, tm.meta.classification, partial(scheduled, steps), steps)


def first_drawings(seeds: int, a: Any) -> Any:
    """The first `FEW` drawings of each character: (seeds, characters · hands, …) → (seeds, characters · FEW, …)."""
    few = a.reshape(seeds, CHARACTERS, -1, *a.shape[2:])[:, :, :FEW]
    return few.reshape(seeds, CHARACTERS * FEW, *a.shape[2:])


def repeated(seeds: int, row: Any) -> dict[str, Any]:
    """One setting of the three hyperparameters for all seeds."""
    return {name: np.full(seeds, value, np.float32) for name, value in zip(SETTINGS, row)}


def unrolled(config: Config, run: Run, comparison: Comparison, images: Images) -> dict[str, Any]:
    """Three hyperparameters by their gradient, and by a grid."""
    steps = max(config.iterations // 20, 1)
    few = tm.tree.map(partial(first_drawings, config.seeds), images.train)
    start = networks(config, run, [SIDE * SIDE, 32, CHARACTERS])
    valid, test = (tm.meta.Problem(start, few, query) for query in (images.valid, images.test))
    measured = tm.compile(tm.vmap(query_loss(steps)))  # of each problem by hyperparameters of its own

    def of_rate(lr: float) -> Any:
        rest = product([lr], *[SETTINGS[name] for name in ("drop", "decay")])
        return [measured(repeated(config.seeds, row), valid).numpy() for row in rest]

    points = np.array([*product(*SETTINGS.values())])
    grid = np.concatenate([*comparison.scores("unrolled", SETTINGS["lr"], of_rate).values()])  # (points, seeds)
    lowest = np.where(np.isfinite(grid), grid, np.inf).argmin(0)  # of each seed
    chosen = {name: points[lowest, k].astype(np.float32) for k, name in enumerate(SETTINGS)}

    begin = repeated(config.seeds, [np.log(0.01), 1.0, np.log(1e-3)])
    adam, budget = tm.optim.Adam(config.outer_lr), {"iterations": config.trainings, "meta_batch": config.seeds}
    stage = Stage.of(config, run, Apart(query_loss(steps)), Always(valid), adam, begin, **budget)
    phi = stage.fit(begin, run=run)
    curves("Three hyperparameters through all of training: validation loss")(config, run, {})
    here, there = measured(phi, test).numpy(), measured(chosen, test).numpy()
    return {
        "unrolled": {"validation": interval(measured(phi, valid).numpy()), "test": interval(here)},
        f"best of {len(points)} settings": {"validation": interval(grid.min(0)), "test": interval(there)},
        f"unrolled above best of {len(points)}": {"test": interval(100 * (here / there - 1), "%")},
    }


def train(config: Config, run: Run) -> Result:
    images = characters(config, run)
    comparison = Comparison(run.stage("online"), config.iterations)
    return Result(
        protocol={
            "data": f"{CHARACTERS} invented characters, {SIDE} x {SIDE} pixels",
            "online": f"softmax regression, {config.iterations} steps of {config.batch} examples, "
            f"{config.flipped:.0%} of the labels drawn at random; the loss of all training examples at the end",
            "online rule": f"relative, β = {config.beta}",
            "grid": "step sizes 10⁻⁴ to 10 by half decades, the best by the compared loss itself",
            "unrolled": f"{SIDE * SIDE}-32-{CHARACTERS} network, {FEW} drawings of each character, momentum 0.9, "
            f"{max(config.iterations // 20, 1)} steps; {config.trainings} trainings, Adam {config.outer_lr}",
            "seeds": f"{config.seeds}, each its own division of the drawings, wrong labels, weights and batches",
        },
        metrics=online(config, run, comparison, images) | unrolled(config, run, comparison, images),
    )


recipe = Recipe(Config, train)
