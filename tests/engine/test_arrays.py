"""Tensors among arrays: operators on either side, the way in, the way out, and what is printed."""

from __future__ import annotations

import operator
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given

import tinymeta as tm
from tinymeta.testing import reals
from tinymeta.testing.strategies import arrays

A, B = np.array([1.5, -2.0, 3.0]), np.array([[0.5], [2.0]])
BINARY = [operator.add, operator.sub, operator.mul, operator.truediv]


@pytest.mark.parametrize("op", BINARY)
def test_an_array_on_either_side_gives_a_tensor(op: Any) -> None:
    for left, right in ((tm.tensor(A), B), (A, tm.tensor(B)), (tm.tensor(A), tm.tensor(B))):
        y = op(left, right)
        assert type(y) is tm.Tensor and np.array_equal(y.numpy(), op(A, B))


@pytest.mark.parametrize("op", [*BINARY, operator.pow])
@pytest.mark.parametrize("number", [2, 2.5, np.float32(0.5), np.float64(0.5), np.int64(3)])
def test_a_number_on_either_side_gives_what_numpy_gives(op: Any, number: Any) -> None:
    positive = np.abs(A)
    assert np.array_equal(op(tm.tensor(positive), number).numpy(), op(positive, number))
    assert np.array_equal(op(number, tm.tensor(positive)).numpy(), op(number, positive))


@pytest.mark.parametrize("op", [*BINARY, operator.pow])
def test_python_numbers_do_not_widen_float32(op: Any) -> None:
    x = tm.tensor(np.abs(A).astype("f4"))
    assert op(x, 2.5).dtype == op(2.5, x).dtype == op(x, 2).dtype == np.float32


@pytest.mark.parametrize("op", [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne])
def test_comparisons_give_boolean_tensors(op: Any) -> None:
    assert np.array_equal(op(tm.tensor(A), 1.5).numpy(), op(A, 1.5))
    assert np.array_equal(op(A, tm.tensor(B)).numpy(), op(A, B))


def test_a_matrix_product_with_arrays_on_either_side() -> None:
    m = np.arange(6.0).reshape(2, 3)
    assert np.array_equal((m @ tm.tensor(A)).numpy(), m @ A) and np.array_equal((tm.tensor(m) @ A).numpy(), m @ A)


@given(x=arrays(reals(-3, 3)))
def test_in_and_out_keeps_every_bit_in_any_layout(x: Any) -> None:
    out = tm.tensor(x).numpy()
    assert out.dtype == x.dtype and out.shape == x.shape and out.tobytes() == x.tobytes()


def test_a_tensor_holds_a_copy_and_hands_out_what_can_not_be_written_to() -> None:
    source = A.copy()
    x = tm.tensor(source)
    source[0] = 99.0
    assert x[0].item() == 1.5
    with pytest.raises(ValueError, match="read-only"):
        x.numpy()[0] = 0.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64, np.bool_, np.complex128])
def test_arrays_keep_their_dtype(dtype: Any) -> None:
    assert tm.tensor(np.ones(2, dtype)).dtype == dtype and np.asarray(tm.tensor(np.ones(2, dtype))).dtype == dtype


def test_dlpack_goes_out_as_a_copy_and_comes_in() -> None:
    x = tm.tensor(A)
    assert not np.shares_memory(np.from_dlpack(x), x.array)  # NumPy 2.0 lets nobody write into what came in
    assert tm.tensor(np.from_dlpack(x)).tolist() == A.tolist()


def test_a_torch_tensor_comes_in_and_goes_out_as_a_copy() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    theirs = torch.arange(3.0)
    assert tm.tensor(theirs).tolist() == [0, 1, 2]
    x = tm.tensor(A)
    torch.from_dlpack(x)[0] = 99.0
    assert x[0].item() == 1.5


def test_scalars_turn_into_python_numbers() -> None:
    assert float(tm.tensor(2.5)) == 2.5 and int(tm.tensor(2)) == 2 and bool(tm.tensor(True))
    assert [10, 20, 30][tm.tensor(1)] == 20
    with pytest.raises(TypeError, match="can't be an index"):
        [1, 2][tm.tensor(1.0)]


def test_repr_shows_values_dtype_order_and_maker() -> None:
    x = tm.tensor(np.array([1.0, 2.0], "f4"), requires_grad=True)
    assert repr(x) == "tensor([1., 2.], dtype=float32, requires_grad)"
    assert repr(tm.gradient((x * x).sum(), x)).startswith("tensor([2., 4.], dtype=float32, order=1")


@pytest.mark.parametrize("dtype", [None, "f4", "f8"])
def test_numpy_gets_a_copy_of_its_own_in_the_dtype_that_it_asks_for(dtype: str | None) -> None:
    x = tm.tensor(np.array([1.5, -2.5], "f4"))
    for taken in (np.array(x, dtype=dtype, copy=True), x.__array__(dtype, copy=True), x.__array__(dtype, True)):
        assert taken.dtype == (dtype or "f4") and taken.flags.writeable
        taken[:] = 0
    assert x.tolist() == [1.5, -2.5]
    assert x.__array__(dtype).dtype == (dtype or "f4") and not x.__array__().flags.writeable
    with pytest.raises(ValueError, match="copies of its numbers only"):
        np.array(x, dtype=dtype, copy=False)


def test_iterating_takes_the_rows() -> None:
    assert [row.tolist() for row in tm.tensor(B)] == [[0.5], [2.0]]


EQUAL = [np.array_equal, np.array_equiv, np.allclose]


@pytest.mark.parametrize("equal", EQUAL)
def test_numpys_equality_is_right_or_refused(equal: Any) -> None:
    x, recorded = tm.tensor(A), tm.tensor(A, requires_grad=True)
    for other in (A, A.tolist(), x):
        assert equal(x, other) and equal(other, x) and not equal(x, np.asarray(other) + 1)
        for call in (lambda: equal(recorded, other), lambda: equal(other, recorded)):  # noqa: B023
            with pytest.raises(TypeError, match=r"recorded for a gradient.*\.detach\(\)"):
                call()
    assert equal(recorded.detach(), A)
    with pytest.raises(TypeError, match="one value per example inside vmap"):
        tm.vmap(lambda row: row * equal(row, A))(np.stack([A, A + 1]))
    with pytest.raises(tm.UserError, match="static_argnames"):
        tm.compile(lambda x: x * equal(A, x))(A)


def _outcomes() -> list[tuple[str, str]]:
    """What NumPy's functions make of Tensors, or say about them."""
    x, recorded = tm.tensor(A), tm.tensor(A, requires_grad=True)
    spaces = [(np, ""), (np.linalg, "linalg."), (np.fft, "fft.")]
    functions = {prefix + n: f for space, prefix in spaces for n, f in vars(space).items()}
    found = []
    for name, f in functions.items():
        if not hasattr(f, "_implementation") or name in {e.__name__ for e in EQUAL}:
            continue
        for args in ((x,), (recorded,), (x, x), (A, x), (x, A), ([x, A],)):
            try:
                result = repr(f(*args))
            except Exception as error:  # whichever NumPy or we have for it
                result = f"{type(error).__name__} {error}"
            found.append((name, re.sub("0x[0-9a-f]+", "", result)))
    return found


@pytest.mark.filterwarnings("ignore")
def test_all_other_functions_of_numpy_do_what_they_did(monkeypatch: pytest.MonkeyPatch) -> None:
    with_ours = _outcomes()
    monkeypatch.delattr(tm.Tensor, "__array_function__")
    assert len(with_ours) > 1_000 and with_ours == _outcomes()


def test_an_array_like_a_tensor_is_refused() -> None:
    for make in (np.ones, np.array):
        with pytest.raises(TypeError):
            make(2, like=tm.tensor(A))


class Theirs:
    """An array of another library, which has an answer of its own."""

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        return "theirs"


def test_another_librarys_array_beside_a_tensor_is_asked() -> None:
    for pair in ((tm.tensor(A), Theirs()), (Theirs(), tm.tensor(A))):
        assert np.array_equal(*pair) == np.concatenate(pair) == "theirs"


X32 = tm.tensor(np.array([1.0, 2.0], np.float32))
OPERANDS = [
    np.float32([3, 4]),
    np.array([3.0, 4.0]),
    np.array([3, 4]),
    np.float64(3),
    np.float32(3),
    np.int64(3),
    3,
    3.0,
]
SIGNS = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "lt", "le", "gt", "ge", "eq", "ne"]


@pytest.mark.parametrize("name", SIGNS)
def test_an_operator_of_an_array_and_a_tensor_is_the_tensors_whichever_comes_first(name: str) -> None:
    of = getattr(operator, f"__{name}__")
    for other in OPERANDS:
        here, there = tm.tensor(np.asarray(other)) if isinstance(other, (np.ndarray, np.generic)) else other, X32
        weak = isinstance(other, float) or not isinstance(other, (np.ndarray, np.generic))
        right = (of(other, X32), of(X32, other)) if weak else (of(here, there), of(there, here))
        for found, expected in zip((of(other, X32), of(X32, other)), right):
            assert isinstance(found, tm.Tensor) and found.dtype == expected.dtype
            assert found.tolist() == expected.tolist()


def test_numpys_functions_of_one_or_two_numbers_are_refused_in_a_sentence_that_names_ours() -> None:
    for call in (lambda x: np.exp(x), lambda x: np.maximum(x, 2), lambda x: np.add.reduce(x), lambda x: divmod(A, x)):
        for f in (call, tm.compile(call), tm.grad(lambda x, f=call: tm.sum(f(x)))):
            with pytest.raises(tm.UserError, match=r"tm\.exp\(x\) for np\.exp\(x\)"):
                f(X32)
    with pytest.raises(tm.UserError, match=r"tm\.exp"):
        tm.compile(lambda x, n: x * np.exp(n))(A, 2)  # a number argument, which eager code has as Python's
    a = np.ones(2)
    with pytest.raises(tm.UserError, match=r"a = a \+ x for a \+= x"):
        a += X32
    assert a.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("f", [tm.add, tm.subtract, tm.multiply, tm.divide, tm.pow, tm.maximum, tm.minimum, tm.atan2])
def test_a_number_beside_a_tensor_has_no_dtype_of_its_own_and_an_array_has(f: Any) -> None:
    narrow = tm.tensor(np.abs(A).astype("f4"))
    for number in (2.5, 2, np.float64(2.5)):
        assert f(narrow, number).dtype == f(number, narrow).dtype == np.float32
    assert f(narrow, np.array(2.5)).dtype == f(np.array(2.5), narrow).dtype == np.float64
    assert f(np.float32(2.5), 2.0).dtype == np.float32


@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "i8"])
def test_an_array_in_the_other_byte_order_becomes_one_in_the_machines(dtype: str) -> None:
    ours = np.array([1, -2, 300], dtype)
    for theirs in (ours.astype(ours.dtype.newbyteorder()), ours):
        x = tm.tensor(theirs)
        assert x.numpy().dtype.isnative and x.dtype == ours.dtype and x.tolist() == ours.tolist()
