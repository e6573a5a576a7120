"""The page's text: self-contained, safe with any source, and complete. (`test_page_in_a_browser.py` uses it.)"""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

import tinymeta as tm
from tinymeta.view.page import page
from tinymeta.view.table import Row, Table
from tinymeta.view.trace import Trace
from tinymeta.view.trace_table import BORDERS


def model(text: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="trace">(.*?)</script>', text, re.DOTALL)
    assert found
    loaded: dict[str, object] = json.loads(found[1])
    return loaded


def test_the_page_needs_nothing_from_elsewhere(maml: Trace) -> None:
    text = page(maml)
    assert "http" not in text and "@import" not in text and "url(//" not in text
    assert set(re.findall(r'(?:src|href)="([^"]*)"', text)) == {"data:,", "#step"}


def test_the_page_holds_the_whole_trace(maml: Trace) -> None:
    whole = json.loads(maml.to_json())
    assert model(page(maml, internal=True)) == whole
    assert model(page(maml)) == whole | {"hidden": sorted(BORDERS)}


def test_the_order_2_cells_are_there_for_maml_and_absent_for_first_order_maml(maml: Trace, first_order: Trace) -> None:
    assert len(re.findall(r'<rect class="o2" data-id', page(maml, internal=True))) == maml.counts()[2] > 0
    assert '<rect class="o2" data-id' not in page(first_order) and "order 2:" not in page(first_order)


def test_no_text_of_the_users_can_end_the_script() -> None:
    with tm.trace("</title></script><b>&") as t:
        tm.sin(tm.tensor(0.1))  # </script><script>alert(1)</script> <!-- {{css}}
    text = page(t)
    assert text.count("<script") == text.count("</script>") == 2 and text.count("<!--") == 0
    sources = model(text)["sources"]
    assert isinstance(sources, dict) and any("</script>" in line for line in sources[Path(__file__).name])
    assert "<title>&lt;/title&gt;" in text


def test_the_page_is_written_as_utf8(tmp_path: Path, maml: Trace) -> None:
    maml.html(tmp_path / "trace.html")
    assert (tmp_path / "trace.html").read_text(encoding="utf-8") == page(maml)


def test_what_transforms_insert_has_no_column_until_it_is_asked_for(maml: Trace) -> None:
    inserted = [s for s in maml.steps if s.op in BORDERS]
    assert inserted
    for internal in (False, True):
        columns = set(map(int, re.findall(r'data-column="(\d+)"', page(maml, internal))))
        assert columns and any(s.id in columns for s in inserted) is internal


def test_a_trace_shows_itself_in_a_notebook(maml: Trace) -> None:
    shown = maml._repr_html_()
    assert shown.startswith("<iframe") and unescape(shown).count(page(maml)) == 1


def test_a_table_shows_itself_in_a_notebook() -> None:
    shown = Table(("name", "<b>"), (Row(("a&b", "1.0")),))._repr_html_()
    assert shown == ("<table><tr><th>name</th><th>&lt;b&gt;</th></tr><tr><td>a&amp;b</td><td>1.0</td></tr></table>")
