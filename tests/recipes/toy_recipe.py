"""The smallest recipe that does everything a recipe may do; run as a script, it is `tinymeta` with it in the table.

It pulls one number towards the mean of random targets. Its loop is a stand-in for `meta.fit`, with that one's
duties: resume, log, show progress, save on Ctrl-C.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from argparse import Namespace
from dataclasses import dataclass
from zipfile import BadZipFile

import numpy as np

from tinymeta import recipes
from tinymeta.engine.errors import UserError
from tinymeta.io.files import whole
from tinymeta.recipes import reproduce
from tinymeta.recipes.claim import Claim, Measured
from tinymeta.recipes.config import key, user_mistakes
from tinymeta.recipes.recipe import Recipe
from tinymeta.recipes.report import Published, Result, interval
from tinymeta.recipes.run import Run
from tinymeta.tasks import FewShotImages, glyphs, load_omniglot
from tinymeta.view import plots

IDEA = "one number, pulled towards the mean of many"


@dataclass(frozen=True)
class Config:
    iterations: int = key(20, "steps", least=0)
    tasks: int = key(30, "test tasks", least=2)
    lr: float = key(0.1, "step size")
    shots: int = key(1, "examples per class", least=1)
    rule: str = key("sgd", "update rule", choices=("sgd", "adam"))
    widths: tuple[int, ...] = key((4, 4), "layers", least=1)
    images: bool = key(False, "draw glyphs, or read Omniglot from --data")
    end: str = key("", "what happens at step 12", choices=("", "interrupt", "wait", "kill", "bug"))


def train(config: Config, run: Run) -> Result:
    if config.images:
        with user_mistakes():
            classes = load_omniglot(run.data) if run.data else glyphs(alphabets=1, characters=5, hands=4)
            FewShotImages(classes, ways=5, shots=config.shots, query=1)
    run.say("compiling nothing…")
    loop(config, run)
    run.draw("curves.png", plots.learning_curves, run.lines())
    return evaluate(config, run)


def evaluate(config: Config, run: Run) -> Result:
    w, _ = load(run)
    errors = (w - run.rng("test").normal(1.0, 0.1, config.tasks)) ** 2
    return Result(
        protocol={"tasks": config.tasks, "shots": config.shots, "transductive": False},
        metrics={"error": interval(errors), "w": w},
        published={"error": Published(0.01, 0.002, "Toy, Table 1")},
    )


def loop(config: Config, run: Run) -> None:
    w, done = load(run) if run.resume and run.checkpoint.exists() else (0.0, 0)
    targets = run.rng("train").normal(1.0, 0.1, config.iterations)
    with run.progress(config.iterations, done=done) as bar:
        try:
            while done < config.iterations:
                loss = (w - targets[done]) ** 2
                w, done = w - config.lr * 2 * (w - targets[done]), done + 1
                run.log(done, loss=loss)
                bar.advance(loss=loss)
                if done % 5 == 0:
                    save(run, w, done)
                if done == 12 and not run.resume:
                    end(config.end, run)
        except KeyboardInterrupt:
            save(run, w, done)
            raise
    save(run, w, done)


def end(how: str, run: Run) -> None:
    if how == "interrupt":
        raise KeyboardInterrupt
    if how == "wait":
        run.say("waiting")
        threading.Event().wait()
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "bug":
        raise ZeroDivisionError("a bug")


def save(run: Run, w: float, done: int) -> None:
    with whole(run.checkpoint) as stream:
        np.savez(stream, recipe="toy", w=w, done=done)


def load(run: Run) -> tuple[float, int]:
    try:
        with np.load(run.checkpoint, allow_pickle=False) as held:
            if str(held["recipe"]) != "toy":
                raise UserError(f"{run.checkpoint} is a checkpoint of another recipe: train again with another --out")
            return float(held["w"]), int(held["done"])
    except (ValueError, KeyError, OSError, EOFError, BadZipFile) as error:
        raise error if isinstance(error, UserError) else UserError(f"{run.checkpoint} is damaged") from error


recipe = Recipe(Config, train, evaluate)


def in_a_worker(claim: Claim, seed: int, options: Namespace) -> Measured:
    """One seed of a claim about the toy, in a process that has not heard of it."""
    recipes.RECIPES["toy"] = recipes.Entry("tests.recipes.toy_recipe", IDEA)
    return reproduce._on_one_core(claim, seed, options)


if __name__ == "__main__":
    from tinymeta.cli import main

    recipes.RECIPES["toy"] = recipes.Entry("tests.recipes.toy_recipe", IDEA)
    sys.exit(main())
