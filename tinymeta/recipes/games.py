"""Games whose rules change: a player that has met the rules there are against one that practises from scratch.

Two games: a grid game, in which one colour wins and the other loses and nobody says which, and bandits, where the arm
that pays depends on a lamp in a way that nobody tells. There are two rules of the one and five of the other. MAML (Finn
et al. 2017, algorithm 3) trains a policy in games with rules drawn from these until one step of policy gradient, on a
few episodes, fits it to the rule at hand: it finds out which one holds, and is tested on no other. The rival
begins with random weights and practises ten times as many episodes of the test game itself, by the rule, with the
step size, and in as many steps, as serve it best in validation games.

(Bandits without a lamp would not do: there is nothing to know in advance, and ten times the pulls tell more than
any start.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np

import tinymeta as tm
from tinymeta.engine.typing import Array, Options, Tree
from tinymeta.recipes.recipe import Comparison, Found, Recipe, Result, Run, Stage, best, interval, key
from tinymeta.view import plots

MORE = 10  # how many times as many episodes the rival has
RULES: dict[str, Any] = {
    **{f"SGD {lr}": tm.optim.SGD(lr) for lr in (0.3, 1.0, 3.0, 10.0)},
    **{f"Adam {lr}": tm.optim.Adam(lr) for lr in (0.01, 0.03, 0.1)},
}
ROUNDS = (5, 10, 20)  # into how many steps the rival may divide its practice
VALIDATION = 30  # games to choose the rule and the rounds in
JUDGED = 40  # episodes that a return is the mean of
FURTHER = 4  # steps of the meta-learned policy in the picture; the table has the first


@dataclass(frozen=True)
class Config:
    iterations: int = key(150, "outer steps, for each game", least=0)
    tasks: int = key(200, "test games", least=2)
    meta_batch: int = key(20, "games per iteration", least=1)
    episodes: int = key(10, "episodes of the grid game to adapt on", least=1)
    pulls: int = key(4, "episodes of ten pulls to adapt on", least=1)
    side: int = key(5, "cells along a side of the grid", least=2)
    arms: int = key(5, "arms", least=2)
    lamps: int = key(15, "lamps, which tell the right arm to those who know how", least=1)
    inner_lr: float = key(1.0, "inner step size")
    radius: float = key(0.02, "trust region of an outer step, in KL")
    widths: tuple[int, ...] = key((64, 64), "hidden layers", least=1)


class Facing(tm.tasks.GridGame):
    """The grid game as its player sees it: how far each colour lies below and to the right, and on which side."""

    def observe(self, state: Tree) -> Array:
        away = np.stack(np.divmod(state.cells, self.side), -1) - state.player[..., None, :]
        seen = np.concatenate([away / self.side, np.sign(away)], -1).astype(self.dtype)
        return seen.reshape(*away.shape[:2], -1)


class Game(NamedTuple):
    search: tm.meta.PolicySearch
    title: str
    unit: str  # of returns


def games(config: Config) -> dict[str, Game]:
    grid = Facing(config.side, colours=2, horizon=15, shuffle_buttons=False)
    lamps = tm.tasks.SignalBandits(config.arms, config.lamps)
    sizes = [8, *config.widths, 4], [config.lamps, *config.widths, config.arms]
    return {
        "grid": Game(search(config, grid, sizes[0], config.episodes, 0.95), "grid game", "1 won, −1 lost"),
        "bandits": Game(search(config, lamps, sizes[1], config.pulls, 0.0), "bandits with lamps", "of ten pulls"),
    }


def search(config: Config, where: Any, sizes: list[int], episodes: int, discount: float) -> tm.meta.PolicySearch:
    learner = tm.meta.MAML(
        tm.meta.policy_gradient,
        rule=tm.optim.SGD(config.inner_lr),
        network=lambda rng: tm.meta.CategoricalPolicy(sizes, rng=rng),
    )
    return tm.meta.PolicySearch(where, learner, episodes, discount, config.radius, thin=2, watching=False)


def start(run: Run, game: Game) -> Tree:
    """Random weights: where meta-training begins, and the rival."""
    return game.search.learner.init(np.random.default_rng([run.seed, 1]))


def stages(config: Config, run: Run, found: Found) -> Iterator[tuple[str, Stage]]:
    budget: Options = {"iterations": config.iterations, "tasks": config.meta_batch, "seed": run.seed}
    for name, game in games(config).items():
        yield name, Stage(start(run, game), partial(game.search.fit, **budget))


def measure(config: Config, run: Run, found: Found) -> Result:
    metrics: dict[str, Any] = {}
    curves: dict[str, dict[str, plots.Points]] = {}
    chosen, comparison = [], Comparison(run.stage("tuning"), config.iterations)
    for name, game in games(config).items():
        few, own = game.search.trajectories, run.stage(name)
        rule, rounds = tuned(comparison, own, game, min(config.tasks, VALIDATION))
        chosen.append(f"{game.title} {rule} in {rounds} steps")
        rules = game.search.environment.draw(own.rng("test"), config.tasks)
        scratch = practise(own, game, rules, start(run, game), RULES[rule], rounds, MORE * few // rounds)
        adapted = practise(own, game, rules, found[name], tm.optim.SGD(config.inner_lr), FURTHER, few)
        metrics[f"{game.title}, return"] = {
            "random weights": interval(scratch[0]),
            f"from scratch, {MORE} ×": interval(scratch[-1]),
            "meta-learned": interval(adapted[0]),
            "adapted": interval(adapted[1]),
            "adapted above scratch": interval(adapted[1] - scratch[-1]),
        }
        curves[f"{game.title}: {game.unit}"] = {
            "meta-learned": {few * k: interval(returns) for k, returns in enumerate(adapted)},
            "from scratch": {MORE * few // rounds * k: interval(returns) for k, returns in enumerate(scratch)},
        }
    how: Options = {"xlabel": "episodes practised", "ylabel": "return", "across": 2, "marks": True}
    run.draw("practice.png", plots.curve_panels, curves, **how)
    return Result(
        protocol={
            "grid game": f"{config.side} × {config.side}, 2 colours, one of which wins; at most 15 moves; "
            f"{config.episodes} episodes to adapt on",
            "bandits": f"{config.lamps} lamps, {config.arms} arms, a hidden shift between them; right arm pays at 0.9, "
            f"others at 0.1; {config.pulls} episodes of 10 pulls to adapt on",
            "policy": f"softmax, {'-'.join(map(str, config.widths))} ReLU",
            "inner": f"1 step of policy gradient, size {config.inner_lr}",
            "outer": f"TRPO, radius {config.radius}, {config.iterations} iterations of {config.meta_batch} games",
            "from scratch": f"{MORE} times the episodes: {'; '.join(chosen)}: best of {', '.join(RULES)} in "
            f"{', '.join(map(str, ROUNDS))} steps, on {min(config.tasks, VALIDATION)} validation games",
            "test": f"{config.tasks} games, {JUDGED} episodes each",
        },
        metrics=metrics,
    )


def practise(
    run: Run, game: Game, rules: Any, policy: Tree, rule: Any, rounds: int, episodes: int, *, last: bool = False
) -> Array:
    """The return in each game after 0, 1, …, `rounds` steps of `rule`, each on so many fresh episodes.

    Returns
    -------
    Array
        Shape (rounds + 1, games); with `last`, after the last step alone: (1, games).
    """
    search, rng = game.search, run.rng("practice")
    count = tm.tree.leaves(rules)[0].shape[0]
    policies = tm.tree.map(lambda p: tm.broadcast_to(p, (count, *p.shape)), policy)
    state = tm.vmap(rule.init)(policies)
    climb: Any = lambda policy, state, batch: rule.update(
        tm.grad(tm.meta.policy_gradient)(policy, batch), state, policy
    )
    returns = []
    for k in range(rounds + 1):
        if not last or k == rounds:
            seen = search.act(rng, rules, policies, adapted=True, trajectories=JUDGED)
            returns.append(seen.rewards.sum(-1).mean(-1))
        if k < rounds:
            seen = search.act(rng, rules, policies, adapted=True, trajectories=max(episodes, 1))
            policies, state = tm.vmap(climb)(policies, state, search.steps(seen))
    return np.stack(returns)


def tuned(comparison: Comparison, run: Run, game: Game, tasks: int) -> tuple[str, int]:
    """The rule, and into how many steps to divide the practice, that serve the rival best in validation games."""
    rules = game.search.environment.draw(run.rng("validation"), tasks)
    policy, episodes = start(run, game), MORE * game.search.trajectories

    def score(how: tuple[str, int]) -> Any:
        rule, rounds = how
        return practise(run, game, rules, policy, RULES[rule], rounds, episodes // rounds, last=True).mean()

    chosen: tuple[str, int] = best(comparison.scores(run.name, product(RULES, ROUNDS), score))
    return chosen


recipe = Recipe.trained(Config, stages, measure)
