"""Tasks from a table: every row in its task, shown as the training tasks say, and each mistake in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinymeta as tm
from tinymeta.tasks.data import DataError

RENTS: dict[str, list[Any]] = {
    "town": ["a"] * 4 + ["b"] * 4,
    "size": [1, 2, 3, 4, 5, 6, 7, 8],
    "floor": [0, 1, 0, 1, 0, 1, 0, 1],
    "rent": [1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5],
}


def loaded(columns: Any = RENTS, **options: Any) -> tm.tasks.TableTasks:
    return tm.tasks.load_table(columns, **({"task": "town", "target": "rent"} | options))


@given(
    sizes=st.lists(st.integers(2, 9), min_size=1, max_size=6),
    features=st.integers(1, 4),
    dtype=st.sampled_from([np.float32, np.float64, np.int16, np.uint8]),
    seed=st.integers(0, 2**31),
)
def test_an_episode_holds_rows_of_one_task_each_once(sizes: list[int], features: int, dtype: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = sum(sizes)
    order = rng.permutation(count)
    task = np.repeat(np.arange(len(sizes)), sizes)[order]
    columns: dict[str, Any] = {f"x{k}": rng.integers(0, 100, count).astype(dtype) for k in range(features)}
    columns |= {"t": task, "number": np.arange(count), "y": np.where(np.arange(count) % 2, "odd", "even")}
    tasks = tm.tasks.load_table(columns, task="t", target="y", features=["number", "x0"])
    assert tasks.shots + tasks.query <= min(sizes)
    for episode in tm.tasks.unstack(tasks.sample(rng, 5)):
        rows = np.concatenate([episode.support[0], episode.query[0]])[:, 0].astype(int)
        labels = np.concatenate([episode.support[1], episode.query[1]])
        assert len({*rows}) == len(rows) and len({*task[rows]}) == 1
        np.testing.assert_array_equal(tasks.classes[labels], columns["y"][rows])  # type: ignore[index]


@given(scale=st.floats(1e-3, 1e3), shift=st.floats(-1e3, 1e3), seed=st.integers(0, 2**31))
def test_what_is_shown_is_standardised_by_the_training_tasks_alone(scale: float, shift: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = {"town": np.repeat(["a", "b", "c"], 8), "size": rng.normal(size=24), "rent": rng.normal(size=24)}
    moved = {**table, "size": table["size"] * scale + shift, "rent": table["rent"] * scale + shift}
    shown = [loaded(t).select("ab").standardised(loaded(t).select("ab")).shown for t in (table, moved)]
    for one, other in zip(*shown):
        assert one.mean() == pytest.approx(0, abs=1e-6) and one.std() == pytest.approx(1, abs=1e-6)
        # Values of ~ shift + scale lose shift/scale of their digits, and 24 float32 numbers are rounded once.
        lost = (abs(shift) / scale + 10) * 64 * np.finfo(float).eps + 8 * np.finfo(np.float32).eps
        np.testing.assert_allclose(other, one, atol=lost)
    far = {**table, "size": np.where(table["town"] == "c", 1e6, table["size"])}  # a test task changes nothing
    again = loaded(far).select("ab").standardised(loaded(far).select("ab")).shown
    np.testing.assert_array_equal(again[0], shown[0][0])
    assert np.abs(loaded(far).select("c").standardised(loaded(far).select("ab")).shown[0]).min() > 1e5


def test_a_constant_column_is_zero_and_not_its_own_rounding() -> None:
    tasks = loaded({**RENTS, "floor": [0.1] * 8})
    assert np.abs(tasks.standardised(tasks).shown[0][:, 1]).max() < 1e-15


def test_a_file_and_its_columns_are_the_same_tasks(tmp_path: Path) -> None:
    lines = [",".join(RENTS), *(",".join(map(str, row)) for row in zip(*RENTS.values()))]
    for between, name in ((",", "commas.csv"), (";", "semicolons.csv"), ("\t", "tabs.tsv")):
        text = "\n".join(lines).replace(",", between)
        (tmp_path / name).write_text("\ufeff" + text + "\n\n", encoding="utf-8")
        assert loaded(str(tmp_path / name)).print == loaded().print


@pytest.mark.parametrize(
    "text",
    [
        '\r\n\n"town;";size;rent\r\na;1;2\r\n;;\r\na;2;3\r\n  \r\nb;1;2\r\nb;2;3\r\n',
        '"town;",size,rent\ra,1,2\ra,2,3\rb,1,2\rb,2,3',
    ],
)
def test_empty_lines_are_passed_over_and_quotes_hide_what_is_between_columns(text: str, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes(text.encode())
    tasks = loaded(tmp_path / "table.csv", task="town;", kind="regression")
    assert [x.tolist() for x in tasks.x] == [[[1.0], [2.0]]] * 2 and tasks.columns == ("size",)


def test_words_beside_numbers_are_labels_if_they_are_said_to_be() -> None:
    classes = loaded({**RENTS, "rent": [1, 2, 3, "3+"] * 2}, kind="classification").classes
    assert list(classes) == ["1", "2", "3", "3+"]  # type: ignore[arg-type]


@pytest.mark.parametrize("power", [-1000, -500, 500, 1000])
def test_no_unit_changes_what_is_shown(power: int) -> None:
    other = loaded({**RENTS, "size": np.ldexp(RENTS["size"], power), "rent": np.ldexp(RENTS["rent"], power)})
    expected = loaded().standardised(loaded()).shown
    for found, wanted in zip(other.standardised(other).shown, expected):
        np.testing.assert_array_equal(found, wanted)
    if power > 0:
        with pytest.raises(DataError, match="shown as infinity"):
            other.sample(np.random.default_rng(0), 2)


def test_tasks_that_are_not_there_are_told() -> None:
    with pytest.raises(DataError, match="no task 'c': the tasks are a, b"):
        loaded().select(["a", "c"])
    with pytest.raises(DataError, match="no task left"):
        loaded().select([])


def test_a_data_frame_is_a_table() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(RENTS)
    assert loaded(frame).print == loaded().print
    frame["size"] = frame["size"].astype("Int64")
    frame.loc[2, "size"] = None
    with pytest.raises(DataError, match="column 'size' has no value in row 3"):
        loaded(frame)


def test_kinds_are_told_apart_by_the_target() -> None:
    assert loaded().classes is None
    assert loaded(target="floor").classes is not None
    assert loaded(target="floor", kind="regression").classes is None
    assert loaded(kind="classification").classes is not None
    assert list(loaded({**RENTS, "rent": ["low"] * 5 + ["high"] * 3}).classes) == ["high", "low"]  # type: ignore[arg-type]


MISTAKES: dict[str, tuple[Any, dict[str, Any], str]] = {
    "another column": (
        RENTS,
        {"target": "rents"},
        r"no column 'rents' \(did you mean 'rent'\?\): the columns",
    ),
    "the task as a feature": (RENTS, {"features": ["town"]}, "are different columns"),
    "one column twice": (RENTS, {"target": "town"}, "are different columns"),
    "a missing value": ({**RENTS, "size": [1, None, 3, 4, float("nan"), 6, 7, 8]}, {}, "in row 2 .and in 1 more"),
    "no task": ({**RENTS, "town": ["a", "", *"bbbbbb"]}, {}, "column 'town' has no value in row 2"),
    "a word": ({**RENTS, "size": ["large", *range(7)]}, {}, "column 'size' holds 'large' in row 1"),
    "an infinity": ({**RENTS, "size": [float("inf"), *range(7)]}, {}, "column 'size' holds inf in row 1"),
    "words to regress on": ({**RENTS, "rent": ["a", "b"] * 4}, {"kind": "regression"}, "holds words"),
    "another kind": (RENTS, {"kind": "ranking"}, "kind='ranking' is one of"),
    "numbers and a word": ({**RENTS, "rent": [*range(7), "1O"]}, {}, "holds numbers, and '1O' in row 8"),
    "digits that are no number": ({**RENTS, "size": ["1_0", *range(7)]}, {}, "holds '1_0' in row 1"),
    "more digits than a float has": ({**RENTS, "size": [10**400, *range(7)]}, {}, "column 'size' holds 1000"),
    "complex numbers": ({**RENTS, "size": np.arange(8) * 1j}, {}, "column 'size' holds np.complex128"),
    "rows in a row": ({**RENTS, "size": [np.zeros(2)] * 8}, {}, "column 'size' holds array"),
    "a column of two axes": ({**RENTS, "size": np.zeros((8, 2))}, {}, "columns of one axis"),
    "a column of none": ({**RENTS, "size": 3.0}, {}, "columns of one axis"),
    "a column without a name": ({"": range(8), **RENTS}, {}, "a column has no name, such as the index"),
    "a feature twice": (RENTS, {"features": ["size", "size"]}, "each named once"),
    "one label": ({**RENTS, "rent": ["a"] * 8}, {}, "is always 'a'"),
    "more shots than rows": (RENTS, {"shots": 9}, "task 'a' has 4 rows, and 9 shots"),
    "columns of other lengths": ({**RENTS, "size": [1]}, {}, "all as long as one another"),
    "no table": ([1, 2], {}, "a table is a CSV file"),
    "no rows": ({name: [] for name in RENTS}, {}, "a table is a CSV file"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_costs_one_sentence(name: str) -> None:
    columns, options, words = MISTAKES[name]
    with pytest.raises(ValueError, match=words) as told:
        loaded(columns, **options)
    assert "\n" not in str(told.value)


FILES = {
    "empty": (b"", "holds no rows"),
    "a header alone": (b"town,size,rent\n", "holds no rows"),
    "a short row": (b"town,size,rent\na,1\n", "2 cells in row 1 and 3 names"),
    "two of one name": (b"town,rent,rent\na,1,2\n", "two columns 'rent'"),
    "an open quote": (b'town,size,rent\n"a,1,2\n', "is no CSV file"),
    "no text": (b"PK\x03\x04\xff\xfe", "is no CSV file in UTF-8"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_table_costs_one_sentence(name: str, tmp_path: Path) -> None:
    content, words = FILES[name]
    (tmp_path / "table.csv").write_bytes(content)
    with pytest.raises(tm.UserError, match=words) as told:
        loaded(tmp_path / "table.csv")
    assert "\n" not in str(told.value)
