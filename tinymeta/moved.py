"""Where the modules of version 0.1.0 have gone: their old paths work, with a warning, until version 0.3.

`from tinymeta.engine.trace import Recorder` finds a stand-in that warns, and asks `tinymeta.watch.recorder` for the
name. Nothing is imported until then, and nobody else comes upon it: pickle asks every module that there is for names.
"""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

# (old package, new package): modules, as `old>new` where the name changed, too.
_MOVES = {
    ("bench", "bench"): "curves>heatmap",
    ("engine.compile", "compile"): "compiled",
    ("engine.compile", "compile.record"): (
        "record>recording translate formulas>translate number convolution products pooling"
    ),
    ("engine.compile", "compile.program"): "operations program views",
    ("engine.compile", "compile.rewrite"): "factor network>contraction sums",
    ("engine.compile", "compile.place"): (
        "assemble block>loop_body instructions layout moves>copies parallel>axes room>scratch schedule"
    ),
    ("engine.compile", "compile.run"): "machine replay",
    ("engine", ""): "compile",
    ("engine", "io"): "files save",
    ("engine", "ops"): "checkpoint custom",
    ("engine", "watch"): "checked trace>recorder",
    ("testing", "testing"): "batching>transforms compiling>transforms",
    ("recipes", "io"): "journal",
    ("meta", "meta.control"): "policy policy_search trpo",
    ("meta", "meta.core"): "adapt conjugate evaluate explain fit learner objective",
    ("meta", "recipes"): "trials>comparison",
    ("recipes", "recipes"): "decisions>claims",
    ("view", "recipes"): (
        "descents>learned_optimizer domains forgetting>memory landscape>learned_loss paths>navigation practice>games "
        "strategies>strategy streams>stream surprise>characters tuning>hypergradient weights>reweight"
    ),
    ("meta", "meta.learners"): (
        "anil>maml carried>reptile cavia implicit implicit_error incontext maml mamlpp matching metaadam metasgd mldg "
        "protonet pseudo_tasks relation reptile"
    ),
    ("meta", "meta.stream"): "memory online",
    ("meta", "meta.tuning"): "distill_data hypergradient learned_loss learned_optimizer reweight strategy teacher",
}


def _path(*parts: str) -> str:
    return ".".join(["tinymeta", *filter(None, parts)])


MOVED = {
    _path(old, names[0]): _path(new, names[-1])
    for (old, new), modules in _MOVES.items()
    for names in (name.split(">") for name in modules.split())
}


class _StandIn(ModuleType):
    """A module under its old path, whose names are those of its successor."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what tools ask of every module
            raise AttributeError(name)
        new = MOVED[self.__name__]
        message = f"{self.__name__} is {new} now; the old path goes with version 0.3"
        try:
            found = getattr(import_module(new), name)
        except (AttributeError, ImportError):
            raise AttributeError(f"{message}, and there is no {name} in it") from None
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return found


class _OldPaths:
    """Makes a stand-in when somebody imports an old path. (Its base classes in `importlib.abc` are slow to load.)"""

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in MOVED:
            return None
        loader: Any = self
        return ModuleSpec(name, loader, is_package=any(old.startswith(f"{name}.") for old in MOVED))

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing to run."""


def keep_old_paths() -> None:
    """Let every moved module be imported by the path that it had."""
    if not any(isinstance(finder, _OldPaths) for finder in sys.meta_path):
        sys.meta_path.insert(0, _OldPaths())  # before who finds what an old checkout has left in its folders
    for old in MOVED:
        package, _, name = old.rpartition(".")
        if name in vars(sys.modules.get(package, ModuleType(""))):  # an import would hide tm.meta.fit, a function
            sys.modules.setdefault(old, _StandIn(old))
