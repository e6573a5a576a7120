"""A lesson's figure: in a notebook, in a file that is named, or a sentence where it can't be drawn."""

from __future__ import annotations

import base64
import io
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tinymeta.view import style
from tinymeta.view.lessons import figure

PNG = b"\x89PNG\r\n\x1a\n"


def rising(axes: Any) -> None:
    axes.plot([0, 1], [0, 1], "C1", label="a line")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_without_a_notebook_it_is_a_file_whose_path_and_words_are_printed(
    temporary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    figure(rising, 3, "A line that rises.")
    said, out = capsys.readouterr().out, temporary / "tinymeta-lesson-03-rising.png"
    assert str(out) in said and "A line that rises." in said
    assert out.read_bytes().startswith(PNG)


def test_in_a_notebook_it_is_shown_with_its_words_and_no_file_is_written(
    temporary: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    shown: list[dict[str, str]] = []
    ipython: Any = ModuleType("IPython")
    shell = SimpleNamespace(kernel=object(), display_pub=SimpleNamespace(publish=shown.append))
    ipython.get_ipython = lambda: shell
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    figure(rising, 3, 'Where "f" < 1.')
    [bundle] = shown
    assert 'alt="Where &quot;f&quot; &lt; 1."' in bundle["text/html"] and bundle["text/plain"] == 'Where "f" < 1.'
    [source] = re.findall(r'src="data:image/png;base64,([^"]+)"', bundle["text/html"])
    assert base64.b64decode(source).startswith(PNG)
    assert not [*temporary.iterdir()] and not capsys.readouterr().out
    del shell.kernel  # IPython in a terminal shows no HTML
    figure(rising, 3, "again")
    assert len(shown) == 1 and [*temporary.iterdir()]


def test_without_matplotlib_a_sentence_says_so_and_the_lesson_goes_on(
    temporary: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(style, "find_spec", lambda name: None)
    figure(rising, 3, "A line that rises.")
    assert "matplotlib" in capsys.readouterr().out and not [*temporary.iterdir()]


def test_its_colours_are_those_of_every_figure_and_its_legend_stands_below() -> None:
    pytest.importorskip("matplotlib")
    from matplotlib.colors import to_hex

    colours: list[str] = []
    made = style.sketch(lambda axes: colours.extend(to_hex(f"C{k}") for k in range(6)) or rising(axes), io.BytesIO())
    assert colours == list(style.COLOURS)
    [legend] = made.legends
    assert legend.get_window_extent().y1 <= made.axes[0].get_window_extent().y0
