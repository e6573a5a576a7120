"""The main job, `tinymeta` with no arguments: meta-learn sinusoids three ways, compare, draw.

MAML and first-order MAML learn a start from which one gradient step fits a new sine wave; joint
training learns all waves at once. All three are then adapted to waves they never saw.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tinymeta.recipes import find, sine
from tinymeta.recipes.launch import Wishes, launch
from tinymeta.recipes.recipe import Found, Recipe, Result, Run, Stage, ahead, curves, key

METHODS = ("maml", "first-order", "joint")


@dataclass(frozen=True)
class Config:
    iterations: int = key(8000, "meta-iterations of each method", least=0)
    tasks: int = key(600, "test tasks", least=2)


def main(out: Path | None, iterations: int | None, seed: int | None, quiet: bool, resume: bool) -> None:
    """Run the main job in a folder of its own."""
    changes = {} if iterations is None else {"iterations": iterations}
    launch(find("main"), changes, Wishes(out, seed, resume=resume, quiet=quiet), verb=())


def settings(config: Config, algorithm: str = METHODS[0]) -> sine.Config:
    return replace(sine.Config(**asdict(config)), algorithm=algorithm)


def stages(config: Config, run: Run, found: Found) -> Iterator[tuple[str, Stage]]:
    for algorithm in METHODS:
        yield algorithm, sine.stage(settings(config, algorithm), run)


def draw(config: Config, run: Run, found: Found) -> None:
    curves("Loss while learning to learn")(config, run, found)
    sine.draw_adaptation(settings(config), run, found)


def measure(config: Config, run: Run, found: Found) -> Result:
    errors = {sine.ALGORITHMS[name].title: sine.errors(settings(config, name), run, phi) for name, phi in found.items()}
    metrics = {name: sine.row(each) for name, each in errors.items()}
    more = ahead({name: each[:, 1] for name, each in errors.items()}, "MAML")
    metrics |= {name: {"1 step": difference} for name, difference in more.items()}
    return Result(sine.protocol(settings(config)), metrics, next="tinymeta run omniglot --iterations 500")


recipe = Recipe.trained(Config, stages, measure, draw)
