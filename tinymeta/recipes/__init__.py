"""One file per runnable system, and the table of their names.

The table is all that `tinymeta list` reads: no recipe is imported before it runs. A recipe has its name from here, and
says neither again. What a recipe is and how to write one stands in `tinymeta.recipes.recipe`.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from tinymeta.engine.errors import UserError

if TYPE_CHECKING:
    from tinymeta.recipes.recipe import Recipe


class Entry(NamedTuple):
    """The module whose `recipe` it is, and the idea it stands for: one line without a full stop."""

    module: str
    idea: str


RECIPES = {
    "main": Entry("tinymeta.recipes.main_job", "MAML, first-order MAML and joint training on sinusoids"),
    "linear": Entry("tinymeta.recipes.linear", "MAML on linear regression, where the meta-gradient has a closed form"),
    "sine": Entry("tinymeta.recipes.sine", "weights from which a few gradient steps fit any sinusoid"),
    "omniglot": Entry("tinymeta.recipes.omniglot", "a classifier that learns new characters from one drawing each"),
    "challenge": Entry("tinymeta.recipes.challenge", "twenty characters of a new alphabet, each seen once"),
    "images": Entry("tinymeta.recipes.images", "your own classes of images, told apart by a few examples"),
    "table": Entry(
        "tinymeta.recipes.table", "your own table: a column names the task, and a few rows of each are known"
    ),
    "navigation": Entry("tinymeta.recipes.navigation", "a policy that finds a hidden goal after one gradient step"),
    "strategy": Entry("tinymeta.recipes.strategy", "a network that picks the update rule from a task's features"),
    "hypergradient": Entry("tinymeta.recipes.hypergradient", "step sizes and decays tuned by their own gradient"),
    "domains": Entry("tinymeta.recipes.domains", "a predictor for function families that it never saw"),
    "reweight": Entry("tinymeta.recipes.reweight", "weights on examples, so that wrong labels count for nothing"),
    "stream": Entry("tinymeta.recipes.stream", "first weights and step sizes that follow a drifting stream"),
    "memory": Entry("tinymeta.recipes.memory", "a bounded memory of gradients, against forgetting"),
    "distill-data": Entry("tinymeta.recipes.distill_data", "one synthetic image per class that a network learns from"),
    "language": Entry("tinymeta.recipes.language", "a text model that learns a language from a few hundred characters"),
    "learned-optimizer": Entry(
        "tinymeta.recipes.learned_optimizer", "an update rule that is a small network, learned on other problems"
    ),
    "games": Entry("tinymeta.recipes.games", "a player who has met the rules finds in a few episodes which one holds"),
    "teacher": Entry("tinymeta.recipes.teacher", "a teacher that learns from what its student makes of its lessons"),
    "unsupervised": Entry("tinymeta.recipes.unsupervised", "few-shot learning prepared by images without labels"),
    "learned-loss": Entry(
        "tinymeta.recipes.learned_loss", "a loss that is learned, so that descending it adapts faster"
    ),
}


def find(name: str) -> Recipe[Any]:
    """Import the recipe called `name`.

    Raises: UserError where there is none; the closest name is suggested.
    """
    if name not in RECIPES:
        from tinymeta.recipes.config import closest

        raise UserError(f"there is no recipe '{name}'{closest(name, RECIPES)}: `tinymeta list` shows them all")
    module, idea = RECIPES[name]
    recipe: Recipe[Any] = import_module(module).recipe
    return replace(recipe, name=name, idea=idea)
