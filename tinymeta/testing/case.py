"""A case: one primitive with inputs drawn from its declaration, and the ways to run and differentiate it.

Everything here happens on the level of `bind` and the sweep, below the user's functions: hidden axes are
given as they are, and each derivative is a sweep over the record of the one before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from tinymeta.engine.domain import Domain, Sample
from tinymeta.engine.primitive import Primitive, bind, outputs_of
from tinymeta.engine.state import USER
from tinymeta.engine.sweep import pull
from tinymeta.engine.tensor import Array, Tensor
from tinymeta.engine.typing import Static
from tinymeta.testing.oracle import references
from tinymeta.testing.shapes import broadcasting, narrower, usual_shapes


@dataclass(frozen=True)
class Case:
    """Inputs for a primitive: arrays with `batch` hidden leading axes, static arguments, and the seed of all draws."""

    primitive: type[Primitive]
    arrays: tuple[Array, ...]
    static: Static
    batch: int
    seed: int

    def __str__(self) -> str:
        given = [f"{x.dtype}{list(x.shape)}" for x in self.arrays]
        given += [f"{name}={value!r}" for name, value in self.static.items() if not callable(value)]
        return f"{self.primitive.__name__}({', '.join(given)}), seed {self.seed}"

    @property
    def rng(self) -> np.random.Generator:
        """A stream of its own for every property, the same in each run."""
        return np.random.default_rng([self.seed, 1])

    @cached_property
    def variables(self) -> tuple[int, ...]:
        """Which inputs can be differentiated."""
        return tuple(i for i, x in enumerate(self.arrays) if x.dtype.kind in "fc")

    @property
    def points(self) -> list[Array]:
        return [self.arrays[i] for i in self.variables]

    def domain(self, i: int) -> Domain:
        """The domain of input `i`: the last one declared stands for all that follow."""
        return self.primitive.domain[min(i, len(self.primitive.domain) - 1)]

    def at(self, points: Sequence[Array]) -> Case:
        """The same case with other values for its variables."""
        arrays = list(self.arrays)
        for i, x in zip(self.variables, points):
            arrays[i] = x
        return replace(self, arrays=tuple(arrays))

    def values(self, kernel: Any = None) -> list[Array]:
        """The outputs of the kernel (or of another function of its signature), aligned as `bind` aligns them."""
        if kernel is None:
            return [y.array for y in self.run([Tensor(x, self.batch) for x in self.arrays])]
        b = self.batch
        given = [x.reshape(x.shape[:b] + (1,) * n + x.shape[b:]) for x, n in zip(self.arrays, self._lacks)]
        with references():  # of which one that follows from a plain form is made
            return [np.asarray(y) for y in _listed(kernel(*given, **self.static))]

    def run(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        return list(outputs_of(bind(self.primitive, *inputs, **self.static)))

    def leaves(self) -> list[Tensor]:
        """The inputs as Tensors, the variables marked for differentiation."""
        return [Tensor(x, self.batch, USER if x.dtype.kind in "fc" else 0) for x in self.arrays]

    def cotangents(self, rng: np.random.Generator) -> list[Array]:
        """One random cotangent for each floating-point output, of order 1."""
        return [_signs(rng, y.shape).astype(y.dtype) for y in self.values() if y.dtype.kind == "f"]

    def directions(self, rng: np.random.Generator) -> list[Array]:
        """A random direction in the space of the variables, of order 1; symmetric where a variable is."""
        drawn = [_signs(rng, x.shape).astype(x.dtype) for x in self.points]
        return self.projected(drawn)

    def projected(self, points: Sequence[Array]) -> list[Array]:
        """The symmetric part for variables that are symmetric matrices: only there does the primitive live."""
        kinds = [self.domain(i).kind for i in self.variables]
        return [(x + np.swapaxes(x, -1, -2)) / 2 if kind == "spd" else x for x, kind in zip(points, kinds)]

    @property
    def _lacks(self) -> list[int]:
        """How many visible axes each input lacks, for a primitive whose inputs line up at the right."""
        ranks = [x.ndim for x in self.arrays]
        return [max(ranks, default=0) - rank if self.primitive.broadcasts and self.batch else 0 for rank in ranks]


def drawn(primitive: type[Primitive], sample: Sample | None, shapes: Sequence[tuple[int, ...]], seed: int) -> Case:
    """A case with these shapes, its values drawn from the primitive's domain."""
    rng = np.random.default_rng(seed)
    last = len(primitive.domain) - 1
    arrays = tuple(value(rng, primitive.domain[min(i, last)], shape) for i, shape in enumerate(shapes))
    return Case(primitive, arrays, sample.static if sample else {}, sample.batch if sample else 0, seed)


def random_case(primitive: type[Primitive], seed: int) -> Case:
    """A case of one of the primitive's samples, or of shapes that broadcast: first the usual ones, then random ones."""
    if primitive.samples:
        tried = samples(primitive)
        sample = tried[seed % len(tried)]
        return drawn(primitive, sample, sample.shapes, seed)
    usual = usual_shapes(len(primitive.domain))
    rng = np.random.default_rng([seed, 2])
    return drawn(primitive, None, usual[seed] if seed < len(usual) else broadcasting(rng, len(primitive.domain)), seed)


def usual_count(primitive: type[Primitive]) -> int:
    """How many first seeds of `random_case` each have a reason of their own."""
    return len(samples(primitive)) if primitive.samples else len(usual_shapes(len(primitive.domain)))


_tried: WeakKeyDictionary[type[Primitive], list[Sample]] = WeakKeyDictionary()


def samples(primitive: type[Primitive]) -> list[Sample]:
    """The samples declared, and the narrower ones that the primitive takes and broadcasts to the same results."""
    if primitive not in _tried:
        more = [less for one in primitive.samples for less in narrower(primitive, one) if _takes(primitive, less, one)]
        _tried[primitive] = [*primitive.samples, *more]
    return _tried[primitive]


def _takes(primitive: type[Primitive], less: Sample, sample: Sample) -> bool:
    """Whether the primitive and its rule broadcast these inputs to results like the sample's, or refuse them."""
    try:
        case = drawn(primitive, less, less.shapes, 0)
        whole = drawn(primitive, sample, sample.shapes, 0).values()
        found, expected = case.values(), case.values(primitive.reference)
        if primitive.vjp is not None:
            ladder(case, case.cotangents(case.rng), [])
    except (ValueError, TypeError, IndexError, np.linalg.LinAlgError):
        return False
    return [y.shape for y in found] == [y.shape for y in expected] == [y.shape for y in whole]


def value(rng: np.random.Generator, domain: Domain, shape: tuple[int, ...]) -> Array:
    """An array of this shape from a domain."""
    low, high, kind = domain
    if kind == "bool":
        return rng.random(shape) < 0.5
    if kind == "index":
        return rng.integers(int(low), int(high) + 1, size=shape)
    if kind == "real":
        x = rng.uniform(low, high, size=shape)
        # One in eight is small, for what is wrong near 0 alone.
        return (
            np.where(rng.random(shape) < 1 / 8, x * 10.0 ** -rng.uniform(1, 8, size=shape), x) if low < 0 < high else x
        )
    left, right = (np.linalg.qr(rng.normal(size=shape))[0] for _ in range(2))
    spectrum = rng.uniform(low, high, size=(*shape[:-2], 1, shape[-1]))
    other: Array = np.swapaxes(left if kind == "spd" else right, -1, -2)
    product: Array = (left * spectrum) @ other
    return (product + np.swapaxes(product, -1, -2)) / 2 if kind == "spd" else product


def ladder(case: Case, gs: Sequence[Array], ws: Sequence[Sequence[Array]]) -> list[list[Tensor]]:
    """Derivatives of every order up to `len(ws) + 1`, by sweeping over sweeps.

    The first rung is Jᵀg for the variables `x`. Each further rung is the gradient, for all the variables
    and all the cotangents `g`, of the rung below contracted with the next of `ws`.
    """
    inputs = case.leaves()
    xs = [inputs[i] for i in case.variables]
    ys = [y for y in case.run(inputs) if y.dtype.kind in "fc"]
    cotangents = [Tensor(g, y.batch, USER) for g, y in zip(gs, ys)]
    rungs = [pull(ys, cotangents, xs)]
    for w in ws:
        directions = [Tensor(a, t.batch) for a, t in zip(w, [*xs, *cotangents])]
        rungs.append(pull(rungs[-1], directions[: len(rungs[-1])], [*xs, *cotangents]))
    return rungs


def settled(found: Sequence[Tensor], like: Sequence[Array]) -> list[Array]:
    """Cotangents as arrays like the values they belong to: summed over hidden axes that those share.

    Inside `vmap` each example keeps its own cotangent for a value that all examples share; their sum is the gradient.
    """
    arrays = []
    for g, x in zip(found, like):
        axes = tuple(i for i, (n, m) in enumerate(zip(g.array.shape, x.shape)) if n != m and m == 1)
        arrays.append(np.sum(g.array, axis=axes, keepdims=True) if axes else g.array)
    return arrays


def _signs(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Numbers of size 0.5 to 1.5 and random sign: none is so small that an error in its term could hide."""
    signed: Array = rng.uniform(0.5, 1.5, size=shape) * rng.choice((-1.0, 1.0), size=shape)
    return signed


def _listed(result: object) -> list[Any]:
    return list(result) if isinstance(result, tuple) else [result]
