"""A claim's numbers, verdict and file."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tinymeta.engine.errors import UserError
from tinymeta.recipes import claims, find
from tinymeta.recipes.claim import Claim, Found, Measured
from tinymeta.recipes.config import configure
from tinymeta.recipes.report import interval


def claim(*found: dict[str, Found], **changes: object) -> Claim:
    """One of a run for each of these findings; less is better."""
    runs = [Measured(seed, "abc1234", 2.0, 100.0, "here", numbers) for seed, numbers in enumerate(found)]
    numbers = {name: [name, "1 step"] for numbers in found for name in numbers}
    known = Claim(
        "a method", "an error", True, "toy", numbers, "ours", runs, rival="rival" if "rival" in numbers else ""
    )
    return replace(known, **changes)  # type: ignore[arg-type]


def seeds(*pairs: tuple[float, float]) -> list[dict[str, Found]]:
    return [{"ours": [ours, 0.5, 100], "rival": [rival, 0.5, 100]} for ours, rival in pairs]


def test_a_number_over_several_seeds_has_students_interval_over_them() -> None:
    several = claim(*seeds((1, 2), (2, 3), (3, 4)))
    assert several.of("ours") == interval([1, 2, 3]) and several.shown("ours") == "2.0 ± 2.5"
    assert claim(*seeds((1, 2))).shown("ours") == "1.00 ± 0.50"
    assert several.shown("seeds") == "0 to 2" and several.shown("commit") == "abc1234"
    assert several.shown("seconds") == "2 s" and several.shown("memory") == "100 MB"


def test_runs_of_several_trainings_are_pooled_to_the_interval_of_all() -> None:
    values = np.random.default_rng(0).normal(size=10)
    parts = [interval(part) for part in np.split(values, [3, 6, 8])]
    pooled = claim(*({"ours": [one.mean, one.half, one.n]} for one in parts), trainings=True).of("ours")
    whole = interval(values)  # two ways to one sum of ten squares: a few roundings each
    assert math.isclose(pooled.mean, whole.mean, rel_tol=1e-14) and math.isclose(pooled.half, whole.half, rel_tol=1e-13)


def test_what_was_carried_over_is_shown_as_it_was_written() -> None:
    text = claim({"ours": "97.8 ± 0.7"})
    assert text.shown("ours") == "97.8 ± 0.7" and text.of("ours").half == 0.7


def test_better_needs_an_interval_that_excludes_0() -> None:
    paired = [(1.0, 2.0), (1.5, 2.4), (2.0, 3.1)]  # the seeds differ by more than the methods do
    assert claim(*seeds(*paired)).verdict == "better"
    assert claim(*seeds(*paired), less=False).verdict == "worse"
    assert claim(*seeds((1, 2), (2, 1.5), (3, 3.1))).verdict == "no difference"
    assert claim(*seeds((1, 2))).verdict == "better" and claim(*seeds((1, 1.7))).verdict == "no difference"  # √2 · 0.5
    shown = claim({"ours": [1.0, 0.5, 9], "rival": [1.1, 0.5, 9], "d": [-0.1, 0.05, 9]}, difference="d")
    assert shown.verdict == "better"
    assert claim({"ours": "1.0"}, published="2.0").verdict == "", "nothing is known of how sure it is"
    assert claim({"ours": "1.0 ± 0.3"}, published="2.0").verdict == "better"
    assert claim({"ours": [3e-16]}, at_most=1e-15).verdict == "holds"
    assert claim({"ours": [3e-15]}, at_most=1e-15).verdict == "fails"


def test_fewer_seeds_are_allowed_more() -> None:
    stored = claim(*seeds((1, 5), (2, 6), (3, 7), (2, 6)))  # 2 ± 1.30
    one = math.sqrt(1 + 4 / 1) * stored.of("ours").half
    for shift, held in ((0.99 * one, True), (1.01 * one, False)):
        assert (not stored.doubts(claim(*seeds((2 + shift, 6))))) is held
    four = math.sqrt(2) * stored.of("ours").half
    for shift, held in ((0.99 * four, True), (1.01 * four, False)):
        again = claim(*seeds(*((ours + shift, rival + shift) for ours, rival in ((1, 5), (2, 6), (3, 7), (2, 6)))))
        assert (not stored.doubts(again)) is held


def test_an_interval_over_tasks_is_held_against_the_new_one() -> None:
    stored = claim({"ours": [1.0, 0.3, 100]})
    assert not stored.doubts(claim({"ours": [1.49, 0.4, 100]})) and stored.doubts(claim({"ours": [1.51, 0.4, 100]}))


def test_a_verdict_that_changes_is_a_doubt() -> None:
    stored = claim({"ours": [1.0, 9.0, 9], "rival": [2.0, 9.0, 9], "d": [-1.0, 0.5, 9]}, difference="d")
    again = claim({"ours": [1.0, 9.0, 9], "rival": [2.0, 9.0, 9], "d": [-1.0, 1.5, 9]}, difference="d")
    assert stored.doubts(again) == ["it came out 'no difference', 'better' was claimed"]
    assert "without an interval" in claim({"ours": "1.0"}).doubts(claim({"ours": [1.0, 0.5, 9]}))[0]


def test_a_prediction_covers_what_it_says() -> None:
    """Of 4,000 pairs of five seeds and one more, 95 % lie within the allowance; the standard error is 0.34 %."""
    rng = np.random.default_rng(0)
    held = 0
    for values in rng.normal(size=(4000, 6)):
        stored = claim(*({"ours": [value, 0.1, 100]} for value in values[:5]))
        held += not stored.doubts(claim({"ours": [values[5], 0.1, 100]}))
    assert abs(held / 4000 - 0.95) < 4 * 0.0034


def test_a_claim_is_read_as_it_was_written(tmp_path: Path) -> None:
    there = claim({"ours": [0.123456, 0.01, 600]}, keys={"lr": "0.1"}, unit="%")
    claims.write(tmp_path / "a.json", there)
    assert claims.read(tmp_path / "a.json") == there


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"sistem": "x"}, "no key 'sistem' \\(did you mean 'system'"),
        ({"less": 1}, "less of a claim can't be 1"),
        ({"rival": "riv"}, "no place for the number 'riv'"),
        ({"runs": [{"seed": 0}]}, "a measured has to say commit"),
        ({"runs": 3}, "runs of a claim can't be 3"),
        ({"published": "about 5"}, "is no number"),
        ({"system": None}, "system of a claim can't be null"),
    ],
)
def test_a_file_that_says_anything_else_is_refused(tmp_path: Path, change: dict[str, object], sentence: str) -> None:
    claims.write(tmp_path / "a.json", claim({"ours": [1.0, 0.5, 9]}))
    content = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    (tmp_path / "a.json").write_text(json.dumps(content | change))
    with pytest.raises(UserError, match=sentence):
        claims.read(tmp_path / "a.json")


@pytest.mark.parametrize("name", claims.names())
def test_every_claim_can_be_run_by_its_recipe(name: str) -> None:
    there = claims.load(name)
    config = configure(there.recipe, find(there.recipe).config, there.keys or {})
    if there.then:
        configure(there.recipe, type(config), there.then)
    assert there.runs and there.verdict != "fails" and there.shown(there.ours)
