"""A step needs a gradient, a state and settings that fit the parameter: all else is an error that names the leaf."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

import tinymeta as tm

RULES: dict[str, Any] = {
    "SGD": tm.optim.SGD(0.1),
    "momentum": tm.optim.SGD(0.1, 0.9, nesterov=True, weight_decay=0.1),
    "Adam": tm.optim.Adam(0.1),
    "AdamW": tm.optim.AdamW(0.1),
    "RMSProp": tm.optim.RMSProp(0.1),
    "centered RMSProp": tm.optim.RMSProp(0.1, momentum=0.9, centered=True),
    "Adagrad": tm.optim.Adagrad(0.1),
    "clipped": tm.optim.Clipped(tm.optim.Adam(0.1), lambda g: tm.optim.clip_by_global_norm(g, 1.0)),
    "Hypergradient": tm.meta.Hypergradient(lambda phi: tm.optim.SGD(phi), 0.1),
    "learned": tm.meta.MLPRule(np.random.default_rng(0), width=2),
}
dtypes = st.sampled_from([np.float16, np.float32, np.float64])
shapes = array_shapes(min_dims=0, max_dims=3, min_side=1, max_side=3)
forms = st.tuples(shapes, dtypes)


def filled(form: tuple[tuple[int, ...], Any], value: float = 0.5) -> Any:
    return tm.tensor(np.full(form[0], value, form[1]))


def model(form: Any) -> Any:
    return {"layers": [{"w": filled(((3,), np.float64))}, {"w": filled(form)}]}


def step(rule: Any, grads: Any, params: Any) -> Any:
    return rule.update(grads, rule.init(params), params)[0]


def compiled(rule: Any, grads: Any, params: Any) -> Any:
    return tm.compile(lambda g, p: step(rule, g, p))(grads, params)


def mapped(rule: Any, grads: Any, params: Any) -> Any:
    """Four examples of the gradients, and the parameters that they share."""
    return tm.vmap(lambda s: step(rule, tm.tree.map(lambda g: g * s.astype(g.dtype), grads), params))(np.ones(4))


@pytest.mark.parametrize("name", RULES)
@given(ours=forms, theirs=forms)
def test_a_gradient_of_another_form_is_an_error_and_one_of_the_same_form_keeps_it(
    name: str, ours: Any, theirs: Any
) -> None:
    params, grads = model(ours), model(theirs)
    for way in (step, mapped):
        if ours == theirs:
            new, lead = way(RULES[name], grads, params), (4,) if way is mapped else ()
            assert [x.shape for x in tm.tree.leaves(new)] == [(*lead, 3), (*lead, *ours[0])]
        else:
            with pytest.raises(ValueError if ours[0] != theirs[0] else TypeError, match=r"'layers\.1\.w'"):
                way(RULES[name], grads, params)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("other", [((2, 2), float), ((1,), float), ((), float), ((2,), np.float32)], ids=str)
def test_inside_a_compiled_function_too(name: str, other: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=r"gradient with respect to parameter 'layers\.1\.w'"):
        compiled(RULES[name], model(other), model(((2,), np.float64)))


def test_the_state_of_other_parameters_is_an_error() -> None:
    params, rule = model(((2,), float)), tm.optim.Adam(0.1)
    with pytest.raises(ValueError, match=r"state of parameter 'layers\.1\.w' has shape \(1,\)"):
        rule.update(params, rule.init(model(((1,), float))), params)


@pytest.mark.parametrize("make", [lambda s: tm.optim.SGD(s), lambda s: tm.optim.SGD(0.1, momentum=s)])
def test_a_setting_for_each_weight_of_a_larger_parameter_is_an_error(make: Any) -> None:
    w = tm.tensor(np.ones(2))
    assert step(make(tm.tensor(np.full(2, 0.5))), w, w).shape == (2,)
    with pytest.raises(ValueError, match=r"the parameter has shape \(3, 2\)"):
        step(make(tm.tensor(np.full((3, 2), 0.5))), w, w)


@pytest.mark.parametrize("name", RULES)
def test_a_gradient_per_example_is_none_of_a_parameter_with_as_many_rows(name: str) -> None:
    """Four examples of three numbers are an array like that of the parameter, and mean something else."""
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        mapped(RULES[name], model(((3,), float)), model(((4, 3), float)))


@pytest.mark.parametrize("name", RULES)
def test_complex_parameters_are_refused(name: str) -> None:
    w = tm.tensor(np.ones(2, complex))
    with pytest.raises(TypeError, match="complex"):
        step(RULES[name], w, w)


def test_python_numbers_are_parameters_and_gradients_of_any_dtype() -> None:
    half = tm.tensor(np.float32(0.5))
    for p, g, dtype in ((0.5, 1, float), (0.5, half, np.float32), (half, 1.0, np.float32), (half, 1, np.float32)):
        for way in (step, compiled):
            assert np.asarray(way(tm.optim.SGD(0.1), g, p)).dtype == dtype
