"""Random programs in the compiler's own vocabulary: the machine and the replay against each operation called by itself.

The oracle calls operation after operation with NumPy; it shares nothing with `Builder` (common subexpressions, folding,
views in a normal form), `Replay` (buffers), `factored` and `Machine`. `VOCABULARY` has a strategy for every class of
`operations.py` and `views.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tests.fuzz.agreement import CORES, ROOM, TIGHT, Refused, Setting, cores_as, differences, errors, laid_out
from tests.fuzz.vocabulary import VOCABULARY, Kernel, Kind, Misfit
from tinymeta.compile.key import frozen
from tinymeta.compile.program.calls import Call, Part
from tinymeta.compile.program.operations import Cast, Contract, Copy, Reduce, Scale, Special, Ufunc, Where
from tinymeta.compile.program.program import Builder, Program
from tinymeta.compile.program.views import Broadcast, Gather, Permute, Reshape, Scatter, Slice, Windows
from tinymeta.compile.rewrite import rewritten
from tinymeta.compile.run.machine import Machine
from tinymeta.compile.run.replay import Replay
from tinymeta.engine.primitive import Primitive

MOST = 3_000  # numbers in one value, and of a large program:
LARGE = 300_000
SHAPES = (
    (),
    (1,),
    (3,),
    (16,),
    (17,),
    (2, 3),
    (3, 1),
    (1, 1),
    (4, 5),
    (2, 1, 3),
    (2, 3, 4),
    (1, 4, 5, 2),
    (0, 3),
    (33,),
)
ROUND = (Ufunc, Special, Scale, Contract, Reduce, Kernel)  # operations whose result may be rounded otherwise
WIDE = ((64, 33, 5), (40, 40), (70_000,), (16, 32, 32), (8, 100, 100))
DTYPES = ("float64", "float64", "float32", "int64", "int32", "bool")


class Step(NamedTuple):
    """An operation on the values at these places; a `Constant` is drawn with the program's seed."""

    op: Any
    inputs: tuple[int, ...]


class Case(NamedTuple):
    seed: int
    inputs: tuple[tuple[tuple[int, ...], str], ...]  # shapes and dtypes
    constants: int  # how many of the inputs, from the first on, are constants of the program
    steps: tuple[Step, ...]
    results: tuple[int, ...]
    setting: Setting

    def check(self) -> str:
        with np.errstate(all="ignore"):
            return self._compared()

    def _compared(self) -> str:
        program = self.program()
        plain = [self.values(k)[0] for k in (0, 1, 0)]
        narrow = any(x.dtype == np.float32 for x in plain[0]) or "float32" in repr(self)
        tolerance = TIGHT[np.dtype(np.float32 if narrow else np.float64)]
        runs: dict[str, Any] = {"the replay": Replay, "the machine": Machine}
        for name, run in runs.items():
            for factoring in (False, True):
                what = f"{name}{', factored' if factoring else ''}"
                with cores_as(self.setting.cores):
                    try:
                        ready = run(rewritten(program) if factoring else program)
                        found = []
                        for at, k in enumerate((0, 1, 0)):
                            given = laid_out(self.arrays(k)[self.constants :], self.setting.layouts and at + 1)
                            found.append(ready(list(given)))
                    except MemoryError as error:
                        raise Refused(f"MemoryError: {error}") from error
                    except Exception as error:
                        return f"{what} raises {type(error).__name__}: {str(error)[:200]}"
                for at, k in enumerate((0, 1, 0)):
                    right = self.values(k)[0]
                    unlike = differences(at, found[at], right, tolerance)
                    if unlike and (math.isnan(unlike[0].error) or not self._is_noise(k, found[at], right, tolerance)):
                        return f"{what}: {unlike[0]}"
        return ""

    def _is_noise(self, k: int, found: list[Any], right: list[Any], tolerance: float) -> bool:
        """Sums in another order differ by the rounding of their terms, which may be larger than they."""
        near = [errors(self.values(k, moved)[0], right) for moved in (1, 2, 3, 4)]
        return bool(np.all(errors(found, right) <= tolerance + ROOM * np.max(near, axis=0)))

    def arrays(self, k: int) -> list[Any]:
        return [
            _numbers(np.random.default_rng((self.seed, 0 if i < self.constants else k, i)), *given)
            for i, given in enumerate(self.inputs)
        ]

    def values(self, k: int, moved: int = 0) -> tuple[list[Any], list[Any]]:
        """The results, and all values, each operation called by itself; `moved` changes the last bits of the inputs,
        and of what rounds."""
        r = np.random.default_rng(moved)
        values = [_moved(x, 8, r) if moved else x for x in self.arrays(k)]
        try:
            for step in self.steps:
                rounds = moved and isinstance(step.op, ROUND)
                given = [values[i] for i in step.inputs]  # sums round in there as if these had other last bits
                y = operation(step.op)(*(_moved(x, 1, r) if rounds else x for x in given))
                parts = [_moved(np.array(x), 1, r) if rounds else np.array(x) for x in (y if type(y) is tuple else [y])]
                values.append(tuple(parts) if type(y) is tuple else parts[0])
        except Exception as error:
            raise Refused(str(error)) from error
        if any(type(values[i]) is tuple for i in self.results):
            raise Refused("a result that is several")
        return [values[i] for i in self.results], values

    def program(self) -> Program:
        b, places = Builder(), []
        _, values = self.values(0)
        for i, (shape, dtype) in enumerate(self.inputs):
            if i < self.constants:
                places.append(b.constant(values[i]))
            else:
                places.append(b.input(i - self.constants, shape, np.dtype(dtype)))
        for step, y in zip(self.steps, values[len(self.inputs) :]):
            how = {}
            if isinstance(step.op, (Kernel, Part)):
                how = {"shape": (), "dtype": None} if type(y) is tuple else {"shape": y.shape, "dtype": y.dtype}
            places.append(b.add(operation(step.op), *(places[i] for i in step.inputs), **how))
            node = b.nodes[places[-1]]
            if node.dtype is not None and (node.shape, node.dtype) != (y.shape, y.dtype):
                raise Refused(f"{step.op} on {[values[i].dtype for i in step.inputs]} says {node.dtype}{node.shape}")
        return b.finished([places[i] for i in self.results])

    def names(self) -> Iterator[str]:
        for step in self.steps:
            yield f"operation {type(step.op).__name__}"
            yield f"kind {getattr(step.op, 'name', '')}"
        yield from (f"dtype {dtype}" for _, dtype in self.inputs)

    def smaller(self) -> Iterator[Case]:
        first = len(self.inputs)
        if len(self.results) > 1:
            yield from (self._replace(results=(i,)) for i in self.results)
        for k in reversed(range(len(self.steps))):
            for instead in dict.fromkeys(self.steps[k].inputs):
                yield self._without(first + k, instead)
        needed = set(self.results)
        for k in reversed(range(len(self.steps))):
            if first + k in needed:
                needed.update(self.steps[k].inputs)
        for place in reversed(range(first + len(self.steps))):
            if place not in needed:
                yield self._without(place, 0)
        if self.setting != Setting():
            yield self._replace(setting=Setting())
        if self.constants:
            yield self._replace(constants=0)

    def _without(self, place: int, instead: int) -> Case:
        into = lambda i: (instead if i == place else i) - (i > place or (i == place and instead > place))
        first = len(self.inputs)
        inputs, k = self.inputs, place - first
        steps = self.steps if k < 0 else self.steps[:k] + self.steps[k + 1 :]
        if k < 0:
            inputs = inputs[:place] + inputs[place + 1 :]
        steps = tuple(s._replace(inputs=tuple(map(into, s.inputs))) for s in steps)
        constants = self.constants - (place < self.constants)
        results = tuple(dict.fromkeys(map(into, self.results)))
        return self._replace(inputs=inputs, steps=steps, results=results, constants=constants)

    def text(self) -> str:
        first = len(self.inputs)
        lines = [f"# v{i}: {dtype}{list(shape)}" for i, (shape, dtype) in enumerate(self.inputs)]
        lines += [f"# v{first + k} = {s.op}({', '.join(f'v{i}' for i in s.inputs)})" for k, s in enumerate(self.steps)]
        return "\n".join([*lines, "from tests.fuzz.builder import *", f"print({self!r}.check())"])


def operation(op: Any) -> Any:
    """The operation; of a `Kernel` the call."""
    if not isinstance(op, Kernel):
        return op
    return Call(Primitive.registry[op.name], frozen(op.static), op.static)


def _moved(x: Any, bits: int, r: np.random.Generator) -> Any:
    """x, its fractions off by up to so many units of rounding; whole numbers stay, as most that are so are exact."""
    if x.dtype.kind != "f":
        return x
    return np.where(x == np.rint(x), x, x * (1 + bits * np.finfo(x.dtype).eps * r.uniform(-1, 1, x.shape))).astype(
        x.dtype
    )


def _numbers(r: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Any:
    if dtype == "bool":
        return np.asarray(r.random(shape) < 0.5)
    if dtype.startswith("f"):
        return np.asarray(r.normal(size=shape)).astype(dtype)
    return np.asarray(r.integers(-4, 5, shape), dtype)


def draw(seed: int) -> Case:
    """A random case."""
    r = np.random.default_rng(seed)
    large = r.random() < 0.05
    world = str(r.choice(["float64", "float32", "mixed"]))
    inputs = []
    shapes = WIDE if large else SHAPES
    for _ in range(int(r.integers(1, 5))):
        inputs.append((shapes[r.integers(len(shapes))], str(r.choice(DTYPES)) if world == "mixed" else world))
    constants = int(r.integers(0, len(inputs))) if r.random() < 0.3 else 0
    case = Case(seed, tuple(inputs), constants, (), (), Setting(True, str(r.choice(list(CORES))), int(r.integers(2))))
    values: list[Any] = case.arrays(0)
    steps: list[Step] = []
    wanted = int(r.integers(2, 14))
    names = list(VOCABULARY)
    for _ in range(30 * wanted):
        made = _drawn(r, VOCABULARY[str(r.choice(names))], values, LARGE if large else MOST)
        for op, inputs_, y in made:
            steps.append(Step(op, inputs_))
            values.append(y)
        if len(steps) >= wanted:
            break
    read = {i for s in steps for i in s.inputs}
    first = len(inputs)
    arrays = [i for i in range(first, len(values)) if not isinstance(values[i], tuple)]
    loose = [i for i in arrays if i not in read]
    more = [i for i in arrays if i in read and r.random() < 0.1]
    return case._replace(steps=tuple(steps), results=tuple((loose + more) or [0]))


def _drawn(r: np.random.Generator, kind: Kind, values: list[Any], most: int) -> list[tuple[Any, tuple[int, ...], Any]]:
    """The steps of one strategy, with their results; none if it does not fit or they are not tame."""
    made: list[tuple[Any, tuple[int, ...], Any]] = []
    with np.errstate(all="ignore"):
        try:
            for op, inputs in kind(r, values):
                all_ = [*values, *(y for _, _, y in made)]
                y = operation(op)(*(all_[i] for i in inputs))
                if type(y) is not tuple:
                    y = np.array(y)
                    if y.size > most or not np.isfinite(y).all() or np.abs(y.astype(float)).max(initial=0) > 1e5:
                        return []
                made.append((op, inputs, y))
        except (Misfit, ValueError, TypeError, IndexError, MemoryError):
            return []
    return made


__all__ = [
    "Broadcast",
    "Case",
    "Cast",
    "Contract",
    "Copy",
    "Gather",
    "Kernel",
    "Part",
    "Permute",
    "Reduce",
    "Reshape",
    "Scale",
    "Scatter",
    "Setting",
    "Slice",
    "Special",
    "Step",
    "Ufunc",
    "Where",
    "Windows",
    "draw",
    "np",
]
