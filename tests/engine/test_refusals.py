"""Where the number that came out would be wrong there is an error: what has no gradient, and what would lose one."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinymeta as tm
from tinymeta.engine import primitive, transforms
from tinymeta.engine.errors import DtypeError
from tinymeta.engine.tensor import Tensor

X = np.array([1.7, -2.4, 3.2])
INTEGERS = [bool, np.int8, np.uint8, np.int16, np.int32, np.int64, np.uint64]

# A function that passes through integers or booleans, and its gradient: they are constant between their jumps.
CASTS: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "x·int(x)": (lambda x: x * tm.astype(x, int), np.trunc(X)),
    "x − int(x)": (lambda x: x - x.astype(int), np.ones(3)),
    "x·bool(x)": (lambda x: x * x.astype(bool), np.ones(3)),
    "there and back": (lambda x: (10 * x).astype(int).astype(float) * 0.6, np.zeros(3)),
    "int → int": (lambda x: x * x.astype(np.int64).astype(np.int32), np.trunc(X)),
    "int → float32": (lambda x: x * x.astype(int).astype(np.float32), np.trunc(X)),
    "sum of a mask": (lambda x: x * tm.sum((x > 0).astype(float)), np.full(3, 2.0)),
    "arithmetic on integers": (lambda x: x * (2 * x.astype(int) + 1), 2 * np.trunc(X) + 1),
}


@pytest.mark.parametrize("name", CASTS)
def test_a_cast_to_integers_or_booleans_carries_no_gradient(name: str) -> None:
    f, right = CASTS[name]
    loss = lambda x: tm.sum(f(x))
    w = tm.tensor(X, requires_grad=True)
    for found in (
        tm.grad(loss)(X),
        tm.compile(tm.grad(loss))(X),
        tm.vmap(tm.grad(loss))(X[None])[0],
        tm.gradient(loss(w), w).detach(),
        tm.vjp(f, X)[1](np.ones(3))[0],
        tm.jvp(f, (X,), (np.ones(3),))[1],
        tm.grad(tm.checkpoint(loss))(X),
    ):
        np.testing.assert_allclose(found.numpy(), right, rtol=1e-6)  # one of them passes through float32


@given(dtype=st.sampled_from(INTEGERS), back=st.sampled_from([np.float32, np.float64]))
def test_what_went_through_integers_is_recorded_no_longer(dtype: Any, back: Any) -> None:
    x = tm.tensor(np.abs(X), requires_grad=True)
    assert not x.astype(dtype).requires_grad and not x.astype(dtype).astype(back).requires_grad
    assert x.astype(np.float32).requires_grad


NOT_REAL: dict[str, Callable[[Any], Any]] = {
    "count": lambda x: tm.sum(x > 0),
    "argmax": lambda x: tm.argmax(x),
    "all": lambda x: tm.all(x > 0),
    "an integer": lambda x: tm.sum(x).astype(int),
    "a Python integer": lambda x: 3,
    "complex": lambda x: tm.sum(x * (1 + 2j)),
}
WAYS: dict[str, Callable[[Any], Any]] = {
    "grad": lambda f: tm.grad(f)(X),
    "value_and_grad": lambda f: tm.value_and_grad(f)(X),
    "grad with aux": lambda f: tm.grad(lambda x: (f(x), x), has_aux=True)(X),
    "vjp": lambda f: tm.vjp(f, X)[1](1.0),
    "jvp": lambda f: tm.jvp(f, (X,), (X,)),
    "hvp": lambda f: tm.hvp(f, X, X),
    "jacobian": lambda f: tm.jacobian(f)(X),
    "hessian": lambda f: tm.hessian(f)(X),
    "gradient": lambda f: [tm.gradient(f(w), w) for w in (tm.tensor(X, requires_grad=True),)],
    "vmap of grad": lambda f: tm.vmap(tm.grad(f))(X[None]),
    "compiled": lambda f: tm.compile(tm.grad(f))(X),
}


ALL = {(way, name) for way in WAYS for name in NOT_REAL} - {("gradient", "a Python integer")}  # that takes Tensors


@pytest.mark.parametrize(("way", "name"), sorted(ALL))
def test_what_is_not_a_real_number_has_no_gradient(way: str, name: str) -> None:
    with pytest.raises(DtypeError, match="no gradient"):
        WAYS[way](NOT_REAL[name])


@pytest.mark.parametrize("dtype", [*INTEGERS, np.complex64, np.complex128])
@pytest.mark.parametrize("way", [w for w in WAYS if w not in ("gradient", "hvp", "jvp")])
def test_there_is_no_gradient_with_respect_to_what_is_not_real(way: str, dtype: Any, monkeypatch: Any) -> None:
    monkeypatch.setitem(globals(), "X", np.ones(3, dtype))
    with pytest.raises(DtypeError, match="floating"):
        WAYS[way](lambda x: tm.sum(tm.abs(x * 1.0)))


def test_complex_numbers_on_the_way_have_no_gradient() -> None:
    with pytest.raises(DtypeError, match="complex"):
        tm.grad(lambda x: tm.sum(tm.abs(x * (1 + 2j))))(X)
    with pytest.raises(DtypeError, match="complex"):
        tm.grad(lambda x: tm.sum(tm.abs(x.astype(complex))))(X)
    with pytest.raises(DtypeError, match="cotangent"):
        tm.vjp(tm.sin, X)[1](np.ones(3, complex))


LEAVING: dict[str, Callable[[Any], Any]] = {
    "float": float,
    "int": int,
    "complex": complex,
    "item": lambda t: t.item(),
    "tolist": lambda t: t.tolist(),
    "numpy": lambda t: t.numpy(),
    "asarray": np.asarray,
    "array": np.array,
    "math.sqrt": math.sqrt,
    "math.floor": math.floor,
    "math.fsum": lambda t: math.fsum([t, t]),
    "round": round,
    "np.array of a list": lambda t: np.array([t, t]),
    "np.stack": lambda t: np.stack([t, t]),
    "an element of an array": lambda t: np.zeros(2).__setitem__(0, t),
    "a slice of an array": lambda t: np.zeros(2).__setitem__(slice(None), t),
    "np.full": lambda t: np.full(2, t),
    "np.float64": np.float64,
    "np.float32": np.float32,
    "np.fromiter": lambda t: np.fromiter([t], float),
    "from_dlpack": np.from_dlpack,
    "tm.tensor": tm.tensor,
    "pickle": pickle.dumps,
    "deepcopy": copy.deepcopy,
}
RECORDED: dict[str, Callable[[Callable[[Any], Any]], Any]] = {
    "in grad": lambda leave: tm.grad(lambda x: (leave(x * 2), x * 1)[1])(1.5),
    "a leaf in grad": lambda leave: tm.grad(lambda x: (leave(x), x * 1)[1])(1.5),
    "on the tape": lambda leave: leave(tm.tensor(1.5, requires_grad=True) * 2),
    "a leaf of the tape": lambda leave: leave(tm.tensor(1.5, requires_grad=True)),
    "in vjp": lambda leave: tm.vjp(lambda x: (leave(x * 2), x * 1)[1], 1.5),
    "a gradient": lambda leave: tm.grad(lambda x: (leave(tm.grad(lambda z: z * z * x)(x)), x * 1)[1])(1.5),
}


@pytest.mark.parametrize("place", RECORDED)
@pytest.mark.parametrize("how", LEAVING)
def test_a_recorded_value_does_not_leave_the_record_unnoticed(how: str, place: str) -> None:
    with pytest.raises((TypeError, ValueError)) as raised:
        RECORDED[place](LEAVING[how])
    told, error = "", raised.value
    while error is not None:
        told, error = told + str(error), error.__cause__ or error.__context__  # type: ignore[assignment]
    assert ".detach()" in told


@pytest.mark.parametrize("how", [h for h in LEAVING if h not in ("from_dlpack", "tm.tensor")])
def test_a_detached_one_may(how: str) -> None:
    found = RECORDED["on the tape"](lambda t: LEAVING[how](t.detach()))
    found = pickle.loads(found) if how == "pickle" else found
    expected = 3.0 if how in ("numpy", "pickle", "deepcopy") else LEAVING[how](np.float64(3.0))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("place", RECORDED)
def test_a_recorded_value_may_be_shown_and_branched_on(place: str) -> None:
    def look(t: Any) -> None:
        assert all(text.startswith("tensor(") for text in (f"{t}", repr(t), str(t)))
        assert float(f"{t:.3f}") > 0 and "e" in f"{t:.1e}"
        assert bool(t) and t > 0 and not t < 0 and (t != 0)
        assert len(tm.reshape(t, (1,))) == 1 and list(range(3))[tm.argmax(tm.reshape(t, (1,)))] == 0

    RECORDED[place](look)


@pytest.mark.parametrize(
    "holds", [lambda t: t, lambda t: (1, t), lambda t: [t], lambda t: {"a": (t,)}, lambda t: slice(0, t)]
)
@pytest.mark.parametrize("t", [tm.tensor(0.5), tm.tensor(2), tm.tensor(0.5, requires_grad=True)])
def test_a_tensor_is_no_static_argument(holds: Any, t: Any) -> None:
    @tm.primitive
    class scaled:
        """y = x."""

        kernel = reference = staticmethod(lambda x, by: x + 0)
        domain, kinks = (tm.testing.reals(-2, 2),), ()
        vjp = lambda g, y, x, by: g

    with pytest.raises(TypeError, match="static argument"):
        scaled(X, by=holds(t))


@pytest.mark.parametrize(
    ("where", "name", "fault", "test"),
    [
        (
            primitive,
            "check_static",
            lambda *a: None,
            lambda: test_a_tensor_is_no_static_argument(lambda t: t, tm.tensor(1.0)),
        ),
        (
            transforms,
            "check_differentiable",
            lambda *a: None,
            lambda: test_what_is_not_a_real_number_has_no_gradient("grad", "count"),
        ),
        (
            Tensor,
            "_read",
            lambda self, how: self.array,
            lambda: test_a_recorded_value_does_not_leave_the_record_unnoticed("float", "in grad"),
        ),
    ],
)
def test_a_refusal_that_is_left_out_is_caught(where: Any, name: str, fault: Any, test: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(where, name, fault)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        test()


AROUND = [lambda f: f(tm.ones(2)), lambda f: tm.vmap(f)(np.ones((3, 2))), lambda f: tm.compile(f)(np.ones(2))]


@pytest.mark.parametrize("place", AROUND, ids=["eager", "vmap", "compile"])
def test_there_is_no_way_around_the_record_to_the_numbers(place: Callable[[Any], Any]) -> None:
    def read(x: Any) -> Any:
        return x * x.data

    def write(x: Any) -> Any:
        x.data = np.ones(2)
        return x

    for f in (read, write):
        with pytest.raises(AttributeError, match="w = w - lr"):
            place(f)
