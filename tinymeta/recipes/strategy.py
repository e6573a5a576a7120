"""Which update rule for which task: a network that picks from a task's features, against the best rule for all.

The tasks come from four families that want different rules and step sizes: sinusoids, few-shot characters,
quadratics of condition 100, and autoencoders. Every task starts from random weights and has ten steps. The network
is trained on all four at once, the single best rule and step size are chosen by a grid on validation tasks of the
same mixture, and both then meet new tasks, and a family that neither has seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import tinymeta as tm
from tinymeta.engine.typing import Function, Options, Tree
from tinymeta.meta.tuning.strategy import RULES, StrategyNet, fixed, learn
from tinymeta.recipes.recipe import Comparison, Found, Recipe, Result, Run, Stage, interval, key
from tinymeta.view import plots
from tinymeta.view.style import COLOURS

SIDE = 8  # pixels of a character
STARTS = 64  # random first weights of each family to draw from
TRIALS = 2  # pairs of the evolution search
FLOOR, CEILING = 1e-3, 5.0  # of the remaining loss, and of its logarithm
RATES = tuple(np.geomspace(1e-3, 3.0, 13).astype(float))
LEAK = 0.2  # of the score above 1
VALIDATION = 48  # tasks of each family for the grid
UNSEEN = "unseen family"
OURS = {"soft": "strategy network, mixture", "hard": "strategy network, one rule"}


@dataclass(frozen=True)
class Config:
    iterations: int = key(800, "meta-iterations: half for mixtures, then half for hard choices", least=0)
    tasks: int = key(200, "test tasks of each family", least=2)
    meta_batch: int = key(8, "tasks of each family per iteration", least=1)
    steps: int = key(10, "inner steps", least=1)
    every: int = key(5, "inner steps between choices", least=1)
    outer_lr: float = key(0.003, "Adam's step size, falling to 0 on half a cosine", least=0)


class Kind(NamedTuple):
    """A family of tasks with its model and loss."""

    family: Any
    network: Callable[[np.random.Generator], Tree]
    each: Callable[[Tree, Tree], Any]  # (model, batch) → (n,)


class Problems(NamedTuple):
    """Tasks with first weights and the evolution search's trials, family by family."""

    kinds: dict[str, Kind]
    starts: dict[str, Tree]

    def sample(self, rng: np.random.Generator, tasks: int) -> dict[str, Any]:
        """`tasks` of each family: name to (theta, trials, episode)."""
        batch = {}
        for name, kind in self.kinds.items():
            rows = rng.integers(STARTS, size=tasks)
            theta = tm.tree.map(lambda a, rows=rows: a[rows], self.starts[name])
            trials = tm.tree.map(
                lambda a: rng.standard_normal((a.shape[0], TRIALS, *a.shape[1:]), dtype=np.float32), theta
            )
            batch[name] = theta, trials, kind.family.sample(rng, tasks)
        return batch


def squared_error(model: Tree, batch: Tree) -> Any:
    return tm.mean(tm.square(model(batch[0]) - batch[1]), -1)


def cross_entropy(model: Tree, batch: Tree) -> Any:
    return tm.nn.cross_entropy_each(model(batch[0]), batch[1])


def on_a_plane(theta: Tree, batch: Tree) -> Any:
    """The rows of a quadratic |W θ − y|²."""
    return tm.mean(tm.square(batch[0] @ theta["theta"] - batch[1]), -1)


def mlp(*sizes: int) -> Callable[[np.random.Generator], Tree]:
    return partial(tanh_mlp, sizes)


def tanh_mlp(sizes: tuple[int, ...], rng: np.random.Generator) -> tm.nn.MLP:
    return tm.nn.MLP(list(sizes), rng=rng, activation=tm.tanh)


def origin(rng: np.random.Generator) -> dict[str, tm.Tensor]:
    """Where to begin on a quadratic."""
    return {"theta": tm.tensor(rng.standard_normal((10, 1)), np.float32)}


def kinds() -> dict[str, Kind]:
    """The families; the last is not trained on."""
    pixels = SIDE * SIDE
    drawn = tm.tasks.glyphs(alphabets=8, characters=20, hands=10, size=SIDE)
    images = tm.tasks.FewShotImages(drawn, ways=5, shots=3, query=5)
    return {
        "sinusoids": Kind(tm.tasks.Sinusoids(10, 20), mlp(1, 20, 20, 1), squared_error),
        "characters": Kind(images, mlp(pixels, 16, 5), cross_entropy),
        "quadratics": Kind(tm.tasks.Quadratics(10, condition=100.0), origin, on_a_plane),
        "autoencoding": Kind(tm.tasks.Autoencoding(images), mlp(pixels, 12, pixels), squared_error),
        UNSEEN: Kind(tm.tasks.LinearRegressions(20, 20, features=8, noise=0.1), mlp(8, 16, 1), squared_error),
    }


def problems(names: Callable[[str], bool] = lambda name: True) -> Problems:
    chosen = {name: kind for name, kind in kinds().items() if names(name)}
    rng = np.random.default_rng(0)
    draws = {name: [kind.network(rng) for _ in range(STARTS)] for name, kind in chosen.items()}
    return Problems(chosen, {name: tm.tree.stack(models) for name, models in draws.items()})


def remaining(
    kind: Kind, config: Config, choose: Any, hard: bool, theta: Tree, trials: Any, episode: Any
) -> tuple[Any, Any]:
    """The logarithm of the share of the query loss that is left after learning, and the choices made."""
    end, made = learn(choose, kind.each, theta, episode.support, trials, config.steps, config.every, hard)
    before, after = (tm.mean(kind.each(model, episode.query)) for model in (theta, end))
    return tm.log(after / before + FLOOR), made


def objective(kinds_: dict[str, Kind], config: Config, hard: bool, phi: Tree, batch: Tree) -> Any:
    """Its mean over tasks, then families."""
    total: tm.Tensor | float = 0.0
    for name, kind in kinds_.items():
        one = lambda phi, *task, kind=kind: remaining(kind, config, phi, hard, *task)[0]
        scores = tm.vmap(one, in_axes=(None, 0, 0, 0))(phi, *batch[name])
        # Through a diverging task the gradient is large and says little: it counts for less, but it counts.
        total = total + tm.where(scores < 1, scores, 1 + LEAK * (scores - 1)).mean() / len(kinds_)
    return total


def stages(config: Config, run: Run, found: Found) -> Iterator[tuple[str, Stage]]:
    """Mixtures, and hard choices from there."""
    training, iterations = problems(lambda name: name != UNSEEN), config.iterations // 2
    adam = tm.optim.Adam(tm.optim.schedules.cosine(config.outer_lr, max(iterations, 1)))
    outer = tm.optim.Clipped(adam, partial(tm.optim.clip_by_global_norm, limit=1.0))
    phi = StrategyNet(np.random.default_rng([run.seed, 1]))
    judged = {name: kind._replace(family=None) for name, kind in training.kinds.items()}  # the pictures stay here
    for stage in OURS:
        loss = partial(objective, judged, config, stage == "hard")
        yield stage, Stage.of(config, run, loss, training, outer, phi, iterations=iterations)
        phi = found[stage]


def grid(config: Config, comparison: Comparison, name: str, kind: Kind, tasks: Tree) -> Any:
    """The mean score of every rule (rows) with every step size on the tasks of one family."""

    def one(weights: Any, rate: Tree, *task: Any) -> Any:
        return remaining(kind, config, fixed(weights, rate), False, *task)[0]

    scores = tm.compile(tm.vmap(one, in_axes=(None, None, 0, 0, 0)))

    def row(rule: str) -> Any:
        weights = np.eye(len(RULES), dtype=np.float32)[RULES.index(rule)]
        return [held(scores(weights, np.float32(np.log(rate)), *tasks).numpy()).mean() for rate in RATES]

    return np.stack([*comparison.scores(name, RULES, row).values()])


def lowest(table: Any) -> tuple[Any, ...]:
    """The rule and the step size of the lowest score, as indices."""
    return np.unravel_index(table.argmin(), table.shape)


def one_rule(rule: int, rate: int) -> Function:
    """The choice of one rule and one step size for everything."""
    one_hot = tm.tensor(np.eye(len(RULES), dtype=np.float32)[rule])
    return fixed(one_hot, tm.tensor(np.float32(np.log(RATES[rate]))))


def held(scores: Any) -> Any:
    """Scores with divergence counted as a loss that has grown by e⁵, for everyone alike."""
    return np.minimum(np.where(np.isfinite(scores), scores, CEILING), CEILING)


def measure(config: Config, run: Run, found: Found) -> Result:
    every = problems()
    validation, test = (
        every.sample(run.rng(name), n)
        for name, n in (("validation", min(config.tasks, VALIDATION)), ("test", config.tasks))
    )
    comparison = Comparison(run.stage("tuning"), config.iterations)
    tables = {name: grid(config, comparison, name, kind, validation[name]) for name, kind in every.kinds.items()}
    mixture = np.mean([table for name, table in tables.items() if name != UNSEEN], axis=0)
    rule, rate = lowest(mixture)
    title = f"best fixed rule: {RULES[rule]} {RATES[rate]:.2g}"
    scores: dict[str, dict[str, Any]] = {name: {} for name in (*OURS.values(), title, "best fixed rule of each family")}
    picks: dict[str, Any] = {}
    for name, kind in every.kinds.items():
        rivals = {title: one_rule(rule, rate), "best fixed rule of each family": one_rule(*lowest(tables[name]))}
        for row, choose, hard in (
            *((OURS[stage], phi, stage == "hard") for stage, phi in found.items()),
            *((row, choose, False) for row, choose in rivals.items()),
        ):
            score, made = tm.vmap(partial(remaining, kind, config, choose, hard))(*test[name])
            scores[row][name] = held(score.numpy())
            if row in OURS.values():
                shares = made.numpy() > 0 if hard else made.numpy()
                picks[f"{name}, {'hard' if hard else 'soft'}"] = shares.mean((0, 1, 2))
    metrics: dict[str, Any] = {
        row: {**{name: interval(s) for name, s in line.items()}, "the four": interval(together(line))}
        for row, line in scores.items()
    }
    for row in OURS.values():
        metrics[f"{row}, less the best fixed rule"] = {
            **{name: interval(scores[row][name] - scores[title][name]) for name in every.kinds},
            "the four": interval(together(scores[row]) - together(scores[title])),
        }
    draw_picks(run, picks)
    four, xlabel = {row: metrics[row]["the four"] for row in scores}, "log of the loss that remains (less is better)"
    run.draw("scores.png", plots.bars, four, title="The families trained on", xlabel=xlabel)
    return Result(
        protocol={
            "score": f"log(query loss after {config.steps} steps / before + {FLOOR}); lower is better",
            "families": "sinusoids, 1-20-20-1; 5-way 3-shot characters of 8 x 8 pixels, 64-16-5; quadratics in 10 "
            "dimensions, condition 100; autoencoders of characters, 64-12-64",
            "unseen family": "linear regression with 8 features by an 8-16-1 network",
            "rules": ", ".join(RULES),
            "choice": f"per layer, every {config.every} steps, from loss, gradients, curvature and examples (support)",
            "outer": f"Adam {config.outer_lr} on half a cosine, {config.iterations} iterations of "
            f"{config.meta_batch} tasks per family",
            "grid": f"{len(RULES)} rules x {len(RATES)} step sizes on {VALIDATION} validation tasks per family",
            "test tasks": config.tasks,
        },
        metrics=metrics
        | {
            f"picks on {name}": {str(rule): float(share) for rule, share in zip(RULES, row)}
            for name, row in picks.items()
        },
    )


def draw_picks(run: Run, picks: dict[str, Any]) -> None:
    """Shares of the rules, a row for each family and way to choose."""
    shares = np.stack([*picks.values()])
    texts = [[f"{100 * share:.0f}" if share >= 0.2 else "" for share in row] for row in shares]
    look: Options = {"rows": [*picks], "columns": [rule.replace(" ", "\n") for rule in RULES]}
    look |= {"colours": ("white", COLOURS[0]), "span": (0.0, 1.0), "title": "What is picked, per cent"}
    run.draw("strategies.png", plots.cells, [shares], [texts], **look)


def together(line: dict[str, Any]) -> Any:
    """Task by task, the mean over the families trained on."""
    return np.mean([scores for name, scores in line.items() if name != UNSEEN], axis=0)


recipe = Recipe.trained(Config, stages, measure)
