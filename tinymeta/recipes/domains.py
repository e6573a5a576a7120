"""Crossing domains: learn from some function families what holds in others (MLDG, Li et al. 2018).

The answer y is a function of u, the same everywhere, seen with noise. Beside u there is a hint: y through a response
that differs between domains. In all training families the response rises, so on their pool the hint is the best part
of the input. In the families of the test it falls, or is even, and what leaned on it is wrong.

All methods fit the same linear model, on trigonometric features of u and the hint, and all choose their step sizes
and weight decay on two further families that are neither trained on nor tested on. Who knows which input to distrust
needs no meta-learning: the pool without the hint is the rival to beat. Every repetition has its own function, domains
and start; all of them are trained at once, by `vmap`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import tinymeta as tm
from tinymeta.engine.errors import UserError
from tinymeta.engine.typing import Options, Tree
from tinymeta.meta.core.objective import Apart
from tinymeta.recipes.comparison import Comparison, best
from tinymeta.recipes.recipe import Found, Recipe, Result, Run, Stage, curves, interval, key
from tinymeta.tasks.episode import Array, Pair
from tinymeta.view import plots

Response = Callable[[Array], Array]

TRAIN: dict[str, Response] = {
    "line": lambda y: y,
    "sinh": np.sinh,
    "tanh": lambda y: 1.3 * np.tanh(y),
    "wavy": lambda y: y + 0.3 * np.sin(3 * y),
}
VALIDATION: dict[str, Response] = {"wave": lambda y: np.cos(3 * y), "nothing": np.zeros_like}
TEST: dict[str, Response] = {"falling": np.negative, "square": np.square, "step down": lambda y: -np.sign(y)}
SLOPES, SEEN = np.linspace(-1.5, 1.5, 25), (0.5, 1.5)  # of the picture, and in training
DEGREE = 4  # of the trigonometric polynomials
HINT_NOISE = 0.05
TITLES = {"mldg": "MLDG", "pool": "the pool", "blind": "the pool, without the hint"}


class Setting(NamedTuple):
    """What a method is trained with; α = 0 is training on the pool."""

    lr: float
    decay: float
    alpha: float = 0.0
    beta: float = 1.0


DECAYS = (0.0, 0.3, 1.0)
POOL = [Setting(lr, decay) for lr in (0.003, 0.01, 0.03, 0.1) for decay in DECAYS]
GRIDS = {  # twelve each
    "pool": POOL,
    "blind": POOL,
    "mldg": [Setting(0.1, decay, alpha, beta) for decay in DECAYS for alpha in (1.0, 1.5) for beta in (3.0, 30.0)],
}


@dataclass(frozen=True)
class Config:
    iterations: int = key(1500, "iterations of each training", least=0)
    tasks: int = key(20, "repetitions, each with its own function, domains and start", least=2)
    domains: int = key(8, "domains to train on", least=2)
    held_out: int = key(4, "of these, domains that MLDG looks ahead to", least=1)
    points: int = key(100, "points per domain", least=1)
    batch: int = key(24, "points per domain and iteration", least=1)
    noise: float = key(0.2, "standard deviation of what no input tells about the answer", least=0)
    test_domains: int = key(50, "domains of each family in testing", least=1)


class World:
    """The functions of all repetitions, and domains in which they are seen; the same for the same seed."""

    def __init__(self, config: Config, seed: int) -> None:
        weights = np.random.default_rng([seed, 2]).standard_normal((config.tasks, 2 * DEGREE))
        self.weights = weights / np.linalg.norm(weights, axis=1, keepdims=True)  # answers of variance 1/2
        self.noise = config.noise

    def domains(self, rng: np.random.Generator, count: int, points: int, responses: Iterable[Response]) -> Pair:
        """Inputs and answers in `count` domains: (repetitions, count, points, features) and (…, 1).

        The response of a domain is one of `responses`, times a strength between 1/2 and 3/2.
        """
        families = list(responses)
        strength = rng.uniform(0.5, 1.5, (len(self.weights), count, 1))
        family = rng.integers(len(families), size=strength.shape)
        u, y = self._answers(rng, count, points)
        hint = strength * np.select([family == k for k in range(len(families))], [r(y) for r in families])
        return self._observed(rng, u, y, hint)

    def slope(self, rng: np.random.Generator, slope: float, points: int) -> Pair:
        """One domain whose response is a line."""
        u, y = self._answers(rng, 1, points)
        return self._observed(rng, u, y, slope * y)

    def _answers(self, rng: np.random.Generator, count: int, points: int) -> Pair:
        u = rng.uniform(-np.pi, np.pi, (len(self.weights), count, points))
        features = np.concatenate([f(k * u[..., None]) for f in (np.sin, np.cos) for k in range(1, DEGREE + 1)], -1)
        y = np.einsum("rdpf,rf->rdp", features, self.weights)
        return features, y + self.noise * rng.standard_normal(y.shape)

    def _observed(self, rng: np.random.Generator, features: Array, y: Array, hint: Array) -> Pair:
        hint = hint + HINT_NOISE * rng.standard_normal(hint.shape)
        x = np.concatenate([features, hint[..., None]], -1)
        return x.astype(np.float32), y[..., None].astype(np.float32)


@dataclass(frozen=True)
class Batches:
    """Draws from fixed training data: all domains in random order, and some points of each."""

    data: Pair
    points: int

    def sample(self, rng: np.random.Generator, tasks: int) -> Pair:
        """`tasks`, how many repetitions, is what the data say."""
        x, y = self.data
        repetitions, domains, points = x.shape[:3]
        order = rng.permuted(np.tile(np.arange(domains), (repetitions, 1)), axis=1)[..., None]
        each = rng.integers(points, size=(repetitions, domains, self.points))
        row = np.arange(repetitions)[:, None, None]
        return x[row, order, each], y[row, order, each]


def training(config: Config, run: Run, data: Pair, setting: Setting) -> Stage:
    """Of the models of all repetitions, which have a leading axis."""
    draws = [tm.nn.Linear(2 * DEGREE + 1, 1, rng=np.random.default_rng([run.seed, 1, k])) for k in range(config.tasks)]
    one: Any = tm.meta.regression
    if setting.alpha:
        one = tm.meta.mldg(one, held_out=config.held_out, alpha=setting.alpha, beta=setting.beta)
    rate = tm.optim.schedules.cosine(setting.lr, max(config.iterations, 1))
    outer, tasks = tm.optim.AdamW(rate, weight_decay=setting.decay), Batches(data, config.batch)
    return Stage.of(config, run, Apart(one), tasks, outer, tm.tree.stack(draws), meta_batch=config.tasks)


def errors(models: Tree, data: Pair) -> Array:
    """Mean squared error of every repetition: (repetitions,)."""
    return tm.vmap(tm.meta.regression)(models, data).numpy()


def seen_families(config: Config, run: Run) -> tuple[Pair, list[Pair]]:
    """The data to train on, and those of every validation family."""
    if config.held_out >= config.domains:
        raise UserError(f"held_out={config.held_out} leaves none of {config.domains} domains: lower it")
    world, rng = World(config, run.seed), run.rng("train")
    data = world.domains(rng, config.domains, config.points, TRAIN.values())
    return data, [world.domains(rng, 20, config.points, [response]) for response in VALIDATION.values()]


def tuned(config: Config, run: Run) -> dict[str, Setting]:
    """The setting of every method whose error on the validation families is least; none where nothing is trained."""
    if run.purpose:
        return {}
    data, validation = seen_families(config, run)

    def error(name: str, setting: Setting) -> float:
        trial = training(config, run, given_to(name, data), setting)
        models = trial.fit(trial.start)
        return float(np.mean([errors(models, given_to(name, family)) for family in validation]))

    comparison = Comparison(run.stage("tuning"), config.iterations)
    scores = {name: comparison.scores(name, grid, partial(error, name)) for name, grid in GRIDS.items()}
    return {name: best(found, least=True) for name, found in scores.items()}


def stages(config: Config, run: Run, found: Found) -> Iterator[tuple[str, Stage]]:
    data, chosen = seen_families(config, run)[0], tuned(config, run)
    for name in TITLES:
        yield name, training(config, run, given_to(name, data), chosen.get(name, Setting(0.01, 0.0)))


def given_to(name: str, data: Pair) -> Pair:
    """What a method sees of the data: all, or all but the hint."""
    x, y = data
    return data if name != "blind" else (np.where(np.arange(x.shape[-1]) < 2 * DEGREE, x, np.float32(0)), y)


def measure(config: Config, run: Run, models: Found) -> Result:
    world, rng = World(config, run.seed), run.rng("test")
    families = {"training families": list(TRAIN.values())} | {name: [response] for name, response in TEST.items()}
    data = {name: world.domains(rng, config.test_domains, config.points, rs) for name, rs in families.items()}
    lines = [world.slope(rng, slope, config.points) for slope in SLOPES]
    seen: dict[str, dict[str, Array]] = {}
    along: dict[str, Any] = {}
    for name, title in TITLES.items():
        model = models[name]
        seen[name] = {family: errors(model, given_to(name, domains)) for family, domains in data.items()}
        along[title] = {slope: interval(errors(model, given_to(name, line))) for slope, line in zip(SLOPES, lines)}
    metrics: dict[str, Any] = {
        TITLES[name]: {family: interval(error) for family, error in row.items()} for name, row in seen.items()
    }
    unseen = {name: np.mean([seen[name][family] for family in TEST], axis=0) for name in seen}
    for name, error in unseen.items():
        metrics[TITLES[name]]["unseen families"] = interval(error)
    for rival in ("pool", "blind"):
        metrics[f"unseen families, MLDG − {TITLES[rival]}"] = interval(unseen["mldg"] - unseen[rival])
    how: Options = {"log": True, "marks": False, "span": (*SEEN, "trained on"), "ylabel": "mean squared error"}
    title, xlabel = "Error where the hint is slope × answer", "slope of the domain's response"
    run.draw("slopes.png", plots.step_curves, along, title=title, xlabel=xlabel, **how)
    return Result(protocol=told(config, tuned(config, run)), metrics=metrics)


def told(config: Config, chosen: Mapping[str, Setting]) -> dict[str, object]:
    """The protocol in words."""
    return {
        "error": "mean squared, per repetition; ± over repetitions",
        "training": f"{config.domains} domains of {config.points} points from the families {', '.join(TRAIN)}",
        "chosen on": f"the families {' and '.join(VALIDATION)}, {len(GRIDS['mldg'])} settings each",
        "test": f"{config.test_domains} domains of each of the families {', '.join(TEST)}",
        "model": f"linear, on a trigonometric basis of degree {DEGREE} and the hint",
        "repetitions": config.tasks,
        "outer": f"AdamW on half a cosine, {config.iterations} iterations of {config.batch} points per domain",
        **{f"chosen for {TITLES[name]}": settled(setting) for name, setting in chosen.items()},
    }


def settled(setting: Setting) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in setting._asdict().items())


recipe = Recipe.trained(Config, stages, measure, curves("Loss on the training families"))
