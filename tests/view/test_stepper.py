"""The terminal stepper, with a list of answers in the place of the keyboard."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest

import tinymeta as tm
from tinymeta.view.stepper import HELP, Stepper
from tinymeta.view.trace import Trace


def walk(trace: Trace, *answers: str, out: io.StringIO | None = None) -> list[str]:
    """What is written after each answer, the first step at the beginning."""
    out = out or io.StringIO()
    told: list[str] = []
    rest = iter(answers)

    def ask(prompt: str) -> str:
        told.append(out.getvalue()[sum(map(len, told)) :])
        try:
            return next(rest)
        except StopIteration:
            raise EOFError from None

    Stepper(trace, ask, out).run()
    return told


def place(text: str) -> int:
    found = re.search(r"step (\d+) of", text)
    assert found
    return int(found[1])


def head(text: str) -> str:
    return text.strip().splitlines()[0]


def test_steps_go_forward_and_back(maml: Trace) -> None:
    assert [place(text) for text in walk(maml, "", "n", "b", "")] == [1, 2, 3, 2, 3]


def test_both_ends_are_told(maml: Trace) -> None:
    last = len([s for s in maml.steps if s.kind == "step"])
    told = walk(maml, "b", *[""] * last)
    assert "this is the first step" in told[1] and place(told[-2]) == last and "the last step" in told[-1]


def test_up_leads_to_the_maker_and_down_to_what_it_made(maml: Trace) -> None:
    _, tanh, made, back = walk(maml, "/tanh", "d", "u")
    assert " = tanh(" in head(tanh) and head(back) == head(tanh)
    assert f"VJP of {head(tanh).split()[0]} tanh" in made
    assert "no step of this trace made it" in walk(maml, "u")[1]


def test_a_digit_jumps_to_the_next_step_of_that_order(maml: Trace, first_order: Trace) -> None:
    assert "order 2" in walk(maml, "2")[1]
    assert "there is no step of order 2" in walk(first_order, "2")[1]


def test_finding_goes_on_from_here_and_begins_again_after_the_last(maml: Trace) -> None:
    heads = [head(text) for text in walk(maml, *["/tanh"] * 12)[1:]]
    again = heads.index(heads[0], 1)
    assert again > 1 and len(set(heads)) == again and heads[again + 1] == heads[1]
    assert "error * error" in walk(maml, "/error * error")[1]
    assert "nothing matches 'xyz'" in walk(maml, "/xyz")[1]


def test_a_step_is_found_by_its_number(maml: Trace) -> None:
    number = next(s.id for s in maml.steps if s.order == 2)
    there, again = walk(maml, f"%{number}", f"%{number}")[1:]
    assert head(there).startswith(f"%{number} = ") and head(again) == head(there)


def test_a_step_shows_value_rule_sweep_and_line(maml: Trace) -> None:
    text = walk(maml, "/tanh", "d")[2]
    assert "inner backward" in text and "min" in text and "vjp = lambda g, y, x" in text
    assert "▸" in text and "tm.tanh(x @" in text and "differentiates sine.py" in text


def test_s_shows_more_of_the_source(maml: Trace) -> None:
    few, more = (text.count("\n") for text in walk(maml, "/tanh", "s")[1:])
    assert "def net(params, x):" in walk(maml, "/tanh", "s")[2] and more >= 10


def test_anything_else_shows_the_help_and_q_ends(maml: Trace) -> None:
    told = walk(maml, "what", "q", "n")
    assert HELP in told[1] and len(told) == 2


def test_an_empty_trace_is_told() -> None:
    with tm.trace() as t:
        pass
    out = io.StringIO()
    Stepper(t, lambda prompt: "q", out).run()
    assert "nothing was recorded" in out.getvalue()


def test_on_a_terminal_rich_writes_the_same_words(maml: Trace) -> None:
    pytest.importorskip("rich", reason="rich is not installed: the plain text is tested above")

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    coloured = walk(maml, "2", out=Terminal())[1]
    plain = walk(maml, "2")[1]
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured).split() == plain.split() and "\x1b[" in coloured


def test_t_step_walks_through_the_keyboards_answers(
    maml: Trace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter(["", "q"])
    monkeypatch.setattr("builtins.input", lambda prompt: next(answers))
    maml.step()
    assert re.findall(r"step (\d+) of", capsys.readouterr().out) == ["1", "2"]


def test_values_that_are_not_finite_are_told() -> None:
    with tm.trace() as t:
        tm.tensor([np.inf, 1.0]) * 2.0
    (text,) = walk(t)
    assert "1 not finite" in text and "inf   2" in text
