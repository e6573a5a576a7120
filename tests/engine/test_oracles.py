"""Who watches the kernels: a primitive whose reference is its own kernel is watched by nobody."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tinymeta.engine.primitive import Primitive

ROOT = Path(__file__).parents[2]
# `part` picks an output and `unrecorded` stands for a function: they compute nothing.
PLUMBING = {"loop", "part", "unrecorded"}


def _unwatched(primitive: type[Primitive]) -> bool:
    """Whether kernel and reference are one function (or two of the same code) that is not simply one of NumPy's."""
    kernel, reference = (_plain(vars(primitive)[name]) for name in ("kernel", "reference"))
    of_numpy = isinstance(kernel, np.ufunc) or (getattr(kernel, "__module__", "") or "").split(".")[0] == "numpy"
    same = kernel is reference or (_code(kernel) is not None and _code(kernel) == _code(reference))
    return same and not of_numpy


def _plain(function: Any) -> Any:
    return getattr(function, "__func__", function)


def _code(function: Any) -> Any:
    code = getattr(function, "__code__", None)
    return code and (code.co_code, code.co_consts, code.co_names)


def test_every_kernel_that_is_not_one_of_numpys_has_an_oracle_of_its_own() -> None:
    ours = [p for p in Primitive.registry.values() if p.__module__.startswith("tinymeta.")]
    assert [p.__name__ for p in ours if p.__name__ not in PLUMBING and _unwatched(p)] == []


@pytest.mark.parametrize("written_twice", [False, True])
def test_the_search_finds_a_kernel_that_is_its_own_oracle(written_twice: bool) -> None:
    class Half:
        """y = x/2."""

        kernel = staticmethod(lambda x: x / 2)
        reference = staticmethod(lambda x: x / 2) if written_twice else kernel
        domain, kinks, vjp = (tm.testing.reals(-1, 1),), (), None

    try:
        assert _unwatched(tm.primitive(Half))
    finally:
        del Primitive.registry["Half"]


def test_a_namesake_of_a_built_in_operation_leaves_that_one_its_place_and_its_oracle() -> None:
    body = {"__doc__": "y = 2x.", "kernel": staticmethod(lambda x: 2 * x.real), "domain": (), "kinks": (), "vjp": None}
    for factor in (2, 3):  # declared anew, it takes its own place
        mine = tm.primitive(type("tanh", (), {**body, "reference": staticmethod(lambda x, by=factor: by * x)}))
    try:
        assert Primitive.registry["tanh"] is tm.tanh and Primitive.registry[f"{__name__}.tanh"] is mine
        with tm.testing.references():
            assert tm.tanh(np.array(1e-20j)).array.imag == 1e-20 and mine(np.array(1j)).array == 3j
    finally:
        del Primitive.registry[f"{__name__}.tanh"]


def test_everything_works_without_docstrings_and_asserts() -> None:
    """python -OO: operations of one's own, second derivatives, vmap, compilation and the checks of a primitive."""
    code = """
        import numpy as np, tinymeta as tm

        @tm.primitive
        class half:
            "y = x/2."
            kernel = staticmethod(lambda x: x / 2)
            reference = staticmethod(lambda x: 0.5 * x)
            domain, kinks = (tm.testing.reals(-2, 2),), ()
            vjp = lambda g, y, x: tm.scale(g, 0.5)

        loss = lambda x: tm.sum(tm.sigmoid(half(x)) ** 2)
        f = tm.compile(tm.vmap(tm.grad(loss)))
        x = np.linspace(-2, 2, 6).reshape(3, 2)
        for _ in range(2):
            if not np.allclose(f(x), np.stack([tm.grad(loss)(row) for row in x])):
                raise SystemExit("compiled and eager gradients differ")
        tm.testing.check_grad(loss, x[0], order=2)
        tm.testing.check_primitive(half, examples=2)
        net = tm.nn.MLP([2, 8, 3], rng=np.random.default_rng(0), norm=True)
        print(float(tm.nn.cross_entropy(net(x.astype(np.float32)), np.array([0, 1, 2]))))
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "kernels")])}
    command = [sys.executable, "-OO", "-c", textwrap.dedent(code)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert np.isfinite(float(run.stdout))
