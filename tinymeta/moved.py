"""Where the modules of version 0.1.0 have gone: their old paths work, with a warning, until version 0.3.

`from tinymeta.engine.trace import Recorder` finds a stand-in that warns, and asks `tinymeta.watch.recorder` for the
name. Nothing is imported until then.
"""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from types import ModuleType
from typing import Any

# (old package, new package): modules, as `old>new` where the name changed, too.
_MOVES = {
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
    ("engine", "watch"): "checked trace>recorder",
    ("testing", "testing"): "batching>transforms compiling>transforms",
    ("meta", "meta.control"): "policy policy_search trpo",
    ("meta", "meta.core"): "adapt conjugate evaluate explain fit learner objective",
    ("meta", "recipes"): "trials>comparison",
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
        if name.startswith("__"):  # what tools ask of every module in sys.modules
            raise AttributeError(name)
        new = MOVED[self.__name__]
        message = f"{self.__name__} is {new} now; the old path goes with version 0.3"
        try:
            found = getattr(import_module(new), name)
        except AttributeError:
            raise ImportError(f"{message}, and there is no {name} in it") from None
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return found


def keep_old_paths() -> None:
    """Let every moved module be imported by the path that it had."""
    for old in MOVED:
        stand_in = sys.modules.setdefault(old, _StandIn(old))
        package, _, name = old.rpartition(".")
        parent = sys.modules.get(package)
        if parent is not None and name not in vars(parent):  # tm.meta.fit stays the function that it is
            setattr(parent, name, stand_in)
