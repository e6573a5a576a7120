"""Forgetting, and a bounded memory of gradients against it.

Tasks come one after the other, never to return, and one network has to hold them all: every task is the same
classification of points with the features in an order of its own. Plain gradient descent follows the task at hand
and undoes what earlier ones need. The memory keeps a few gradients of each task, no example, and its uses turn a
step so that it does not climb the losses of the past. The simplest rival keeps examples, and trains on some of them in
every step (Chaudhry et al. 2019b, "On tiny episodic memories"). (Average accuracy and backward transfer are those of
Lopez-Paz & Ranzato 2017, § 2.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import tinymeta as tm
from tinymeta.engine.typing import Array, Options
from tinymeta.meta.stream.memory import GradientMemory, flat, unflat
from tinymeta.recipes.recipe import Comparison, Recipe, Result, Run, ahead, interval, key
from tinymeta.view import plots
from tinymeta.view.style import COLOURS

RATES = (0.01, 0.03, 0.1, 0.3)  # step sizes that each method may choose from, on validation streams
CLASSES, TEST = 10, 500  # of each task: classes, and examples to measure its accuracy on
PLAIN, MIXED = "no memory", "all tasks mixed, no memory"
REPLAY = {f"replay of {count} examples per task": count for count in (20, 200)}

Turn = Callable[[GradientMemory, Array, int, np.random.Generator], Array]
TURNS: dict[str, Turn] = {
    PLAIN: lambda memory, g, task, rng: g,
    "mean of all tasks": lambda memory, g, task, rng: memory.among_means(g, task),
    "A-GEM": lambda memory, g, task, rng: memory.agem(g, task),
    "PCGrad": lambda memory, g, task, rng: memory.pcgrad(g, task, rng),
    "PCGrad against every gradient": lambda memory, g, task, rng: memory.pcgrad(g, task, rng, each=True),
    "preconditioned": lambda memory, g, task, rng: memory.preconditioned(g, task),
    "preconditioned, then PCGrad": lambda memory, g, task, rng: memory.pcgrad(
        memory.preconditioned(g, task), task, rng, each=True
    ),
    **dict.fromkeys([*REPLAY, MIXED], lambda memory, g, task, rng: g),
}


@dataclass(frozen=True)
class Config:
    iterations: int = key(50, "steps on each task of a stream, each on examples of its own", least=1)
    tasks: int = key(20, "test streams, each with networks of its own", least=2)
    length: int = key(6, "tasks in a stream: the second half are relatives of the first", least=2)
    batch: int = key(10, "examples per step", least=1)
    capacity: int = key(20, "gradients that are kept of each task", least=2)
    features: int = key(32, "features of a point", least=2)
    noise: float = key(1.0, "standard deviation around a class's prototype, whose features have 1", least=0)
    related: float = key(0.7, "share of features that a task has in the same place as its relative", least=0)
    width: int = key(64, "hidden units", least=1)
    validation: int = key(4, "streams to choose step sizes on", least=1)


class Stream(NamedTuple):
    """The examples of all tasks: x (tasks, n, features), y (tasks, n)."""

    x: Array
    y: Array
    test_x: Array
    test_y: Array


class Found(NamedTuple):
    """What became of one network along a stream; with a leading axis, of those along many."""

    accuracy: Array  # in each task after each task: (tasks learned, tasks measured)
    likeness: Array  # cosines of the gradients in memory: (tasks, tasks)
    held: Array  # the memory's bytes after each task: (tasks learned,)


def draw(config: Config, rng: np.random.Generator) -> Stream:
    """The tasks of a stream: task k and task k + length/2 have a share `related` of their features in one place."""
    prototypes = rng.standard_normal((CLASSES, config.features))
    orders: list[Array] = []
    for k in range(config.length):
        relative = k - (config.length + 1) // 2
        order = rng.permutation(config.features) if relative < 0 else orders[relative].copy()
        if relative >= 0:
            moved = np.flatnonzero(rng.random(config.features) >= config.related)
            order[moved] = order[rng.permutation(moved)]
        orders.append(order)

    def observe(n: int) -> tuple[Array, Array]:
        y = rng.integers(CLASSES, size=(config.length, n))
        x = prototypes[y] + config.noise * rng.standard_normal((config.length, n, config.features))
        return np.stack([points[:, order] for points, order in zip(x, orders)]).astype(np.float32), y

    return Stream(*observe(config.iterations * config.batch), *observe(TEST))


slope = tm.compile(tm.grad(tm.meta.classification))


def follow(config: Config, seed: list[int], method: str, rate: float) -> Found:
    """One network along one stream, by one method."""
    rng = np.random.default_rng(seed)
    stream = draw(config, rng)
    network = tm.nn.MLP([config.features, config.width, CLASSES], rng=rng)
    theta, memory = flat(network), GradientMemory(network, config.length, config.capacity)
    accuracy, held = [], []
    for task in range(config.length):
        for begin in range(0, stream.y.shape[1], config.batch):
            some = slice(begin, begin + config.batch)
            batch = mixed(stream, task, some) if method == MIXED else (stream.x[task, some], stream.y[task, some])
            if method in REPLAY and task:
                batch = replayed(rng, stream, task, REPLAY[method], batch)
            g = flat(slope(unflat(theta, network), batch))
            theta = theta - rate * TURNS[method](memory, g, task, rng)
            memory.write(task, g)
        logits = unflat(theta, network)(stream.test_x).numpy()
        accuracy.append((logits.argmax(-1) == stream.test_y).mean(1))
        held.append(memory.nbytes)
    return Found(np.stack(accuracy), memory.similarity(), np.array(held))


def mixed(stream: Stream, task: int, some: slice) -> tuple[Array, Array]:
    """As many examples, from all tasks in turn: what could be had if tasks did not come one after the other."""
    at = np.arange(some.start, some.stop) + task * stream.y.shape[1]
    tasks, examples = at % len(stream.y), at // len(stream.y)
    return stream.x[tasks, examples], stream.y[tasks, examples]


def replayed(
    rng: np.random.Generator, stream: Stream, task: int, kept: int, batch: tuple[Array, Array]
) -> tuple[Array, Array]:
    """The batch of a task, and as many of the last `kept` examples of each task before it."""
    count, length = len(batch[1]), stream.y.shape[1]
    tasks, back = rng.integers(task, size=count), rng.integers(1, min(kept, length) + 1, size=count)
    return np.concatenate([batch[0], stream.x[tasks, -back]]), np.concatenate([batch[1], stream.y[tasks, -back]])


def train(config: Config, run: Run) -> Result:
    outcomes = Comparison(run, config.iterations).of(
        {name: {f"{name}, rate {rate}": (name, rate) for rate in RATES} for name in TURNS},
        partial(follow_all, config),
        like=Found._make(np.zeros(3)),
        score=lambda found: found.accuracy[:, -1].mean(-1).mean(),
        validation=[[run.seed, 2, k] for k in range(min(config.validation, config.tasks))],
        test=[[run.seed, 1, k] for k in range(config.tasks)],
    )
    accuracy = {name: outcome.found.accuracy for name, outcome in outcomes.items()}
    plain = outcomes[PLAIN].found
    draw_forgetting(run, {name: each for name, each in accuracy.items() if name != MIXED})
    draw_similarities(run, plain.likeness.mean(0))
    metrics = {name: columns(each, plain.accuracy) for name, each in accuracy.items()}
    final = {name: 100 * each[:, -1].mean(1) for name, each in accuracy.items()}
    metrics |= {
        name: {"average accuracy": more} for name, more in ahead(final, "PCGrad against every gradient", "%").items()
    }
    chosen = {name: outcome.setting[1] for name, outcome in outcomes.items()}
    return Result(protocol=protocol(config, chosen), metrics=metrics | remembered(config, plain))


def follow_all(config: Config, how: tuple[str, float], seeds: list[list[int]]) -> Found:
    """One network along each of several streams, by a method and a step size."""
    return Found(*map(np.stack, zip(*(follow(config, seed, *how) for seed in seeds))))


def columns(accuracy: Array, other: Array) -> dict[str, Any]:
    """The numbers of a method by its `Found.accuracy`, the last in comparison with the `other`, stream by stream."""
    learned = np.diagonal(accuracy, axis1=1, axis2=2)
    final = accuracy[:, -1]
    line = {
        "average accuracy": interval(100 * final.mean(1), "%"),
        "backward transfer": interval(100 * (final - learned)[:, :-1].mean(1), "%"),
        "when just learned": interval(100 * learned.mean(1), "%"),
    }
    if other is not accuracy:
        line["above no memory"] = interval(100 * (final - other[:, -1]).mean(1), "%")
    return line


def draw_forgetting(run: Run, accuracy: dict[str, Array]) -> None:
    """The mean accuracy in the tasks so far, against their number."""
    lines = {
        name: {k: interval(100 * each[:, k - 1, :k].mean(1)) for k in range(1, each.shape[1] + 1)}
        for name, each in accuracy.items()
    }
    title = "Accuracy in the tasks so far"
    run.draw("forgetting.png", plots.step_curves, lines, title=title, xlabel="tasks learned", band=0.09, height=4.2)


def draw_similarities(run: Run, cosines: Array) -> None:
    """Blue where tasks help each other and orange where they conflict; a task's likeness to itself says nothing."""
    count = len(cosines)
    shown = np.where(np.eye(count, dtype=bool), np.nan, cosines)
    texts = [["" if np.isnan(cosine) else f"{cosine:.2f}" for cosine in line] for line in shown]
    names, reach = [f"task {k + 1}" for k in range(count)], max(float(np.nanmax(np.abs(shown))), 1e-9)
    look: Options = {"rows": names, "columns": names, "colours": (COLOURS[1], "white", COLOURS[0]), "fontsize": 9.5}
    look |= {"span": (-reach, reach), "title": "Cosines of the tasks' mean gradients"}
    run.draw("similarity.png", plots.cells, [shown], [texts], **look)


def remembered(config: Config, found: Found) -> dict[str, Any]:
    """What the memory holds, and how alike it finds tasks that are relatives, and those that are not."""
    half = (config.length + 1) // 2
    relatives = np.eye(config.length, k=half, dtype=bool)
    strangers = np.triu(np.ones_like(relatives), 1) & ~relatives
    return {
        "memory after the first task, MB": found.held[0, 0] / 1e6,
        "memory after the last task, MB": found.held[0, -1] / 1e6,
        "cosine of relatives' gradients": interval(found.likeness[:, relatives].mean(1)),
        "cosine of strangers' gradients": interval(found.likeness[:, strangers].mean(1)),
    }


def protocol(config: Config, chosen: dict[str, float]) -> dict[str, object]:
    share = f"{100 * config.related:.0f} %"
    return {
        "stream": f"{config.length} tasks in turn, {config.iterations} steps of {config.batch} examples on each, "
        "no example seen twice",
        "tasks": f"{CLASSES} Gaussian classes in {config.features} dimensions, features in an order of each task's "
        f"own; the second half of the tasks share {share} of places with one of the first",
        "network": f"{config.features}-{config.width}-{CLASSES} ReLU, one head for all tasks, SGD",
        "memory": f"{config.capacity} gradients per task; replay: the last "
        + ", ".join(
            f"{kept} examples of each ({kept * config.length * config.features * 4e-3:.0f} kB)"
            for kept in REPLAY.values()
        )
        + ", in every step as many as of the task at hand",
        "step sizes": f"{', '.join(f'{name} {rate}' for name, rate in chosen.items())}; best of "
        f"{', '.join(map(str, RATES))} on {min(config.validation, config.tasks)} validation streams",
        "test": f"{config.tasks} streams, {TEST} examples per task",
    }


recipe = Recipe(Config, train)
