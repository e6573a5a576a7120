"""One file per runnable system, and the table of their names.

The table is all that `tinymeta list` reads: no recipe is imported before it runs. What a recipe is and how to
write one stands in `tinymeta.recipes.recipe`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from tinymeta.engine.errors import UserError

if TYPE_CHECKING:
    from tinymeta.recipes.recipe import Recipe


class Entry(NamedTuple):
    """Where a recipe lives, and the idea it stands for in one line; its module's `recipe` says the same."""

    module: str
    idea: str


RECIPES = {
    "main": Entry("tinymeta.recipes.main_job", "MAML, first-order MAML and joint training on sinusoids"),
    "linear": Entry("tinymeta.recipes.linear", "MAML on linear regression, where the meta-gradient has a closed form"),
    "sine": Entry("tinymeta.recipes.sine", "weights from which a few gradient steps fit any sinusoid"),
    "omniglot": Entry("tinymeta.recipes.omniglot", "a classifier that learns new characters from one drawing each"),
    "challenge": Entry("tinymeta.recipes.challenge", "twenty characters of a new alphabet, each seen once"),
    "images": Entry("tinymeta.recipes.images", "your own classes of images, told apart by a few examples"),
}


def find(name: str) -> Recipe[Any]:
    """Import the recipe called `name`.

    Raises
    ------
    UserError
        There is none; the closest name is suggested.
    """
    if name not in RECIPES:
        from tinymeta.recipes.config import closest

        raise UserError(f"there is no recipe '{name}'{closest(name, RECIPES)}: `tinymeta list` shows them all")
    recipe: Recipe[Any] = import_module(RECIPES[name].module).recipe
    return recipe
