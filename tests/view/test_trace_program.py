"""`tinymeta step`: scripts run as the user would run them, and fail as the user's own."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tinymeta.engine.errors import UserError
from tinymeta.view.step_command import main
from tinymeta.view.trace_program import PROGRAMS, trace_file, trace_program


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("builtins.input", lambda prompt: "q")
    return tmp_path


def script(folder: Path, text: str) -> Path:
    path = folder / "program.py"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_script_is_run_as_python_would(folder: Path) -> None:
    (folder / "beside.py").write_text("start = 0.5\n")
    path = script(
        folder,
        "import sys, tinymeta as tm\nfrom beside import start\n"
        "assert __name__ == '__main__' and sys.argv == [__file__]\ntm.tanh(tm.tensor(start))\n",
    )
    before = (sys.argv, sys.path)
    trace, failure = trace_file(path)
    assert failure is None and [s.op for s in trace.steps] == ["input", "tanh"] and trace.title == "program.py"
    assert (sys.argv, sys.path) == before
    sys.modules.pop("beside")


def test_a_failing_script_shows_its_own_traceback_and_the_steps_until_then(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = script(folder, "import tinymeta as tm\nx = tm.exp(tm.tensor(1.0))\n1 / 0\n")
    with pytest.raises(UserError, match="program.py stopped in line 3 with ZeroDivisionError: division by zero"):
        main(str(path))
    told = capsys.readouterr()
    assert "exp(1)" in told.out
    files = set(re.findall(r'File "([^"]+)"', told.err))
    assert files == {str(path)}


def test_an_error_inside_an_operation_names_the_scripts_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = script(folder, "import numpy as np, tinymeta as tm\n\ntm.tensor(np.ones((2, 3))) @ np.ones((2, 3))\n")
    with pytest.raises(UserError, match="stopped in line 3 with ShapeError"):
        main(str(path))
    assert "program.py:3" in capsys.readouterr().err


def test_a_script_that_does_not_parse_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match=r"program\.py stopped with SyntaxError"):
        main(str(script(folder, "def f(:\n")))
    assert "def f(:" in capsys.readouterr().err


def test_a_script_may_exit(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(str(script(folder, "import tinymeta as tm\ntm.sin(tm.tensor(1.0))\nraise SystemExit(3)\n")))
    assert "sin(1)" in capsys.readouterr().out


def test_a_missing_file_and_an_unknown_program_are_told() -> None:
    with pytest.raises(UserError, match=r"there is no file nowhere\.py"):
        main("nowhere.py")
    with pytest.raises(UserError, match="there is no program 'cosine'.*sine"):
        main("cosine")


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_built_in_program_shows_the_lines_that_ran(name: str) -> None:
    trace = trace_program(name)
    files = {trace.file(site) for step in trace.steps for site in step.path}
    assert files == {f"{name}.py"} and trace.title == PROGRAMS[name][0]


def test_html_writes_the_page_instead(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main("sine", folder / "sine.html")
    assert capsys.readouterr().out.strip() == f"wrote {folder / 'sine.html'}"
    assert (folder / "sine.html").read_text(encoding="utf-8").startswith("<!doctype html>")
