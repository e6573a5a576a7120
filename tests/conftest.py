"""How the suite draws its examples, the same few every time or 2,000 random ones a night (TINYMETA_NIGHTLY=1), and in
how many processes it runs: whole folders in two, a file or a test in one, where it can be stepped through."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from tinymeta_kernels import addresses

from tests.planted_table import pytest_terminal_summary as pytest_terminal_summary

os.environ["TINYMETA_CHECK"] = "1"  # the stages of the compiler check one another in every test

os.environ["COLUMNS"] = "80"  # tests read what is printed at this width, whatever the terminal's is

settings.register_profile(
    "steady", derandomize=True, deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "nightly", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("nightly" if os.environ.get("TINYMETA_NIGHTLY") else "steady")

PROCESSES = 2


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """What `-n 2 --dist worksteal` says, unless the command line says otherwise or pytest-xdist isn't installed.

    Each process begins with one half of the tests in their order, so that hardly a fixture is made twice; who has
    finished takes tests from the other's end.
    """
    option = config.option
    in_sight = option.usepdb or option.trace or option.capture == "no"
    folders = any(Path(argument).is_dir() for argument in config.args)
    told = getattr(option, "numprocesses", 0) is not None or option.dist != "no"  # 0: there is no xdist
    if folders and not (told or in_sight or hasattr(config, "workerinput")):
        option.numprocesses, option.dist = PROCESSES, "worksteal"
    if getattr(option, "numprocesses", None):
        # Two processes with two threads of BLAS each, all waiting awake, wait for cores that the others wait on.
        os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_configure(config: pytest.Config) -> None:
    if not addresses.callable_from_loops():  # told once for all functions, in whichever test comes first
        config.addinivalue_line("filterwarnings", "ignore:compiled functions run as plain NumPy calls")
