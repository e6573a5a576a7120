"""Learning to teach: a teacher that learns from what its student makes of its lessons (MetaDistil).

The teacher has learned from examples of which 40 % have a wrong label, all of them the same one, and a small student is
to learn from it. A fixed teacher hands its mistakes on. MetaDistil (Zhou et al. 2022) updates it through the student's
step, by the student's marks on a quiz, a few clean examples. All methods train on these, too; the strongest rival is
a teacher that was fine-tuned on them before. All repetitions train at once under `vmap`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np

import tinymeta as tm
from tinymeta.engine.errors import UserError
from tinymeta.engine.tensor import Array
from tinymeta.meta.core.trials import Trials
from tinymeta.meta.tuning.teacher import Distillation
from tinymeta.recipes.config import key
from tinymeta.recipes.flipped import CLASSES, PIXELS, SHIFT, Data, accuracy, draw, labelled, networks, shifted
from tinymeta.recipes.recipe import Recipe
from tinymeta.recipes.report import Interval, Result, interval
from tinymeta.recipes.run import Run
from tinymeta.view import plots

RATE, TUNING_RATE, MOMENTUM = 0.03, 0.01, 0.9  # of SGD for teachers, at first and on the quiz
STOPS = 6  # times at which training may stop: each method chooses
STUDENT_RATES = (0.02, 0.05)
TEMPERATURES, HARD = (1.0, 3.0), (0.0, 0.3)  # what distillation from a fixed teacher chooses from;
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


class Method(NamedTuple):
    """From which teacher a student learns and how; the teacher learns, too, where it has a step size."""

    teacher: str
    distillation: Distillation
    teacher_rate: float = 0.0


def fixed(teacher: str) -> list[Method]:
    return [Method(teacher, Distillation(t, hard)) for t in TEMPERATURES for hard in HARD]


def learning(teacher: str) -> list[Method]:
    return [Method(teacher, Distillation(1.0, 0.0), rate) for rate in TEACHER_RATES]


VARIANTS = {
    "no teacher": [Method("noisy", Distillation(hard=1.0))],
    "fixed teacher": fixed("noisy"),
    "MetaDistil": learning("noisy"),
    "fine-tuned teacher": fixed("fine-tuned"),
    "MetaDistil, fine-tuned": learning("fine-tuned"),
}


@cache
def supervised(rate: float) -> tuple[Any, Callable[..., Any]]:
    """The first state of training on labels, and a step, of all repetitions at once."""
    rule = tm.optim.SGD(rate, MOMENTUM)

    def step(model: Any, state: Any, batch: Any) -> Any:
        return rule.update(tm.grad(tm.meta.classification)(model, batch), state, model)

    return tm.vmap(rule.init), tm.compile(tm.vmap(step))


def schooled(
    rng: np.random.Generator, config: Config, model: Any, data: tuple[Array, Array], rate: float, n: int
) -> Any:
    """`model` after `n` steps on the labels of `data`."""
    begin, step = supervised(rate)
    state = begin(model)
    for _ in range(n):
        model, state = step(model, state, batch(rng, config, data))
    return model


def batch(rng: np.random.Generator, config: Config, data: tuple[Array, Array]) -> tuple[Array, Array]:
    """Random examples of every repetition."""
    x, y = data
    some = rng.integers(y.shape[1], size=(len(y), config.batch))
    row = np.arange(len(y))[:, None]
    return shifted(rng, x[row, some]), y[row, some]


def teachers(config: Config, run: Run, found: Data) -> dict[str, Any]:
    """One that has learned from all examples, wrong labels and all; and the same fine-tuned on the quiz."""
    rng, steps = run.rng("teachers"), config.teacher_steps
    noisy = networks(rng, len(found.wrong), config.teacher_width)
    noisy = schooled(rng, config, noisy, found.pool, RATE, steps)
    return {"noisy": noisy, "fine-tuned": schooled(rng, config, noisy, found.clean, TUNING_RATE, -(-steps // 3))}


@cache
def teaching(method: Method) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The first state `(student, teacher, their optimizers')` and a step, of all repetitions at once."""
    teacher_rule, lesson = tm.optim.Adam(method.teacher_rate), method.distillation

    def begin(student: Any, teacher: Any) -> Any:
        return student, teacher, tm.optim.SGD(0.0, MOMENTUM).init(student), teacher_rule.init(teacher)

    def step(state: Any, batch: Any, quiz: Any, rate: Any) -> Any:
        student, teacher, taken, learned = state
        if method.teacher_rate:
            grads = tm.grad(lesson.quiz_loss)(teacher, student, batch, quiz, rate)
            teacher, learned = teacher_rule.update(grads, learned, teacher)
        grads = tm.grad(lesson.loss)(student, teacher, batch)
        student, taken = tm.optim.SGD(rate, MOMENTUM).update(grads, taken, student)
        return student, teacher, taken, learned

    return tm.vmap(begin), tm.compile(tm.vmap(step, in_axes=(0, 0, 0, None)))


def taught(config: Config, run: Run, method: Method, rate: float, found: Data, teacher: Any) -> tuple[Array, Array]:
    """Per cent right of the test: students, (STOPS, repetitions), and in the end their teachers, (repetitions,)."""
    rng = run.rng("students")  # all methods see the same students and batches
    begin, step = teaching(method)
    state = begin(networks(rng, len(found.wrong), config.width), teacher)
    stops = np.ceil(np.linspace(0, config.iterations, STOPS + 1))[1:]
    accuracies: list[Array] = []
    for i in range(config.iterations):
        lesson, (x, y) = batch(rng, config, found.pool), found.clean
        state = step(state, lesson, (shifted(rng, x), y), np.float32(rate))
        accuracies += [accuracy(state[0], found.test)] * int((stops == i + 1).sum())
    return np.stack(accuracies), accuracy(state[1], found.test)


def tuned(
    config: Config, run: Run, trials: Trials, name: str, found: Data, teacher: dict[str, Any]
) -> tuple[Method, float, int, str]:
    """The variant, step size and time to stop that are best on validation repetitions, and their description."""
    options = []
    for method in VARIANTS[name]:
        for rate in STUDENT_RATES:
            lesson, arguments = method.distillation, (config, run, method, rate, found, teacher[method.teacher])
            tried = f"τ = {lesson.temperature}, α = {lesson.hard}, rate {rate}"
            pace = f", teacher's rate {method.teacher_rate}" if method.teacher_rate else ""
            right = trials.once(f"{name}, {tried}{pace}", (0, 0), taught, *arguments)[0].mean(1)
            stop = int(right.argmax())
            how = f"{tried}, {(stop + 1) * config.iterations // STOPS} steps{pace}"
            options.append((float(right[stop]), (method, rate, stop, how)))
    return max(options, key=lambda option: option[0])[1]


def train(config: Config, run: Run) -> Result:
    if config.flipped > 1:
        raise UserError(f"flipped is a share from 0 to 1, not {config.flipped}")
    each = config.shots, config.quiz, config.query
    rng = run.rng("labels")
    held_out, test = (
        labelled(draw(2 * run.seed + odd, repetitions, each), "one class", config.flipped, rng)
        for odd, repetitions in ((1, config.validation), (0, config.tasks))
    )
    trials = Trials(run, config.iterations)
    like = dict.fromkeys(("noisy", "fine-tuned"), networks(run.rng("teachers"), 1, config.teacher_width))
    of_held_out, of_test = (
        trials.once(f"teachers, {name}", like, teachers, config, run, found)
        for name, found in (("validation", held_out), ("test", test))
    )
    metrics: dict[str, dict[str, Interval]] = {}
    curves, chosen, final = {}, {}, {}
    with run.progress(len(VARIANTS)) as bar:
        for name in VARIANTS:
            method, rate, stop, chosen[name] = tuned(config, run, trials, name, held_out, of_held_out)
            arguments = config, run, method, rate, test, of_test[method.teacher]
            students, teacher = trials.once(f"{name}, test", (0, 0), taught, *arguments)
            final[name] = students[stop]
            metrics[name] = {"student": interval(students[stop], "%")}
            if name != "no teacher":
                metrics[name]["teacher in the end"] = interval(teacher, "%")
            if name not in ("no teacher", "fixed teacher"):
                over = students[stop] - final["fixed teacher"]
                metrics[name]["student, over the fixed teacher's"] = interval(over, "%")
            curves[name] = {(k + 1) * config.iterations // STOPS: interval(a, "%") for k, a in enumerate(students)}
            bar.advance(accuracy=float(students[stop].mean()))
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
            f"hard labels of {HARD} for fixed teachers, Adam's rate of {TEACHER_RATES} for learning ones, on "
            f"{config.validation} other repetitions",
            **{f"chosen for {name}": how for name, how in chosen.items()},
            "test": f"{config.tasks} repetitions, {config.query} images per class by other hands; paired differences",
        },
        metrics=metrics,
    )


recipe = Recipe("teacher", "a teacher that learns from what its student makes of its lessons", Config, train)
