"""What `tm.compile` refuses, each with a clear error: decisions on values, values read out, randomness drawn."""

from __future__ import annotations

import itertools
import os
import random
import secrets
import subprocess
import sys
import threading
import time
import types
import uuid
from pathlib import Path
from random import gauss
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
draw_normal = generator.normal  # a method, bound
legacy, python = np.random.RandomState(0), random.Random(0)
library = types.ModuleType("somebodys_library")
library.rng = np.random.default_rng(3)  # type: ignore[attr-defined]


class Slotted:
    __slots__ = ("rng",)
    rng: Any


class Deep:
    def __init__(self) -> None:
        self.held = {"rngs": [np.random.default_rng(0)]}

    def draw(self) -> float:
        return self.held["rngs"][0].normal()


class Noisy(tm.nn.Module):
    """A layer with a generator of its own, or with the module's."""

    def __init__(self, own: bool) -> None:
        self.w, self.own, self.rng = tm.ones(2), own, np.random.default_rng(0)

    def __call__(self, x: Any) -> Any:
        return x * self.w + (self.rng if self.own else generator).normal(size=2)


slotted, deep = Slotted(), Deep()
slotted.rng = np.random.default_rng(0)

DRAWS: dict[str, Any] = {
    "global": lambda x: x + generator.normal(),
    "default": lambda x, rng=np.random.default_rng(1): x + rng.normal(),
    "numpy": lambda x: x + np.random.rand(),
    "random": lambda x: x + random.random(),
    "inner": lambda x: tm.vmap(lambda row: row + generator.normal())(x),
    "bound method": lambda x: x + draw_normal(),
    "imported function": lambda x: x + gauss(0, 1),
    "RandomState": lambda x: x + legacy.normal(),
    "random.Random": lambda x: x + python.random(),
    "another module's": lambda x: x + library.rng.normal(),
    "slots": lambda x: x + slotted.rng.normal(),
    "deep in an object": lambda x: x + deep.draw(),
    "few outcomes": lambda x: x + generator.integers(2),
    "shuffled": lambda x: x + np.random.permutation(2),
    "made inside": lambda x: x + np.random.default_rng().normal(),
    "PCG64 made inside": lambda x: x + np.random.Generator(np.random.PCG64()).random(),
    "RandomState made inside": lambda x: x + np.random.RandomState().normal(),
    "Random made inside": lambda x: x + random.Random().random(),
    "spawned": lambda x: x + generator.spawn(1)[0].normal(),
    "secrets": lambda x: x + secrets.randbelow(1000),
    "urandom": lambda x: x + os.urandom(1)[0],
    "uuid4": lambda x: x + float(uuid.uuid4().int % 97),
    "SystemRandom": lambda x: x + random.SystemRandom().random(),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_drawing_random_numbers_while_recording_is_an_error(draw: Any) -> None:
    urandom = os.urandom
    with pytest.raises(tm.UserError, match="draws random numbers"):
        tm.compile(draw)(np.ones(2))
    assert os.urandom is urandom  # nobody listens any more


@pytest.mark.parametrize("own", [True, False], ids=["own", "the module's"])
def test_a_layer_that_draws_is_an_error(own: bool) -> None:
    with pytest.raises(tm.UserError, match="draws random numbers"):
        tm.compile(lambda layer, x: layer(x))(Noisy(own), np.ones(2))


def test_a_generator_with_a_seed_made_inside_gives_the_same_numbers_anyway() -> None:
    f: Any = lambda x: x + np.random.default_rng(7).normal(size=2)
    compiled = tm.compile(f)
    for _ in range(2):
        np.testing.assert_array_equal(compiled(np.ones(2)), f(np.ones(2)))


def test_a_module_that_asks_for_entropy_may_be_imported_while_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "asks_once.py").write_text("import os\nkey = os.urandom(8)\n")
    (tmp_path / "draws_below.py").write_text(
        "import os, numpy, tinymeta as tm\ntm.compile(lambda x: x + os.urandom(1)[0])(numpy.ones(2))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    def f(x: Any) -> Any:
        import asks_once

        return x * len(asks_once.key)

    assert tm.compile(f)(np.ones(2)).tolist() == [8, 8]
    with pytest.raises(tm.UserError, match="draws random numbers"):
        import draws_below  # noqa: F401


def test_nobody_is_blamed_for_what_another_thread_draws() -> None:
    drawn, over = threading.Event(), threading.Event()

    def draw() -> None:
        own = np.random.default_rng(5)
        while not over.is_set():
            own.normal()
            np.random.rand()
            random.random()
            os.urandom(1)
            drawn.set()

    def f(x: Any) -> Any:
        drawn.clear()
        assert drawn.wait(60)  # the other thread has drawn while this one records
        return x * 2

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        assert tm.compile(f)(np.ones(2)).tolist() == [2, 2]
        with pytest.raises(tm.UserError, match="draws random numbers"):
            tm.compile(lambda x: x + generator.normal())(np.ones(2))
    finally:
        over.set()
        thread.join()


def test_what_another_thread_drew_from_a_generator_in_reach_is_not_laid_to_the_function() -> None:
    recording, drawn = threading.Event(), threading.Event()

    def draw() -> None:
        assert recording.wait(60)
        generator.normal()
        random.random()
        drawn.set()

    def f(x: Any) -> Any:
        recording.set()
        assert drawn.wait(60)  # the first time that it is recorded, the other thread draws meanwhile
        return x * 2 if callable(generator.normal) and callable(random.random) else x

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        assert tm.compile(f)(np.ones(2)).tolist() == [2, 2]
    finally:
        recording.set()
        thread.join()


@pytest.mark.parametrize(
    "read",
    [
        lambda x, count=itertools.count(): x + next(count),
        lambda x, numbers=iter(range(100)): x + next(numbers),
        lambda x, numbers=(i for i in range(100)): x + next(numbers),
        lambda x: x + time.perf_counter(),
    ],
    ids=["count", "range", "generator", "clock"],
)
def test_what_changes_by_itself_is_an_error(read: Any) -> None:
    with pytest.raises(tm.UserError, match="changes by itself"):
        tm.compile(read)(np.ones(2))


def test_a_clock_that_only_measures_is_allowed() -> None:
    def f(x: Any) -> Any:
        start = time.perf_counter()
        y = x * 2
        assert time.perf_counter() >= start
        return y

    assert tm.compile(f)(np.ones(2)).tolist() == [2, 2]


def test_a_generator_among_the_arguments_is_watched_too() -> None:
    with pytest.raises(tm.UserError, match="draw outside"):
        tm.compile(lambda x, rng: x + rng.normal())(np.ones(2), np.random.default_rng(0))


def test_a_kernel_that_is_compiled_while_recording_draws_nothing(tmp_path: Path) -> None:
    """Numba asks for a random name for its file, as on every machine that is new."""
    program = (
        "import numpy as np, tinymeta as tm\n"
        "print(tm.compile(tm.nn.conv2d)(np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2))).sum().item())"
    )
    path = os.pathsep.join(sys.path)
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": path}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert run.stdout.split() == ["16.0"], run.stderr
