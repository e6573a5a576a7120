"""Products of ours: what they give, and what they leave alone, at every edge of vectors, tiles and panels."""

from __future__ import annotations

import ctypes
import mmap
import os
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tinymeta_kernels import products
from tinymeta_kernels._layout import Array

pytestmark = pytest.mark.skipif(
    not products.OWN, reason="this processor's products are the BLAS's: there is none of ours"
)

LANES = products.VECTOR // 4  # of float32; float64 has half of them
EDGES = sorted({0, 2, 3, 4, 5, 7, *(k * LANES // 2 + d for k in (1, 2, 3, 6) for d in (-1, 0, 1)), 127, 128, 129})
SIDES = [1] * 8 + EDGES  # a row and a column are cases of their own


def compiled(module: Any) -> Any:
    """`module.multiply` by ours, for arrays."""
    from numba import njit

    multiply = module.multiply

    @njit  # type: ignore[untyped-decorator]
    def run(item: Any, ta: Any, tb: Any, m: Any, n: Any, k: Any, *rest: Any) -> None:
        multiply(0, item, ta, tb, m, n, k, *rest)

    return run


@pytest.fixture(scope="module")
def ours() -> Any:
    return compiled(products)


class Case:
    """Matrices with other numbers between and beside their rows."""

    def __init__(
        self, rng: np.random.Generator, sizes: tuple[int, int, int], turned: tuple[bool, bool], dtype: Any
    ) -> None:
        self.m, self.n, self.k = sizes
        self.turned, self.dtype = turned, np.dtype(dtype)
        self.gaps = rng.integers(0, 4, 3)
        self.alpha, self.beta = rng.choice([1.0, -0.5, 3.0]), rng.choice([0.0, 1.0, -2.0])
        forms = [(self.m, self.k), (self.k, self.n), (self.m, self.n)]
        self.memory, self.views, self.apart = [], [], []
        for form, turn, gap in zip(forms, (*turned, False), self.gaps):
            rows, columns = form[::-1] if turn else form
            apart = int(max(1, columns + gap))
            memory = rng.standard_normal(rows * apart + 40).astype(self.dtype)
            view = memory[20 : 20 + rows * apart].reshape(rows, apart)[:, :columns]
            self.memory.append(memory)
            self.apart.append(apart)
            self.views.append(view.T if turn else view)
        self.starts = [memory.ctypes.data + 20 * self.dtype.itemsize for memory in self.memory]
        if self.beta == 0:
            self.views[2][:] = np.nan

    def run(self, ours: Any) -> None:
        how = [products.TRANSPOSED if turn else products.ORDINARY for turn in self.turned]
        (a, b, c), (lda, ldb, ldc) = self.starts, self.apart
        panel = np.zeros(products.PANEL, np.int64)
        alpha, beta = (self.dtype.type(x) for x in (self.alpha, self.beta))
        sizes, item = (self.m, self.n, self.k), self.dtype.itemsize
        ours(item, *how, *sizes, alpha, a, lda, b, ldb, beta, c, ldc, panel.ctypes.data)

    def is_right(self, ours: Any) -> bool:
        """Within the rounding of k products and sums, and nothing else is written."""
        x, y, z = (np.array(v, np.float64) for v in self.views)
        kept = np.where(np.isnan(z), 0, z)
        right, size = self.alpha * x @ y + self.beta * kept, abs(self.alpha) * abs(x) @ abs(y) + abs(self.beta * kept)
        before = [memory.copy() for memory in self.memory]
        self.run(ours)
        eps = np.finfo(self.dtype).eps
        near = abs(self.views[2] - right) <= (self.k + 4) * eps * size
        found = self.views[2].copy()
        self.views[2][:] = before[2][20 : 20 + self.m * self.apart[2]].reshape(self.m, self.apart[2])[:, : self.n]
        alone = all(np.array_equal(p, q, equal_nan=True) for p, q in zip(before, self.memory))
        return bool(near.all()) and alone and not np.isnan(found).any()


sides = st.sampled_from(SIDES)


@settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.tuples(sides, sides, sides), st.tuples(st.booleans(), st.booleans()), st.sampled_from("fd"), st.integers(0, 99)
)
def test_a_product_is_right_and_nothing_beside_it_is_written(
    ours: Any, sizes: Any, turned: Any, dtype: Any, seed: int
) -> None:
    assert Case(np.random.default_rng(seed), sizes, turned, dtype).is_right(ours)


@pytest.mark.parametrize("dtype", "fd")
def test_what_is_no_number_goes_where_it_belongs(ours: Any, dtype: str) -> None:
    """As in NumPy: 0 · ∞ is NaN, and a row or column without one has numbers."""
    for turned in product((False, True), repeat=2):
        case = Case(np.random.default_rng(3), (9, 2 * LANES + 3, 140), turned, dtype)
        case.views[0][4, 130], case.views[1][7, 5], case.views[1][9, 6], case.views[0][:, 9] = np.inf, np.nan, np.inf, 0
        x, y, z = (np.array(v, np.float64) for v in case.views)
        with np.errstate(invalid="ignore"):
            right = case.alpha * x @ y + (case.beta * z if case.beta else 0)
        case.run(ours)
        np.testing.assert_array_equal(np.isfinite(case.views[2]), np.isfinite(right))
        np.testing.assert_array_equal(np.isnan(case.views[2]), np.isnan(right))


@pytest.mark.skipif(sys.platform != "linux", reason="memory that may not be read is asked for as Linux has it")
@pytest.mark.parametrize("dtype", "fd")
def test_nothing_behind_a_matrix_is_read(ours: Any, dtype: str) -> None:
    """Behind each of the three lies a page that nobody may read: who does is ended, so a child tries."""
    program = "import sys; from tests.kernels.test_products import read_to_the_end; read_to_the_end(sys.argv[1])"
    root = Path(__file__).parents[2]
    path = os.pathsep.join(map(str, (root, root / "kernels")))
    done = subprocess.run([sys.executable, "-c", program, dtype], env={**os.environ, "PYTHONPATH": path}, check=False)
    assert done.returncode == 0


def fenced() -> Array:
    """A page of bytes, behind which is one that may not be read."""
    size = mmap.PAGESIZE
    both = np.frombuffer(mmap.mmap(-1, 2 * size), np.uint8)
    assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(both.ctypes.data + size), ctypes.c_size_t(size), 0) == 0
    return both[:size]


def read_to_the_end(dtype: str) -> None:
    ours, pages, rng = compiled(products), [fenced() for _ in range(3)], np.random.default_rng(0)
    for sizes in product((1, 3, 5, LANES - 1, LANES + 1), repeat=3):
        for turned in product((False, True), repeat=2):
            case = Case(rng, sizes, turned, dtype)
            for k, (page, view, turn) in enumerate(zip(pages, case.views, (*turned, False))):
                lying = view.T if turn else view
                memory = page[page.size - lying.size * lying.itemsize :].view(lying.dtype)
                memory[:] = lying.ravel()
                case.starts[k], case.apart[k] = memory.ctypes.data, lying.shape[1]
            case.run(ours)


FAULTS = {
    "the last vector is a whole one": ("last = min(columns, n - j) - (vectors - 1) * lanes", "last = lanes"),
    "later terms replace earlier ones": ("beta = alpha * 0 + 1", "beta = beta * 1"),
    "a square has the rows of a whole one": (
        "_turn(square, ldb, min(lanes, n - j - v), ",
        "_turn(square, ldb, lanes - 1, ",
    ),
    "tiles lie one row apart": (
        "for i in range(0, m, ROWS):\n                x, y",
        "for i in range(0, m, ROWS + 1):\n                x, y",
    ),
    "a column's rows are those of the other": (
        "b, ldb, a, lda, TRANSPOSED if tb == ORDINARY",
        "b, 1, a, lda, TRANSPOSED if tb == ORDINARY",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_seen(fault: str, tmp_path: Path) -> None:
    text = Path(products.__file__).read_text(encoding="utf-8")
    right, wrong = FAULTS[fault]
    assert text.count(right) == 1
    copy = tmp_path / "wrong_products.py"
    copy.write_text(
        text.replace(right, wrong).replace("from .vectors", "from tinymeta_kernels.vectors"), encoding="utf-8"
    )
    spec = spec_from_file_location("wrong_products", copy)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    ours, rng = compiled(module), np.random.default_rng(5)
    cases = (Case(rng, tuple(rng.choice(SIDES, 3)), tuple(rng.random(2) < 0.5), "f") for _ in range(300))  # type: ignore[arg-type]
    assert not all(case.is_right(ours) for case in cases)
