"""The main job, `tinymeta` with no arguments: meta-learn sinusoids three ways, compare, draw.

MAML and first-order MAML learn a start from which one gradient step fits a new sine wave; joint
training learns all waves at once. All three are then adapted to waves they never saw.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tinymeta.recipes import sine
from tinymeta.recipes.config import key
from tinymeta.recipes.launch import Wishes, launch
from tinymeta.recipes.recipe import Recipe
from tinymeta.recipes.report import Result
from tinymeta.recipes.run import Run
from tinymeta.view import plots

METHODS = ("maml", "first-order", "joint")


@dataclass(frozen=True)
class Config:
    iterations: int = key(8000, "meta-iterations of each method", least=0)
    tasks: int = key(600, "test tasks", least=2)


def main(out: Path | None, iterations: int | None, seed: int | None, quiet: bool, resume: bool) -> None:
    """Run the main job in a folder of its own."""
    changes = {} if iterations is None else {"iterations": iterations}
    launch(recipe, changes, Wishes(out, seed, resume=resume, quiet=quiet), verb=())


def train(config: Config, run: Run) -> Result:
    settings = sine.Config(**asdict(config))
    learned, metrics = {}, {}
    for algorithm in METHODS:
        one = replace(settings, algorithm=algorithm)
        learned[algorithm] = sine.meta_train(one, run.stage(algorithm))
        metrics[sine.title(one)] = sine.row(sine.errors(one, run, learned[algorithm]))
    run.draw("curves.png", plots.learning_curves, run.lines(), "loss", title="Loss while learning to learn")
    sine.draw_adaptation(settings, run, learned)
    return Result(
        protocol=sine.protocol(settings),
        metrics=metrics,
        next="tinymeta run omniglot --iterations 500",
    )


recipe = Recipe("main", "MAML, first-order MAML and joint training on sinusoids", Config, train)
