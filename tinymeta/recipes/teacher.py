"""Learning to teach: a teacher that learns from what its student makes of its lessons (MetaDistil).

The teacher has learned from examples of which 40 % have a wrong label, all of them the same one, and a small student is
to learn from it. A fixed teacher hands its mistakes on. MetaDistil (Zhou et al. 2022) updates it through the student's
step, by the student's marks on a quiz, a few clean examples. All methods train on these, too; the strongest rivals are
a teacher that was fine-tuned on them before, and a student without a teacher that trains on them alone in the end. All
repetitions train at once under `vmap`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np

import tinymeta as tm
from tinymeta.engine.typing import Array, Function, Tree
from tinymeta.meta.tuning.teacher import Distillation
from tinymeta.recipes import flipped
from tinymeta.recipes.flipped import CLASSES, PIXELS, SHIFT
from tinymeta.recipes.recipe import Comparison, Recipe, Result, Run, ahead, interval, key
from tinymeta.view import plots

RATE, TUNING_RATE, MOMENTUM = 0.03, 0.01, 0.9  # of SGD for teachers, at first and on the quiz
STUDENT_RATES = (0.02, 0.05)
TEMPERATURES, HARD = (1.0, 3.0), (0.0, 0.3)  # what distillation from a fixed teacher chooses from;
LAST = (0.2, 0.4, 0.6)  # what a student without a teacher does, of its steps that are on the quiz alone
TEACHER_RATES = (1e-4, 3e-4, 1e-3)  # Adam's step sizes that MetaDistil does, at temperature 1 with no hard labels


@dataclass(frozen=True)
class Config:
    iterations: int = key(600, "training steps of a student", least=1)
    tasks: int = key(16, "repetitions, ten characters each", least=2)
    validation: int = key(4, "further repetitions, to choose settings on", least=1)
    flipped: float = key(0.4, "share of labels that are flipped to one class", least=0)
    shots: int = key(50, "training examples per class, some with wrong labels", least=1)
    quiz: int = key(20, "clean examples per class", least=1)
    query: int = key(40, "test examples per class, drawn by other hands", least=1)
    batch: int = key(50, "examples per step", least=1)
    width: int = key(10, "hidden units of the student", least=1)
    teacher_width: int = key(128, "hidden units of the teacher", least=1)
    teacher_steps: int = key(300, "steps of a teacher's training; a third of them to fine-tune it", least=1)


class Setting(NamedTuple):
    """From which teacher a student learns and how; the teacher learns, too, where it has a step size."""

    teacher: str
    distillation: Distillation
    rate: float  # the student's step size
    teacher_rate: float = 0.0
    last: float = 0.0  # share of the steps, the last ones, that are on the quiz alone

    def told(self, steps: str = "") -> str:
        lesson = self.distillation
        pace = f", teacher's rate {self.teacher_rate}" if self.teacher_rate else ""
        end = f", the last {self.last:.0%} on the quiz" if self.last else ""
        return f"τ = {lesson.temperature}, α = {lesson.hard}, rate {self.rate}{steps}{pace}{end}"


def settings(teacher: str, *, temperatures: Any = (1.0,), hard: Any = (0.0,), paces: Any = (0.0,)) -> list[Setting]:
    every = product(temperatures, hard, paces, STUDENT_RATES)
    return [Setting(teacher, Distillation(t, share), rate, pace) for t, share, pace, rate in every]


METHODS = {
    "no teacher": settings("noisy", hard=(1.0,)),
    "no teacher, then the quiz": [how._replace(last=last) for last in LAST for how in settings("noisy", hard=(1.0,))],
    "fixed teacher": settings("noisy", temperatures=TEMPERATURES, hard=HARD),
    "MetaDistil": settings("noisy", paces=TEACHER_RATES),
    "fine-tuned teacher": settings("fine-tuned", temperatures=TEMPERATURES, hard=HARD),
    "MetaDistil, fine-tuned": settings("fine-tuned", paces=TEACHER_RATES),
}


@cache
def supervised(rate: float) -> tuple[Any, Function]:
    """The first state of training on labels, and a step, of all repetitions at once."""
    rule = tm.optim.SGD(rate, MOMENTUM)

    def step(model: Tree, state: Tree, batch: Tree) -> Tree:
        return rule.update(tm.grad(tm.meta.classification)(model, batch), state, model)

    return tm.vmap(rule.init), tm.compile(tm.vmap(step))


def schooled(
    rng: np.random.Generator, config: Config, model: Tree, data: tuple[Array, Array], rate: float, n: int
) -> Any:
    """`model` after `n` steps on the labels of `data`."""
    begin, step = supervised(rate)
    state = begin(model)
    for _ in range(n):
        model, state = step(model, state, flipped.batch(rng, data, config.batch)[1])
    return model


def teachers(config: Config, run: Run, found: flipped.Data) -> dict[str, Any]:
    """One that has learned from all examples, wrong labels and all; and the same fine-tuned on the quiz."""
    rng, steps = run.rng("teachers"), config.teacher_steps
    noisy = flipped.networks(rng, len(found.wrong), config.teacher_width)
    noisy = schooled(rng, config, noisy, found.pool, RATE, steps)
    return {"noisy": noisy, "fine-tuned": schooled(rng, config, noisy, found.clean, TUNING_RATE, -(-steps // 3))}


@cache
def teaching(lesson: Distillation, teacher_rate: float) -> tuple[Function, Function]:
    """The first state `(student, teacher, their optimizers')` and a step, of all repetitions at once."""
    teacher_rule = tm.optim.Adam(teacher_rate)

    def begin(student: Tree, teacher: Tree) -> Tree:
        return student, teacher, tm.optim.SGD(0.0, MOMENTUM).init(student), teacher_rule.init(teacher)

    def step(state: Tree, batch: Tree, quiz: Tree, rate: Tree) -> Tree:
        student, teacher, taken, learned = state
        if teacher_rate:
            grads = tm.grad(lesson.quiz_loss)(teacher, student, batch, quiz, rate)
            teacher, learned = teacher_rule.update(grads, learned, teacher)
        grads = tm.grad(lesson.loss)(student, teacher, batch)
        student, taken = tm.optim.SGD(rate, MOMENTUM).update(grads, taken, student)
        return student, teacher, taken, learned

    return tm.vmap(begin), tm.compile(tm.vmap(step, in_axes=(0, 0, 0, None)))


class Taught(NamedTuple):
    """Per cent right of the test."""

    students: Array  # (STOPS, repetitions)
    teachers: Array  # in the end: (repetitions,)


def taught(config: Config, run: Run, how: Setting, given: tuple[flipped.Data, dict[str, Any]]) -> Taught:
    """Students of the teachers that are given for every repetition, all at once."""
    (found, teacher), rng = given, run.rng("students")  # all methods see the same students and batches
    begin, step = teaching(how.distillation, how.teacher_rate)
    state = begin(flipped.networks(rng, len(found.wrong), config.width), teacher[how.teacher])
    lessons: Function = lambda state, lesson, quiz, _: step(state, lesson, quiz, np.float32(how.rate))
    state, right = flipped.trained(rng, config, found, state, lessons, how.last)
    return Taught(right, flipped.accuracy(state[1], found.test))


def train(config: Config, run: Run) -> Result:
    repetitions, each = (config.validation, config.tasks), (config.shots, config.quiz, config.query)
    data = flipped.divided(run.seed, repetitions, each, config.flipped, {"one class": run.rng("labels")})
    comparison = Comparison(run, config.iterations)
    like = dict.fromkeys(("noisy", "fine-tuned"), flipped.networks(run.rng("teachers"), 1, config.teacher_width))
    validation, test = (
        (part["one class"], comparison.once(f"teachers, {name}", like, teachers, config, run, part["one class"]))
        for name, part in zip(("validation", "test"), data)
    )
    outcomes = comparison.of(
        {name: {f"{name}, {how.told()}": how for how in every} for name, every in METHODS.items()},
        partial(taught, config, run),
        like=Taught._make(np.zeros(2)),
        score=lambda taught: taught.students.mean(1),
        validation=validation,
        test=test,
    )
    final = {name: outcome.found.students[outcome.stage] for name, outcome in outcomes.items()}
    metrics = {name: {"student": interval(right, "%")} for name, right in final.items()}
    for name, line in metrics.items():
        if not name.startswith("no teacher"):
            line["teacher in the end"] = interval(outcomes[name].found.teachers, "%")
        if name not in ("no teacher", "fixed teacher"):
            line["student, over the fixed teacher's"] = interval(final[name] - final["fixed teacher"], "%")
    metrics |= {name: {"student": more} for name, more in ahead(final, "MetaDistil", "%").items()}
    steps = [flipped.stop(stage, config.iterations) for stage in range(flipped.STOPS)]
    curves = {
        name: dict(zip(steps, [interval(right, "%") for right in outcome.found.students]))
        for name, outcome in outcomes.items()
    }
    chosen = {
        f"chosen for {name}": outcome.setting.told(f", {steps[outcome.stage]} steps")
        for name, outcome in outcomes.items()
    }
    run.draw(
        "students.png", plots.step_curves, curves, title="What students learn from whom", xlabel="steps of the student"
    )
    return Result(
        protocol={
            "data": f"{CLASSES} generated characters, {config.shots} images each, {100 * config.flipped:g} % with the "
            f"label of one class; {config.quiz} clean images each, the quiz, on which all train, too",
            "networks": f"{PIXELS} pixels, {config.teacher_width} hidden units (student: {config.width}), ReLU",
            "training": f"SGD, momentum {MOMENTUM}, batches of {config.batch}, shifted by {SHIFT} pixel; teachers "
            f"{config.teacher_steps} steps of {RATE}, then if fine-tuned a third as many of {TUNING_RATE}",
            "tuned": f"the student's rate of {STUDENT_RATES}, when to stop, temperature of {TEMPERATURES} and share of "
            f"hard labels of {HARD} for fixed teachers, the quiz's share of {LAST} without one, Adam's rate of "
            f"{TEACHER_RATES} for learning ones, on {config.validation} other repetitions",
            **chosen,
            "test": f"{config.tasks} repetitions, {config.query} images per class by other hands; paired differences",
        },
        metrics=metrics,
    )


recipe = Recipe(Config, train)
