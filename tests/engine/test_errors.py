"""PE: an error names the operation, the shapes and dtypes, the user's line, and the fix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import tinymeta as tm
from tinymeta.engine.options import counted
from tinymeta.engine.refusals import demand
from tinymeta.engine.state import Watcher, setting

HERE = r"test_errors\.py:\d+"
M, V = np.ones((2, 3)), np.ones(4)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: tm.tensor(M) + V, ValueError, [r"add\(float64\[2, 3\], float64\[4\]\)", HERE]),
        (lambda: tm.multiply(M, V.astype("f4")), ValueError, [r"multiply\(float64\[2, 3\], float32\[4\]\)", HERE]),
        (lambda: tm.matmul(M, V), ValueError, ["matmul", r"\(2, 3\)", r"\(4,\)", "3 ≠ 4", HERE]),
        (lambda: tm.matmul(M, 2.0), ValueError, ["matmul", r"use \*", HERE]),
        (lambda: tm.reshape(M, (4, 2)), ValueError, ["reshape", r"6 elements", r"\(2, 3\)", r"\(4, 2\)", HERE]),
        (lambda: tm.sum(M, axis=2), ValueError, ["axis 2", "2 axes", HERE]),
        (lambda: tm.concat([M, V]), ValueError, ["concat", r"\(2, 3\)", r"\(4,\)", HERE]),
        (lambda: tm.stack([M, M.T]), ValueError, ["stack", r"\(3, 2\)", HERE]),
        (lambda: tm.broadcast_to(M, (2, 4)), ValueError, [r"\(2, 3\)", r"\(2, 4\)", HERE]),
        (lambda: tm.permute_dims(M, (0, 0)), ValueError, ["permute_dims", r"\(2, 3\)", HERE]),
        (lambda: tm.squeeze(M, 0), ValueError, ["squeeze", r"\(2, 3\)", HERE]),
        (lambda: tm.split(M, 2, axis=1), ValueError, ["3 elements", "2 equal parts", HERE]),
        (lambda: tm.take(M, np.array([5])), IndexError, ["gather", "index 5", HERE]),
        (lambda: tm.take(M, np.array([0.5])), TypeError, ["take needs integers", "float64", HERE]),
        (lambda: tm.tensor(M)[3], IndexError, ["index 3", r"\(2, 3\)", HERE]),
        (lambda: tm.tensor(M)[0, 0, 0], ValueError, [r"\(2, 3\)", HERE]),
        (lambda: tm.grad(lambda x: x * 2)(V), ValueError, ["scalar", r"shape \(4,\)", HERE, r"loss\.mean\(\)"]),
        (lambda: tm.grad(lambda x: None)(1.0), ValueError, ["scalar", "NoneType", HERE]),
        (lambda: tm.grad(lambda x: x.sum())(np.arange(3)), TypeError, ["floating-point", "int64", HERE, "argnums"]),
        (lambda: tm.grad(lambda x: x, argnums=1)(1.0), TypeError, ["argument 1", HERE]),
        (lambda: tm.gradient(tm.tensor(V, requires_grad=True), []), ValueError, ["scalar", r"\(4,\)", r"y\.sum\(\)"]),
        (lambda: tm.jvp(lambda x: x, (V,), (M,)), ValueError, ["tangent", r"\(4,\)", r"\(2, 3\)", HERE]),
        (lambda: tm.vjp(lambda x: x, V)[1](M), ValueError, ["cotangent", r"\(4,\)", r"\(2, 3\)", HERE]),
        (lambda: tm.tensor(["a"]), TypeError, ["numbers"]),
        (lambda: tm.tensor([1, 2], requires_grad=True), TypeError, ["int64", "dtype=float"]),
        (lambda: tm.tensor([tm.tensor(1.0)]), TypeError, [r"tm\.stack"]),
        (lambda: len(tm.tensor(1.0)), TypeError, [r"shape \(\)"]),
        (lambda: tm.where(M > 0, M, V), ValueError, [r"where\(bool\[2, 3\], float64\[2, 3\], float64\[4\]\)", HERE]),
        (lambda: tm.conv2d(np.ones((1, 2, 4, 4)), np.ones((3, 1, 2, 2))), ValueError, ["conv2d", HERE]),
    ],
)
def test_a_mistake_is_explained(call: Callable[[], Any], error: type[Exception], says: list[str]) -> None:
    with pytest.raises(error) as raised:
        call()
    for text in says:
        raised.match(text)


def test_losing_a_gradient_to_numpy_is_an_error_that_names_detach() -> None:
    x = tm.tensor(V, requires_grad=True)
    for leave in (np.asarray, lambda t: t.numpy(), np.array, lambda t: np.from_dlpack(t)):
        with pytest.raises(TypeError, match=rf"recorded for a gradient.*{HERE}.*\.detach\(\)"):
            leave(x * 2)


def test_the_line_named_is_the_users_also_from_inside_a_gradient() -> None:
    def wrong(x: Any) -> Any:
        return (x @ M).sum()

    line = wrong.__code__.co_firstlineno + 1
    with pytest.raises(ValueError, match=f"test_errors.py:{line}"):
        tm.grad(wrong)(np.ones(3))


def test_a_script_beside_the_package_that_begins_with_its_name_is_the_users() -> None:
    script = str(Path(tm.__file__).parents[1] / "tinymeta_course.py")
    program = compile("with tm.trace() as trace:\n    y = tm.exp(tm.tensor(x))", script, "exec")
    names: dict[str, Any] = {"tm": tm, "x": V}
    exec(program, names)
    assert names["trace"].steps[-1].path[-1].file == script
    with pytest.raises(ValueError, match="tinymeta_course.py:1"):
        exec(compile("tm.tensor(M) + V", script, "exec"), {"tm": tm, "M": M, "V": V})


def test_an_error_inside_a_kernel_keeps_its_cause() -> None:
    with pytest.raises(ValueError) as raised:
        tm.tensor(M) + V
    assert isinstance(raised.value.__cause__, ValueError)


def test_a_user_error_is_a_value_error_of_one_line() -> None:
    with pytest.raises(tm.UserError) as raised:
        tm.load("nowhere.npz", {})
    assert isinstance(raised.value, ValueError) and "\n" not in str(raised.value)


def test_a_kernel_that_numpy_has_for_other_dtypes_only_is_named_as_any_other() -> None:
    with pytest.raises(TypeError, match=r"sign\(bool\[2\]\) at test_errors.py"):
        tm.sign(np.array([True, False]))


def test_an_error_of_a_kernel_names_the_operations_options() -> None:
    with pytest.raises(IndexError, match=r"wrap\(int64\[1\], size=2\)"):
        tm.tensor(M)[np.array([5]), np.array([0])]


def test_who_watches_is_told_of_what_a_kernel_refuses() -> None:
    class Told(Watcher):
        def __init__(self) -> None:
            self.refusals: list[Any] = []

        def refused(self, inputs: Any, error: Exception, raises: bool) -> None:
            self.refusals.append((len(inputs), str(error), raises))

    told = Told()
    for wrong in (lambda: tm.tensor(M) + V, lambda: tm.tensor(M)[np.array([5]), np.array([0])]):
        with setting(watchers=(told,)), pytest.raises((ValueError, IndexError)):
            wrong()
    (two, apart, by_shape), (one, outside, by_value) = told.refusals
    assert (two, by_shape, one, by_value) == (2, False, 1, True) and "broadcast" in apart and "outside" in outside


@pytest.mark.parametrize(
    ("n", "kind"), [(-1, tm.UserError), (1.0, tm.UserError), (2.5, tm.UserError), ("3", TypeError), (None, TypeError)]
)
def test_what_is_no_count_is_told(n: object, kind: type[Exception]) -> None:
    assert counted(np.int8(2), "tasks", least=2) == 2
    with pytest.raises(kind, match="tasks .*whole number"):
        counted(n, "tasks")


def test_a_check_of_values_is_made_and_told_to_who_watches() -> None:
    class Told(Watcher):
        checks: ClassVar[list[Any]] = []

        def demanded(self, check: Any, inputs: Any, static: Any) -> None:
            self.checks.append(([x.tolist() for x in inputs], static))

    def small(x: Any, most: int) -> None:
        if x.max() > most:
            raise ValueError("too large")

    with setting(watchers=(Told(),)):
        demand(small, tm.tensor([1, 2]), most=2)
        with pytest.raises(ValueError, match="too large"):
            demand(small, tm.tensor([1, 2]), most=1)
    assert Told.checks == [([[1, 2]], {"most": 2})]
