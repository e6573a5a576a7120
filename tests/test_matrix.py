"""README says where the suite was run, as the table of imitated machines does, and claims no other."""

from __future__ import annotations

from tests.matrix import ENVIRONMENTS, HEAD, ROOT, TABLE, Row, claim, read, table

ROWS = read(TABLE.read_text(encoding="utf-8"))


def test_readme_claims_what_the_table_holds() -> None:
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    (claimed,) = [part.split(" (`python -m tests.matrix`")[0] for part in readme.split("Run on Linux with ")[1:]]
    assert claimed == claim(list(ROWS.values()))


def test_every_row_is_of_an_environment_that_passed_in_a_clean_checkout() -> None:
    assert ROWS and list(ROWS) == [name for name in ENVIRONMENTS if name in ROWS]
    for row in ROWS.values():
        assert row.verdict == "passed" and int(row.passed) > 0 and not row.commit.endswith("-dirty"), row


def test_a_table_is_read_as_it_was_written() -> None:
    rows = [Row("wheel", "3.11.7", "2.10.0", "none", "baseline", "12", "passed", "abc"), Row(*HEAD)]
    assert list(read(table(rows)).values()) == rows
    assert claim([*rows[:1], rows[0]._replace(numpy="2.9.1", numba="0.61.0")]) == (
        "Python 3.11.7; NumPy 2.9.1, 2.10.0; Numba 0.61.0"
    )


def test_environments_name_tests_that_there_are() -> None:
    for environment in ENVIRONMENTS.values():
        assert all((ROOT / path).exists() for path in environment.tests)
