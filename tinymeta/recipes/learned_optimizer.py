"""A learned update rule beside SGD, momentum, RMSProp and Adam (Andrychowicz et al. 2016; Lv, Jiang & Li 2017).

Two rules, an MLP and an LSTM that work on each coordinate by itself, learn on random quadratics and on small
classifiers of Gaussian clusters, in windows of a few steps at all ages up to the training horizon, in coordinates that
are scaled at random. They are tested on quadratics they never saw, in the paper's coordinates and in badly scaled
ones, and on networks that classify drawings: other data, another activation and fourteen times the parameters.

The rivals' step sizes are tuned by grid for each kind of test problem, on validation problems of that kind, by the
loss at the training horizon. The learned rules have nothing to tune and see no such problem.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import tinymeta as tm
from tinymeta.engine.typing import Function, Tree
from tinymeta.optim.optimizer import Optimizer
from tinymeta.recipes.recipe import Comparison, Found, Recipe, Result, Run, Stage, best, interval, key
from tinymeta.view import plots

LEARNED: dict[str, Function] = {"MLP": tm.meta.MLPRule, "LSTM": tm.meta.LSTMRule}
RIVALS: dict[str, tuple[Callable[[Tree], Optimizer], Any]] = {
    "SGD": (lambda lr: tm.optim.SGD(lr), np.geomspace(1e-3, 10, 13)),
    "momentum": (lambda lr: tm.optim.SGD(lr, momentum=0.9), np.geomspace(1e-4, 3.16, 13)),
    "RMSProp": (lambda lr: tm.optim.RMSProp(lr), np.geomspace(1e-4, 1, 13)),
    "Adam": (lambda lr: tm.optim.Adam(lr), np.geomspace(1e-4, 1, 13)),
}
VALIDATION = 32  # problems to tune the rivals on
BEYOND = 5  # how many training horizons the test goes on for
RECORDED = 2  # steps per recorded program in the test


@dataclass(frozen=True)
class Config:
    iterations: int = key(2000, "meta-iterations of each rule", least=0)
    tasks: int = key(100, "test problems of each kind", least=2)
    meta_batch: int = key(32, "quadratics per iteration; a quarter as many classifiers", least=4)
    horizon: int = key(60, "steps that the rules are trained for", least=1)
    window: int = key(20, "steps to differentiate through", least=1)
    scaling: float = key(1.0, "coordinates are scaled by e^±this in training", least=0)
    outer_lr: float = key(0.003, "Adam's step size outside, on half a cosine", least=0)


class Kind(NamedTuple):
    """A kind of problem: `draw(rng, n)` gives first parameters and data of n problems."""

    draw: Callable[[np.random.Generator, int], tuple[Any, Any]]
    loss: Callable[[Tree, Tree], Any]
    share: float = 1.0  # of the meta-batch


class Batch:
    """Problems of one kind at one age: both are part of the program that is recorded for them."""

    def __init__(self, kind: str, warm: int, start: Tree, data: Tree) -> None:
        self.kind, self.warm, self.start, self.data = kind, warm, start, data

    def tree_flatten(self) -> tuple[tuple[str, int], tuple[Tree, Tree]]:
        return (self.kind, self.warm), (self.start, self.data)

    @classmethod
    def tree_unflatten(cls, meta: tuple[str, int], children: Sequence[Tree]) -> Batch:
        return cls(*meta, *children)


def quadratics(rng: np.random.Generator, n: int) -> tuple[Any, Any]:
    family = tm.tasks.Quadratics(10)
    return {"theta": family.start(rng, n)}, family.sample(rng, n).support


def quadratic_loss(params: Tree, data: Tree) -> Any:
    w, y = data
    return tm.mean(tm.square(w @ params["theta"] - y))


def clusters(rng: np.random.Generator, n: int) -> tuple[Any, Any]:
    """Three clouds of 15 points in five dimensions, and 5-8-3 networks with tanh."""
    labels = np.tile(np.arange(3), (n, 15))
    centres = rng.normal(size=(n, 3, 5)) * rng.uniform(0.5, 1.5, (n, 1, 1))
    x = np.take_along_axis(centres, labels[..., None], 1) + rng.normal(size=(n, 45, 5))
    start = tm.tree.stack([tm.nn.MLP([5, 8, 3], rng=rng, activation=tm.tanh) for _ in range(n)])
    return start, (x.astype(np.float32), labels)


def drawings(seed: int) -> Callable[[np.random.Generator, int], tuple[Any, Any]]:
    """Five invented characters, 15 drawings of each at 8 × 8 pixels, and 64-16-5 networks with ReLU."""
    family = tm.tasks.FewShotImages(tm.tasks.glyphs(4, 20, 16, seed=seed, size=8), 5, 15, 1, flatten=True)

    def draw(rng: np.random.Generator, n: int) -> tuple[Any, Any]:
        x, labels = family.sample(rng, n).support
        return tm.tree.stack([tm.nn.MLP([64, 16, 5], rng=rng) for _ in range(n)]), (x.astype(np.float32), labels)

    return draw


def scaled(kind: Kind, amount: float) -> Kind:
    """The kind in coordinates that are each scaled by a random factor from e^−amount to e^amount."""

    def draw(rng: np.random.Generator, n: int) -> tuple[Any, Any]:
        start, data = kind.draw(rng, n)
        factors = tm.tree.map(lambda p: np.exp(rng.uniform(-amount, amount, p.shape)).astype(np.float32), start)
        return tm.tree.map(lambda p, c: np.asarray(p) / c, start, factors), (data, factors)

    return Kind(draw, tm.meta.rescaled(kind.loss), kind.share)


TRAINED_ON = {"quadratics": Kind(quadratics, quadratic_loss), "clusters": Kind(clusters, tm.meta.classification, 0.25)}


@dataclass(frozen=True)
class Windows:
    """What the rules learn on: kinds and ages at random."""

    config: Config

    def sample(self, rng: np.random.Generator, tasks: int) -> Batch:
        name = tuple(TRAINED_ON)[rng.integers(len(TRAINED_ON))]
        kind = scaled(TRAINED_ON[name], self.config.scaling)
        ages = range(0, self.config.horizon, self.config.window)
        start, data = kind.draw(rng, max(int(tasks * kind.share), 1))
        return Batch(name, ages[rng.integers(len(ages))], start, data)


def objective(config: Config, phi: Tree, batch: Batch) -> tm.Tensor:
    """The mean loss of a window of steps from every start."""
    loss = tm.meta.rescaled(TRAINED_ON[batch.kind].loss)
    one = partial(tm.meta.window_loss, warm=batch.warm, steps=config.window)
    each = tm.vmap(lambda phi, start, data: one(phi, loss, start, data), in_axes=(None, 0, 0))
    return each(phi, batch.start, batch.data).mean()


def stages(config: Config, run: Run, found: Found) -> Iterator[tuple[str, Stage]]:
    rate = tm.optim.schedules.cosine(config.outer_lr, max(config.iterations, 1), config.outer_lr / 30)
    outer = tm.optim.Clipped(tm.optim.Adam(rate), partial(tm.optim.clip_by_value, limit=0.1))
    compiled = config.iterations >= 50  # recording some windows takes longer than a few iterations
    for name, rule in LEARNED.items():
        start = rule(run.rng("weights"))
        yield name, Stage.of(config, run, partial(objective, config), Windows(config), outer, start, compiled=compiled)


class Racer:
    """A rule on one kind of problem: `make(setting)`, a few steps of which are recorded once."""

    def __init__(self, kind: Kind, make: Callable[[Tree], Optimizer]) -> None:
        def some(setting: Tree, params: Tree, state: Tree, data: Tree) -> Any:
            return tm.meta.descend(make(setting), kind.loss, params, state, data, RECORDED)

        self.kind, self.make = kind, make
        self.advance = tm.compile(tm.vmap(some, in_axes=(None, 0, 0, 0)))

    def curves(self, setting: Tree, problems: Any, steps: int) -> Any:
        """The loss after 0, 1, …, `steps` steps: (problems, steps + 1)."""
        params, data = problems
        state = tm.vmap(lambda p: self.make(setting).init(p))(params)
        rows = [tm.vmap(self.kind.loss)(params, data).numpy()[:, None]]
        with np.errstate(all="ignore"):  # a grid holds step sizes that diverge
            for _ in range(-(-steps // RECORDED)):
                params, state, losses = self.advance(setting, params, state, data)
                rows.append(losses.numpy())
        return np.concatenate(rows, 1)[:, : steps + 1]


def log10(losses: Any) -> Any:
    """Orders of magnitude, between 10⁻⁶ and 10⁶: what is lower is solved, what is higher or no number, lost."""
    return np.log10(np.clip(np.nan_to_num(losses, nan=1e6), 1e-6, 1e6))


def measure(config: Config, run: Run, rules: Found) -> Result:
    tests = {
        "quadratics": Kind(quadratics, quadratic_loss),
        "badly scaled quadratics": scaled(Kind(quadratics, quadratic_loss), 1.0),
        "classifiers of drawings": Kind(drawings(run.seed), tm.meta.classification),
    }
    metrics: dict[str, Any] = {}
    pictures: dict[str, dict[str, plots.Points]] = {}
    comparison = Comparison(run.stage("tuning"), config.iterations)
    at, late = config.horizon, BEYOND * config.horizon
    for title, kind in tests.items():
        problems = kind.draw(run.rng(f"test {title}"), config.tasks)
        tuning = kind.draw(run.rng(f"tuning {title}"), min(VALIDATION, config.tasks))
        found = {}
        for name, (make, grid) in RIVALS.items():
            racer = Racer(kind, make)
            end = lambda lr, racer=racer, tuning=tuning: log10(racer.curves(lr, tuning, at)[:, -1]).mean()
            rate = best(comparison.scores(f"{title}, {name}", grid.astype(np.float32), end), least=True)
            found[name] = racer.curves(rate, problems, late)
        for name, rule in rules.items():
            found[f"learned, {name}"] = Racer(kind, lambda phi: phi).curves(rule, problems, late)
        strongest = min((log10(found[name][:, at]) for name in RIVALS), key=np.mean)
        for name, losses in found.items():
            row = {f"log₁₀ loss after {k}": interval(log10(losses[:, k])) for k in (at, late)}
            if name not in RIVALS:
                row[f"to the best rival, after {at}"] = interval(log10(losses[:, at]) - strongest)
            metrics[f"{title}: {name}"] = row
        pictures[title] = {name: dict(enumerate(log10(losses).mean(0))) for name, losses in found.items()}
    beyond = at, late, "past the training horizon"
    run.draw("descents.png", plots.curve_panels, pictures, xlabel="steps", ylabel="log₁₀ of the loss", span=beyond)
    return Result(
        protocol={
            "rules": "MLP 9-32-32-4 and LSTM 9-20-20-4 on each coordinate",
            "trained on": "quadratics of 10 dimensions and 5-8-3 classifiers of clusters, "
            f"coordinates scaled by up to e^±{config.scaling:g}",
            "windows": f"{config.window} steps at ages up to {config.horizon}; gradients of the losses are constants",
            "outer": f"Adam {config.outer_lr}, {config.iterations} iterations",
            "rivals": f"13 step sizes each, tuned on {VALIDATION} problems of the kind, {config.horizon} steps",
            "test": f"{config.tasks} problems of each kind; losses below 10⁻⁶ count as 10⁻⁶",
        },
        metrics=metrics,
    )


recipe = Recipe.trained(Config, stages, measure)
