"""Moving through the page in a real Chromium: keys, buttons, filters, links; and that each pane follows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tinymeta as tm
from tests.view.chromium import Page
from tinymeta.view.trace import Trace
from tinymeta.view.trace_table import BORDERS

Keys = pytest.importorskip("selenium.webdriver.common.keys", reason="selenium is not installed").Keys


INSIDE = """
const [part, pane] = [...arguments].map(selector => document.querySelector(selector).getBoundingClientRect());
return part.top >= pane.top && part.bottom <= pane.bottom;
"""


def numbers(trace: Trace, order: int | None = None) -> list[int]:
    return [s.id for s in trace.steps if s.kind == "step" and order in (None, s.order)]


def test_arrows_go_forward_and_back(page: Page, maml: Trace) -> None:
    first, second, third = numbers(maml)[:3]
    seen = [page.step]
    for key in (Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT):
        page.press(key)
        seen.append(page.step)
    assert seen == [first, second, third, second]


def test_home_and_end_go_to_the_ends_and_stay_there(page: Page, maml: Trace) -> None:
    page.press(Keys.END, Keys.ARROW_RIGHT)
    assert page.step == numbers(maml)[-1]
    page.press(Keys.HOME, Keys.ARROW_LEFT)
    assert page.step == numbers(maml)[0]


def test_buttons_and_slider_do_the_same(page: Page, maml: Trace) -> None:
    steps = numbers(maml)
    page.click("#last")
    page.click("#back")
    assert page.step == steps[-2] and page.text("position") == f"{len(steps) - 1} of {len(steps)}"
    page.js("const s = document.getElementById('slider'); s.value = 4; s.dispatchEvent(new Event('input'))")
    assert page.step == steps[4]
    page.click("#first")
    assert page.js("return [document.getElementById('back').disabled, document.getElementById('next').disabled]") == [
        True,
        False,
    ]


def test_the_slider_moves_one_step_by_its_arrow_keys(page: Page, maml: Trace) -> None:
    page.js("document.getElementById('slider').focus()")
    page.press(Keys.ARROW_RIGHT)
    assert page.step == numbers(maml)[1]


def test_u_goes_up_to_the_maker_and_d_down_again(page: Page, maml: Trace) -> None:
    step = next(s for s in maml.steps if s.order == 2 and s.made_by != maml.column(s).id)
    page.click(f'#table rect[data-id="{step.id}"]')
    page.press("u")
    assert page.step == step.made_by
    page.press("d")
    assert maml.steps[page.step - 1].made_by == step.made_by


@pytest.mark.parametrize("order", [0, 1, 2])
def test_a_digit_shows_one_order_only(page: Page, maml: Trace, order: int) -> None:
    page.press(str(order), Keys.HOME)
    seen = {maml.steps[page.step - 1].order}
    for _ in range(5):
        page.press(Keys.ARROW_RIGHT)
        seen.add(maml.steps[page.step - 1].order)
    assert seen == {order} and page.text("position").endswith(f" of {len(numbers(maml, order))}")
    page.press("a")
    assert page.text("position").endswith(f" of {len(numbers(maml))}")


def test_a_filter_dims_the_other_orders_in_the_table(page: Page) -> None:
    page.click('#orders [data-order="1"]')
    dim = "return getComputedStyle(document.querySelector('#table rect.o' + arguments[0])).opacity"
    assert [float(page.js(dim, order)) < 1 for order in (0, 1, 2)] == [True, False, True]
    pressed = page.js("return [...document.querySelectorAll('#orders [aria-pressed=true]')].map(b => b.textContent)")
    assert pressed == ["1"]


def test_order_2_is_there_for_maml_and_not_for_first_order_maml(browser: Any, pages: Path, maml: Trace) -> None:
    cells = "return document.querySelectorAll('#table rect.o2').length"
    buttons = "return [...document.querySelectorAll('#orders button')].map(b => b.textContent)"
    page = Page(browser, pages / "maml.html")
    assert (page.js(cells), page.js(buttons)) == (maml.counts()[2], ["all", "0", "1", "2"])
    page = Page(browser, pages / "first_order.html")
    assert (page.js(cells), page.js(buttons)) == (0, ["all", "0", "1"])


def test_finding_an_operation_a_step_and_a_line(page: Page, maml: Trace) -> None:
    def found(words: str) -> int:
        page.press("/")
        page.press(words + Keys.ENTER)
        page.press(Keys.ESCAPE)
        return page.step

    tanhs = [s.id for s in maml.steps if "tanh" in s.op]  # its slope is an operation, too
    assert len(tanhs) > 1 and [found("tanh") for _ in (*tanhs, 0)] == [*tanhs, tanhs[0]]
    assert found("%99") == 99
    assert maml.steps[found("error * error") - 1].path[-1].function == "loss"
    assert found("nonsense") == page.step and page.text("live") == "Nothing found for nonsense"
    page.press("u")  # the keys work again after Escape
    assert page.js("return document.activeElement.id") != "find"


def test_a_cell_leads_to_its_step_and_links_to_the_maker(page: Page, maml: Trace) -> None:
    step = next(s for s in maml.steps if s.order == 2)
    page.click(f'#table rect[data-id="{step.id}"]')
    assert page.step == step.id
    marked = "return ['now', 'maker'].map(c => +document.querySelector('#table rect.' + c).dataset.id)"
    assert page.js(marked) == [step.id, step.made_by]
    page.click(f'#facts [data-go="{step.made_by}"]')
    assert page.step == step.made_by


def test_the_source_shows_the_line_and_what_is_differentiated(page: Page, maml: Trace) -> None:
    line = "const l = document.querySelector('#lines .' + arguments[0]); return l && +l.dataset.line"
    step = next(s for s in maml.steps if s.op == "tanh")
    page.click(f'#table rect[data-id="{step.id}"]')
    assert page.js(line, "here") == step.path[-1].line and page.js(line, "subject") is None
    page.press("d")
    made = maml.steps[page.step - 1]
    assert (page.js(line, "here"), page.js(line, "subject")) == (made.path[-1].line, step.path[-1].line)
    assert page.js(INSIDE, "#lines .subject", "#lines")


def test_indentation_of_the_source_is_kept(page: Page) -> None:
    shown = page.js("return [...document.querySelectorAll('#lines li')].map(l => l.innerText)")
    assert any(line.startswith("    return tm.mean(error * error)") for line in shown)


def test_values_rule_and_neighbours_belong_to_the_step(page: Page, maml: Trace) -> None:
    step = next(s for s in maml.steps if s.op == "tanh")
    page.click(f'#table rect[data-id="{step.id}"]')
    rows, columns = step.shape
    assert page.js("return [...document.querySelectorAll('.grid tr')].map(r => r.cells.length)") == [columns] * rows
    assert "y = tanh x" in page.text("rule") and "vjp = lambda g, y, x" in page.text("rule")
    around = page.js("return [...document.querySelectorAll('#graph [data-go]')].map(g => +g.dataset.go)")
    made = [s.id for s in maml.steps if s.made_by == step.id and s.kind == "step"]
    users = [s.id for s in maml.steps if step.id in s.inputs and s.made_by != step.id]
    assert sorted(around) == sorted({step.id, *step.inputs, *made, *users})


def test_a_neighbour_is_reached_by_the_keyboard(page: Page, maml: Trace) -> None:
    page.press(Keys.END)
    page.js("document.querySelector('#graph g[role=link]:not(.now)').focus()")
    target = int(page.js("return document.activeElement.dataset.go"))
    page.press(Keys.ENTER)
    assert page.step == target


def test_the_usual_page_opens_on_an_operation_of_the_users_and_says_what_to_look_for(
    browser: Any, pages: Path, maml: Trace
) -> None:
    page = Page(browser, pages / "usual.html")
    shown = [s for s in maml.steps if s.kind == "step" and s.op not in BORDERS]
    second = [s for s in shown if s.order == 2]
    assert page.step == shown[0].id
    words = (
        f"{len(second)} of {len(shown)} operations are the second derivative; all differentiate adapt. Go to the first"
    )
    assert page.text("summary") == words
    page.driver.find_element("css selector", "#summary [data-go]").click()
    assert page.step == second[0].id
    page.press(Keys.END)
    assert page.step == shown[-1].id


def test_the_sentence_of_a_page_without_a_second_derivative(browser: Any, tmp_path: Path) -> None:
    with tm.trace("one") as t:
        tm.grad(lambda x: tm.sin(x) * x)(0.5)
    with tm.trace("none") as plain:
        tm.sin(tm.tensor(0.5))
    for trace in (t, plain):
        trace.html(tmp_path / f"{trace.title}.html")
    first = Page(browser, tmp_path / "one.html").text("summary")
    assert first.endswith("of which differentiate the others.")
    assert Page(browser, tmp_path / "none.html").text("summary") == "1 operation."
