"""The programs on the pages beside the lessons run, in a folder of one's own, and do what the text says."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tinymeta.cli import main
from tinymeta.nn import exchange

TUTORIALS = Path(__file__).parents[2] / "tutorials"
OWN = (TUTORIALS / "bring_your_own.md").read_text(encoding="utf-8")


def blocks(section: str, language: str = "python") -> list[str]:
    """The programs under a heading of the page."""
    (text,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", OWN, re.M | re.S)
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def run(program: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "a_program_of_the_page"}
    exec(compile(program, "bring_your_own.md", "exec"), names)
    return names


@pytest.fixture(autouse=True)
def in_a_folder_with_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("texts").mkdir()
    for name, text in tm.tasks.markov_languages(12, length=2000).items():
        Path("texts", f"{name}.txt").write_text(text, encoding="utf-8")


def test_a_model_of_texts_of_ones_own_learns_from_a_few_windows() -> None:
    (program,) = blocks("Texts")
    found = run(program)
    assert set(found["train"]).isdisjoint(found["test"]) and len(found["test"]) == 2
    assert found["after"] < min(found["before"], np.log(found["letters"].size))  # of a guess that knows the letters


def test_the_recipe_takes_the_same_folder(capsys: pytest.CaptureFixture[str]) -> None:
    (command,) = blocks("Texts", "bash")
    small = ["--iterations", "1", "--quiet", "--set", "tasks=2", "meta_batch=2", "units=4"]
    assert main([*shlex.split(command)[1:], *small]) == 0
    assert "texts, 9 to train on, 1 to tune on, 2 to test on" in " ".join(capsys.readouterr().out.split())


def test_an_environment_of_ones_own_teaches_a_policy_to_learn() -> None:
    line, _ = blocks("Environments")
    found = run(line)
    assert found["before"] < 2 < found["after"]  # of 5: the policy can't know the way, and then walks it


@pytest.mark.skipif(find_spec("gymnasium") is None, reason="gymnasium is not installed")
def test_the_cart_and_pole_of_gymnasium_runs() -> None:
    _, cart = blocks("Environments")
    found = run(cart.replace("iterations=40", "iterations=1").replace("horizon=100", "horizon=20"))
    assert 1 <= found["before"] <= 20 and 1 <= found["after"] <= 20


def test_a_model_is_any_pytree_with_a_call() -> None:
    (program,) = blocks("Models")
    found = run(program)
    assert isinstance(found["phi"], found["Wave"])
    assert found["losses"][5] < found["losses"][0] / 4


def test_weights_go_to_pytorch_and_back() -> None:
    (program,) = blocks("Weights from PyTorch")
    found = run(program)
    same = tm.tree.map(lambda a, b: bool((a == b).all()), found["net"], found["again"])
    assert all(tm.tree.leaves(same)) and found["net"](np.ones((3, 5, 4))).shape == (3, 5, 2)


def test_the_table_of_layouts_is_that_of_the_code() -> None:
    rows: Callable[[str], list[str]] = lambda text: [
        x for x in text.splitlines() if re.match(r"\| (`|the same|all)", x)
    ]
    assert rows(OWN) == rows(exchange.__doc__ or "") != []


@pytest.mark.parametrize("section", ["Texts", "Environments", "Models"])
def test_what_has_to_be_written_is_ten_lines_or_so(section: str) -> None:
    own = [line for line in blocks(section)[0].splitlines() if line and not line.startswith(("import", "from"))]
    begin = next(k for k, line in enumerate(own) if not re.match(r"class |@|    ", line))
    assert len(own[begin:]) <= 12
