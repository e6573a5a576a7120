"""What may be called by address is found by trying: a loop that is wrong anywhere is not called there."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tinymeta_kernels import addresses, contract, machine, products

from tests.kernels.wrong_loop import Wrong

if not addresses.callable_from_loops():
    pytest.skip("the machine needs Numba", allow_module_level=True)

SINGLE, DOUBLE = np.dtype("float32"), np.dtype(float)


def loops() -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Every loop of NumPy's from numbers of one floating dtype to one result."""
    for name in sorted(name for name in dir(np) if isinstance(getattr(np, name), np.ufunc)):
        ufunc = getattr(np, name)
        if ufunc.nout != 1 or ufunc.signature is not None or ufunc.__name__ != name:
            continue
        for form in ufunc.types:
            inputs, output = form.split("->")
            dtypes = tuple(np.dtype(c) for c in inputs + output)
            if set(inputs) in ({"f"}, {"d"}) and output in "fd?" and addresses.loop(name, dtypes) is not None:
                yield name, dtypes


LOOPS = list(dict.fromkeys(loops()))
steps = st.sampled_from([1, 1, -1, 0, 2, -2, 3, 4, -4, 5, 8, -8, 16, -16, 17, 100])


@given(
    st.sampled_from(LOOPS),
    st.lists(steps, min_size=3, max_size=3),
    steps,
    st.integers(0, 400),
    st.booleans(),
    st.data(),
)
def test_a_loop_that_is_called_with_strides_is_right_with_them(
    loop: tuple[str, Any], inputs: list[int], output: int, length: int, over: bool, data: Any
) -> None:
    name, dtypes = loop
    inputs, output = inputs[: len(dtypes) - 1], output or 1
    in_place = (data.draw(st.integers(0, len(inputs) - 1)),) if over and dtypes[-1] in dtypes[:-1] else ()
    for k in in_place:
        inputs[k] = output
    strides = tuple(step * d.itemsize for step, d in zip([*inputs, output], dtypes))
    assume(contract.holds(name, dtypes, strides, in_place))
    rng = np.random.default_rng(length)
    runs = [strided(rng.uniform(0.1, 1, 101 * 401).astype(d), s, length) for d, s in zip(dtypes, [*inputs, output])]
    for k in in_place:
        runs[k] = runs[-1]
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(*(run.copy() for run in runs[:-1]))
    run_alone(contract.loop(name, dtypes), runs)
    assert contract._agree(runs[-1].copy(), expected)


def strided(numbers: Any, step: int, length: int) -> Any:
    start = 3 if step >= 0 else 3 - step * (length - 1)
    return np.lib.stride_tricks.as_strided(numbers[start:], (length,), (step * numbers.itemsize,))


def run_alone(loop: addresses.Loop | None, runs: list[Any]) -> None:
    assert loop is not None
    code = [machine.LOOP, 7 + 4 * len(runs), *loop, len(runs), 1, runs[0].size]
    for k, run in enumerate(runs):
        code += [k, 0, 0, run.strides[0]]
    contract._run(np.array(code), runs)


def test_common_loops_are_called_wherever_numbers_lie_side_by_side() -> None:
    for name, dtypes in LOOPS:
        if name in ("add", "multiply", "tanh", "exp", "sqrt", "maximum", "greater", "negative", "arcsin", "arccosh"):
            assert contract.loop(name, dtypes) is not None, name


FAULTS: dict[str, Callable[[int, list[int], list[int]], int]] = {
    "one number too many": lambda n, s, at: 1,
    "one too few in runs of 65": lambda n, s, at: -(n == 65),
    "one too few from an odd place on": lambda n, s, at: -(at[0] % 16 == 8),
    "nothing where steps are 64 bytes": lambda n, s, at: -n if s[0] == 64 else 0,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_loop_that_is_wrong_for_some_runs_is_not_called(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contract, "LENGTHS", (1, 2, 7, 8, 9, 65))
    tried = contract.holds.__wrapped__
    for spoil, right in ((lambda n, s, at: 0, True), (FAULTS[fault], False)):
        wrong = Wrong(spoil)
        monkeypatch.setattr(addresses, "loop", lambda name, dtypes, wrong=wrong: wrong.loop)
        assert tried("add", (DOUBLE,) * 3, (64, 8, 8), ()) is right
        assert tried("subtract", (DOUBLE,) * 3, (64, 8, 8), ()) is False
    assert tried("add", (DOUBLE,) * 3, (12, 8, 8), ()) is False, "no step cuts a number"


def test_a_result_of_one_number_is_only_asked_for_as_a_reduction() -> None:
    assert contract.holds("add", (DOUBLE,) * 3, (0, 8, 0), (0,))
    assert not contract.holds("add", (DOUBLE,) * 3, (8, 8, 0), ())
    assert not contract.holds("negative", (DOUBLE,) * 2, (8, 0), ())


def test_other_byte_orders_and_loops_that_raise_are_not_called() -> None:
    assert addresses.loop("add", (np.dtype(">f8"),) * 3) is None
    assert contract.loop("add", (DOUBLE, np.dtype(bool), np.dtype("int8"))) is None
    assert contract.loop("power", (np.dtype(int),) * 3) is None


GEMM = ctypes.CFUNCTYPE(
    None, *[ctypes.c_int] * 3, *[ctypes.c_int64] * 3, ctypes.c_double, ctypes.c_void_p, ctypes.c_int64,
    ctypes.c_void_p, ctypes.c_int64, ctypes.c_double, ctypes.c_void_p, ctypes.c_int64,
)  # fmt: skip


@pytest.mark.parametrize("fault", ["none", "beta", "one column too few"])
def test_a_product_that_is_wrong_is_not_called(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = ctypes.cast(addresses.gemm(DOUBLE) or 0, GEMM)

    def wrong(*args: Any) -> None:
        given = list(args)
        if fault == "beta":
            given[11] = 1.0
        if fault == "one column too few":
            given[4] -= 1
        right(*given)

    form = GEMM(wrong)
    monkeypatch.setattr(addresses, "gemm", lambda dtype: ctypes.cast(form, ctypes.c_void_p).value)
    monkeypatch.setattr(products, "OWN", False)
    assert (contract.gemm.__wrapped__(DOUBLE) is not None) is (fault == "none")


def test_a_product_of_ours_that_is_wrong_makes_way_for_the_blas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "OWN", True)
    monkeypatch.setattr(contract, "_multiplies", lambda address, dtype: address != 0)
    assert contract.gemm.__wrapped__(DOUBLE) == addresses.gemm(DOUBLE)
