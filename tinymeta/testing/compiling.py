"""PC: a compiled function gives what the eager one gives, and gives it again for other numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinymeta.compile import compile
from tinymeta.engine import tree
from tinymeta.engine.transforms import vjp
from tinymeta.engine.vmap import vmap
from tinymeta.testing.batching import only_floats, sibling, user_function
from tinymeta.testing.case import Case
from tinymeta.testing.report import agree


def compiled_is_eager(case: Case) -> None:
    """PC: values, gradients and the mapped primitive, compiled, agree with eager execution to the rounding of sums.

    The second call replays, on other numbers, what the first recorded.
    """
    if case.batch or case.primitive.hides or not case.arrays:
        return  # the operations that move hidden axes are below the functions that a user compiles
    f = user_function(case)
    functions: dict[str, Callable[..., Any]] = {"values": f, "mapped": lambda *xs: vmap(f)(*[x[None] for x in xs])}
    if case.primitive.vjp is not None and case.variables and case.cotangents(case.rng):

        def gradients(*xs: Any) -> Any:
            ys, pullback = vjp(only_floats(f, xs, case.variables), *[xs[i] for i in case.variables])
            return pullback([y * 0.0 + 1.5 for y in ys])

        functions["gradients"] = gradients
    for name, eager in functions.items():
        compiled = compile(eager)
        for one in (case, sibling(case, 1)):
            for a, b in zip(tree.leaves(compiled(*one.arrays)), tree.leaves(eager(*one.arrays)), strict=True):
                found, expected = np.asarray(a), np.asarray(b)
                what = f"{one}: {name}, compiled"
                if found.dtype != expected.dtype:
                    raise AssertionError(f"{what}: dtype {found.dtype}, and {expected.dtype} when it is not")
                eps = 400 * float(np.finfo(expected.dtype).eps) if expected.dtype.kind == "f" else 0.0
                agree(found, expected, eps * max(1.0, float(np.abs(expected).max(initial=0))) if eps else 0.0, what)
