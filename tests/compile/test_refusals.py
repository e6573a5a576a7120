"""What `tm.compile` refuses, each with a clear error: decisions on values, values read out, randomness drawn."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

import tinymeta as tm


def test_a_decision_on_a_value_names_the_line_and_the_fix() -> None:
    def f(x: Any) -> Any:
        return x if x.sum() > 0 else -x

    with pytest.raises(tm.UserError, match=r"test_refusals\.py:\d+ takes the value .* bool .*tm\.where") as e:
        tm.compile(f)(np.ones(3))
    assert "static_argnames" in str(e.value)


@pytest.mark.parametrize("read", [float, int, np.asarray, lambda x: x.tolist(), lambda x: range(x)])
def test_every_way_of_reading_a_value_is_an_error(read: Any) -> None:
    with pytest.raises(tm.UserError, match="takes the value"):
        tm.compile(lambda n: read(n + 0))(3)


def test_values_that_do_not_depend_on_arguments_may_be_read() -> None:
    table = tm.tensor([1.0, 2.0])
    f = tm.compile(lambda x: x * float(table.sum()) if table.sum() > 0 else x)
    assert f(np.ones(2)).tolist() == [3, 3]


generator = np.random.default_rng(0)


@pytest.mark.parametrize(
    "draw",
    [
        lambda x: x + generator.normal(),
        lambda x, rng=np.random.default_rng(1): x + rng.normal(),
        lambda x: x + np.random.rand(),
        lambda x: x + random.random(),
        lambda x: tm.vmap(lambda row: row + generator.normal())(x),
    ],
    ids=["global", "default", "numpy", "random", "inner"],
)
def test_drawing_random_numbers_while_recording_is_an_error(draw: Any) -> None:
    with pytest.raises(tm.UserError, match="draws random numbers"):
        tm.compile(draw)(np.ones(2))


def test_a_generator_among_the_arguments_is_watched_too() -> None:
    with pytest.raises(tm.UserError, match="draw outside"):
        tm.compile(lambda x, rng: x + rng.normal())(np.ones(2), np.random.default_rng(0))
