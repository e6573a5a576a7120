"""Random programs over the whole array API: values, gradients, Hessian-vector products, compiled and eager.

A program is a list of steps; each takes values that are there (the inputs, and the results of earlier steps) and adds
one. While it is drawn every step runs on numbers: what is refused, too large or not finite is drawn anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

import tinymeta as tm
from tests.fuzz.agreement import CORES, Program, Refused, Setting, disagreement
from tests.fuzz.operations import OPERATIONS
from tests.fuzz.references import Ref, refs, renamed, resolved, wide
from tests.fuzz.values import Misfit, Values

ASKS = ("values", "values", "gradient", "gradient", "value and gradient", "hvp", "vmap", "vmap of gradient")
SHAPES = ((), (1,), (3,), (4,), (16,), (17,), (33,), (1, 1), (2, 3), (3, 1), (3, 3), (4, 4), (0,), (0, 3), (2, 1, 3))
DEEP = ((2, 3, 2), (1, 2, 5, 5), (2, 2, 3), (2, 2, 3, 3), (64,), (5, 65), (2, 16, 17))
LARGE = ((100_003,), (300, 401), (2, 70_000), (65_537,))
MAY = 400, 500_000  # numbers in one value, in a small program and a large one
MIXED = ("float64", "float64", "float32", "int8", "int16", "int32", "int64", "uint8", "bool", "float", "int")


class Input(NamedTuple):
    """An argument: "float" and "int" are Python's; integers count from `low`."""

    shape: tuple[int, ...]
    dtype: str
    low: int = 0

    def draw(self, r: np.random.Generator, leading: tuple[int, ...] = ()) -> Any:
        shape = (*leading, *self.shape)
        if self.dtype == "float":
            return round(float(r.normal()), 3)
        if self.dtype == "int":
            return int(r.integers(self.low, 4))
        if self.dtype == "bool":
            return np.asarray(r.random(shape) < 0.5)
        if self.dtype.startswith("f"):
            return np.asarray(r.normal(size=shape)).astype(self.dtype)
        return np.asarray(r.integers(max(self.low, 0) if self.dtype == "uint8" else self.low, 4, shape), self.dtype)

    @property
    def differentiable(self) -> bool:
        return self.dtype in ("float32", "float64")


class Step(NamedTuple):
    """One operation; `part` picks one of several results."""

    name: str
    args: tuple[Any, ...]
    options: dict[str, Any]
    part: int | None = None

    def run(self, values: list[Any]) -> Any:
        return called(OPERATIONS[self.name][1], self.args, self.options, self.part, values)

    def reads(self) -> list[Ref]:
        return list(refs((self.args, self.options)))


def called(f: Callable[..., Any], args: Any, options: Any, part: int | None, values: list[Any]) -> Any:
    y = f(*resolved(args, values), **resolved(options, values))
    return y if part is None else y[part]


class Case(NamedTuple):
    """A program, and what is asked of it."""

    seed: int
    inputs: tuple[Input, ...]
    steps: tuple[Step, ...]
    results: tuple[int, ...]
    ask: str
    setting: Setting

    def check(self) -> str:
        return disagreement(self.build, self.narrowest(), self.setting)

    def narrowest(self) -> Any:
        """The dtype that decides how exact results are: NumPy makes float16 of sines of small integers."""
        values: list[Any] = [
            given.draw(np.random.default_rng((self.seed, 0, i))) for i, given in enumerate(self.inputs)
        ]
        values = [tm.tensor(x) if isinstance(x, np.ndarray) else x for x in values]
        dtypes = {np.dtype(np.float64), *(x.dtype for x in values if isinstance(x, tm.Tensor))}
        with np.errstate(all="ignore"):
            for step in self.steps:
                try:
                    values.append(step.run(values))
                except Exception as error:
                    raise Refused(str(error)) from error
                y = values[-1]
                if isinstance(y, tm.Tensor) and y.size > max(MAY):
                    raise Refused(f"{step.name} makes {y.size} numbers")
                dtypes.add(y.dtype if isinstance(y, tm.Tensor) else np.dtype(float))
        return min((d for d in dtypes if d.kind == "f"), key=lambda d: d.itemsize)

    def build(self, dtype: Any) -> Program:
        steps = self.steps
        if np.dtype(dtype) == np.float64:
            steps = tuple(s._replace(args=wide(s.args), options=wide(s.options)) for s in steps)

        # A compiled function is looked into for what it depends on: it holds what it calls, and not all that may come.
        calls, chosen = [(OPERATIONS[s.name][1], s.args, s.options, s.part) for s in steps], self.results

        def run(*inputs: Any) -> list[Any]:
            values = list(inputs)
            for call in calls:
                values.append(called(*call, values))
            return [values[i] for i in chosen]

        def loss(*inputs: Any) -> Any:
            total: Any = 0.0
            for y in run(*inputs):
                if isinstance(y, tm.Tensor) and np.issubdtype(y.dtype, np.floating):
                    total = total + tm.sum(y * weights(y)).astype(np.float64)
            return total

        wrt = tuple(i for i, given in enumerate(self.inputs) if given.differentiable)
        arguments = lambda k, leading=(): tuple(
            given.draw(np.random.default_rng((self.seed, k, i)), leading) for i, given in enumerate(self.inputs)
        )
        axes = tuple(None if given.dtype in ("float", "int") else 0 for given in self.inputs)
        several = lambda k: arguments(k, (1 + self.seed % 4,))
        if self.ask == "values":
            return Program(run, arguments)
        if self.ask == "gradient":
            return Program(tm.grad(loss, argnums=wrt), arguments)
        if self.ask == "value and gradient":
            return Program(tm.value_and_grad(loss, argnums=wrt), arguments)
        if self.ask == "vmap":
            return Program(tm.vmap(run, in_axes=axes), several)
        if self.ask == "vmap of gradient":
            return Program(tm.vmap(tm.grad(loss, argnums=wrt), in_axes=axes), several)

        def squares(*inputs: Any) -> Any:
            return sum(tm.sum(g * g).astype(np.float64) for g in tm.grad(loss, argnums=wrt)(*inputs))

        return Program(tm.grad(squares, argnums=wrt), arguments)

    def names(self) -> Iterator[str]:
        yield from (f"function {step.name}" for step in self.steps)
        yield f"ask {self.ask}"
        yield from (f"dtype {given.dtype}" for given in self.inputs)

    def smaller(self) -> Iterator[Case]:
        if len(self.results) > 1:
            yield from (self._replace(results=(i,)) for i in self.results)
        first = len(self.inputs)
        for k in reversed(range(len(self.steps))):
            for ref in dict.fromkeys(r.place for r in self.steps[k].reads()):
                yield self._without(first + k, ref)
        yield from self._unread()
        if self.setting != Setting():
            yield self._replace(setting=Setting())
            yield self._replace(setting=self.setting._replace(layouts=0))
        if self.ask != "values":
            yield self._replace(ask="values")
        if self.ask not in ("values", "gradient") and any(i.differentiable for i in self.inputs):
            yield self._replace(ask="gradient")

    def _without(self, place: int, instead: int) -> Case:
        """The program in which readers of step `place` read `instead`."""
        into = lambda i: instead if i == place else i - (i > place)
        k = place - len(self.inputs)
        steps = tuple(
            s._replace(args=renamed(s.args, into), options=renamed(s.options, into))
            for s in self.steps[:k] + self.steps[k + 1 :]
        )
        return self._replace(steps=steps, results=tuple(dict.fromkeys(into(i) for i in self.results)))

    def _unread(self) -> Iterator[Case]:
        """The program without the steps and inputs that nothing needs."""
        first, needed = len(self.inputs), set(self.results)
        for k in reversed(range(len(self.steps))):
            if first + k in needed:
                needed.update(r.place for r in self.steps[k].reads())
        kept = sorted(needed)
        if len(kept) < first + len(self.steps):
            into = {old: new for new, old in enumerate(kept)}.__getitem__
            steps = tuple(
                s._replace(args=renamed(s.args, into), options=renamed(s.options, into))
                for k, s in enumerate(self.steps)
                if first + k in needed
            )
            inputs = tuple(given for i, given in enumerate(self.inputs) if i in needed)
            if any(i.differentiable for i in inputs) or "gradient" not in self.ask and self.ask != "hvp":
                yield self._replace(inputs=inputs, steps=steps, results=tuple(map(into, self.results)))

    def text(self) -> str:
        first = len(self.inputs)
        lines = [f"# v{i}: {given.dtype}{list(given.shape)}" for i, given in enumerate(self.inputs)]
        lines += [f"# v{first + k} = {_spelled(step)}" for k, step in enumerate(self.steps)]
        lines.append(f"# {self.ask} of {', '.join(f'v{i}' for i in self.results)}")
        return "\n".join([*lines, "from tests.fuzz.arrays import *", f"print({self!r}.check())"])


def weights(y: Any) -> Any:
    """What a result is multiplied with, so that the gradient is no sum."""
    return tm.Tensor(np.cos(np.arange(y.size) + 1.0).reshape(y.shape).astype(y.dtype))


def _spelled(step: Step) -> str:
    def one(x: Any) -> str:
        if isinstance(x, Ref):
            return f"{x.guard.replace(' ', '_')}(v{x.place})" if x.guard else f"v{x.place}"
        if isinstance(x, (list, tuple)):
            return f"[{', '.join(map(one, x))}]"
        return repr(x)

    given = [*map(one, step.args), *(f"{k}={one(x)}" for k, x in step.options.items())]
    return f"{step.name}({', '.join(given)})" + ("" if step.part is None else f"[{step.part}]")


def draw(seed: int) -> Case:
    """A random case."""
    r = np.random.default_rng(seed)
    large = r.random() < 0.04
    shapes = LARGE if large else SHAPES + DEEP
    world = str(r.choice(["float64", "float64", "float32", "mixed", "mixed"]))
    inputs = []
    for _ in range(int(r.integers(1, 4))):
        dtype = str(r.choice(MIXED)) if world == "mixed" else world
        shape = () if dtype in ("float", "int") else shapes[r.integers(len(shapes))]
        inputs.append(Input(shape, dtype, int(r.choice([0, 0, -3]))))
    arguments = [given.draw(np.random.default_rng((seed, 0, i))) for i, given in enumerate(inputs)]
    steps, read = drawn_steps(r, [tm.tensor(a) if isinstance(a, np.ndarray) else a for a in arguments], MAY[large])
    loose = [i for i in range(len(inputs), len(inputs) + len(steps)) if i not in read] or [0]
    ask = str(r.choice(ASKS)) if any(given.differentiable for given in inputs) else "values"
    layouts = int(r.choice([0, r.integers(1, 1 << 20)]))
    setting = Setting(bool(r.random() < 0.75), str(r.choice(list(CORES))), layouts, bool(r.random() < 0.2))
    return Case(seed, tuple(inputs), tuple(steps), tuple(loose), ask, setting)


def drawn_steps(r: np.random.Generator, values: list[Any], most: int) -> tuple[list[Step], set[int]]:
    """Two to eight steps on these values, and which places they read."""
    steps: list[Step] = []
    read: set[int] = set()
    names = list(OPERATIONS)
    wanted = int(r.integers(1, 8))
    for _ in range(40 * wanted):
        name = str(r.choice(names))
        v = Values(r, [np.asarray(x) for x in values])
        with np.errstate(all="ignore"):
            try:
                args, options = OPERATIONS[name][0](v)
                step = Step(name, args, options)
                y = step.run(values)
            except (Misfit, ValueError, TypeError, IndexError, ArithmeticError, MemoryError):
                continue
        if isinstance(y, (list, tuple)):
            step = step._replace(part=int(r.integers(len(y)))) if y else step
            y = y[step.part] if step.part is not None else y
        if not isinstance(y, tm.Tensor) or y.size > most or not _is_tame(y.numpy()):
            continue
        steps.append(step)
        values.append(y)
        read.update(ref.place for ref in step.reads())
        if len(steps) == wanted:
            break
    return steps, read


def _is_tame(y: Any) -> bool:
    """Finite, and not so large that rounding is all that is left."""
    return bool(np.isfinite(y).all()) and float(np.abs(y.astype(float)).max(initial=0)) < 1e4


__all__ = ["Case", "Input", "Ref", "Setting", "Step", "draw"]
