"""Where arrays begin: the same address as the array itself tells, for every kind of array."""

from collections.abc import Iterator

import numpy as np
import pytest
from tinymeta_kernels import addresses

if not addresses.callable_from_loops():
    pytest.skip("the machine needs Numba", allow_module_level=True)

from tinymeta_kernels import located

WHOLE = np.arange(24.0).reshape(2, 3, 4)
FROZEN = np.zeros(3)
FROZEN.flags.writeable = False
ARRAYS = [
    WHOLE, WHOLE[1:], WHOLE[:, ::-1], WHOLE[0, 0, 1:2].reshape(()), np.array(1), np.empty((0, 3)), FROZEN,
    np.ones(1, bool),
    np.asfortranarray(WHOLE), np.broadcast_to(WHOLE, (2, 2, 3, 4)), np.frombuffer(b"12345678", np.int8),
]  # fmt: skip


@pytest.fixture(params=["as documented", "otherwise"])
def struct(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """NumPy's struct as it is, and as if it weren't as documented."""
    if request.param == "as documented":
        assert located._documented
    else:
        monkeypatch.setattr(located, "_documented", False)
    yield


@pytest.mark.usefixtures("struct")
def test_addresses_are_those_that_the_arrays_tell_and_go_to_their_columns_alone() -> None:
    columns = np.random.default_rng(0).permutation(len(ARRAYS) + 5)[: len(ARRAYS)]
    table = np.full((2, len(ARRAYS) + 5), -1)
    located.locate(ARRAYS, columns, table)
    expected = np.full(len(ARRAYS) + 5, -1)
    for x, k in zip(ARRAYS, columns, strict=True):
        expected[k] = x.__array_interface__["data"][0]
    assert np.array_equal(table, [expected, expected])


@pytest.mark.usefixtures("struct")
def test_no_arrays_have_no_addresses() -> None:
    table = np.full((1, 2), -1)
    located.locate([], np.empty(0, np.int64), table)
    assert (table == -1).all()
