"""Figures: what is drawn where, names that do not collide, and files that are pictures."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinymeta.recipes.report import Interval, interval
from tinymeta.view import plots
from tinymeta.view.style import INK, MissingMatplotlib, _apart, save

pytest.importorskip("matplotlib", reason="figures need the extra `plot`")

LINES = [
    {"stage": stage, "iteration": i, "loss": start / i}
    for stage, start in (("maml", 100.0), ("joint", 300.0))
    for i in range(1, 200)
]


def test_a_learning_curve_has_raw_and_smooth_lines_and_a_name_per_stage() -> None:
    (axes,) = plots.learning_curves(LINES, title="training").axes
    assert len(axes.lines) == 4
    assert [text.get_text() for text in axes.texts] == ["maml", "joint"]
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [100.0 / i for i in range(1, 200)])


def test_a_constant_is_smoothed_to_itself_up_to_both_ends() -> None:
    (axes,) = plots.learning_curves([{"iteration": i, "loss": -3.0} for i in range(50)]).axes
    # Differences of running sums up to 150, each rounded at most 50 times.
    np.testing.assert_allclose(axes.lines[1].get_ydata(), -3.0, atol=50 * 150 * np.finfo(float).eps)


def test_a_straight_line_is_smoothed_to_itself_from_its_start() -> None:
    (axes,) = plots.learning_curves([{"iteration": i, "loss": i - 100.0} for i in range(200)]).axes
    smooth = np.asarray(axes.lines[1].get_ydata())
    np.testing.assert_allclose(smooth[:190], np.arange(190) - 100.0, atol=200 * 5050 * np.finfo(float).eps)


@pytest.mark.parametrize(
    "losses, scale",
    [
        ([100.0, 10.0, 1.0], "log"),
        ([3.0, 2.0, 1.0], "linear"),
        ([100.0, 1.0, 0.0], "linear"),
        ([5.0, 1.0, -1.0], "linear"),
    ],
)
def test_the_axis_is_logarithmic_where_positive_values_span_a_decade(losses: list[float], scale: str) -> None:
    (axes,) = plots.learning_curves([{"iteration": i, "loss": loss} for i, loss in enumerate(losses)]).axes
    assert axes.get_yscale() == scale


def test_lines_without_the_metric_are_passed_over() -> None:
    lines = [{"iteration": 1, "loss": None}, {"iteration": 2, "loss": 1.0}, {"iteration": 3, "accuracy": 0.5}]
    (axes,) = plots.learning_curves(lines).axes
    assert list(axes.lines[0].get_xdata()) == [2]


def test_a_run_that_logged_nothing_has_an_empty_curve(tmp_path: Path) -> None:
    save(plots.learning_curves([]), tmp_path / "empty.png")
    assert (tmp_path / "empty.png").stat().st_size > 0


def test_adaptation_has_a_panel_per_method_with_truth_points_and_stages() -> None:
    x = np.linspace(-5, 5, 50)
    methods = {"MAML": {0: 0 * x, 1: x, 10: np.sin(x)}, "joint": {0: 0 * x, 10: x}}
    figure = plots.adaptation(x, np.sin(x), ([0.0, 1.0], [0.0, 0.84]), methods, title="a task")
    first, second = figure.axes
    assert (first.get_title(loc="left"), second.get_title(loc="left")) == ("MAML", "joint")
    assert (len(first.lines), len(second.lines)) == (5, 4)
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert named == ["true function", "points seen", "before", "after 1 step", "after 10 steps"]


def test_a_method_that_diverges_leaves_its_panel_and_flattens_no_other() -> None:
    x = np.linspace(-5, 5, 50)
    figure = plots.adaptation(x, np.sin(x), (x, x), {"MAML": {1: np.sin(x)}, "joint": {1: 1e6 * x}})
    low, high = figure.axes[0].get_ylim()
    assert -3 < low < -1 and 1 < high < 3


def test_five_methods_fill_two_rows_of_panels() -> None:
    x = np.linspace(0, 1, 5)
    figure = plots.adaptation(x, x, (x, x), {f"method {i}": {0: x} for i in range(5)})
    assert [axes.axison for axes in figure.axes] == [True] * 5 + [False]


def test_each_view_of_a_function_has_its_own_truth_points_and_curves() -> None:
    x, looks = np.linspace(0, 1, 5), {"ours": {"color": "red"}, "theirs": {"color": "blue"}}
    views = {"now": (x, ([0.5], [0.5]), {"ours": 2 * x}), "then": (-x, ([0.1], [0.2]), {"ours": x, "theirs": 3 * x})}
    figure = plots.functions(x, views, looks, names=("truth", "points"))
    now, then = figure.axes
    assert [line.get_label() for line in now.lines] == ["truth", "ours", "points"]
    np.testing.assert_array_equal(then.lines[2].get_ydata(), 3 * x)
    assert [line.get_color() for line in then.lines[1:3]] == ["red", "blue"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["truth", "points", "ours", "theirs"]


def test_step_curves_show_means_and_bands() -> None:
    (axes,) = plots.step_curves({"MAML": {0: Interval(20, 1, 9), 5: Interval(90, 2, 9), 1: Interval(80, 2, 9)}}).axes
    assert list(axes.lines[0].get_xdata()) == [0, 1, 5] and list(axes.lines[0].get_ydata()) == [20, 80, 90]
    band = axes.collections[0].get_datalim(axes.transData)
    assert (band.y0, band.y1) == (19, 92)


def test_plain_numbers_have_no_band_and_a_span_is_shaded_with_its_words() -> None:
    (axes,) = plots.step_curves({"loss": {k: 1.0 / k for k in range(1, 9)}}, span=(4, 8, "further on")).axes
    assert list(axes.lines[0].get_ydata()) == [1.0 / k for k in range(1, 9)]
    assert len(axes.collections[0].get_paths()) == 0
    (shade,) = axes.patches
    assert (shade.get_x(), shade.get_width()) == (4, 4)
    assert "further on" in [text.get_text() for text in axes.texts]


def test_panels_of_curves_share_one_legend() -> None:
    views = {"here": {"ours": {1: 1.0, 2: 2.0}}, "there": {"ours": {1: 3.0}, "theirs": {1: Interval(4, 1, 9)}}}
    figure = plots.curve_panels(views, xlabel="steps", ylabel="loss", log="x")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["here", "there"]
    assert [len(axes.lines) for axes in figure.axes] == [1, 2]
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", ""]
    assert {axes.get_xscale() for axes in figure.axes} == {"log"}
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["ours", "theirs"]


def test_bars_show_their_numbers_intervals_and_the_published_mark() -> None:
    (axes,) = plots.bars(
        {"ours": interval([88.0, 92.0]), "chance": Interval(20, float("nan"), 1)}, {"paper": 89.7}
    ).axes
    assert [bar.get_width() for bar in axes.patches] == [90.0, 20.0]
    assert [text.get_text() for text in axes.texts] == ["90", "20", "paper 89.7"]
    ours, none = axes.collections[0].get_segments()
    half = interval([88.0, 92.0]).half
    np.testing.assert_allclose(ours[:, 0], [90 - half, 90 + half])
    assert len(none) == 0


def test_cells_hold_their_texts_in_blocks_with_a_gap_and_are_white_where_there_is_no_number() -> None:
    blocks, texts = [np.array([[0.0, np.nan]]), np.array([[1.0, 0.5]])], [[["a", ""]], [["b", "c"]]]
    how = {"rows": ["one", "two"], "colours": ("black", "red"), "span": (0.0, 1.0)}
    figure = plots.cells(blocks, texts, **how)
    (axes,) = figure.axes
    places = {text.get_text(): (text.get_position(), text.get_color()) for text in axes.texts}
    assert {name: place for name, (place, _) in places.items()} == {
        "a": (0.5, 0.5), "": (1.5, 0.5), "b": (0.5, 1.9), "c": (1.5, 1.9),
    }  # fmt: skip
    assert (places["b"][1], places["c"][1]) == ("white", INK)
    assert np.ma.getmaskarray(axes.images[0].get_array()).tolist() == [[False, True]]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["one", "two"]


def test_images_lie_row_by_row_with_gaps() -> None:
    ink = np.arange(6.0).reshape(2, 3, 1, 1) / 6 * np.ones((2, 3, 4, 4))
    (axes,) = plots.images(ink, rows=["support", "query"]).axes
    sheet = np.asarray(axes.images[0].get_array())
    assert sheet.shape == (9, 14)
    assert [sheet[0, 0], sheet[0, 5], sheet[0, 10], sheet[5, 0]] == [0, 1 / 6, 2 / 6, 3 / 6]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["support", "query"]


@pytest.mark.parametrize("suffix, magic", [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_the_suffix_names_the_format(tmp_path: Path, suffix: str, magic: bytes) -> None:
    save(plots.learning_curves(LINES), tmp_path / f"curves.{suffix}")
    assert (tmp_path / f"curves.{suffix}").read_bytes().startswith(magic)


@given(st.lists(st.floats(-1e3, 1e3), max_size=8))
def test_names_keep_their_distance_their_order_and_their_middle(wanted: list[float]) -> None:
    placed = _apart(wanted, gap=13.0)
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    gaps = np.diff([placed[i] for i in order])
    # 8 additions of numbers below 1,100: 1e-9 is a thousand times their rounding.
    assert (gaps >= 13.0 - 1e-9).all()
    assert abs(sum(placed) - sum(wanted)) < 1e-9


@given(st.lists(st.integers(-50, 50), unique=True, max_size=8))
def test_names_far_enough_apart_stay_where_they_are(places: list[int]) -> None:
    wanted = [13.0 * place for place in places]
    np.testing.assert_allclose(_apart(wanted, gap=13.0), wanted, atol=1e-9)


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinymeta.view.style.find_spec", lambda name: None)
    with pytest.raises(MissingMatplotlib, match=r"pip install 'tinymeta\[plot\]'"):
        plots.learning_curves(LINES)


def test_figures_leave_the_callers_settings_and_pyplot_alone() -> None:
    program = (
        "import sys, matplotlib\n"
        "before = matplotlib.rcParams['font.size']\n"
        "from tinymeta.view import plots\n"
        "plots.learning_curves([{'iteration': 1, 'loss': 1.0}])\n"
        "print(matplotlib.rcParams['font.size'] == before, 'matplotlib.pyplot' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "False"], done.stderr
