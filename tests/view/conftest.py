"""The two traces that most tests here look at: MAML on one sinusoid, and first-order MAML."""

from __future__ import annotations

import pytest

from tinymeta.view.trace import Trace
from tinymeta.view.trace_program import trace_program


@pytest.fixture(scope="session")
def maml() -> Trace:
    return trace_program("sine")


@pytest.fixture(scope="session")
def first_order() -> Trace:
    return trace_program("sine-first-order")
