"""tinymeta: a from-scratch autograd framework that differentiates through learning itself.

Read `engine/tensor.py`, `engine/primitive.py` and `engine/sweep.py` first, in that order.
"""

import sys as _sys
from importlib import import_module as _import_module
from pathlib import Path as _Path
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

_kernels = _Path(__file__).resolve().parents[1] / "kernels"
if (_kernels / "tinymeta_kernels").is_dir() and str(_kernels) not in _sys.path:
    _sys.path.insert(0, str(_kernels))  # a checkout that is not installed; nothing to do in a wheel

from tinymeta.compile import compile as compile
from tinymeta.engine.convert import tensor as tensor
from tinymeta.engine.errors import CompileWarning as CompileWarning
from tinymeta.engine.errors import UserError as UserError
from tinymeta.engine.primitive import primitive as primitive
from tinymeta.engine.sweep import gradient as gradient
from tinymeta.engine.tensor import Tensor as Tensor
from tinymeta.engine.transforms import grad as grad
from tinymeta.engine.transforms import value_and_grad as value_and_grad
from tinymeta.engine.transforms import vjp as vjp
from tinymeta.moved import keep_old_paths as _keep_old_paths
from tinymeta.ops import *
from tinymeta.ops import tree as tree
from tinymeta.ops.checkpoint import checkpoint as checkpoint
from tinymeta.ops.custom import custom_vjp as custom_vjp
from tinymeta.ops.derivatives import hessian as hessian
from tinymeta.ops.derivatives import hvp as hvp
from tinymeta.ops.derivatives import jacobian as jacobian
from tinymeta.ops.derivatives import jvp as jvp
from tinymeta.ops.draws import vmap as vmap

if _TYPE_CHECKING:  # what `__getattr__` imports when it is first asked for
    from tinymeta import meta as meta
    from tinymeta import nn as nn
    from tinymeta import optim as optim
    from tinymeta import tasks as tasks
    from tinymeta import testing as testing
    from tinymeta.io.save import load as load
    from tinymeta.io.save import save as save
    from tinymeta.meta.core.explain import explain as explain
    from tinymeta.view.trace import trace as trace
    from tinymeta.watch.checked import checked as checked
    from tinymeta.watch.orders import orders as orders

__version__ = "0.2.0"

_keep_old_paths()
_ROOMS = ("fewshot", "meta", "nn", "optim", "tasks", "testing")
_NAMES = {
    **{"load": "io.save", "save": "io.save", "explain": "meta.core.explain"},
    **{"trace": "view.trace", "checked": "watch.checked", "orders": "watch.orders"},
}


def __getattr__(name: str) -> _Any:
    """Rooms that not everybody enters are imported when they are asked for: `import tinymeta` is quick."""
    if name in _ROOMS:
        return _import_module(f"tinymeta.{name}")
    if name in _NAMES:
        found = globals()[name] = getattr(_import_module(f"tinymeta.{_NAMES[name]}"), name)
        return found
    raise AttributeError(f"module 'tinymeta' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *_ROOMS, *_NAMES})
