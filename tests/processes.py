"""How many processes the suite takes: two for folders, one for a file or a test, which can be stepped through."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

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
