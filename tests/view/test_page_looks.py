"""How the page looks and sounds in a real Chromium: no errors, no requests, no jumps, any width, light and dark."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tests.view.chromium import Page
from tinymeta.view.trace import Trace

Keys = pytest.importorskip("selenium.webdriver.common.keys", reason="selenium is not installed").Keys


def test_every_step_can_be_shown_without_an_error_or_a_request(page: Page, maml: Trace) -> None:
    assert page.js("trace.steps.forEach(s => visit(s.id)); return current.id") == maml.steps[-1].id
    assert page.driver.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in page.driver.get_log("performance")]
    requested = {e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"}
    assert {url.partition(":")[0] for url in requested} <= {"file", "data"}
    assert len([url for url in requested if url.startswith("file:")]) == 1


@pytest.mark.parametrize("width", [390, 820, 1280])
def test_nothing_moves_when_the_step_changes(browser: Any, pages: Path, width: int) -> None:
    page = Page(browser, pages / "maml.html", width)
    layouts = page.js(
        "const boxes = () => JSON.stringify([...document.querySelectorAll('section, nav')].map(e => "
        "[e.offsetLeft, e.offsetTop, e.offsetWidth, e.offsetHeight]));"
        "return [...new Set(operations.map(s => (visit(s.id), boxes())))].length"
    )
    assert layouts == 1


@pytest.mark.parametrize("width", [360, 390, 820, 1280])
def test_the_page_is_never_wider_than_the_screen(browser: Any, pages: Path, width: int) -> None:
    page = Page(browser, pages / "maml.html", width)
    outside = page.js(
        "return [...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll, .unseen, .skip') && "
        "e.getBoundingClientRect().right > innerWidth + 0.5).map(e => e.outerHTML.slice(0, 60))"
    )
    assert outside == [] and page.js("return document.documentElement.scrollWidth") <= width


# The contrast of each text with its ground, as WCAG 2.1 defines it; the texts that have too little of it.
CONTRAST = """
const channel = v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
const light = colour => {
  const [r, g, b] = colour.match(/[\\d.]+/g).map(v => channel(v / 255));
  return .2126 * r + .7152 * g + .0722 * b;
};
const ground = e => {
  for (; e; e = e.parentElement) {
    const colour = getComputedStyle(e).backgroundColor;
    if (!/, 0\\)$/.test(colour)) return colour;
  }
};
const ratio = e => {
  const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
  return (a + .05) / (b + .05);
};
const texts = 'body, h1, h2, h3, dt, .note, .stats, #summary, #position, .go, .comment, .word, .text, footer';
return [...document.querySelectorAll(texts)].map(e => [ratio(e), e.outerHTML.slice(0, 60)]).filter(([r]) => r < 4.5);
"""

INSIDE = """
const cell = document.querySelector('#table .now').getBoundingClientRect();
const pane = document.querySelector('#table .scroll').getBoundingClientRect();
return cell.left >= pane.left && cell.right <= pane.right && cell.bottom <= pane.bottom;
"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_can_be_read_on_its_ground(browser: Any, pages: Path, dark: bool) -> None:
    page = Page(browser, pages / "maml.html", dark=dark)
    page.press(Keys.END)
    assert page.js(CONTRAST) == []  # 4.5 to 1: WCAG 2.1, success criterion 1.4.3


def test_dark_mode_follows_the_system(browser: Any, pages: Path) -> None:
    ground = "return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    light, dark = (Page(browser, pages / "maml.html", dark=mode).js(ground) for mode in (False, True))
    assert min(light) > 230 and max(dark) < 50


def test_a_screen_reader_hears_the_step(page: Page, maml: Trace) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    page.press(Keys.END)
    last = maml.steps[-1]
    words = f"{last.op}, order {last.order}"
    assert words in page.js("return document.getElementById('slider').getAttribute('aria-valuetext')")
    WebDriverWait(page.driver, 10).until(lambda _: words in page.text("live"))
    assert page.js("return document.getElementById('live').getAttribute('aria-live')") == "polite"


def test_everything_to_press_has_a_name(page: Page) -> None:
    tree = page.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles = {"button", "slider", "searchbox", "link"}
    nameless = [n for n in tree if n.get("role", {}).get("value") in roles and not n.get("name", {}).get("value")]
    assert nameless == [] and sum(n.get("role", {}).get("value") in roles for n in tree) > 10


def test_the_focus_can_be_seen(page: Page) -> None:
    outlines = []
    for _ in range(12):
        page.press(Keys.TAB)
        style = "const s = getComputedStyle(document.activeElement); return s.outlineStyle + ' ' + s.outlineWidth"
        outlines.append(page.js(style))
    assert set(outlines) == {"solid 2px"}


def test_the_address_remembers_the_step(browser: Any, pages: Path, maml: Trace) -> None:
    number = next(s.id for s in maml.steps if s.op == "tanh")
    browser.get("about:blank")
    browser.get((pages / "maml.html").as_uri() + f"#{number}")
    assert browser.execute_script("return current.id") == number


def test_a_program_of_thousands_of_steps_stays_usable(browser: Any, tmp_path: Path) -> None:
    def chain(x: tm.Tensor) -> tm.Tensor:
        for _ in range(150):
            x = tm.sin(x) + x * 0.5
        return tm.sum(x)

    with tm.trace("long") as t:
        tm.grad(lambda x: tm.sum(tm.grad(chain)(x)))(np.linspace(0, 1, 3))
    t.html(tmp_path / "long.html")
    assert sum(t.counts().values()) >= 2000
    page = Page(browser, tmp_path / "long.html")
    page.press(Keys.END)
    assert page.step == t.steps[-1].id
    assert page.js(INSIDE)
    assert page.js("return document.querySelectorAll('#graph [data-go]').length") <= 60


def test_a_trace_of_nothing_is_an_empty_page_without_errors(browser: Any, tmp_path: Path) -> None:
    with tm.trace("nothing") as t:
        pass
    t.html(tmp_path / "nothing.html")
    page = Page(browser, tmp_path / "nothing.html")
    assert page.text("summary") == "Nothing to step through: no operation ran while the trace was open."
    assert page.js("return document.querySelector('main').offsetHeight") == 0 and page.driver.get_log("browser") == []
