"""How the suite draws its examples: the same few every time, or 2,000 random ones a night (TINYMETA_NIGHTLY=1)."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from tinymeta_kernels import addresses

os.environ["TINYMETA_CHECK"] = "1"  # the stages of the compiler check one another in every test

os.environ["COLUMNS"] = "80"  # tests read what is printed at this width, whatever the terminal's is

settings.register_profile(
    "steady", derandomize=True, deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "nightly", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("nightly" if os.environ.get("TINYMETA_NIGHTLY") else "steady")

verdicts = pytest.StashKey[list[Any]]()
compiler = pytest.StashKey[list[tuple[str, str]]]()


def pytest_configure(config: pytest.Config) -> None:
    if not addresses.callable_from_loops():  # told once for all functions, in whichever test comes first
        config.addinivalue_line("filterwarnings", "ignore:compiled functions run as plain NumPy calls")
    config.stash[verdicts] = []
    config.stash[compiler] = []


@pytest.fixture
def planted(request: pytest.FixtureRequest) -> list[Any]:
    """Where the tests of planted faults write down what caught each."""
    return request.config.stash[verdicts]


@pytest.fixture
def compiler_faults(request: pytest.FixtureRequest) -> list[tuple[str, str]]:
    """Where the tests of faults in the compiler write down what caught each."""
    return request.config.stash[compiler]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The table of P15: how many faults of each kind were planted, and which property caught them first."""
    if config.stash[compiler]:
        terminalreporter.section("faults planted in the compiler: what caught them")
        for fault, catcher in config.stash[compiler]:
            terminalreporter.write_line(f"{fault:58} {catcher or 'MISSED'}")
    found = config.stash[verdicts]
    if not found:
        return
    counts = Counter((v.fault, v.caught) for v in found)
    faults = list(dict.fromkeys(v.fault for v in found))
    names = [p for p in dict.fromkeys(sorted(v.caught for v in found)) if p not in ("–", "")]
    terminalreporter.section("planted faults: the property that caught them first")
    terminalreporter.write_line(f"{'fault':24}{'planted':>8}" + "".join(f"{n:>6}" for n in names) + f"{'missed':>8}")
    for fault in faults:
        row = [counts[fault, name] for name in names]
        missed = counts[fault, ""]
        cells = "".join(f"{n or '·':>6}" for n in row)
        terminalreporter.write_line(f"{fault:24}{sum(row) + missed:8}{cells}{missed:8}")
    tried = len({v.primitive for v in found})
    same = sum(counts[fault, "–"] for fault in faults)
    terminalreporter.write_line(f"{tried} primitives; {same} further plantings change nothing and are not counted")
