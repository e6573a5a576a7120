"""The two traces that most tests here look at, MAML and first-order MAML, and a browser for their pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.view.chromium import Page, started
from tinymeta.view.trace import Trace
from tinymeta.view.trace_program import trace_program


@pytest.fixture(scope="session")
def maml() -> Trace:
    return trace_program("sine")


@pytest.fixture(scope="session")
def first_order() -> Trace:
    return trace_program("sine-first-order")


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    yield from started(tmp_path_factory.mktemp("profile"))


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory, maml: Trace, first_order: Trace) -> Path:
    """A folder with `maml.html` and `first_order.html`, whose steps are all there, and `usual.html`."""
    folder = tmp_path_factory.mktemp("pages")
    maml.html(folder / "maml.html", internal=True)
    first_order.html(folder / "first_order.html", internal=True)
    maml.html(folder / "usual.html")
    return folder


@pytest.fixture
def page(browser: Any, pages: Path) -> Page:
    """The page of MAML, just opened."""
    return Page(browser, pages / "maml.html")
