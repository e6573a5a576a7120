"""Inner loops of our own: as exact as they say, and refused where they are not."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tinymeta_kernels import addresses
from tinymeta_kernels.special import LOOPS

if not addresses.callable_from_loops():
    pytest.skip("the loops need Numba", allow_module_level=True)
from tinymeta_kernels import contract, loops

every_loop = pytest.mark.parametrize("name", LOOPS)


def results(name: str, x: Any, step: int, out_step: int, in_place: bool) -> Any:
    """What the loop makes of every `step`-th number, in every `out_step`-th place of NaN."""
    n = -(-x.size // step)
    out = x if in_place else np.full(n * out_step, np.nan, x.dtype)
    code = [0, 15, loops.address(name, x.dtype.char), 0, 2, 1, n]
    code += [0, 0, 0, step * x.itemsize, 1, 0, 0, out_step * x.itemsize]
    contract._run(np.array(code), [x, out])
    return out[: n * out_step : out_step]


@every_loop
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("step, out_step, in_place", [(1, 1, False), (1, 1, True), (3, 2, False), (2, 2, True)])
def test_a_loop_is_right_to_a_few_units_in_the_last_place_out_to_where_it_vanishes(
    name: str, dtype: Any, step: int, out_step: int, in_place: bool
) -> None:
    x = np.concatenate(
        [np.linspace(-20, 20, 20011), 2.0 ** np.arange(-140, 8), [0, -0.0, np.inf, -np.inf, np.nan, 1e30]]
    )
    x = x.astype(dtype)
    expected = LOOPS[name](x[::step].astype(np.float64))
    found = results(name, x.copy(), step, out_step, in_place).astype(np.float64)
    with np.errstate(under="ignore"):
        unit = np.spacing(abs(expected).astype(dtype)).astype(np.float64)
    assert np.array_equal(np.isnan(found), np.isnan(expected))
    assert np.nanmax(abs(found - expected) / unit) <= contract.ULPS


@every_loop
def test_a_loop_that_computes_something_else_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    dtypes, address = (np.dtype("f"),) * 2, loops.address
    asked: Callable[..., Any] = contract.loop.__wrapped__
    monkeypatch.setattr(contract, "holds", contract.holds.__wrapped__)
    assert asked(name, dtypes) is not None
    other = {"erf": "normal_cdf", "erf_bell": "normal_bell"}
    swapped = other | {b: a for a, b in other.items()}
    monkeypatch.setattr(loops, "address", lambda name, char: address(swapped[name], char))
    assert asked(name, dtypes) is None
