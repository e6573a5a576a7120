"""Random programs: what hypothesis draws, and how any library with the functions of `Jets` runs it.

A program is a list of steps. Each step takes one or two of the values so far (so values are reused, fan
out, and sometimes lead nowhere) and adds a new one. Two kinds of step hold a program of their own: the
gradient of one, and one that is mapped over rows and uses a value from outside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

ROWS, COLUMNS = 2, 3  # every value has this shape, between steps


class Step(NamedTuple):
    kind: str
    first: int  # which values it takes: counted from the last one, modulo how many there are
    second: int
    inner: tuple[str, ...] = ()  # the elementwise steps of a program inside


UNARY: dict[str, Callable[[Any, Any], Any]] = {
    "tanh": lambda lib, x: lib.tanh(x),
    "sin": lambda lib, x: lib.sin(x * 1.5),
    "exp": lambda lib, x: lib.exp(lib.tanh(x)),
    "sigmoid": lambda lib, x: lib.sigmoid(x),
    "square": lambda lib, x: x * x * 0.5,
    "sqrt": lambda lib, x: lib.sqrt(x * x + 1.0),
    "quotient": lambda lib, x: x / (x * x + 1.5),
    "relu": lambda lib, x: lib.where(x > 0.1, x, x * 0.25),
    "detach": lambda lib, x: lib.detach(x) * x,
}
BINARY: dict[str, Callable[[Any, Any, Any], Any]] = {
    "add": lambda lib, x, y: x * 0.75 + y,
    "subtract": lambda lib, x, y: x - y * 0.5,
    "multiply": lambda lib, x, y: x * y,
    "divide": lambda lib, x, y: x / (y * y + 1.5),
    "larger": lambda lib, x, y: lib.where(x > y, x, y),
    "row sums": lambda lib, x, y: x + lib.sum(y, 1, True) * 0.3,
    "column sums": lambda lib, x, y: x * lib.sum(y, 0, False) * 0.3,
    "total": lambda lib, x, y: lib.sum(x * y, (0, 1), False) * 0.1 + y,
    "reversed": lambda lib, x, y: lib.flip(x, 0) + lib.flip(y, 1),
    "a row": lambda lib, x, y: x[1] * y,
    "an entry": lambda lib, x, y: x[0, 2] * y + x,
    "gathered": lambda lib, x, y: x[:, [2, 0, 2]] * y,
    "a new axis": lambda lib, x, y: x[:, :1] + y[None, 0],
    "concatenated": lambda lib, x, y: lib.concat([x[1:], y[:1]], 0),
    "transposed": lambda lib, x, y: lib.reshape(lib.transpose(x), (ROWS, COLUMNS)) * y,
    "product": lambda lib, x, y: (x @ lib.transpose(y)) @ y * 0.3,
    "convolved": lambda lib, x, y: lib.convolve(x, y[:, :2])[:ROWS, :COLUMNS] * 0.4,
}


def run(program: list[Step], lib: Any, x: Any) -> Any:
    """The number that a program computes from `x`, with the functions of `lib`."""
    values = [x]
    for step in program:
        a, b = (values[-1 - (i % len(values))] for i in (step.first, step.second))
        if step.kind in UNARY:
            y = UNARY[step.kind](lib, a)
        elif step.kind in BINARY:
            y = BINARY[step.kind](lib, a, b)
        elif step.kind == "gradient":
            y = lib.grad(lambda z, b=b, step=step: _inner(step, lib, z, b))(a)
        else:
            y = lib.vmap(lambda row, b=b, step=step: _row(step, lib, row, b))(a)
        values.append(y + lib.constant(np.zeros((ROWS, COLUMNS))))  # back to the common shape, by broadcasting
    kept = values[-1] if len(values) < 3 else values[-1] + values[len(values) // 2] * 0.5
    weights = lib.constant(np.array([[1.0, -0.7, 0.4], [0.6, 1.1, -0.9]]))
    return lib.sum(lib.tanh(kept) * weights, (0, 1), False)


def _inner(step: Step, lib: Any, z: Any, outside: Any) -> Any:
    for name in step.inner:
        z = UNARY[name](lib, z)
    return lib.sum(z * outside, (0, 1), False)


def _row(step: Step, lib: Any, row: Any, outside: Any) -> Any:
    for name in step.inner:
        row = UNARY[name](lib, row)
    if step.second % 2:
        return lib.grad(lambda r: lib.sum(lib.sin(r) * outside[0], 0, False))(row)
    return row * lib.sum(outside * row, (0, 1), False)


def programs() -> st.SearchStrategy[list[Step]]:
    """Programs of 2 to 8 steps."""
    inner = st.lists(st.sampled_from(sorted(UNARY)), min_size=1, max_size=2).map(tuple)
    kinds = st.sampled_from([*UNARY, *BINARY, *BINARY, "gradient", "map", "map"])
    steps = st.builds(Step, kinds, st.integers(0, 7), st.integers(0, 7), inner)
    return st.lists(steps, min_size=2, max_size=8)
