"""Faults planted where operations are recorded and translated, one for each rule: the random programs see each.

A fault's witness draws random programs until enough of them hold the functions in question, and checks those: they
agree as the code stands, and some disagree with the fault.
"""

from __future__ import annotations

from functools import cache
from itertools import count, islice
from typing import Any

import pytest

from tests.compile.planted import Fault, caught_by, plant
from tests.fuzz import arrays
from tests.fuzz.agreement import Refused, Setting
from tinymeta.compile.record import convolution, formulas, number, pooling, translate
from tinymeta.compile.record import recording as record

ENOUGH = 8  # programs that hold a function


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


@cache
def _holding(functions: tuple[str, ...], ask: str) -> list[Any]:
    drawn = map(arrays.draw, count(7_000_000))
    wanted = (c for c in drawn if ask in c.ask and any(step.name in functions for step in c.steps))
    small = (c._replace(setting=Setting()) for c in wanted if all(i.shape not in arrays.LARGE for i in c.inputs))
    return list(islice(small, ENOUGH))


def a_number_beside_an_array() -> None:
    """A Python number among the arguments, which takes the dtype of what it meets."""
    inputs = arrays.Input((3,), "float32"), arrays.Input((), "float")
    step = arrays.Step("x * y", (arrays.Ref(0), arrays.Ref(1)), {})
    assert not arrays.Case(1, inputs, (step,), (2,), "values", Setting()).check()


def functions_of_a_mask() -> None:
    """And of integers without a sign, in which −1 can't be written."""
    for name in ("sigmoid", "mean", "softplus"):
        step = arrays.Step(name, (arrays.Ref(0),), {})
        for dtype in ("bool", "uint8"):
            assert not arrays.Case(1, (arrays.Input((5,), dtype),), (step,), (1,), "values", Setting()).check()


def _fault(owner: Any, name: str, right: str, wrong: str, *functions: str, ask: str = "") -> Fault:
    return Fault(owner, name, right, wrong, Asked(*functions, ask=ask))


FAULTS: dict[str, Fault] = {
    "sigmoid: the wrong way round": _fault(
        formulas, "_decay", "number(b, -1, x)", "number(b, 1, x)", "sigmoid", "silu"
    ),
    "its density: e⁻ˣ σ(x)": _fault(
        formulas,
        "logistic_density",
        "b.add(Scale(), _decay(b, x), y), y)",
        "_decay(b, x), y)",
        "sigmoid",
        "silu",
        "softplus",
        ask="gradient",
    ),
    "tanh's slope: without the square": _fault(
        formulas, "tanh_slope", "np.square", "np.positive", "tanh", ask="gradient"
    ),
    "softplus: log(e + eˣ)": _fault(formulas, "softplus", "number(b, 0, x)", "number(b, 1, x)", "softplus"),
    "relu: a step at 1": _fault(formulas, "relu", "number(b, 0, x)", "number(b, 1, x)", "relu"),
    "reciprocal: of −x": _fault(formulas, "reciprocal", "number(b, 1, x)", "number(b, -1, x)", "reciprocal"),
    "mean: the sum times the length": _fault(formulas, "_divided", "np.divide", "np.multiply", "mean"),
    "a mean's gradient is a sum's": _fault(
        formulas, "repeat_axes", "_divided(b, x, count)", "x", "mean", "var", ask="gradient"
    ),
    "softmax: sums instead of quotients": _fault(formulas, "softmax_axis", "np.divide", "np.add", "softmax"),
    "log-softmax: without the logarithm": _fault(
        formulas, "log_softmax_axis", "Ufunc(np.log1p)", "Ufunc(np.positive)", "log_softmax"
    ),
    "normalisation: eps is 0": _fault(
        formulas, "normalize", "number(b, eps, variance)", "number(b, 0, variance)", "layer_norm", "batch_norm"
    ),
    "its gradient: a wrong sign": _fault(
        formulas,
        "_without",
        "Ufunc(np.subtract), centred",
        "Ufunc(np.add), centred",
        "layer_norm",
        "batch_norm",
        ask="gradient",
    ),
    "its second derivative: a wrong sign": _fault(
        formulas,
        "normalize_input_grad",
        "np.negative",
        "np.positive",
        "layer_norm",
        "batch_norm",
        "group_norm",
        ask="hvp",
    ),
    "kind 5: formulas for integers, constants in their dtype": Fault(
        translate, "_rule", '.dtype.kind == "f"', '.dtype.kind in "fiub"', functions_of_a_mask
    ),
    "kind 5: a number is as strong as an array": Fault(
        number.Number, "weak", "like if fits else", "self.dtype if fits else", a_number_beside_an_array
    ),
    "vmap: a transpose knows no hidden axes": _fault(
        translate, "_permute", "rank - len(axes)", "0", "permute_dims", "moveaxis", ask="vmap"
    ),
    "vmap: operands that were not aligned": _fault(
        record.Recorder, "saw", "if batch:", "if False:", "where", "add", "multiply", "x * y", "clip", ask="vmap"
    ),
    "index: a slice's step is lost": _fault(translate, "_slice", "k.stop, k.step)", "k.stop, None)", "x[key]", "flip"),
    "index: its gradient lies the other way": _fault(
        translate,
        "_place",
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
    for table in (translate._MOVES, translate._FORMULAS):
        for name, rule in table.items():
            if rule is before:
                monkeypatch.setitem(table, name, getattr(fault.owner, fault.name))
    for module in (translate, pooling, convolution):
        if vars(module).get(fault.name) is before:
            monkeypatch.setattr(module, fault.name, getattr(fault.owner, fault.name))


@pytest.mark.parametrize("name", FAULTS)
def test_random_programs_see_a_planted_fault(
    name: str, monkeypatch: pytest.MonkeyPatch, compiler_faults: list[tuple[str, str]]
) -> None:
    FAULTS[name].witness()
    planted(FAULTS[name], monkeypatch)
    found = caught_by(FAULTS[name].witness)
    compiler_faults.append((name, found))
    assert found, f"nothing saw it: {name}"
