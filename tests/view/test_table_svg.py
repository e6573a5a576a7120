"""The derivative table: every operation has one cell, in its column and band, and the picture can be read."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import tinymeta as tm
from tinymeta.view.table_svg import LEGIBLE, derivative_table
from tinymeta.view.trace import Trace
from tinymeta.view.trace_program import side_by_side
from tinymeta.view.trace_table import BORDERS, table_of

ROOT = Path(__file__).resolve().parents[2]
SVG = "{http://www.w3.org/2000/svg}"
PICTURE = ROOT / "tutorials" / "maml_vs_fomaml.svg"

Box = tuple[float, float, float, float]


def drawn(*traces: Trace) -> ElementTree.Element:
    return ElementTree.fromstring(derivative_table(*traces))


def cells(svg: ElementTree.Element) -> dict[int, ElementTree.Element]:
    return {int(r.get("data-id", "")): r for r in svg.iter(f"{SVG}rect") if r.get("data-id")}


def box(rect: ElementTree.Element) -> Box:
    x, y, w, h = (float(rect.get(name, "")) for name in ("x", "y", "width", "height"))
    return x, y, x + w, y + h


def words(svg: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in svg.iter(f"{SVG}text")]


def test_every_operation_that_differentiating_made_has_one_cell(maml: Trace) -> None:
    rects = [r.get("data-id") for r in drawn(maml).iter(f"{SVG}rect") if r.get("data-id")]
    wanted = [str(s.id) for s in maml.steps if s.kind == "step" and s.order]
    assert Counter(rects) >= Counter(wanted) and max(Counter(rects).values()) == 1


def test_every_operation_of_the_user_has_a_column(maml: Trace) -> None:
    columns = {s.id for s in table_of(maml).columns}
    assert {s.id for s in maml.steps if s.kind == "step" and s.order == 0 and s.op not in BORDERS} <= columns


def test_a_cell_stands_below_the_operation_it_differentiates(maml: Trace) -> None:
    found = cells(drawn(maml))
    for step in maml.steps:
        if step.kind == "step" and step.order:
            (x, y, _, _), (top_x, _, _, top) = box(found[step.id]), box(found[maml.column(step).id])
            assert x == top_x and y > top


def test_a_band_of_a_higher_order_lies_lower(maml: Trace) -> None:
    found = cells(drawn(maml))
    bands = [[box(found[s.id]) for s in maml.steps if s.id in found and s.order == order] for order in (0, 1, 2)]
    assert max(b[3] for b in bands[0]) < min(b[1] for b in bands[1])
    assert max(b[3] for b in bands[1]) < min(b[1] for b in bands[2])


def test_the_order_2_band_is_full_for_maml_and_empty_for_first_order_maml(maml: Trace, first_order: Trace) -> None:
    classes = [Counter(r.get("class") for r in cells(drawn(t)).values()) for t in (maml, first_order)]
    assert classes[0]["o2"] == maml.counts()[2] > 0 and classes[1]["o2"] == 0
    both = words(drawn(maml, first_order))
    assert both.count("empty: no operation of order 2") == 1
    assert f"{maml.counts()[2]} and 0 operations" in both


@pytest.mark.parametrize("columns", [1, 30, 250])
def test_no_cell_covers_another_and_none_leaves_the_picture(columns: int) -> None:
    def chain(x: tm.Tensor) -> tm.Tensor:
        for _ in range(columns):
            x = tm.sin(x)
        return x

    with tm.trace() as t:
        tm.grad(tm.grad(chain))(0.5)
    svg = drawn(t)
    width, height = (float(svg.get(name, "")) for name in ("width", "height"))
    boxes = sorted(box(r) for r in cells(svg).values())
    assert all(0 < x0 < x1 < width and 0 < y0 < y1 < height for x0, y0, x1, y1 in boxes)
    for a, b in zip(boxes, boxes[1:]):  # sorted by x, then y: a neighbour starts below or beside
        assert b[1] >= a[3] if b[0] == a[0] else b[0] >= a[2]
    assert min(x1 - x0 for x0, _, x1, _ in boxes) >= 3 and min(y1 - y0 for _, y0, _, y1 in boxes) >= 2


def test_names_are_left_out_where_they_would_not_fit() -> None:
    with tm.trace() as t:
        for _ in range(250):
            tm.sin(tm.tensor(0.5))
    svg = drawn(t)
    pitch = box(cells(svg)[4])[0] - box(cells(svg)[2])[0]
    assert pitch < LEGIBLE and "sin" not in words(svg)


def test_orders_can_be_told_without_colour(maml: Trace) -> None:
    text = derivative_table(maml)
    assert [f"order {order}" in words(drawn(maml)) for order in (0, 1, 2)] == [True] * 3
    assert ".o0{fill:#fdfcf9" in text and ".o2{fill:url(#hatch2)}" in text
    fills = dict(re.findall(r"\.(o1|f2|f3)\{fill:#(\w{6})\}", text))
    grey = [np.dot(list(bytes.fromhex(fills[name])), [0.299, 0.587, 0.114]) for name in ("o1", "f2", "f3")]
    assert grey[0] - grey[1] > 80 and grey[1] - grey[2] > 25  # of 255: as ink on paper, too, they differ


def test_a_cell_tells_on_hover_what_it_is(maml: Trace) -> None:
    step = next(s for s in maml.steps if s.order == 2)
    title = cells(drawn(maml))[step.id].find(f"{SVG}title")
    assert title is not None and title.text is not None and step.made_by
    maker = maml.steps[step.made_by - 1]
    assert title.text.startswith(f"%{step.id} = {step.op}(")
    assert title.text.endswith(f"order 2 · VJP of %{maker.id} {maker.op}")


def test_the_calls_above_the_columns_are_the_users_functions(maml: Trace) -> None:
    assert [[call.name for call in row] for row in table_of(maml).calls] == [
        ["adapt", "loss"],
        ["loss", "descend", "net"],
        ["net"],
    ]


def test_two_calls_of_one_function_stand_apart_and_shared_callers_are_left_out() -> None:
    def layer(x: tm.Tensor) -> tm.Tensor:
        return tm.sin(tm.exp(x))

    with tm.trace() as t:
        x = layer(tm.tensor(0.1))
        layer(x)
    assert [[(c.start, c.stop) for c in row] for row in table_of(t).calls] == [[(0, 2), (2, 4)]]


def test_names_with_angle_brackets_are_escaped() -> None:
    with tm.trace("a < b & c") as t:
        (lambda x: tm.sin(x))(tm.tensor(0.1))
        tm.exp(tm.tensor(0.1))
    assert "a < b & c" in words(drawn(t)) and "λ" in words(drawn(t))


def test_an_empty_trace_is_still_a_picture(tmp_path: Path) -> None:
    with tm.trace("nothing") as t:
        np.ones(3)
    t.svg(tmp_path / "nothing.svg")
    assert "nothing" in words(ElementTree.parse(tmp_path / "nothing.svg").getroot())


def test_the_picture_in_the_readme_is_what_the_programs_draw() -> None:
    assert PICTURE.read_text(encoding="utf-8") == side_by_side(), (
        "the engine makes other operations than when the picture was drawn: "
        f"python -m tinymeta.view.trace_program > {PICTURE.relative_to(ROOT)}"
    )
