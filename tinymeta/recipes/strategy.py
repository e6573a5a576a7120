"""Which update rule for which task: a network that picks from a task's features, against the same rules for all.

The tasks come from four families that want different rules and step sizes: sinusoids, few-shot characters,
quadratics of condition 100, and autoencoders. Every task starts from random weights and has ten steps. The network
is trained on all four at once. Its rivals are one mixture of the rules without features, trained in the same way, and
the best single rule and step size, from a grid on validation tasks of the same families. All then meet new tasks,
with characters and first weights that none has seen, and a family that none was trained on. Everything is repeated
with several seeds, and intervals are over these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import tinymeta as tm
from tinymeta.engine.errors import UserError
from tinymeta.engine.typing import Function, Options, Tree
from tinymeta.meta.tuning.strategy import RULES, Mixture, StrategyNet, fixed, known, learn
from tinymeta.recipes.recipe import Comparison, Found, Recipe, Result, Run, Stage, interval, key
from tinymeta.view import plots
from tinymeta.view.style import COLOURS

SIDE = 8  # pixels of a character
TRIALS = 2  # pairs of the evolution search
FLOOR, CEILING = 1e-3, 5.0  # of the remaining loss, and of its logarithm
RATES = tuple(np.geomspace(1e-3, 3.0, 13).astype(float))
VALIDATION = 48  # tasks of each family for the grid
UNSEEN, FIXED = "unseen family", "best fixed rule"
LEARNED = {
    "mixture": "one learned mixture for all",
    "soft": "strategy network, mixture",
    "hard": "strategy network, one rule",
}
OURS = ("soft", "hard")
KNOWN = 64  # tasks of each family that say what its data look like
HARD = 0.3  # of the outer step size, where training begins with what a soft choice learned


@dataclass(frozen=True)
class Config:
    iterations: int = key(300, "of each training: one mixture, mixtures by features, hard choices from there", least=0)
    seeds: int = key(5, "first weights, characters and tasks to repeat everything with", least=2)
    tasks: int = key(100, "test tasks of each family and seed", least=2)
    meta_batch: int = key(8, "tasks of each family per iteration", least=1)
    steps: int = key(10, "inner steps", least=1)
    every: int = key(5, "inner steps between choices", least=1)
    outer_lr: float = key(0.01, "Adam's step size, falling to 0 on half a cosine", least=0)


class Kind(NamedTuple):
    """A family of tasks with its model and loss."""

    family: Any
    network: Callable[[np.random.Generator], Tree]
    each: Callable[[Tree, Tree], Any]  # (model, batch) → (n,)


class Problems(NamedTuple):
    """Tasks with first weights and the evolution search's trials, family by family."""

    kinds: dict[str, Kind]

    def sample(self, rng: np.random.Generator, tasks: int) -> dict[str, Any]:
        """`tasks` of each family: name to (theta, trials, episode)."""
        batch = {}
        for name, kind in self.kinds.items():
            theta = tm.tree.stack([kind.network(rng) for _ in range(tasks)])
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


def problems(rng: np.random.Generator) -> Problems:
    """The families, with characters that nobody else has; the last is not trained on."""
    pixels = SIDE * SIDE
    drawn = tm.tasks.glyphs(alphabets=8, characters=20, hands=10, size=SIDE, seed=int(rng.integers(2**31)))
    images = tm.tasks.FewShotImages(drawn, ways=5, shots=3, query=5)
    return Problems(
        {
            "sinusoids": Kind(tm.tasks.Sinusoids(10, 20), mlp(1, 20, 20, 1), squared_error),
            "characters": Kind(images, mlp(pixels, 16, 5), cross_entropy),
            "quadratics": Kind(tm.tasks.Quadratics(10, condition=100.0), origin, on_a_plane),
            "autoencoding": Kind(tm.tasks.Autoencoding(images), mlp(pixels, 12, pixels), squared_error),
            UNSEEN: Kind(tm.tasks.LinearRegressions(20, 20, features=8, noise=0.1), mlp(8, 16, 1), squared_error),
        }
    )


def remaining(
    kind: Kind, config: Config, choose: Any, hard: bool, theta: Tree, trials: Any, episode: Any
) -> tuple[Any, Any]:
    """The logarithm of the share of the query loss that is left after learning, and the choices made."""
    end, made = learn(choose, kind.each, theta, episode.support, trials, config.steps, config.every, hard)
    before, after = (tm.mean(kind.each(model, episode.query)) for model in (theta, end))
    return tm.log(after / before + FLOOR), made


def slope(kind: Kind, config: Config, hard: bool, phi: Tree, *task: Any) -> tuple[Any, Tree]:
    """The score on one task and its gradient in φ, shortened to length 1: some are a hundred times as long as others,
    and say no more."""
    score, grads = tm.value_and_grad(lambda phi: remaining(kind, config, phi, hard, *task)[0])(phi)
    return score, tm.optim.clip_by_global_norm(grads, 1.0)


def objective(kinds: dict[str, Kind], config: Config, hard: bool, phi: Tree, batch: Tree) -> Any:
    """The score's mean over tasks, then families; its gradient is the mean of what `slope` finds."""
    here, total = tm.tree.map(tm.stop_gradient, phi), tm.tensor(np.float32(0.0))
    for name, kind in kinds.items():
        scores, slopes = tm.vmap(partial(slope, kind, config, hard), in_axes=(None, 0, 0, 0))(here, *batch[name])
        away = tm.tree.map(lambda p, q: p - q, phi, here)  # 0, but not its derivative
        total = total + scores.mean() + tm.tree.dot(tm.tree.map(lambda g: g.mean(0), slopes), away)
    return total / len(kinds)


def stages(config: Config, run: Run, found: Found) -> Iterator[tuple[str, Stage]]:
    """For every seed one mixture for all, mixtures by features, and hard choices from there."""
    if (run.folder / "checkpoint-soft.npz").exists():
        raise UserError("the step sizes of its network had no bounds, and now they have: train anew, in another folder")
    for k in range(config.seeds):
        seed = 1000 * run.seed + k
        every = problems(np.random.default_rng([seed, 0])).kinds
        training = Problems({name: kind for name, kind in every.items() if name != UNSEEN})
        judged = {name: kind._replace(family=None) for name, kind in training.kinds.items()}  # the pictures stay here
        seen = [episode.support for _, _, episode in training.sample(np.random.default_rng([seed, 1]), KNOWN).values()]
        for stage in LEARNED:
            lr = config.outer_lr * (HARD if stage == "hard" else 1.0)
            adam = tm.optim.Adam(tm.optim.schedules.cosine(lr, max(config.iterations, 1)))
            loss = partial(objective, judged, config, stage == "hard")
            if stage == "soft":
                start: Tree = StrategyNet(np.random.default_rng([seed, 2]), found[f"mixture-{k}"], known(seen))
            else:
                start = Mixture() if stage == "mixture" else found[f"soft-{k}"]
            yield f"{stage}-{k}", Stage.of(config, run, loss, training, adam, start, seed=seed)


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


def repetition(config: Config, run: Run, found: Found, k: int, comparison: Comparison) -> tuple[Any, Any]:
    """One seed's mean test scores, row to family, and shares of the rules."""
    rng, tables = run.rng(f"validation {k}"), {}
    validation = (every := problems(rng)).sample(rng, VALIDATION)
    for name, kind in every.kinds.items():
        tables[name] = grid(config, comparison, f"{name}, seed {k}", kind, validation[name])
    rule = one_rule(*lowest(np.mean([table for name, table in tables.items() if name != UNSEEN], axis=0)))
    scores: dict[str, dict[str, float]] = {}
    picks: dict[str, Any] = {}
    rng = run.rng(f"test {k}")
    test = (every := problems(rng)).sample(rng, config.tasks)
    for name, kind in every.kinds.items():
        rows = {title: (found[f"{stage}-{k}"], stage == "hard") for stage, title in LEARNED.items()}
        rows |= {FIXED: (rule, False), "best fixed rule of each family": (one_rule(*lowest(tables[name])), False)}
        for row, (choose, hard) in rows.items():
            score, made = tm.vmap(partial(remaining, kind, config, choose, hard))(*test[name])
            scores.setdefault(row, {})[name] = float(held(score.numpy()).mean())
            if isinstance(choose, StrategyNet):
                shares = made.numpy() > 0 if hard else made.numpy()
                picks[f"{name}, {'hard' if hard else 'soft'}"] = shares.mean((0, 1, 2))
    for line in scores.values():
        line["the four"] = float(np.mean([score for name, score in line.items() if name != UNSEEN]))
    return scores, picks


def measure(config: Config, run: Run, found: Found) -> Result:
    comparison = Comparison(run.stage("tuning"), config.iterations)
    each, picks = zip(*(repetition(config, run, found, k, comparison) for k in range(config.seeds)))
    scores = {
        row: {name: np.array([seed[row][name] for seed in each]) for name in line} for row, line in each[0].items()
    }
    rivals = [LEARNED["mixture"], FIXED]
    scores |= {
        f"{LEARNED[ours]}, less the {rival.removeprefix('one ')}": {
            name: scores[LEARNED[ours]][name] - scores[rival][name] for name in scores[rival]
        }
        for rival in rivals
        for ours in OURS
    }
    metrics = {row: {name: interval(values) for name, values in line.items()} for row, line in scores.items()}
    draw_picks(run, {name: np.mean([seed[name] for seed in picks], 0) for name in picks[0]})
    four, xlabel = {row: metrics[row]["the four"] for row in each[0]}, "log of the loss that remains (less is better)"
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
            f"{config.meta_batch} tasks per family; hard choices from there with {HARD} of it",
            "grid": f"{len(RULES)} rules x {len(RATES)} step sizes on {VALIDATION} validation tasks per family",
            "intervals": f"over {config.seeds} seeds, each with its own characters, first weights and "
            f"{config.tasks} test tasks per family",
        },
        metrics=metrics,
    )


def draw_picks(run: Run, picks: dict[str, Any]) -> None:
    """Shares of the rules, a row for each family and way to choose."""
    shares = np.stack([*picks.values()])
    texts = [[f"{100 * share:.0f}" if share >= 0.2 else "" for share in row] for row in shares]
    look: Options = {"rows": [*picks], "columns": [rule.replace(" ", "\n") for rule in RULES]}
    look |= {"colours": ("white", COLOURS[0]), "span": (0.0, 1.0), "title": "What is picked, per cent"}
    run.draw("strategies.png", plots.cells, [shares], [texts], **look)


recipe = Recipe.trained(Config, stages, measure)
