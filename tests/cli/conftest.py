"""`tinymeta` as a function in an empty folder."""

from tests.recipes.conftest import tinymeta

__all__ = ["tinymeta"]
