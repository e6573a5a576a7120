"""How the suite draws its examples: the same few every time, or 2,000 random ones a night (TINYMETA_NIGHTLY=1)."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings
from tinymeta_kernels import addresses

from tests.planted_table import pytest_terminal_summary as pytest_terminal_summary
from tests.processes import pytest_cmdline_main as pytest_cmdline_main

os.environ["TINYMETA_CHECK"] = "1"  # the stages of the compiler check one another in every test

os.environ["COLUMNS"] = "80"  # tests read what is printed at this width, whatever the terminal's is

settings.register_profile(
    "steady", derandomize=True, deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "nightly", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("nightly" if os.environ.get("TINYMETA_NIGHTLY") else "steady")


def pytest_configure(config: pytest.Config) -> None:
    if not addresses.callable_from_loops():  # told once for all functions, in whichever test comes first
        config.addinivalue_line("filterwarnings", "ignore:compiled functions run as plain NumPy calls")
