"""What a recipe is, and how to write one.

A recipe is one file in this folder: a task, an algorithm, a published protocol and a report, run by
`tinymeta run NAME`. The file ends with a `Recipe` called `recipe`, and the table of `recipes/__init__.py` gives it its
name. All of them read in one order: the config, the table of methods, what is trained, one measurement, its figures.
The whole contract is this example::

    from dataclasses import dataclass

    import tinymeta as tm
    from tinymeta.recipes.recipe import Published, Recipe, Result, Stage, by_steps, curves, key, user_mistakes

    METHODS = {"MAML": tm.meta.MAML(rule=tm.optim.SGD(0.4)), "ANIL": tm.meta.ANIL(rule=tm.optim.SGD(0.4))}
    SHOWN = (0, 1, 5)                                 # steps in the table


    @dataclass(frozen=True)
    class Config:
        iterations: int = key(10_000, "meta-iterations of each method", least=0)
        meta_batch: int = key(32, "tasks per iteration", least=1)
        tasks: int = key(600, "test tasks", least=2)
        shots: int = key(1, "examples per class", least=1)
        split: str = key("random", "of the classes", choices=("random", "vinyals"))


    def stages(config, run, found):                   # what is trained, each with a checkpoint of its own
        with user_mistakes():                         # data missing, more shots than examples: one sentence
            tasks = ...                               # run.data is a Path, or None if none was named
        for name, learner in METHODS.items():
            yield name, Stage.of(config, run, learner, tasks, tm.optim.Adam(1e-3))


    def measure(config, run, found):                  # after training, and whenever `tinymeta eval` is asked for it
        episodes = ...                                # random numbers come from run.rng("test")
        accuracy = {name: tm.meta.evaluate(METHODS[name], ..., phi, episodes) for name, phi in found.items()}
        run.draw("accuracy.png", ...)
        return Result(
            protocol={"ways": 5, "shots": config.shots, "statistics": "transductive"},
            metrics={name: by_steps({k: 100 * a[:, k] for k in SHOWN}, "%") for name, a in accuracy.items()},
            published={"MAML": {"1 step": Published(89.7, 1.1, "MAML, Table 1, MLP")}},
        )


    recipe = Recipe.trained(Config, stages, measure, curves("Loss in training"))

**Keys** are the fields of the config, each a `key` of type `int`, `float`, `bool`, `str` or `tuple[T, ...]`.
`--set shots=5` changes one; `--iterations` and `--tasks` are short for the keys of these names, so a recipe that
trains has `iterations` and one that measures on tasks has `tasks`. A value read here is already of its type and
within `least` and `choices`; what depends on several keys, the recipe checks itself and raises `UserError` with one
sentence, and what the data do not allow is told by `user_mistakes` around loading them.

**A stage** (`Stage`) is one training: where it starts, and `fit`, which shows, logs, saves and resumes it. `stages`
yields them by name, and may begin one where another ended: `found` has what those before it came to. A recipe that
trains one thing calls its stage `""`. The same stages tell `eval` which checkpoints to read.

**The run** (`Run`) gives `seed`, `data`, `executor`, `rng(name)`, `checkpoint`, `resume`, `progress(total)`,
`log(iteration, loss=…)`, `lines()`, `say(text)`, `draw(file, plot, *args)` and `write(file, mapping)`, and
`run.stage("maml")` is the same run with its own checkpoint, its own lines in `metrics.jsonl` and its own streams. A
recipe prints nothing and opens no file of the folder itself; the table, `config.json` and `result.json` are written
for it.

**A loop of one's own** has `fit`'s duties: on Ctrl-C it saves its state to `run.checkpoint` and lets
`KeyboardInterrupt` through; with `run.resume` it goes on from that file, if there is one, as if it had never
stopped. After a user's `--resume --iterations N` the key `iterations` may be larger than it was: nothing else is.

**A rival** takes the setting of a grid that is best in validation, `best(comparison.scores(name, grid, score))`, and
where every method does, the whole table is one `comparison.of(methods, trial, …)`. A `Comparison`
(`tinymeta/recipes/comparison.py`) keeps each trial that is over in the folder: after a stop only the one in hand is
repeated.

**The numbers** are `interval` over independent tasks (mean and 95 % half-width) or plain numbers.
`metrics={"MAML": {"1 step": …, "5 steps": …}}` prints as a grid. `published` has the same names, and may hold several
figures per name, and names of which this run has no number (`"people"`). The protocol says all that a reader needs
to compare: split, steps, transduction, budget, number of tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

import numpy as np

import tinymeta as tm
from tinymeta.engine.typing import Function, Tree
from tinymeta.recipes.comparison import Comparison as Comparison
from tinymeta.recipes.comparison import best as best
from tinymeta.recipes.config import key as key
from tinymeta.recipes.config import user_mistakes as user_mistakes
from tinymeta.recipes.report import Interval as Interval
from tinymeta.recipes.report import Published as Published
from tinymeta.recipes.report import Result as Result
from tinymeta.recipes.report import after as after
from tinymeta.recipes.report import ahead as ahead
from tinymeta.recipes.report import by_steps as by_steps
from tinymeta.recipes.report import interval as interval
from tinymeta.recipes.report import published as published
from tinymeta.recipes.run import Run as Run
from tinymeta.view import plots

C = TypeVar("C")
Found = dict[str, Any]  # what was trained, by stage


@dataclass(frozen=True)
class Stage:
    """One training.

    Attributes
    ----------
    start
        The meta-parameters before it: what `fit` begins with, and the structure of what a checkpoint holds.
    fit : callable
        `fit(start, run=…)`, the meta-parameters after it; shown, logged, saved and resumed by the run.
    """

    start: Tree
    fit: Function

    @classmethod
    def of(
        cls, config: Any, run: Run, objective: Any, tasks: Any, optimizer: Any, start: Any = None, **options: Any
    ) -> Stage:
        """`tm.meta.fit`, compiled, with the iterations and the meta-batch of a config, where `options` don't differ.

        It starts where the learner does, with the same weights for every learner of a run.
        """
        asked = {name: getattr(config, name) for name in ("iterations", "meta_batch") if name not in options}
        how = {"seed": run.seed, "executor": run.executor, "compiled": True, **asked, **options}
        start = objective.init(np.random.default_rng([how["seed"], 1])) if start is None else start
        return cls(start, partial(tm.meta.fit, objective, tasks=tasks, optimizer=optimizer, **how))


Stages = Callable[[C, Run, Found], Iterator[tuple[str, Stage]]]


@dataclass(frozen=True)
class Recipe(Generic[C]):
    """A runnable system.

    Attributes
    ----------
    config : type
        A frozen dataclass of `key` fields.
    run : callable
        `run(config, run) -> Result`: train, measure, draw.
    evaluate : callable, optional
        `evaluate(config, run) -> Result`: measure what `run.checkpoint` holds on fresh tasks; absent where
        there is nothing to measure later.
    own_data : bool
        Whether its data are the user's own, which `--data` alone names, and TINYMETA_DATA doesn't.
    name, idea : str
        From the table of recipes, which `tinymeta.recipes.find` reads.
    """

    config: type[C]
    run: Callable[[C, Run], Result]
    evaluate: Callable[[C, Run], Result] | None = None
    own_data: bool = False
    name: str = ""
    idea: str = ""

    @classmethod
    def trained(
        cls,
        config: type[C],
        stages: Stages[C],
        measure: Callable[[C, Run, Found], Result],
        draw: Callable[[C, Run, Found], None] = lambda *_: None,
        own_data: bool = False,
    ) -> Recipe[C]:
        """A recipe that trains its stages and measures what they came to; `draw` makes the figures of the training."""

        def train_and_measure(config: C, run: Run) -> Result:
            found = train(stages, config, run)
            draw(config, run, found)
            return measure(config, run, found)

        later: Callable[[C, Run], Result] = lambda config, run: measure(config, run, trained(stages, config, run))
        return cls(config, train_and_measure, later, own_data)


def train(stages: Stages[C], config: C, run: Run) -> Found:
    """What the stages come to, one after the other; those that are over already are read."""
    found: Found = {}
    for name, stage in stages(config, run, found):
        found[name] = stage.fit(stage.start, run=run.stage(name))
    return found


def trained(stages: Stages[C], config: C, run: Run) -> Found:
    """What the stages came to, from their checkpoints."""
    found: Found = {}
    for name, stage in stages(config, run, found):
        found[name] = tm.meta.trained(run.stage(name).checkpoint, stage.start)
    return found


def curves(title: str, metric: str = "loss") -> Callable[[Any, Run, Found], None]:
    """What draws a metric of every stage against its iterations."""
    return lambda _, run, found: run.draw("curves.png", plots.learning_curves, run.lines(), metric, title=title)
