"""A drifting stream: today's curve is nearly yesterday's, and each is predicted before its points are told.

Fine-tuning along such a stream has one step size: too small and it lags behind, too large and it forgets or
diverges. Here the first weights and a step size for each weight are meta-learned, by gradients of the losses along
whole streams, and then followed far beyond the length that they were trained on. Every rival starts from weights
of its own and has the best step size that a grid finds on validation streams.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

import tinymeta as tm
from tinymeta.engine.typing import Options, Tree
from tinymeta.meta.stream.online import StartAndPace
from tinymeta.recipes.recipe import Comparison, Found, Recipe, Result, Run, Stage, ahead, best, curves, interval, key
from tinymeta.view import plots
from tinymeta.view.style import COLOURS

TITLES = {"online": "meta-learned weights", "maml": "MAML's weights", "joint": "jointly trained weights"}
OURS = "meta-learned weights and step sizes"
# What a fixed step size is chosen from.
RATES = (0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02)
VALIDATION = 100  # streams to choose it on
CLIP = 10.0  # length of the longest meta-gradient
SHOWN = (1, 5, 20, 60)  # times in the picture of one stream


@dataclass(frozen=True)
class Config:
    iterations: int = key(2000, "meta-iterations", least=0)
    tasks: int = key(300, "test streams", least=2)
    meta_batch: int = key(25, "streams per iteration", least=1)
    times: int = key(30, "length of a stream in training", least=1)
    test_times: int = key(200, "length of a stream in testing", least=1)
    shots: int = key(5, "points told at each time", least=1)
    drift: float = key(0.03, "step of the random walk, as a share of each range", least=0)
    jump: float = key(0.02, "probability that a stream begins anew at a time", least=0)
    alpha: float = key(0.002, "the first step size of every weight", least=1e-8)
    outer_lr: float = key(0.001, "outer step size (Adam); ten times as large for the logarithms of step sizes", least=0)


@dataclass(frozen=True)
class Streams:
    """Streams as arrays: x and y of shape (streams, times, shots, 1)."""

    drifting: tm.tasks.DriftingSinusoids
    times: int

    def sample(self, rng: np.random.Generator, tasks: int) -> Any:
        told = [episode.support for _, episode in islice(self.drifting.episodes(rng, tasks), self.times)]
        return tuple(np.stack(each, 1) for each in zip(*told))


def streams(config: Config, times: int) -> Streams:
    family = tm.tasks.Sinusoids(config.shots, 1)
    return Streams(tm.tasks.DriftingSinusoids(family, config.drift, config.jump), times)


def network(rng: np.random.Generator) -> tm.nn.MLP:
    return tm.nn.MLP([1, 40, 40, 1], rng=rng)


LARGEST = 0.05  # bound of the learned step sizes; a fixed one of 0.02 diverges on some streams
online = tm.meta.OnlineMetaSGD(tm.meta.regression, LARGEST)
fixed = tm.meta.OnlineMetaSGD(tm.meta.regression)  # for the rivals, whose step size is what is written


def start(run: Run) -> tm.nn.MLP:
    """The random weights that all methods begin with."""
    return network(np.random.default_rng([run.seed, 1]))


def with_rate(theta: Tree, rate: float) -> StartAndPace:
    return StartAndPace(theta, tm.tree.full_like(theta, np.log(rate)))


def stages(config: Config, run: Run, found: Found) -> Iterator[tuple[str, Stage]]:
    theta, curves, lr = start(run), tm.tasks.Sinusoids(config.shots, 10), config.outer_lr
    rule, rates = tm.optim.SGD(0.01), StartAndPace(*(tm.tree.full_like(theta, rate) for rate in (lr, 10 * lr)))
    for name, objective, phi, family, rate in (
        ("online", online, with_rate(theta, config.alpha), streams(config, config.times), rates),
        ("maml", tm.meta.MAML(tm.meta.regression, rule=rule), theta, curves, lr),
        ("joint", tm.meta.Joint(tm.meta.regression, rule=rule), theta, curves, lr),
    ):
        # Now and then a stream diverges: Adam on gradients of at most a length.
        outer = tm.optim.Clipped(tm.optim.Adam(rate), partial(tm.optim.clip_by_global_norm, limit=CLIP))
        yield name, Stage.of(config, run, objective, family, outer, phi)


def measure(config: Config, run: Run, found: Found) -> Result:
    methods = {OURS: found["online"]}
    weights = {TITLES[name]: phi.theta if name == "online" else phi for name, phi in found.items()}
    starts = {**weights, "random weights": start(run)}
    for name, rate in tuned(config, run, starts).items():
        methods[f"{name}, step size {rate}"] = with_rate(starts[name], rate)
    test = streams(config, config.test_times).sample(run.rng("test"), config.tasks)
    losses = {name: (online if name == OURS else fixed).losses(phi, test) for name, phi in methods.items()}
    half, trained_for = config.test_times // 2, min(config.times, config.test_times)
    metrics = {
        name: {
            f"sum over {config.test_times} times": interval(each.sum(1)),
            f"mean of the first {trained_for}": interval(each[:, :trained_for].mean(1)),
            f"mean from {half} on": interval(each[:, half:].mean(1)),
        }
        for name, each in losses.items()
    }
    sums = {name: each.sum(1) for name, each in losses.items()}
    metrics |= {name: {f"sum over {config.test_times} times": more} for name, more in ahead(sums, OURS).items()}
    draw_cumulative(run, losses, trained_for)
    draw_one_stream(config, run, methods)
    return Result(
        protocol={
            "stream": f"A sin(x − p), A in [0.1, 5], p in [0, π], drift {config.drift}, jump {config.jump}",
            "online": f"{config.shots} points at a time, predicted before they are told, then one gradient step",
            "network": "1-40-40-1 ReLU",
            "training": f"Adam {config.outer_lr}, {config.iterations} iterations of {config.meta_batch} streams of "
            f"{config.times} times",
            "learned step sizes": f"{config.alpha} at first, below {LARGEST}",
            "fixed step sizes": f"best of {', '.join(map(str, RATES))} on {VALIDATION} validation streams",
            "test": f"{config.tasks} streams of {config.test_times} times",
        },
        metrics=metrics,
    )


def tuned(config: Config, run: Run, starts: dict[str, Tree]) -> dict[str, float]:
    """The step size for each of the first weights that makes the smallest sum of losses on validation streams."""
    validation = streams(config, config.test_times).sample(run.rng("validation"), min(config.tasks, VALIDATION))
    comparison = Comparison(run.stage("tuning"), config.iterations)
    score = lambda theta, rate: fixed.losses(with_rate(theta, rate), validation).mean()
    return {n: best(comparison.scores(n, RATES, partial(score, theta)), least=True) for n, theta in starts.items()}


def draw_cumulative(run: Run, losses: dict[str, Any], trained_for: int) -> None:
    """The loss so far against the time, and up to where streams went in training."""
    lines = {name: dict(enumerate(map(interval, np.cumsum(each, 1).T), 1)) for name, each in losses.items()}
    run.draw(
        "cumulative.png", plots.step_curves, lines, title="Loss along a drifting stream, summed up", marks=False,
        xlabel="time", ylabel="sum of losses so far", ylim=(0, None), span=(1, trained_for, "streams in training"),
    )  # fmt: skip


def draw_one_stream(config: Config, run: Run, methods: dict[str, StartAndPace]) -> None:
    """What two methods predict at a few times of one stream, before they are told the points of that time."""
    x = np.linspace(-5, 5, 200, dtype=np.float32)[:, None]
    met = list(islice(streams(config, 0).drifting.episodes(run.rng("picture"), 1), max(SHOWN) + 1))
    told = tuple(np.stack(each)[:, 0] for each in zip(*(episode.support for _, episode in met)))
    shown = {OURS: methods[OURS], **{name: phi for name, phi in methods.items() if name.startswith("jointly")}}
    views = {}
    for t in SHOWN:
        said, seen = {}, tuple(a[:t] for a in told)
        for name, phi in shown.items():
            theta = (online if name == OURS else fixed).follow(phi.theta, phi.log_alpha, seen)[1]
            said[name] = theta(tm.tensor(x)).numpy()[:, 0]
        last = seen[0][-1, :, 0], seen[1][-1, :, 0]
        views[f"after {t} time{'s' * (t > 1)}"] = met[t][0](x[None])[0, :, 0], last, said
    looks = {name: {"color": colour} for name, colour in zip(shown, COLOURS)}
    names = "true curve", "points told last"
    how: Options = {"names": names, "across": len(SHOWN), "room": 0.075, "columns": 2}
    run.draw("tracking.png", plots.functions, x[:, 0], views, looks, title="One stream, as it drifts", **how)


recipe = Recipe.trained(Config, stages, measure, curves("Loss in training, each its own"))
