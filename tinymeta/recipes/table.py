"""Your own table: tasks are its rows by one column, such as a town, a patient or a machine; new ones are learned from
a few rows.

    tinymeta run table --data rents.csv --set task=town target=rent

Three tenths of the tasks are kept for testing. All means and standard deviations are those of the training tasks. The
rivals are linear: with one rule for all tasks, one for each, or for each a change of the one for all, the strength of
which is tuned on training tasks. Without --data it learns from an invented table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import tinymeta as tm
from tinymeta.engine.errors import UserError
from tinymeta.engine.tensor import Array
from tinymeta.io.files import read_json
from tinymeta.recipes import divisions
from tinymeta.recipes.heads import descended, softmax
from tinymeta.recipes.protocols import Protocol
from tinymeta.recipes.recipe import Found, Recipe, Result, Run, Stage, best, curves, key, user_mistakes
from tinymeta.recipes.report import after, interval
from tinymeta.tasks.found import some
from tinymeta.tasks.table import KINDS, TableTasks, load_table

METHOD = partial(Protocol, steps=3, inner_lr=0.05, outer_lr=0.003, meta_batch=16)
ALGORITHMS = {
    "maml": METHOD("MAML"),
    "first-order": METHOD("first-order MAML"),
    "anil": METHOD("ANIL"),
    "meta-sgd": METHOD("Meta-SGD"),
    "joint": METHOD("joint training"),
}
STRENGTHS = (0.001, 0.01, 0.1, 1.0, 10.0)  # of the rivals' decay
SLACK = 0.01  # the share of it that an intercept feels
Rows = tuple[Array, Array]


@dataclass(frozen=True)
class Config:
    iterations: int = key(2000, "meta-iterations", least=0)
    task: str = key("", "the column that names the task")
    target: str = key("", "the column to predict")
    features: tuple[str, ...] = key((), "the columns to predict from; none: all others")
    kind: str = key("auto", "of the target; auto: classification of words, or of two values", choices=KINDS)
    algorithm: str = key("maml", "how to meta-train", choices=tuple(ALGORITHMS))
    shots: int = key(0, "rows of a new task that are known; 0: up to 10, as the smallest task allows", least=0)
    query: int = key(0, "rows to judge by; 0: up to 10, as the smallest task allows", least=0)
    width: int = key(40, "units of the network's two layers", least=1)
    steps: int = key(0, "inner steps; 0: 3", least=0)
    inner_lr: float = key(0.0, "inner step size; 0: 0.05", least=0)
    outer_lr: float = key(0.0, "outer step size; 0: 0.003", least=0)
    meta_batch: int = key(16, "tasks per iteration", least=1)
    split_seed: int = key(0, "which tasks are kept for testing", least=0)
    test_draws: int = key(20, "times that a new task's known rows are drawn", least=1)


def invented() -> dict[str, Any]:
    """Rents of 60 towns: each has its own price of a room, of a metre, and its own best distance from the station."""
    rng, towns, rows = np.random.default_rng(0), 60, 40
    room, metre, place = rng.normal(2, 1, towns), rng.normal(1, 0.5, towns), rng.uniform(0, 3, towns)
    t = np.repeat(np.arange(towns), rows)
    rooms, metres, away = rng.integers(1, 6, len(t)), rng.uniform(20, 120, len(t)), rng.uniform(0, 5, len(t))
    rent = room[t] * rooms + metre[t] * metres / 10 - (away - place[t]) ** 2 + rng.normal(0, 0.5, len(t))
    return {"town": [f"town {k}" for k in t], "rooms": rooms, "metres": metres, "away": away, "rent": rent}


def families(config: Config, run: Run) -> tuple[TableTasks, TableTasks]:
    """Training and test tasks. Raises: UserError for a table that can't be read so, or other rows than at the start."""
    names: Any = {"task": config.task or "town", "target": config.target or "rent"}
    if run.data is not None and not (config.task and config.target):
        raise UserError(
            "a table needs --set task=COLUMN target=COLUMN: which names the task, and which is to be predicted"
        )
    with user_mistakes():
        how: Any = {"features": config.features, "kind": config.kind, "shots": config.shots, "query": config.query}
        whole = load_table(invented() if run.data is None else run.data, **names, **how)
    if len(whole) < 4:
        raise UserError(
            f"column {names['task']!r} names {len(whole)} tasks, and four are needed, two of them to test on"
        )
    file = run.folder / divisions.FILE
    if not file.is_file():
        run.write(divisions.FILE, {"print": whole.print})
    elif read_json(file).get("print") != whole.print:
        raise UserError(f"{run.data} holds other rows than when {run.folder} was begun: put them back, or begin anew")
    train, test = (
        whole.select(part) for part in divisions.drawn([*map(str, whole.names)], config.split_seed, 1, 2)[0][:2]
    )
    return train.standardised(train), test.standardised(train)


def network(rng: np.random.Generator, inputs: int, outputs: int, width: int) -> tm.nn.MLP:
    return tm.nn.MLP([inputs, width, width, outputs], rng=rng)


def learner(config: Config, tasks: TableTasks) -> tm.meta.GradientLearner:
    plan, classes = ALGORITHMS[config.algorithm].asked(config), tasks.classes
    outputs = 1 if classes is None else len(classes)
    draw = partial(network, inputs=len(tasks.columns), outputs=outputs, width=config.width)
    loss = tm.meta.regression if classes is None else tm.meta.classification
    return plan.learner(config.algorithm, loss, config.iterations, network=draw, test_steps=plan.steps)


def stages(config: Config, run: Run, found: Found) -> Iterator[tuple[str, Stage]]:
    if run.data is None and not run.purpose:
        run.say("no --data FILE was named: learning from an invented table of rents")
    train, _ = families(config, run)
    yield (
        "",
        Stage.of(config, run, learner(config, train), train, ALGORITHMS[config.algorithm].asked(config).outer_rule(1)),
    )


def linear(x: Array, y: Array, strength: float, prior: Array) -> Array:
    """W that minimises the loss of x W on rows, plus strength/2 ‖W − prior‖².

    Shapes: x (…, n, features), y (…, n, outputs), one-hot if there are several → (…, features, outputs). For one output
    the loss is the mean square over 2, solved for; for several the mean cross-entropy, by Nesterov's method.
    """
    n, xt = x.shape[-2], np.swapaxes(x, -1, -2)
    decay = strength * np.append(np.ones(x.shape[-1] - 1), SLACK)[:, None]
    square = xt @ x / n
    if y.shape[-1] == 1:
        solved: Array = prior + np.linalg.solve(square + decay * np.eye(x.shape[-1]), xt @ (y - x @ prior) / n)
        return solved
    steep = 0.5 * np.linalg.eigvalsh(square)[..., -1:, None] + strength
    start = np.broadcast_to(prior, (*x.shape[:-2], *prior.shape[-2:]))
    return descended(lambda w: xt @ (softmax(x @ w) - y) / n + decay * (w - prior), start, steep, decay.min())


def rows(tasks: TableTasks, x: Array, y: Array) -> Rows:
    """Rows as the rivals see them: an intercept beside the features, labels one-hot."""
    hot = y if tasks.classes is None else np.eye(len(tasks.classes))[y]
    return np.concatenate([x, np.ones((*x.shape[:-1], 1))], -1).astype(np.float64), hot.astype(np.float64)


def episodes(tasks: TableTasks, rng: np.random.Generator, draws: int) -> tm.tasks.Episode:
    """Each task so many times, with other rows shown: the draws of the first task, then those of the next."""
    return tasks.of(rng, np.repeat(np.arange(len(tasks)), draws))


def error(tasks: TableTasks, predicted: Array, y: Array) -> Array:
    """Of each episode: the mean square, or the share of wrong labels."""
    wrong = (predicted - y) ** 2 if tasks.classes is None else predicted.argmax(-1) != y.argmax(-1)
    found: Array = wrong.reshape(len(wrong), -1).mean(1)
    return found


def guesses(tasks: TableTasks, seen: Rows, asked: Array, pooled: Array, strength: float) -> dict[str, Array]:
    """What the rivals predict, as scores of classes if there are some."""
    (x, y), none = seen, np.zeros_like(pooled)
    name = "ridge" if tasks.classes is None else "logistic regression"
    mean = "the mean of the known rows" if tasks.classes is None else "the commonest label of the known rows"
    return {
        mean: np.broadcast_to(y.mean(-2, keepdims=True), (*asked.shape[:-1], y.shape[-1])),
        f"{name} of all training rows": asked @ pooled,
        f"{name} of the known rows": asked @ linear(x, y, strength, none),
        f"{name} of all, changed by the known rows": asked @ linear(x, y, strength, pooled),
    }


def rivals(config: Config, run: Run, train: TableTasks, shown: tm.tasks.Episode) -> dict[str, Array]:
    """The errors of the rivals on episodes, each with the strength that is best on training tasks.

    What all rows are pooled into is fitted to one half of the training tasks when it is tuned on the other.
    """

    def tried(known: TableTasks, asked: tm.tasks.Episode, strengths: tuple[float, ...]) -> list[dict[str, Array]]:
        seen, (x, y) = (rows(train, *part) for part in asked)
        all_rows, prior = rows(train, *known.shown), np.zeros((x.shape[-1], y.shape[-1]))
        return [
            {n: error(train, p, y) for n, p in guesses(train, seen, x, linear(*all_rows, s, prior), s).items()}
            for s in strengths
        ]

    names = [*map(str, train.names)]
    half, other = train.select(names[::2]), train.select(names[1::2])
    tuned = tried(half, episodes(other, run.rng("tuning"), config.test_draws), STRENGTHS)
    found = tried(train, shown, STRENGTHS)
    chosen = {n: best({k: part[n].mean() for k, part in enumerate(tuned)}, least=True) for n in tuned[0]}
    return {n: found[k][n] for n, k in chosen.items()}


def measure(config: Config, run: Run, found: Found) -> Result:
    train, test = families(config, run)
    plan, learned = ALGORITHMS[config.algorithm].asked(config), learner(config, test)
    shown = episodes(test, run.rng("test"), config.test_draws)
    score: Any = tm.meta.on_query(learned.loss)
    if test.classes is not None:
        score = tm.meta.transductive(lambda outputs, y: 1.0 - tm.nn.accuracy(outputs, y))
    curve = tm.meta.evaluate(learned, score, found[""], shown)
    errors = {f"{plan.title}, before any step": curve[:, 0], f"{plan.title}, {after(plan.steps)}": curve[:, -1]}
    errors |= rivals(config, run, train, shown)

    def by_task(each: Array) -> Array:
        mean = np.asarray(each, np.float64).reshape(len(test), -1).mean(1)
        found: Array = 100 * mean if test.classes is not None else np.sqrt(mean) * test.scale[-1]
        return found

    unit, (mine, *others) = "%" if test.classes is not None else "", list(errors)[1:]
    strongest = best({name: by_task(errors[name]).mean() for name in others}, least=True)
    what = "wrong labels" if test.classes is not None else "root mean square error, in the target's own unit"
    numbers = {name: interval(by_task(each), unit) for name, each in errors.items()}
    return Result(
        protocol={
            "table": f"{len(train)} tasks to learn from, {len(test)} others to test on, {len(train.columns)} features",
            "target": "numbers" if test.classes is None else f"one of {some(map(str, test.classes))}",
            "measured": what,
            "task": f"{test.shots} known rows, {test.query} to predict, drawn {config.test_draws} times",
            "intervals": "over test tasks, each with the mean of its draws",
            "network": f"{len(train.columns)}-{config.width}-{config.width} ReLU",
            "inner": plan.inside(config.algorithm),
            "outer": plan.outside(config.iterations),
            "rivals": f"strength of {', '.join(map(str, STRENGTHS))}, by training tasks",
        },
        metrics={
            **numbers,
            f"{mine} minus {strongest}": interval(by_task(errors[mine]) - by_task(errors[strongest]), unit),
        },
    )


recipe = Recipe.trained(Config, stages, measure, curves("Loss on the query set"), own_data=True)
