"""Faults planted where operations are recorded and translated, one for each rule: the random programs see each.

A fault's witness draws random programs until enough of them hold the functions in question, and checks those: they
agree as the code stands, and some disagree with the fault.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import count, islice, product
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tests.compile.planted import Fault, caught_by, plant
from tests.fuzz import arrays
from tests.fuzz.agreement import Refused, Setting
from tests.planted_table import IN_THE_COMPILER
from tinymeta.compile.record import convolution, number, pooling, translate
from tinymeta.compile.record import recording as record
from tinymeta.ops import elementwise, norm, select
from tinymeta.ops.logistic import logistic_density, sigmoid, softplus, tanh_slope
from tinymeta.ops.reduce import sum_axes
from tinymeta.ops.softmax import log_softmax_axis, softmax_axis

ENOUGH = 12  # programs that hold a function


class Asked:
    """A witness: random programs in which one of `functions` is called, and `ask` is among what is asked."""

    def __init__(self, *functions: str, ask: str = "") -> None:
        self.functions, self.ask = functions, ask
        self.__name__ = f"random_programs_with_{'_'.join(functions)}"

    def __call__(self) -> None:
        for case in _holding(self.functions, self.ask):
            try:
                said = case.check()
            except Refused:
                continue
            assert not said, f"{said}\n{case.text()}"


_drawn = cache(arrays.draw)  # for all faults the same


@cache
def _holding(functions: tuple[str, ...], ask: str) -> list[Any]:
    drawn = map(_drawn, count(7_000_000))
    wanted = (c for c in drawn if ask in c.ask and any(step.name in functions for step in c.steps))
    small = (c._replace(setting=Setting()) for c in wanted if all(i.shape not in arrays.LARGE for i in c.inputs))
    return list(islice(small, ENOUGH))


def a_number_beside_an_array() -> None:
    """A Python number among the arguments, which takes the dtype of what it meets."""
    product = tm.compile(lambda x, y: x * y, check=False)  # code that asks for the number's class is tried without
    assert product(np.ones(3, np.float32), 0.1).dtype == np.float32


def functions_of_whole_numbers() -> None:
    """Of masks, and of integers without a sign, in which −1 can't be written."""
    for name, dtype in product(("sigmoid", "mean", "softplus"), ("bool", "uint8")):
        step = arrays.Step(name, (arrays.Ref(0),), {})
        assert not arrays.Case(1, (arrays.Input((5,), dtype),), (step,), (1,), "values", Setting()).check()


def a_share_of_integers() -> None:
    x = np.array([1, 2, 4])
    share = lambda x: sum_axes(x, axes=(-1,), keepdims=False, count=2.5)
    assert tm.compile(share)(x).tolist() == share(x).tolist() == 2.8


def _fault(owner: Any, name: str, right: str, wrong: str, *functions: str, ask: str = "") -> Fault:
    return Fault(owner, name, right, wrong, Asked(*functions, ask=ask))


FAULTS: dict[str, Fault] = {
    "sigmoid: the wrong way round": _fault(sigmoid, "plain", "exp(-1 * x)", "exp(x)", "sigmoid", "silu"),
    "its density: e⁻ˣ σ(x)": _fault(
        logistic_density,
        "plain",
        "scale(exp(-1 * x), sigmoid(x)) * sigmoid(x)",
        "scale(exp(-1 * x), sigmoid(x))",
        "sigmoid",
        "silu",
        "softplus",
        ask="gradient",
    ),
    "tanh's slope: without the square": _fault(tanh_slope, "plain", "square(", "(", "tanh", ask="gradient"),
    "softplus: log(e + eˣ)": _fault(softplus, "plain", "(x, 0)", "(x, 1)", "softplus"),
    "relu: a step at 1": _fault(select.relu, "plain", "maximum(0, x)", "maximum(1, x)", "relu"),
    "reciprocal: of −x": _fault(elementwise.reciprocal, "plain", "1 / x", "-1 / x", "reciprocal"),
    "mean: the sum times the length": _fault(translate, "_divided", "np.divide", "np.multiply", "mean"),
    "a mean's gradient is a sum's": _fault(
        translate, "_repeat", "_divided(b, x, count)", "x", "mean", "var", ask="gradient"
    ),
    "softmax: sums instead of quotients": _fault(softmax_axis, "plain", "e / sum(", "e + sum(", "softmax"),
    "log-softmax: without the logarithm": _fault(log_softmax_axis, "plain", "log1p(", "(", "log_softmax"),
    "normalisation: eps is 0": _fault(norm.normalize, "plain", " + eps", "", "layer_norm", "batch_norm"),
    "its gradient: a wrong sign": _fault(
        norm,
        "_without",
        "- _mean(g, axes)",
        "+ _mean(g, axes)",
        "layer_norm",
        "batch_norm",
        ask="gradient",
    ),
    "its second derivative: a wrong sign": _fault(
        norm.normalize_input_grad,
        "plain",
        "-s * both",
        "s * both",
        "layer_norm",
        "batch_norm",
        "group_norm",
        ask="hvp",
    ),
    "a plain form for integers, constants in their dtype": Fault(
        record.Transcriber,
        "_written_out",
        'x.dtype.kind != "f"',
        'x.dtype.kind not in "fiub"',
        functions_of_whole_numbers,
    ),
    "a plain form of one result for another": _fault(
        record.Transcriber,
        "_written_out",
        "self.nodes[twin.id] = self.node(x)",
        "self.nodes[twin.id] = self.node(inputs[0])",
        "layer_norm",
        "batch_norm",
        "group_norm",
        ask="gradient",
    ),
    "kind 5: sums of integers, constants in their dtype": Fault(
        translate, "_rule", '.dtype.kind == "f"', '.dtype.kind in "fiub"', a_share_of_integers
    ),
    "kind 5: a number is as strong as an array": Fault(
        number.Number, "weak", "like if fits else", "self.dtype if fits else", a_number_beside_an_array
    ),
    "vmap: a transpose knows no hidden axes": _fault(
        translate, "_permute", "rank - len(axes)", "0", "permute_dims", "moveaxis", ask="vmap"
    ),
    "vmap: operands that were not aligned": _fault(
        record.Transcriber,
        "_translated",
        "if batch:",
        "if False:",
        "where",
        "add",
        "multiply",
        "x * y",
        "clip",
        ask="vmap",
    ),
    "index: a slice's step is lost": _fault(translate, "_slice", "k.stop, k.step)", "k.stop, None)", "x[key]", "flip"),
    "index: its gradient lies the other way": _fault(
        translate,
        "_put_at",
        "_slice(key, len(hidden))",
        "Slice((*((None, None, -1),) * (len(hidden) + len(key)),))",
        "x[key]",
        ask="gradient",
    ),
    "convolution: rows and columns of the filter swapped": _fault(
        convolution, "images", '"ocij"', '"ocji"', "conv1d", "conv2d"
    ),
    "convolution: padding lies at one end": _fault(
        convolution, "inside", "(p, p + n, None)", "(0, n, None)", "conv1d", "conv2d", "avg_pool2d"
    ),
    "pooling: the smallest": _fault(pooling, "_running", "np.maximum", "np.minimum", "max_pool1d", "max_pool2d"),
    "pooling: a mean without its divisor": _fault(
        pooling, "mean", "math.prod(window)", "1", "avg_pool1d", "avg_pool2d"
    ),
}


def planted(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plant a fault; the tables of rules hold the functions themselves."""
    before = getattr(fault.owner, fault.name)
    plant(fault, monkeypatch)
    for table in (translate._MOVES, translate._SUMS):
        for primitive, rule in table.items():
            if rule is before:
                monkeypatch.setitem(table, primitive, getattr(fault.owner, fault.name))
    for module in (translate, pooling, convolution):
        if vars(module).get(fault.name) is before:
            monkeypatch.setattr(module, fault.name, getattr(fault.owner, fault.name))


@pytest.mark.parametrize("name", FAULTS)
def test_random_programs_see_a_planted_fault(
    name: str, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    FAULTS[name].witness()
    planted(FAULTS[name], monkeypatch)
    found = caught_by(FAULTS[name].witness)
    record_property(IN_THE_COMPILER, (name, found))
    assert found, f"nothing saw it: {name}"
