"""Random networks: two to six layers of `tm.nn` under a learner of `tm.meta`, or in plain training, compiled and eager.

`draw(seed)` gives a `Case`; equal seeds give equal cases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import tinymeta as tm
from tests.fuzz import optimizers
from tests.fuzz.agreement import CORES, Program, Refused, Setting, disagreement
from tests.fuzz.flow import Flow
from tests.fuzz.layers import LAYERS, flattened
from tests.fuzz.learners import LEARNERS, Task
from tests.fuzz.losses import LOSSES
from tinymeta import nn

ASKS = ("value", "gradient", "gradient", "gradient", "step", "step", "hvp")
HEADS = ("linear", "linear without bias", "global mean, linear", "global mean, linear without bias", "none")
INPUTS = ("vector", "vector", "image", "image", "sequence", "ids", "ids in sequence")
LARGEST = 20_000  # numbers in one layer's result for one example


class Case(NamedTuple):
    """A network, a learner, and what is asked of them."""

    seed: int
    flow: Flow
    layers: tuple[tuple[str, int], ...]  # names, and the seed that each is drawn with
    head: str
    loss: str
    learner: str
    ask: str  # "value", "gradient", "hvp", or a "step" of an optimizer
    dtype: str
    tasks: int
    shots: int
    setting: Setting

    def check(self) -> str:
        return disagreement(self.build, self.dtype, self.setting)

    def build(self, dtype: Any) -> Program:
        with np.errstate(all="ignore"):
            return self._built(np.dtype(dtype))

    def _built(self, dtype: Any) -> Program:
        try:
            network, output, place = self.network(dtype)
            task = Task(
                network, self.flow, output, LOSSES[self.loss], dtype, self.tasks, self.shots, f"layers.{place}.*"
            )
            learned = LEARNERS[self.learner](np.random.default_rng(self.seed), task)
        except Exception as error:
            raise Refused(f"{type(error).__name__}: {error}") from error
        if learned is None:
            raise Refused(f"{self.learner} does not fit")
        objective, phi = learned.objective, tm.tree.map(tm.tensor, learned.phi)

        def given(k: int) -> tuple[Any, Any]:
            r = np.random.default_rng((self.seed, k))
            return redrawn(phi, r), learned.data(r)

        if self.ask == "value":
            return Program(objective, given)
        if self.ask == "gradient":
            return Program(tm.value_and_grad(objective), given)
        if self.ask == "hvp":
            f = lambda phi, v, data: tm.hvp(lambda phi: objective(phi, data), phi, v)
            return Program(f, lambda k: (given(k)[0], given(k + 100)[0], given(k)[1]))
        optimizer, _ = self.optimizer()

        def step(phi: Any, state: Any, data: Any) -> Any:
            value, grads = tm.value_and_grad(objective)(phi, data)
            return *optimizer.update(grads, state, phi), value

        def with_state(k: int) -> tuple[Any, Any, Any]:
            phi, data = given(k)
            state = optimizer.init(phi)
            return phi, state if k == 0 else optimizer.update(phi, state, phi)[1], data

        return Program(step, with_state)

    def optimizer(self) -> tuple[Any, list[str]]:
        return optimizers.drawn(np.random.default_rng((self.seed, 7)))

    def network(self, dtype: Any) -> tuple[Callable[[Any], Any], tuple[int, ...], int]:
        """What draws the model, the shape of one output, and the place of its last layer with weights."""
        layers, flow = [], self.flow
        for name, seed in self.layers:
            found = fitting(name, seed, flow, dtype)
            if found is not None:
                layers.append(found[0])
                flow = found[1]
        r = np.random.default_rng((self.seed, 3))
        last = int(r.integers(1, 6))
        head: list[Any] = []
        if flow.ids:
            head.append(nn.Embedding(flow.ids, 4, rng=r, dtype=dtype))
            flow = Flow((*flow.shape, 4))
        if "linear" in self.head:
            if len(flow.shape) > 1 and "mean" in self.head:
                head.append(partial(tm.mean, axis=tuple(range(-len(flow.shape) + 1, 0))))
                flow = Flow(flow.shape[:1])
            elif len(flow.shape) > 1:
                head.append(flattened)
                flow = Flow((int(np.prod(flow.shape)),))
            head.append(nn.Linear(flow.shape[0], last, rng=r, bias="without" not in self.head, dtype=dtype))
            flow = Flow((last,))
        model = nn.Sequential(*layers, *head)
        weighted = [k for k, layer in enumerate(model.layers) if tm.tree.leaves(layer)]
        if not weighted:
            raise Refused("no weights")
        return lambda rng: tm.tree.map(tm.tensor, model), flow.shape, weighted[-1]

    def names(self) -> Iterator[str]:
        yield from (f"layer {name}" for name, _ in self.layers)
        yield f"learner {self.learner}"
        yield f"loss {self.loss}"
        yield f"ask {self.ask}"
        yield f"dtype {self.dtype}"
        yield f"head {self.head}"
        if self.ask == "step":
            yield from (f"optim {name}" for name in self.optimizer()[1])

    def smaller(self) -> Iterator[Case]:
        for k in range(len(self.layers)):
            yield self._replace(layers=self.layers[:k] + self.layers[k + 1 :])
        for name, plain in {
            "setting": Setting(),
            "learner": "plain training",
            "ask": "value",
            "tasks": 1,
            "shots": 1,
            "dtype": "float64",
            "head": "linear without bias",
            "loss": "a sum of squares",
        }.items():
            if getattr(self, name) != plain:
                yield self._replace(**{name: plain})
        if self.ask in ("step", "hvp"):
            yield self._replace(ask="gradient")
        if self.tasks > 2:
            yield self._replace(tasks=2)
        if self.shots > 2:
            yield self._replace(shots=2)
        if not self.setting.factor:
            yield self._replace(setting=Setting(False))

    def text(self) -> str:
        return f"from tests.fuzz.networks import *\nprint({self!r}.check())"


def fitting(name: str, seed: int, flow: Flow, dtype: Any) -> tuple[Any, Flow] | None:
    """The layer and what flows out of it; None if it does not fit."""
    layer = LAYERS[name](np.random.default_rng(seed), flow, dtype)
    if layer is None:
        return None
    x = np.zeros((2, *flow.shape), int) if flow.ids else np.random.default_rng(0).normal(size=(2, *flow.shape))
    try:
        y = layer(tm.tensor(x if flow.ids else x.astype(dtype)))
    except Exception:
        return None
    if 0 in y.shape or y.size > 2 * LARGEST or y.ndim < 2 or y.shape[0] != 2 or y.dtype.kind != "f":
        return None
    return layer, Flow(y.shape[1:])


def redrawn(phi: Any, r: Any) -> Any:
    """φ with other numbers of about the same size, none of them 0."""

    def one(p: Any) -> Any:
        noise = 0.1 * np.abs(p) * r.normal(size=p.shape) + 0.02 * r.normal(size=p.shape)
        return tm.Tensor(np.asarray(p + noise).astype(p.dtype))

    return tm.tree.map(lambda p: one(np.asarray(p)), phi)


def draw(seed: int) -> Case:
    """A random case."""
    r = np.random.default_rng(seed)
    size = int(r.choice([1, 1, 1, 2, 2, 4]))  # larger ones are rarer
    flow = _input(r, size)
    layers: list[tuple[str, int]] = []
    names, at = list(LAYERS), flow
    for _ in range(int(r.integers(2, 7))):
        for _ in range(50):
            name, own = str(r.choice(names)), int(r.integers(1 << 31))
            found = fitting(name, own, at, np.float64)
            if found is not None:
                layers.append((name, own))
                at = found[1]
                break
    return Case(
        seed=seed,
        flow=flow,
        layers=tuple(layers),
        head=str(r.choice(HEADS)),
        loss=str(r.choice(list(LOSSES))),
        learner=str(r.choice([*LEARNERS, *("MAML", "plain training") * 3])),
        ask=str(r.choice(ASKS)),
        dtype=str(r.choice(["float64", "float64", "float32"])),
        tasks=int(r.choice([1, 2, 3, 5, 8 * size])),
        shots=int(r.choice([1, 2, 3, 5, 4 * size])),
        setting=Setting(
            factor=bool(r.random() < 0.75),
            cores=str(r.choice(list(CORES))),
            layouts=int(r.choice([0, r.integers(1, 1 << 20)])),
            check=bool(r.random() < 0.2),
        ),
    )


def _input(r: Any, size: int) -> Flow:
    kind = str(r.choice(INPUTS))
    side = lambda: int(r.integers(1, 4 + 3 * size))
    if kind == "vector":
        return Flow((int(r.choice([1, 2, 3, 7, 16, 33, 64 * size])),))
    if kind == "image":
        return Flow((int(r.integers(1, 4)), side() + 2, side() + 2))
    if kind == "sequence":
        return Flow((side(), int(r.choice([1, 2, 4, 6, 16]))))
    return Flow((side(),) if "sequence" in kind else (), int(r.integers(2, 9)))


__all__ = ["Case", "Flow", "Setting", "draw"]
