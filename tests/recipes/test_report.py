"""Intervals, how numbers are written, and the tables a result becomes."""

from __future__ import annotations

import math
import re
import tomllib
from importlib.resources import files
from statistics import NormalDist

import numpy as np
import pytest

from tinymeta.recipes.protocols import PROTOCOLS
from tinymeta.recipes.report import Interval, Published, Result, interval, number, published, student, tables
from tinymeta.recipes.sine import ALGORITHMS
from tinymeta.view.table import Row, Table, show


def test_the_half_width_is_students_t_times_the_standard_error() -> None:
    # 1, 2, 3: mean 2, s = 1 with n − 1, so t / √3.
    assert interval([1, 2, 3], "%") == Interval(2.0, student(2) / math.sqrt(3), 3, "%")


# The columns t₀.₉₇₅ of Student's table, to its three digits.
@pytest.mark.parametrize(
    "freedom, t",
    [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (5, 2.571), (7, 2.365), (15, 2.131), (19, 2.093), (30, 2.042)],
)
def test_t_is_that_of_students_table(freedom: int, t: float) -> None:
    assert student(freedom) == pytest.approx(t, abs=0.0005)


def test_t_of_one_and_two_degrees_of_freedom_are_closed_forms_and_of_many_the_normal_quantile() -> None:
    assert student(1) == pytest.approx(math.tan(0.95 * math.pi / 2), rel=1e-13)
    assert student(2) == pytest.approx(0.95 * math.sqrt(2 / (1 - 0.95**2)), rel=1e-13)
    z = NormalDist().inv_cdf(0.975)  # t = z + (z³ + z)/(4ν) + O(1/ν²)
    for freedom in (999, 5000):
        assert student(freedom) == pytest.approx(z + (z**3 + z) / (4 * freedom), abs=5 / freedom**2)


@pytest.mark.parametrize("n", [2, 5, 8, 20])
def test_intervals_of_few_values_hold_the_true_mean_in_95_of_100_cases(n: int) -> None:
    # Over 4,000 draws the standard error of 95 % is 0.34 %; four are allowed. With 1.96 for t it were 70 to 93 %.
    samples = np.random.default_rng(0).normal(3.0, 2.0, (4000, n))
    hits = [abs(one.mean - 3.0) <= one.half for one in map(interval, samples)]
    assert abs(float(np.mean(hits)) - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 4000)


def test_one_task_has_a_mean_and_no_interval() -> None:
    one = interval([4.0])
    assert one.mean == 4.0 and math.isnan(one.half) and str(one) == "4"


@pytest.mark.parametrize("values", [[], [[1.0, 2.0]], 3.0])
def test_interval_takes_one_number_per_task(values: object) -> None:
    with pytest.raises(ValueError, match="one number per task"):
        interval(values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "mean, half, unit, text",
    [
        (0.84731, 0.0712, "", "0.847 ± 0.071"),
        (89.7, 1.1, "%", "89.7 ± 1.1 %"),
        (98.7, 0.0996, "%", "98.70 ± 0.10 %"),
        (-8.64, 0.68, "", "-8.64 ± 0.68"),
        (1234.5, 56.0, "", "1234 ± 56"),
        (1234.5, 560.0, "", "1234 ± 560"),
        (3.2e-16, math.nan, "", "3.2e-16"),
        (3.2e-9, 4.5e-10, "", "3.20e-09 ± 4.5e-10"),
        (1.57e33, 3.1e33, "", "1.57e+33 ± 3.1e+33"),
        (1.0, 0.0, "", "1 ± 0"),
        (95.5, math.nan, "%", "95.5 %"),
    ],
)
def test_a_number_shows_the_two_digits_of_its_uncertainty(mean: float, half: float, unit: str, text: str) -> None:
    assert number(mean, half, unit) == text


def test_plain_metrics_stand_beside_their_published_figures() -> None:
    result = Result(
        {},
        {"accuracy": Interval(88.0, 1.0, 600, "%"), "seconds": 12.0},
        {"accuracy": [Published(89.7, 1.1, "MAML"), Published(88.9, source="a re-run")], "people": Published(95.5)},
    )
    (table,) = tables(result)
    assert table.header == ("", "this run", "published", "source")
    assert [(row.cells, row.faint) for row in table.rows] == [
        (("accuracy", "88.0 ± 1.0 %", "89.7 ± 1.1 %", "MAML"), False),
        (("", "", "88.9 %", "a re-run"), True),
        (("seconds", "12", "", ""), False),
        (("people", "", "95.5", ""), True),
    ]


def test_nothing_published_means_no_columns_for_it() -> None:
    (table,) = tables(Result({}, {"error": 1e-13}))
    assert table == Table(("", "this run"), (Row(("error", "1e-13")),))


def test_a_mapping_of_mappings_prints_as_a_grid_with_a_row_per_source() -> None:
    result = Result(
        {},
        {"MAML": {"1 step": 0.8, "5 steps": 0.5}, "joint": {"5 steps": 2.0}},
        {
            "MAML": {
                "1 step": [Published(0.77, 0.11, "A"), Published(0.7, source="B")],
                "5 steps": Published(0.4, source="A"),
            }
        },
    )
    (table,) = tables(result)
    assert table.header == ("", "1 step", "5 steps")
    assert [row.cells for row in table.rows] == [
        ("MAML", "0.8", "0.5"),
        ("  A", "0.77 ± 0.11", "0.4"),
        ("  B", "0.7", ""),
        ("joint", "", "2"),
    ]


@pytest.mark.parametrize("published", [{"MAML": Published(1.0)}, {"other": {"1 step": Published(1.0)}}])
def test_published_figures_of_another_shape_than_the_metrics_are_an_error(published: dict[str, Published]) -> None:
    with pytest.raises(TypeError, match="shape of metrics"):
        tables(Result({}, {"MAML": {"1 step": 0.8}}, published))


TABLE = Table(
    ("", "this run", "source"),
    (Row(("accuracy", "8.7 ± 0.5 %", "MAML")), Row(("people", "95.5 %", "Lake"), faint=True), Row(("none", "", ""))),
)


def test_plain_tables_align_their_numbers_and_end_no_line_in_blanks() -> None:
    assert TABLE.plain().splitlines() == [
        "              this run  source",
        "────────  ────────────  ──────",
        "accuracy   8.7 ± 0.5 %  MAML",
        "people    95.5 %        Lake",
        "none",
    ]


def test_off_a_terminal_a_table_is_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    show(TABLE)
    assert capsys.readouterr().out == TABLE.plain() + "\n"


def test_on_a_terminal_the_same_cells_are_styled(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("rich", reason="the terminal's table needs the extra `cli`")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    show(TABLE)
    out = capsys.readouterr().out
    assert "\x1b[" in out and all(cell in out for row in TABLE.rows for cell in row.cells)


def test_every_published_figure_belongs_to_a_recipe_and_a_case_that_it_asks_for() -> None:
    cases = {
        "omniglot": rf"(mlp|conv), ({'|'.join(map(re.escape, PROTOCOLS))}), (transductive|inductive)",
        "sine": rf"(maml|meta-sgd) curves, ({'|'.join(map(re.escape, ALGORITHMS))}), (5|10|20) points",
        "navigation": r"(fixed|random) start",
        "challenge": r"(30|5) alphabets",
        "unsupervised": r"UMTRA|CACTUs",
    }
    there = tomllib.loads(files("tinymeta.recipes").joinpath("published.toml").read_text(encoding="utf-8"))
    assert set(there) == set(cases)
    for recipe, found in there.items():
        for case, table in found.items():
            assert re.fullmatch(cases[recipe], case) and table["source"]
            figures = published(recipe, case)
            assert figures and all(math.isfinite(figure.mean) for figure in figures.values())


def test_a_published_figure_has_its_half_width_where_one_was_given_and_its_source() -> None:
    assert published("omniglot", "conv, maml, transductive")["5-way 1-shot"] == Published(
        98.7, 0.4, "Finn et al. 2017, Table 1, 60,000 iterations"
    )
    assert math.isnan(published("challenge", "30 alphabets")["people"].half)
    assert published("omniglot", "conv, joint, inductive") == published("games", "") == {}
