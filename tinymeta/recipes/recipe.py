"""What a recipe is, and how to write one.

A recipe is one file in this folder: a task, an algorithm, a published protocol and a report, run by
`tinymeta run NAME`. The file ends with a `Recipe` called `recipe`, and `recipes/__init__.py` names it
in its table (same name, same idea). The whole contract is this example::

    from dataclasses import dataclass

    import tinymeta as tm
    from tinymeta.recipes.config import key, user_mistakes
    from tinymeta.recipes.recipe import Recipe
    from tinymeta.recipes.report import Published, Result, interval
    from tinymeta.recipes.run import Run
    from tinymeta.view import plots


    @dataclass(frozen=True)
    class Config:
        iterations: int = key(10_000, "meta-iterations", least=0)
        tasks: int = key(600, "test tasks", least=2)
        shots: int = key(1, "examples per class", least=1)
        inner: str = key("sgd", "rule of the inner loop", choices=("sgd", "adam"))


    def train(config: Config, run: Run) -> Result:
        with user_mistakes():                         # data missing, more shots than examples: one sentence
            tasks = ...                               # run.data is a Path, or None if none was named
        phi = tm.meta.fit(..., network(config, run), tasks, seed=run.seed, run=run)    # shows, logs, saves, resumes
        run.draw("curves.png", plots.learning_curves, run.lines(), "loss")
        return measure(config, run, phi)


    def evaluate(config: Config, run: Run) -> Result:
        return measure(config, run, tm.meta.trained(run.checkpoint, network(config, run)))


    def measure(config: Config, run: Run, phi) -> Result:
        accuracy = ...                                # one number per task; random numbers from run.rng("test")
        return Result(
            protocol={"ways": 5, "shots": config.shots, "statistics": "transductive"},
            metrics={"accuracy": interval(100 * accuracy, "%")},
            published={"accuracy": Published(89.7, 1.1, "MAML, Table 1, MLP")},
        )


    recipe = Recipe("characters", "one line: the idea it stands for", Config, train, evaluate)

**Keys** are the fields of the config, each a `key` of type `int`, `float`, `bool`, `str` or `tuple[T, ...]`.
`--set shots=5` changes one; `--iterations` and `--tasks` are short for the keys of these names, so a recipe that
trains has `iterations` and one that measures on tasks has `tasks`. A value read here is already of its type and
within `least` and `choices`; what depends on several keys, the recipe checks itself and raises `UserError` with one
sentence, and what the data do not allow is told by `user_mistakes` around loading them.

**The run** (`Run`) gives `seed`, `data`, `workers`, `rng(name)`, `checkpoint`, `resume`, `progress(total)`,
`log(iteration, loss=…)`, `lines()`, `say(text)`, `draw(file, plot, *args)` and `write(file, mapping)`. A recipe that
trains several things gives each its `run.stage("maml")`: the same run with its own checkpoint, its own lines in
`metrics.jsonl` and its own streams. A recipe prints nothing and opens no file of the folder itself; the table,
`config.json` and `result.json` are written for it.

**A loop of one's own** has `fit`'s duties: on Ctrl-C it saves its state to `run.checkpoint` and lets
`KeyboardInterrupt` through; with `run.resume` it goes on from that file, if there is one, as if it had never
stopped. After a user's `--resume --iterations N` the key `iterations` may be larger than it was: nothing else is.

**A comparison** of methods that choose among settings is `Comparison(run, …).of(methods, trial, …)`
(`tinymeta/recipes/comparison.py`): it keeps each trial that is over, and repeats the one in hand.

**The numbers** are `interval` over independent tasks (mean and 95 % half-width) or plain numbers.
`metrics={"MAML": {"1 step": …, "5 steps": …}}` prints as a grid. `published` has the same names, and may hold several
figures per name, and names of which this run has no number (`"people"`). The protocol says all that a reader needs
to compare: split, steps, transduction, budget, number of tasks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from tinymeta.recipes.report import Result
from tinymeta.recipes.run import Run

C = TypeVar("C")


@dataclass(frozen=True)
class Recipe(Generic[C]):
    """A runnable system.

    Attributes
    ----------
    name : str
        The word after `tinymeta run`.
    idea : str
        What it shows, in one line, without a full stop.
    config : type
        A frozen dataclass of `key` fields.
    run : callable
        `run(config, run) -> Result`: train, measure, draw.
    evaluate : callable, optional
        `evaluate(config, run) -> Result`: measure what `run.checkpoint` holds on fresh tasks; absent where
        there is nothing to measure later.
    """

    name: str
    idea: str
    config: type[C]
    run: Callable[[C, Run], Result]
    evaluate: Callable[[C, Run], Result] | None = None
