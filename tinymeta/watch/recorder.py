"""The recorder: a reading of `bind` that keeps every step, so that it can be looked at afterwards.

A Watcher hears of each operation, each sweep and each cotangent. What it keeps is small and final:
a summary of the value instead of the array, numbers instead of Tensors, so tracing holds no record
alive and shows values as they were. `tm.trace()` (`tinymeta/view/trace.py`) is made of this.
"""

from __future__ import annotations

import reprlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any, NamedTuple

import numpy as np

from tinymeta.engine.errors import PACKAGE, Site
from tinymeta.engine.primitive import Primitive
from tinymeta.engine.state import USER, Watcher, setting, state
from tinymeta.engine.tensor import Array, Tensor
from tinymeta.engine.typing import Static

FIRST = 8  # entries that are kept of any array
GRID = 64  # arrays up to this size are kept whole,
SIDE = 16  # if no side is longer than this
BINS = 16  # the others as a histogram of so many bins
DEPTH = 12  # lines of the user's call path that are kept

Summary = dict[str, Any]  # what is kept of an array


class Cotangent(NamedTuple):
    """One addition to a step's cotangent: in which sweep, what came, and the sum after it (step numbers)."""

    sweep: int
    contribution: int
    total: int


@dataclass
class Sweep:
    """One sweep: how many differentiations around it were recording, and the steps in the order it visits them."""

    depth: int
    visits: dict[int, int]  # step number → position, from 1


@dataclass
class Step:
    """One operation as it happened, or a value that came in from outside."""

    id: int  # steps are numbered from 1, in the order in which they were seen
    op: str
    kind: str  # "step"; "input": no operation made it; "earlier": made before the trace began
    inputs: tuple[int, ...]
    static: dict[str, str]
    shape: tuple[int, ...]
    batch: tuple[int, ...]  # sizes of the hidden axes: inside `vmap`, how many examples
    dtype: str
    value: Summary
    order: int
    made_by: int | None  # the step whose VJP rule made this one
    sweep: int | None  # which sweep that was in, counted from 0
    path: tuple[Site, ...]  # the user's lines that led here, outermost first; empty unless kind is "step"
    plain: tuple[str, ...] = ()  # the operations that a fused one stands for, in words: "%7.1 = matmul(%1, %2)", …
    cotangents: list[Cotangent] = field(default_factory=list)


class Recorder(Watcher):
    """Keeps what it sees as `steps`, `sweeps` and `rules` (operation name → primitive).

    `entered` is the code that began the recording: the user's call paths are kept from there inwards.
    """

    def __init__(self) -> None:
        self.entered: CodeType | None = None
        self.steps: list[Step] = []
        self.sweeps: list[Sweep] = []
        self.rules: dict[str, type[Primitive]] = {}
        self._number: dict[int, int] = {}  # a Tensor's id → its step's number

    def saw(self, primitive: type[Primitive], inputs: tuple[Tensor, ...], static: Static, output: Tensor) -> None:
        numbers = tuple(self._known(x) for x in inputs)
        path = _path(self.entered)
        self._add(output, "step", primitive, numbers, static, path)
        if primitive.plain is not None:
            self.steps[-1].plain = unfolded(primitive, inputs, static, numbers, len(self.steps))

    def sweeping(self, nodes: dict[int, Tensor]) -> None:
        numbers = [self._known(nodes[i]) for i in sorted(nodes)]
        depth = (state.mask & ~USER).bit_count()
        self.sweeps.append(Sweep(depth, {n: k for k, n in enumerate(reversed(numbers), 1)}))

    def collected(self, node: Tensor, contribution: Tensor, total: Tensor) -> None:
        step = self.steps[self._known(node) - 1]
        sweep = self._sweep_over(step.id)
        if sweep is not None:
            step.cotangents.append(Cotangent(sweep, self._known(contribution), self._known(total)))

    def _known(self, x: Tensor) -> int:
        """The number of the step that made `x`; what the trace has not seen being made becomes a step now."""
        if x.id not in self._number:
            inputs = tuple(self._number[i.id] for i in x.inputs if i.id in self._number)
            self._add(x, "earlier" if x.primitive else "input", x.primitive, inputs, {}, ())
        return self._number[x.id]

    def _add(
        self,
        x: Tensor,
        kind: str,
        primitive: type[Primitive] | None,
        inputs: tuple[int, ...],
        static: Static,
        path: tuple[Site, ...],
    ) -> None:
        number = self._number[x.id] = len(self.steps) + 1
        maker = None if x.made_by is None else self._number.get(x.made_by)
        several = isinstance(x.array, tuple)
        sizes = () if several else x.array.shape[: x.batch]
        self.steps.append(
            Step(
                id=number,
                op=self._name(primitive) if primitive else "input",
                kind=kind,
                inputs=inputs,
                static={k: reprlib.repr(v) for k, v in static.items() if not callable(v)},
                shape=() if several else x.shape,
                batch=sizes,
                dtype="several outputs" if several else str(x.dtype),
                value={} if several else summary(x.array, x.batch),
                order=x.order,
                made_by=maker,
                sweep=None if maker is None else self._sweep_over(maker),
                path=path,
            )
        )

    def _name(self, primitive: type[Primitive]) -> str:
        """The operation's name; a second operation of the same name is called by its module as well."""
        name = primitive.__name__
        if self.rules.setdefault(name, primitive) is not primitive:
            name = f"{primitive.__module__}.{name}"
            self.rules[name] = primitive
        return name

    def _sweep_over(self, number: int) -> int | None:
        """The latest sweep that visits this step."""
        return next((k for k in reversed(range(len(self.sweeps))) if number in self.sweeps[k].visits), None)


class _Words(Watcher):
    """Writes operations down, with `names` for what they are made of and numbers `prefix`1, `prefix`2, … for theirs."""

    def __init__(self, names: dict[int, str], prefix: str) -> None:
        self.names, self.prefix = names, prefix
        self.lines: list[str] = []

    def saw(self, primitive: type[Primitive], inputs: tuple[Tensor, ...], static: Static, output: Tensor) -> None:
        given = [
            self.names.get(x.id) or (f"{x.array.item():.4g}" if x.array.size == 1 else f"[{x.size}]") for x in inputs
        ]
        given += [f"{k}={reprlib.repr(v)}" for k, v in static.items() if not callable(v)]
        self.names[output.id] = name = f"{self.prefix}{len(self.lines) + 1}"
        self.lines.append(f"{name} = {primitive.__name__}({', '.join(given)})")


def unfolded(
    primitive: type[Primitive], inputs: Sequence[Tensor], static: Static, numbers: Sequence[int], number: int
) -> tuple[str, ...]:
    """What step `number`, a fused operation on the steps `numbers`, is in others, a line for each."""
    twins = [Tensor(x.array, x.batch) for x in inputs]
    for twin, x in zip(twins, inputs):
        twin.opened = x.opened
    words = _Words({twin.id: f"%{n}" for twin, n in zip(twins, numbers)}, f"%{number}.")
    with setting(watchers=(words,)), np.errstate(all="ignore"):
        primitive.plain(*twins, **static)  # type: ignore[misc]
    return tuple(words.lines)


def summary(data: Array, batch: int = 0) -> Summary:
    """What is kept of an array: `min`, `mean`, `max`, `first` entries, how many are not finite (`bad`).

    A small one is kept whole, as the rows of a `grid` (inside `vmap`: the first example's); of a
    larger one `bins` holds the histogram between `min` and `max`. Numbers have six digits.
    """
    if data.size == 0 or data.dtype.kind not in "fiub":
        return {"first": [str(v) for v in data.ravel()[:FIRST]]}
    finite = data[np.isfinite(data)].astype(np.float64)
    kept: Summary = {"first": _digits(data.ravel()[:FIRST]), "bad": data.size - finite.size}
    if finite.size:
        mean = (finite / finite.size).sum()  # divided first: no sum of finite numbers overflows this way
        kept |= dict(zip(("min", "mean", "max"), _digits(np.array([finite.min(), mean, finite.max()]))))
    example = data[(0,) * batch] if all(data.shape[:batch]) else data
    rows = example.reshape(-1, example.shape[-1]) if example.ndim else example.reshape(1, 1)
    if rows.size <= GRID and max(rows.shape) <= SIDE:
        kept["grid"] = [_digits(row) for row in rows]
    elif finite.size and (width := np.ptp(finite / 2)) > 0:  # halves, for the same reason
        place = (finite / 2 - finite.min() / 2) / width * BINS
        kept["bins"] = np.bincount(np.minimum(place, BINS - 1).astype(int), minlength=BINS).tolist()
    return kept


def _digits(values: Array) -> list[Any]:
    """The numbers with six digits; those that JSON can't hold as text."""
    rounded = [float(f"{v:.6g}") if isinstance(v, float) else v for v in values.tolist()]
    return [v if np.isfinite(v) else str(v) for v in rounded]


def _path(entered: CodeType | None) -> tuple[Site, ...]:
    """The lines outside the package that led to the current `bind`, from where the trace was entered inwards."""
    frame: FrameType | None = sys._getframe(2)
    path: list[Site] = []
    while frame is not None and len(path) < DEPTH:
        code = frame.f_code
        if not code.co_filename.startswith(PACKAGE):
            path.append(Site(code.co_filename, frame.f_lineno, code.co_qualname))
            if code is entered or code.co_name == "<module>":
                break
        frame = frame.f_back
    return tuple(reversed(path))
