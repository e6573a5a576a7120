"""Threads: each unit of work once, errors that surface, BLAS left as it was, forks that live."""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tinymeta_kernels as tk
from tinymeta_kernels import threads


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = threads.count
    tk.set_num_threads(3)
    yield
    tk.set_num_threads(before)


@pytest.fixture
def blas_threads() -> Iterator[Callable[[], int]]:
    """Asks BLAS for its number of threads, which is 2 when a test begins."""
    get, set_ = (threads.blas_function(f"{verb}_num_threads") for verb in ("get", "set"))
    if get is None:
        pytest.skip("this NumPy's BLAS cannot be asked for its threads")
    before = get()
    set_(2)
    yield get
    set_(before)


@pytest.mark.parametrize("n", [0, 1, 2, 50])
def test_every_unit_is_done_once(n: int) -> None:
    done = []
    threads.run(done.append, list(range(n)))
    assert sorted(done) == list(range(n))


def test_work_inside_of_work_stays_on_its_thread() -> None:
    seen = []

    def outer(_: int) -> None:
        here = threading.get_ident()
        threads.run(lambda _: seen.append(threading.get_ident() == here), range(4))

    threads.run(outer, range(4))
    assert seen == [True] * 16


@pytest.mark.parametrize("bad", [0, 7])
def test_an_error_in_a_unit_surfaces_and_leaves_nothing_behind(bad: int, blas_threads) -> None:
    def work(unit: int) -> None:
        if unit == bad:
            raise FloatingPointError(f"unit {unit}")

    with pytest.raises(FloatingPointError, match=f"unit {bad}"):
        threads.run(work, range(8))
    assert blas_threads() == 2
    test_every_unit_is_done_once(50)


def test_blas_has_one_thread_inside_and_as_many_as_before_after(blas_threads) -> None:
    inside = []
    threads.run(lambda _: inside.append(blas_threads()), range(8))
    assert inside == [1] * 8
    assert blas_threads() == 2


def test_several_python_threads_get_the_answers_of_one(blas_threads) -> None:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((8, 5, 16, 14, 14)), rng.standard_normal((8, 16, 16, 3, 3))
    alone = tk.conv2d(x, w).tobytes()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: tk.conv2d(x, w).tobytes(), range(12)))
    assert answers == [alone] * 12
    assert blas_threads() == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_forked_child_computes_what_its_parent_computed() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((8, 5, 16, 14, 14)), rng.standard_normal((8, 16, 16, 3, 3))
    expected = tk.conv2d(x, w).tobytes()
    child = os.fork()
    if child == 0:
        os._exit(0 if tk.conv2d(x, w).tobytes() == expected else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_fewer_than_one_thread_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least 1 thread"):
        tk.set_num_threads(0)


@pytest.mark.parametrize(
    ("text", "cores"),
    [("max 100000", 1 << 16), ("200000 100000", 2), ("150000 100000", 1), ("20000 100000", 1), ("", 1 << 16)],
)
def test_a_container_uses_no_more_threads_than_cores_it_may_keep_busy(tmp_path: Path, text: str, cores: int) -> None:
    limit = tmp_path / "cpu.max"
    assert threads._allowance(limit) == 1 << 16
    limit.write_text(text)
    assert threads._allowance(limit) == cores
