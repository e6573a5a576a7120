"""`check_grad` and `check_primitive`: the properties, packed for any test suite."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinymeta.engine import tree
from tinymeta.engine.convert import as_tensor
from tinymeta.engine.primitive import Primitive
from tinymeta.engine.state import USER
from tinymeta.engine.tensor import Array, Tensor
from tinymeta.testing.batching import vmap_is_a_loop
from tinymeta.testing.case import Case, pull, random_case
from tinymeta.testing.compiling import compiled_is_eager
from tinymeta.testing.gradients import (
    gradients_keep_shape_and_dtype,
    hessian_is_symmetric,
    jvp_is_adjoint_to_vjp,
    second_and_third_order,
    vjp_is_linear,
    vjp_is_the_jacobian,
)
from tinymeta.testing.oracle import central_difference, complex_step, references
from tinymeta.testing.points import kinks_take_one_side, where_keeps_out_the_other_branch
from tinymeta.testing.report import table
from tinymeta.testing.values import kernel_is_reference, layout_does_not_matter, nothing_is_written_to

Property = Callable[[Case], None]

PROPERTIES: dict[str, Property] = {
    "P1": kernel_is_reference,
    "P2": vjp_is_the_jacobian,
    "P3": jvp_is_adjoint_to_vjp,
    "P4": vjp_is_linear,
    "P5": second_and_third_order,
    "P6": hessian_is_symmetric,
    "P7": gradients_keep_shape_and_dtype,
    "P8": layout_does_not_matter,
    "P9": nothing_is_written_to,
    "P11": where_keeps_out_the_other_branch,
    "PV": vmap_is_a_loop,
    "PC": compiled_is_eager,
}
_OF_VALUES = ("P1", "P2", "P8", "P9", "PV", "PC")


def properties(primitive: type[Primitive]) -> dict[str, Property]:
    """The properties that concern a primitive, by their number in the protocol."""
    return PROPERTIES if primitive.vjp is not None else {name: PROPERTIES[name] for name in _OF_VALUES}


def check_primitive(primitive: type[Primitive], examples: int = 10, seed: int = 0, where: bool = False) -> None:
    """Put one primitive through all properties that tinymeta's own are tested with.

    Its declaration is all that is needed: inputs are drawn from its `domain`, in the shapes of its `samples`.
    P1 kernel and reference agree; P2 the rule is the Jacobian; P3 its own adjoint; P4 linear; P5 right at
    orders 2 and 3; P6 with a symmetric Hessian; P7 shapes and dtypes; P8 any memory layout; P9 nothing
    written to; P10 kinks; PV under `vmap`; PC compiled. tinymeta's own keep P11 too (`where=True`): inside `where`, no
    NaN of theirs reaches the branch that is taken. For that a rule multiplies its cotangent with
    `tm.scale` in place of `*`.

    Raises
    ------
    AssertionError
        Naming the property, the inputs, the seed, and the numbers that differ.

    Examples
    --------
    >>> import numpy as np, tinymeta as tm
    >>> from tinymeta.engine.domain import reals
    >>> @tm.primitive
    ... class cube:
    ...     "y = x³,   dy = 3x² dx."
    ...     kernel = reference = staticmethod(lambda x: x * x * x)
    ...     domain, kinks = (reals(-2, 2),), ()
    ...     vjp = lambda g, y, x: g * 3 * x * x
    >>> tm.testing.check_primitive(cube)
    """
    for name, holds in properties(primitive).items():
        for k in range(examples if where or name != "P11" else 0):
            case = random_case(primitive, seed + k)
            try:
                holds(case)
            except AssertionError as failure:
                raise AssertionError(f"{name} fails. {failure}") from failure
    kinks_take_one_side(primitive)


def check_grad(
    f: Callable[..., Any], *args: Any, order: int = 2, rtol: float | None = None, seed: int = 0, elements: int = 200
) -> None:
    """Check the derivatives of a function, of every order up to `order`, against an oracle.

    The oracle for order n is a complex step through the engine's own derivative of order n − 1, with each
    kernel exchanged for its reference: exact to rounding (`tinymeta.testing.oracle`). Where `f` can't be
    computed with complex numbers (it reads a value, or has an operation of another library inside), it is
    the five-point central difference. For orders above 1 the lower derivative is contracted with a random direction.

    Parameters
    ----------
    f
        A function of pytrees to a pytree, with the arguments to check it at, `args`. Their floating-point
        leaves are varied; the rest is held fixed.
    order
        The highest order to check.
    rtol
        What counts as a difference, relative to the largest derivative of that order. By default 1e-9
        (1e-6 for central differences), or 1e-4 with float32.
    seed
        Of the random weights of the outputs and the directions.
    elements
        Every element of the arguments is checked up to this many; of more, a random choice of this many.

    Raises
    ------
    AssertionError
        With one line for each of the worst elements: order, argument, index, both values, relative error, ulps.

    Examples
    --------
    >>> import numpy as np, tinymeta as tm
    >>> tm.testing.check_grad(lambda x: tm.tanh(x) * x, np.array([0.3, -1.2]), order=3)
    """
    problem = _Problem(f, args, seed, order)
    for k in range(1, order + 1):
        found = problem.gradient(k, problem.points)
        chosen = problem.chosen(elements)
        expected, oracle = problem.expected(k, chosen)
        default = 1e-4 if problem.single else 1e-9 if oracle == "complex step" else 1e-6
        problem.compare(k, found, expected, chosen, default if rtol is None else rtol, oracle)


class _Problem:
    """`check_grad`'s function as one of lists of arrays, and its random weights."""

    def __init__(self, f: Callable[..., Any], args: tuple[Any, ...], seed: int, order: int) -> None:
        self.f, self.seed = f, seed
        leaves, self.structure = tree.flatten(args)
        self.leaves = [leaf.detach() if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        arrays = [x.numpy() if isinstance(x, Tensor) else np.asarray(x) for x in self.leaves]
        self.places = [i for i, x in enumerate(arrays) if x.dtype.kind == "f"]
        self.points = [arrays[i] for i in self.places]
        self.names = [tree.paths(args)[i] for i in self.places]
        if not self.points:
            raise TypeError("check_grad found no floating-point argument: pass arrays of floats")
        self.single = any(x.dtype != np.float64 for x in self.points)
        self.rng = np.random.default_rng(seed)
        outputs = [y.data for y in self.outputs(self.inputs(self.points))]
        self.weights = [[self._weight(y) for y in outputs]]
        self.weights += [[self._weight(x) for x in self.points] for _ in range(order - 1)]

    def _weight(self, like: Array) -> Array:
        signed: Array = self.rng.uniform(0.5, 1.5, like.shape) * self.rng.choice((-1.0, 1.0), like.shape)
        return signed

    def inputs(self, points: Sequence[Array]) -> list[Tensor]:
        return [Tensor(np.asarray(x), 0, USER) for x in points]

    def outputs(self, xs: Sequence[Tensor]) -> list[Tensor]:
        leaves = list(self.leaves)
        for i, x in zip(self.places, xs):
            leaves[i] = x
        results = [as_tensor(y) for y in tree.leaves(self.f(*tree.unflatten(self.structure, leaves)))]
        return [y for y in results if y.dtype.kind in "fc"]

    def gradient(self, order: int, points: Sequence[Array]) -> list[Array]:
        """The gradient of order `order`, the lower ones being contracted with the weights."""
        xs = self.inputs(points)
        ys = self.outputs(xs)
        for weights in self.weights[:order]:
            ys = pull(ys, [Tensor(w) for w in weights], xs)
        return [y.data for y in ys]

    def contracted(self, order: int, points: list[Array]) -> list[Array]:
        """The number whose gradient is that of order `order`."""
        rung = self.gradient(order - 1, points) if order > 1 else [y.data for y in self.outputs(self.inputs(points))]
        return [np.sum([np.sum(w * y) for w, y in zip(self.weights[order - 1], rung)])]

    def chosen(self, elements: int) -> list[tuple[int, tuple[int, ...]]]:
        places = [(k, at) for k, x in enumerate(self.points) for at in np.ndindex(x.shape)]
        if len(places) > elements:
            places = [places[i] for i in sorted(self.rng.choice(len(places), elements, replace=False))]
        return places

    def expected(self, order: int, chosen: Sequence[tuple[int, tuple[int, ...]]]) -> tuple[list[float], str]:
        """The oracle's derivative for each chosen element, and the oracle's name."""
        points = [x.astype(float) for x in self.points]

        def through(step: Callable[..., list[Array]]) -> list[float]:
            found = []
            for k, at in chosen:
                unit = [np.zeros(x.shape) for x in points]
                unit[k][at] = 1.0
                found.append(float(step(lambda moved: self.contracted(order, moved), points, unit)[0]))
            return found

        try:
            with references(), warnings.catch_warnings():
                # NumPy warns when an imaginary part is lost: then the function is not computed with complex numbers.
                warnings.simplefilter("error", np.exceptions.ComplexWarning)
                return through(complex_step), "complex step"
        except (TypeError, ValueError, np.exceptions.ComplexWarning):
            return through(central_difference), "central difference"

    def compare(
        self,
        order: int,
        found: Sequence[Array],
        expected: Sequence[float],
        chosen: Sequence[tuple[int, tuple[int, ...]]],
        rtol: float,
        oracle: str,
    ) -> None:
        values = np.array([float(found[k][at]) for k, at in chosen])
        oracles = np.array(expected)
        wrong = ~(np.abs(values - oracles) <= rtol * np.abs(oracles).max(initial=0))
        if not wrong.any():
            return
        names = [f"{self.names[k]}{list(at) if at else ''}" for k, at in chosen]
        raise AssertionError(
            f"the derivative of order {order} differs from the {oracle} in {np.count_nonzero(wrong)} of "
            f"{wrong.size} elements (seed {self.seed}, rtol {rtol:g})\n{table(values, oracles, wrong, names=names)}"
        )
