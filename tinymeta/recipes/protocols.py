"""How algorithms are run where the user says nothing: those of `omniglot` as their authors ran them on it.

What others published stands in `published.toml`. A key of a recipe's config that is called like a field here changes
it, where it isn't 0 or "auto".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import tinymeta as tm
from tinymeta.engine.errors import UserError
from tinymeta.engine.typing import Options
from tinymeta.meta.core.adapt import Loss

CONTEXT = 5  # numbers that CAVIA adapts
NAMES = {"sgd": "SGD", "adam": "Adam"}
RULES: dict[str, Any] = {"sgd": tm.optim.SGD, "adam": tm.optim.Adam}
RATES = {"adam": 0.001, "sgd": 0.3}  # outer step sizes of a rule that is not the protocol's
INNER_RATES = {"adam": (0.04, 0.03), "sgd": (0.4, 1e-8)}  # and Adam's ε: see `inner_eps`
SCHEDULES: dict[str, Callable[[float, int], Any]] = {  # of the outer step size and the number of iterations
    "constant": lambda lr, _: lr,
    "cosine": lambda lr, iterations: tm.optim.schedules.cosine(lr, iterations, lr / 100),
    "linear": lambda lr, iterations: tm.optim.schedules.linear(lr, 0.0, iterations),
    "halving": lambda lr, _: tm.optim.schedules.staircase(lr, 0.5, 2000),
}


@dataclass(frozen=True)
class Protocol:
    """What an algorithm is run with.

    Attributes
    ----------
    title
        Its name in the table.
    train_ways, train_shots
        Of training tasks; 0: as in testing.
    query
        Query images per class in training and, where normalisation does not look at them, in testing.
    steps, test_steps, inner, inner_lr
        The inner loop; 0 steps: there is none.
    inner_eps
        ε of Adam in the inner loop. The first step is lr g/(|g| + ε), with the derivative lr ε/(|g| + ε)²: for a
        small ε nothing almost everywhere, and 1/ε where g is 0, so a meta-gradient through it is mostly noise, which
        an outer Adam normalises away and an outer SGD follows. So there ε is about as large as gradients are.
    outer, outer_lr, schedule, clip, meta_batch
        The outer loop; gradients are brought into [−clip, clip], 0: left as they are.
    split, pool, norm
        Of the classes; of the convolutional network.
    damping
        Of implicit meta-gradients; 22 is twice the x of (2 I + H/12) x = g, which their authors solve.
    """

    title: str
    train_ways: int = 0
    train_shots: int = 0
    query: int = 1
    steps: int = 1
    test_steps: int = 3
    inner: str = "sgd"
    inner_lr: float = 0.4
    inner_eps: float = 1e-8
    outer: str = "adam"
    outer_lr: float = 0.001
    schedule: str = "constant"
    clip: float = 0.0
    meta_batch: int = 32
    split: str = "random"
    pool: bool = False
    norm: str = "batch"
    damping: float = 22.0

    def asked(self, config: Any) -> Protocol:
        """The protocol with the user's wishes in it."""
        named = {entry.name for entry in fields(self)} & {entry.name for entry in fields(config)}
        asked = {name: getattr(config, name) for name in named if getattr(config, name) not in (0, "auto")}
        plan = self
        if asked.get("inner", plan.inner) != plan.inner:
            lr, eps = INNER_RATES[config.inner]
            plan = replace(plan, inner_lr=lr, inner_eps=eps)
        if asked.get("outer", plan.outer) != plan.outer:
            plan = replace(plan, outer_lr=RATES[config.outer])
        if plan.steps == 0 and {"steps", "test_steps", "inner", "inner_lr"} & set(asked):
            raise UserError(f"{plan.title} takes no inner steps: leave steps, test_steps, inner and inner_lr out")
        return replace(plan, **asked)

    @property
    def implicit(self) -> tm.meta.Implicit:
        return tm.meta.Implicit(2.0, cg=5, damping=self.damping)

    def learner(self, algorithm: str, loss: Loss, iterations: int, **options: Any) -> tm.meta.GradientLearner:
        """The learner of an algorithm that takes gradient steps; `options` are its network, and what differs."""
        how: Options = {"steps": self.steps, "test_steps": self.test_steps}
        if algorithm == "maml++":
            how |= {"alpha": self.inner_lr, "multi_step": iterations // 10}
        elif algorithm != "meta-sgd":
            how["rule"] = self.inner_rule(algorithm)
        if algorithm in ("first-order", "reptile", "implicit"):
            differentiate = {"first-order": "first_order", "implicit": self.implicit}
            how["differentiate"] = differentiate.get(algorithm, algorithm)
        return LEARNERS.get(algorithm, tm.meta.MAML)(loss, **how | options)

    def inner_rule(self, algorithm: str) -> tm.optim.Optimizer:
        """That of the inner loop; Reptile's Adam has no momentum."""
        if self.inner == "adam":
            return tm.optim.Adam(self.inner_lr, b1=0.0 if algorithm == "reptile" else 0.9, eps=self.inner_eps)
        return tm.optim.SGD(self.inner_lr)

    def outer_rule(self, iterations: int) -> tm.optim.Optimizer:
        rule: tm.optim.Optimizer = RULES[self.outer](SCHEDULES[self.schedule](self.outer_lr, max(iterations, 1)))
        clip = partial(tm.optim.clip_by_value, limit=self.clip)
        return tm.optim.Clipped(rule, clip) if self.clip else rule

    def inside(self, algorithm: str) -> str:
        """The inner loop in words."""
        if not self.steps:
            return "none"
        rule, how = f"{NAMES[self.inner]} {self.inner_lr}", self.implicit
        rule += f" (ε = {self.inner_eps:g})" if self.inner == "adam" else ""
        words = {
            "meta-sgd": "learned step sizes, from 0.005 to 0.1 at first",
            "maml++": f"learned step sizes per layer and step, {self.inner_lr} at first",
            "cavia": f"{rule} on {CONTEXT} context parameters",
            "implicit": f"{rule}, λ = {how.lam}, {how.cg} conjugate gradient iterations damped by {how.damping}",
        }
        return f"{words.get(algorithm, rule)}, {self.steps} step{'s' * (self.steps > 1)}"

    def outside(self, iterations: int) -> str:
        """The outer loop in words."""
        falls = {"cosine": " on half a cosine", "linear": " falling to 0", "halving": " halved every 2,000 iterations"}
        clipped = f", gradients clipped to ±{self.clip:g}" if self.clip else ""
        rule = f"{NAMES[self.outer]} {self.outer_lr}{falls.get(self.schedule, '')}{clipped}"
        return f"{rule}, {iterations} iterations of {self.meta_batch} tasks"


LEARNERS: dict[str, Callable[..., tm.meta.GradientLearner]] = {
    "joint": tm.meta.Joint,
    "anil": tm.meta.ANIL,
    "meta-sgd": tm.meta.MetaSGD,
    "maml++": tm.meta.MAMLPlusPlus,
    "cavia": partial(tm.meta.CAVIA, context=CONTEXT),
}
METRIC: Options = {"steps": 0, "test_steps": 0, "meta_batch": 1, "split": "vinyals", "pool": True, "norm": "group"}

PROTOCOLS = {
    "maml": Protocol("MAML"),
    "first-order": Protocol("first-order MAML"),
    "anil": Protocol("ANIL"),
    "meta-sgd": Protocol("Meta-SGD", test_steps=1),
    # Nichol et al.'s README: 10 images per class in training, 5 steps on batches of 10, 50 in tests. Adam's
    # averages go from task to task in their code, and so they do here (`Carrying`): worth 9 points after 1,000 steps.
    "reptile": Protocol(
        "Reptile", train_shots=10, steps=5, test_steps=50, inner="adam", inner_lr=0.001, outer="sgd", outer_lr=1.0,
        schedule="linear", meta_batch=5,
    ),
    "maml++": Protocol("MAML++", steps=5, test_steps=5, inner_lr=0.1, schedule="cosine", meta_batch=8),
    "implicit": Protocol("iMAML", steps=16, test_steps=16, inner_lr=0.1),
    "protonet": Protocol("prototypical network", train_ways=60, query=5, schedule="halving", **METRIC),
    "matching": Protocol("matching network", query=5, **METRIC | Options(meta_batch=4)),
    "relation": Protocol("relation network", query=15, **METRIC),
    "in-context": Protocol("in-context learner", steps=0, test_steps=0, query=5, norm="group"),
}  # fmt: skip


TWENTY: dict[str, Options] = {  # what is otherwise for so many classes and more: inner loops are slower and longer
    **dict.fromkeys(("maml", "first-order", "anil"), Options(steps=5, test_steps=5, inner_lr=0.1, meta_batch=16)),
    "meta-sgd": {"meta_batch": 16},
    "reptile": {"steps": 10, "inner_lr": 0.0005},
    "implicit": {"steps": 25, "test_steps": 25},
}


def protocol(algorithm: str, ways: int) -> Protocol:
    """The protocol for tasks of `ways` classes."""
    return replace(PROTOCOLS[algorithm], **TWENTY.get(algorithm, {}) if ways >= 20 else {})
