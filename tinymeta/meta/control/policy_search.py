"""Meta-reinforcement learning: policies that one step of policy gradient improves (Finn et al. 2017, § 3.2).

Per iteration (ibid., algorithm 3): in each task the policy acts, takes an inner step on what it saw, θ'ᵢ =
learn(φ, experienceᵢ), and acts again; then φ takes a trust-region step up the return of the θ'ᵢ. The learner is
any `GradientLearner` with the loss `policy_gradient`: MAML, Meta-SGD, or MAML with 0 steps, which trains one policy
on all tasks.
"""

from __future__ import annotations

import os
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Protocol

import numpy as np

from tinymeta.compile import compile
from tinymeta.engine.tensor import Array, Tensor
from tinymeta.engine.typing import Function, Tree
from tinymeta.meta.control.policy import Steps, steps
from tinymeta.meta.control.trpo import TRPO
from tinymeta.meta.core.bad_tasks import blame
from tinymeta.meta.core.folder import record_of
from tinymeta.meta.core.learner import GradientLearner
from tinymeta.meta.core.loop import Record, Stepped, loop
from tinymeta.meta.core.settings import Settings
from tinymeta.meta.core.told_before import told_before
from tinymeta.ops.draws import vmap
from tinymeta.ops.elementwise import exp
from tinymeta.ops.reduce import sum
from tinymeta.tasks.environment import Environment, Trajectories, rollout


class Tasks(Environment[Any], Protocol):
    """An environment that draws its tasks."""

    def draw(self, rng: np.random.Generator, tasks: int) -> Tree: ...


@dataclass(frozen=True)
class PolicySearch(Settings):
    """Meta-training and testing of policies in an environment.

    Shapes: `returns` gives (tasks, 2): before and after adapting.
    Raises: UserError (by `fit`) where the return is no longer a finite number.
    Source: Finn et al. 2017, § 3.2 and algorithm 3.

    Parameters
    ----------
    environment
        Where to act; its `draw` draws tasks.
    learner
        What a task's policy is made by, with the loss `policy_gradient`.
    trajectories
        Per task, before the inner step and again after it.
    discount
        Of the returns that policies are improved by. Those that are reported are plain sums.
    radius
        Of the trust region: mean KL divergence per outer step.
    thin
        One in so many steps of the trajectories estimates the curvature of the trust region.
    watching
        Whether the baseline that is fitted to each task's returns knows observations, or the time alone: for tasks
        with few steps, which it would fit by heart.

    Examples
    --------
    >>> start = lambda rng: tm.meta.GaussianPolicy([2, 4, 2], rng=rng, scale=0.1)
    >>> learner = tm.meta.MAML(tm.meta.policy_gradient, network=start, rule=tm.optim.SGD(0.1))
    >>> search, rng = tm.meta.PolicySearch(tm.tasks.Navigation(horizon=5), learner), np.random.default_rng(0)
    >>> search.returns(rng, learner.init(rng), tasks=3).shape
    (3, 2)
    """

    environment: Tasks
    learner: GradientLearner
    trajectories: int = 20
    discount: float = 0.99
    radius: float = 0.01
    thin: int = 20
    watching: bool = True

    def fit(
        self,
        phi: Tree,
        *,
        iterations: int,
        tasks: int,
        seed: int = 0,
        run: Record | None = None,
        folder: str | os.PathLike[str] | None = None,
    ) -> Tree:
        """Meta-train `phi` on `tasks` fresh tasks per iteration; the other arguments are those of `tm.meta.fit`."""
        how = {"trajectories": self.trajectories, "discount": self.discount, "radius": self.radius, "thin": self.thin}
        rule = getattr(self.learner, "rule", None)
        settings = partial(told_before, self.learner, rule, {"tasks": tasks, **how})

        def step(i: int, rng: np.random.Generator, phi: Tree, state: Tree) -> Stepped:
            as_drawn = deepcopy(rng)
            after, report = self.step(rng, phi, tasks)
            why = lambda: self.blame(as_drawn, phi, tasks)
            return Stepped(after, state, -report["return"], report, why, report["gain"])

        with record_of(folder, run) as record:
            return loop(step, phi, (), iterations=iterations, seed=seed, run=record, settings=settings)

    def step(self, rng: np.random.Generator, phi: Tree, tasks: int) -> tuple[Tree, dict[str, float]]:
        """One outer step: the next `phi`, and the mean return after adapting."""
        whole, few, seen = self.gather(rng, phi, tasks)
        phi, report = self.outer.update(phi, whole, few)
        return phi, {"return": float(seen.rewards.sum(-1).mean()), "gain": report.gain, "kl": report.kl}

    def gather(self, rng: np.random.Generator, phi: Tree, tasks: int) -> tuple[Tree, Tree, Trajectories]:
        """What a step learns from, all of it and a part, in fresh tasks; and what the adapted policies saw."""
        rules = self.environment.draw(rng, tasks)
        seen = self.act(rng, rules, self.first(phi))
        before = after = self.steps(seen)
        if self.learner.steps:
            seen = self.act(rng, rules, self.learned(phi, before), adapted=True)
            after = self.steps(seen)
        some = rng.permutation(before.share.shape[1])[:: self.thin]
        # The few have opinions of their own, after adapting to just these steps: so their KL is 0 and least at phi.
        whole, few = (before, after), (before.sampled(some), after.sampled(some))
        return (*whole, self.opinions(phi, *whole)), (*few, self.opinions(phi, *few)), seen

    def blame(self, rng: np.random.Generator, phi: Tree, tasks: int) -> str:
        """In words, the task and the operation of a step that are not finite."""
        surrogate = lambda phi, batch: self.judge(phi, batch)[0]
        step = lambda phi, _, batch: self.outer.update(phi, batch)
        return blame(surrogate, step, phi, (), self.gather(rng, phi, tasks)[0])

    def steps(self, seen: Trajectories) -> Steps:
        """Trajectories as what policies learn from."""
        return steps(seen, self.discount, self.watching)

    def judge(self, phi: Tree, batch: Tree) -> tuple[Tensor, Tensor]:
        """The surrogate loss, −Σ share · (π_new/π_old) · advantage, and KL(old ‖ new), after adapting.

        Means over the tasks of `batch`: the steps before and after adapting, and what the policies that made the
        latter said about them.
        """

        def one(phi: Tree, before: Steps, after: Steps, old: Tree) -> tuple[Tensor, Tensor]:
            new = self.learner.learn(phi, before)(after.observations)
            ratio = exp(new.log_prob(after.actions) - old.log_prob(after.actions))
            return -sum(after.share * after.advantages * ratio), sum(after.share * old.kl(new))

        loss, kl = vmap(one, in_axes=(None, 0, 0, 0))(phi, *batch)
        return loss.mean(), kl.mean()

    @cached_property
    def outer(self) -> TRPO:
        return TRPO(self.judge, self.radius)

    @cached_property
    def opinions(self) -> Function:
        """(phi, before, after) ↦ what the policies adapted to `before` say about the observations of `after`."""
        one: Function = lambda phi, before, after: self.learner.learn(phi, before)(after.observations)
        return compile(vmap(one, in_axes=(None, 0, 0)))

    @cached_property
    def learned(self) -> Function:
        """(phi, before) ↦ each task's policy, with a leading task axis in every leaf."""
        return compile(vmap(self.learner.learn, in_axes=(None, 0)))

    def first(self, phi: Tree) -> Tree:
        """The policy before any step."""
        return self.learner.path(phi, None, 0)[0]

    def act(
        self, rng: np.random.Generator, rules: Tree, policy: Tree, *, adapted: bool = False, trajectories: int = 0
    ) -> Trajectories:
        """Trajectories in the tasks `rules`, of one policy or (`adapted`) of each task's own; 0: as many as ever."""
        ask = self.ask_each if adapted else self.ask
        player = lambda seen: ask(policy, seen).draw(rng)
        return rollout(self.environment, rng, rules, player, trajectories or self.trajectories)

    @cached_property
    def ask(self) -> Function:
        """(policy, seen) ↦ what one policy says in every task."""
        return compile(lambda policy, seen: policy(seen))

    @cached_property
    def ask_each(self) -> Function:
        """(policies, seen) ↦ what each task's policy says in it."""
        return compile(vmap(lambda policy, seen: policy(seen)))

    def before_and_after(self, rng: np.random.Generator, rules: Tree, phi: Tree) -> tuple[Trajectories, Trajectories]:
        """Trajectories in the tasks `rules` of the first policy, and of those that learned from these."""
        before = self.act(rng, rules, self.first(phi))
        return before, self.act(rng, rules, self.learned(phi, self.steps(before)), adapted=True)

    def returns(self, rng: np.random.Generator, phi: Tree, tasks: int, at_once: int = 100) -> Array:
        """The mean return in fresh tasks before and after adapting: shape (tasks, 2)."""
        rows = []
        for begin in range(0, tasks, at_once):
            rules = self.environment.draw(rng, min(at_once, tasks - begin))
            seen = self.before_and_after(rng, rules, phi)
            rows.append(np.stack([each.rewards.sum(-1).mean(-1) for each in seen], -1))
        return np.concatenate(rows)
