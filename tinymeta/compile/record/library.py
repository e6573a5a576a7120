"""Whose code it is: the user's, which is looked into, or that of a package, which is trusted."""

from __future__ import annotations

import functools
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

_PYTHONS = Path(sysconfig.get_path("stdlib"))


def of_library(module: object) -> bool:
    """Whether a module is the package's own, Python's, or an installed one: its code is not followed."""
    if module is not None and not isinstance(module, str):
        return True  # a class that is written in C, and that doesn't say
    return _installed((module or "").partition(".")[0])


def is_own(module: str | None) -> bool:
    """Whether a module is of this package, or of NumPy."""
    return (module or "").partition(".")[0] in ("tinymeta", "tinymeta_kernels", "numpy")


@functools.cache
def _installed(name: str) -> bool:
    if is_own(name):
        return True
    file = "" if name == "__main__" else getattr(sys.modules.get(name), "__file__", None) or ""
    if name in sys.stdlib_module_names and name:  # unless it is a file of the user's with such a name
        return not file or name == "__main__" or Path(file).is_relative_to(_PYTHONS)
    return not {"site-packages", "dist-packages"}.isdisjoint(Path(file).parts)


def is_library(x: object) -> bool:
    return isinstance(x, ModuleType) and of_library(x.__name__)


def is_strange(module: str | None) -> bool:
    """Whether a module belongs to an installed package that isn't NumPy."""
    name = (module or "").partition(".")[0]
    return _installed(name) and not is_own(name) and name not in sys.stdlib_module_names


def home(x: object) -> str | None:
    """The module that an object is, or comes from."""
    return x.__name__ if isinstance(x, ModuleType) else getattr(x, "__module__", None)


def reads_itself(kind: type) -> bool:
    """Whether a class is the package's own or derives from such a one, whose code reads attributes unasked."""
    return any(base.__module__.partition(".")[0] == "tinymeta" for base in kind.__mro__)
