"""What every kernel promises, whatever it computes: one property per test, all kernels in each."""

from importlib import import_module

import hypothesis.strategies as st
import numpy as np
import pytest
import tinymeta_kernels as tk
from hypothesis import given
from tinymeta_kernels import threads

from tests.kernels.case import Case, plain_python
from tests.kernels.cases import CASES

every_kernel = pytest.mark.parametrize("name", sorted(CASES))

# BLAS may add in another order when it reads a matrix by columns.
ADDED_AS_IT_LIES = {"matmul", "linear_relu"}

# The C library has no error functions of complex numbers.
REAL = {"erf", "erfc"}


def contiguous(x: np.ndarray) -> np.ndarray:
    return np.asarray(x, order="C")  # np.ascontiguousarray would make one dimension of none


def fortran(x: np.ndarray) -> np.ndarray:
    return np.asfortranarray(x) if x.ndim else x


def strided(x: np.ndarray) -> np.ndarray:
    return np.repeat(x, 2, axis=-1)[..., ::2] if x.ndim else x


def reversed_memory(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x[..., ::-1])[..., ::-1] if x.ndim else x


def channels_last(x: np.ndarray) -> np.ndarray:
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, -3, -1)), -1, -3) if x.ndim > 2 else x


def read_only(x: np.ndarray) -> np.ndarray:
    x = np.array(x)
    x.flags.writeable = False
    return x


def unaligned(x: np.ndarray) -> np.ndarray:
    raw = np.zeros(x.nbytes + 1, np.uint8)
    view = raw[1:].view(x.dtype).reshape(x.shape) if x.size else x
    view[...] = x
    return view


def for_another_layout(name: str, case: Case) -> float:
    """How far answers may be apart when an argument lies otherwise in memory."""
    return case.tolerance(np.float64) if name in ADDED_AS_IT_LIES else 0.0


LAYOUTS = [contiguous, fortran, strided, reversed_memory, channels_last, read_only, unaligned]


def as_dtype(case: Case, dtype: type) -> list[np.ndarray]:
    return [a.astype(dtype) for a in case.arrays]


def test_every_public_kernel_has_cases() -> None:
    not_kernels = {"set_num_threads", "warmup"}
    assert set(CASES) == set(tk.__all__) - not_kernels


@every_kernel
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(data=st.data())
def test_loop_agrees_with_the_numpy_form(name: str, dtype: type, data: st.DataObject) -> None:
    case = data.draw(CASES[name])
    arrays = as_dtype(case, dtype)
    other = np.longdouble if name in REAL else complex
    for got, reference in zip(case(*arrays), case(*(a.astype(other) for a in arrays)), strict=True):
        assert got.shape == reference.shape
        np.testing.assert_allclose(got, reference.real, rtol=0, atol=case.tolerance(dtype))
        assert not np.any(reference.imag)


@every_kernel
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(data=st.data())
def test_answer_has_the_dtype_of_the_arguments(name: str, dtype: type, data: st.DataObject) -> None:
    case = data.draw(CASES[name])
    for got in case(*as_dtype(case, dtype)):
        assert got.dtype == (np.int64 if name == "max_pool2d_index" else dtype)


@every_kernel
@given(data=st.data())
def test_mixed_dtypes_are_promoted_as_numpy_does(name: str, data: st.DataObject) -> None:
    case = data.draw(CASES[name])
    first, *others = case.arrays
    low = [first.astype(np.float32), *others]
    for got, expected in zip(case(*low), case(*(a.astype(np.result_type(*low)) for a in low)), strict=True):
        np.testing.assert_array_equal(got, expected)


@every_kernel
@given(data=st.data())
def test_memory_layout_does_not_change_a_bit(name: str, data: st.DataObject) -> None:
    case = data.draw(CASES[name])
    laid_out = [data.draw(st.sampled_from(LAYOUTS))(a) for a in case.arrays]
    for got, expected in zip(case(*laid_out), case(*case.arrays), strict=True):
        np.testing.assert_allclose(got, expected, rtol=0, atol=for_another_layout(name, case))


@every_kernel
@given(data=st.data())
def test_broadcast_views_with_stride_zero_are_read_like_copies(name: str, data: st.DataObject) -> None:
    case = data.draw(CASES[name])
    views = [np.broadcast_to(a[..., :1], a.shape) if a.ndim and a.shape[-1] else a for a in case.arrays]
    for got, expected in zip(case(*views), case(*(v.copy() for v in views)), strict=True):
        np.testing.assert_allclose(got, expected, rtol=0, atol=case.tolerance(np.float64))


with_numpy_forms = pytest.mark.parametrize("dtype", [np.float64, np.longdouble], ids=["loop", "numpy form"])


@every_kernel
@with_numpy_forms
@given(data=st.data())
def test_arguments_are_neither_written_nor_handed_out(name: str, dtype: type, data: st.DataObject) -> None:
    case = data.draw(CASES[name])
    arrays = as_dtype(case, dtype)
    before = [a.copy() for a in arrays]
    answers = case(*arrays)
    for array, copy in zip(arrays, before):
        np.testing.assert_array_equal(array, copy)
        assert not any(np.shares_memory(array, answer) for answer in answers)


@every_kernel
@given(data=st.data())
def test_two_runs_are_bitwise_equal(name: str, data: st.DataObject) -> None:
    case = data.draw(CASES[name])
    for first, second in zip(case(*case.arrays), case(*case.arrays), strict=True):
        assert first.tobytes() == second.tobytes()


@every_kernel
@given(data=st.data())
def test_threads_and_the_cut_of_the_work_do_not_change_the_answer(name: str, data: st.DataObject) -> None:
    case = data.draw(CASES[name])
    whole = case(*case.arrays)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(import_module("tinymeta_kernels.conv"), "BOX_BYTES", 64)
        patch.setattr(import_module("tinymeta_kernels.matmul"), "SHARED_WORK", 4)
        patch.setattr(import_module("tinymeta_kernels.norm"), "BLOCK_SIZE", 4)
        answers = []
        for n in (1, 3):
            patch.setattr(threads, "count", n)
            answers.append(case(*case.arrays))
    for one, three, expected in zip(*answers, whole, strict=True):
        assert one.tobytes() == three.tobytes()
        np.testing.assert_allclose(one, expected, rtol=0, atol=case.tolerance(np.float64))


@every_kernel
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(data=st.data())
def test_compiled_loop_is_the_python_loop_and_stays_inside_its_arrays(
    name: str, dtype: type, data: st.DataObject
) -> None:
    case = data.draw(CASES[name])
    arrays = as_dtype(case, dtype)
    compiled = case(*arrays)

    with plain_python():
        plain = case(*arrays)
    for one, other in zip(compiled, plain, strict=True):
        # Bitwise but for log, which the two take from different libraries.
        np.testing.assert_allclose(one, other, rtol=4 * np.finfo(dtype).eps, atol=4 * np.finfo(dtype).eps)
