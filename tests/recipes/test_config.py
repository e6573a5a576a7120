"""Keys: what a text or a JSON value becomes, and what is refused."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinymeta.engine.errors import UserError
from tinymeta.recipes.config import assignments, configure, describe, key, user_mistakes, written


@dataclass(frozen=True)
class Config:
    steps: int = key(5, "inner steps", least=0)
    lr: float = key(0.01, "step size")
    exact: bool = key(True, "second order")
    rule: str = key("sgd", "inner rule")
    widths: tuple[int, ...] = key((40, 40), "layers", least=1)
    rates: tuple[float, ...] = key((), "step sizes per layer")


@dataclass(frozen=True)
class Nothing:
    pass


def test_no_change_gives_the_defaults() -> None:
    assert configure("toy", Config, {}) == Config()


@pytest.mark.parametrize(
    "text, expected",
    [
        ("steps=60_000", 60_000),
        ("steps=6e4", 60_000),
        ("lr=1", 1.0),
        ("lr=-1e-3", -1e-3),
        ("exact=No", False),
        ("exact=1", True),
        ("rule=", ""),
        ("rule=a=b", "a=b"),
        ("widths=64, 64,5", (64, 64, 5)),
        ("widths=64", (64,)),
        ("rates=0.1,2", (0.1, 2.0)),
    ],
)
def test_a_text_becomes_a_value_of_its_keys_type(text: str, expected: object) -> None:
    name = text.partition("=")[0]
    value = getattr(configure("toy", Config, assignments([text])), name)
    assert value == expected and type(value) is type(expected)


@pytest.mark.parametrize(
    "text", ["steps=1.5", "steps=inf", "steps=", "lr=inf", "lr=one", "exact=2", "widths=", "widths=0"]
)
def test_a_value_of_another_kind_is_refused_by_the_keys_name(text: str) -> None:
    with pytest.raises(UserError, match=f"^{text.partition('=')[0]} must be"):
        configure("toy", Config, assignments([text]))


configs = st.builds(
    Config,
    steps=st.integers(0, 10**9),
    lr=st.floats(allow_nan=False, allow_infinity=False),
    exact=st.booleans(),
    rule=st.text(st.characters(codec="ascii", categories=("L", "N"))),
    widths=st.lists(st.integers(1, 999), min_size=1).map(tuple),
    rates=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1).map(tuple),
)


@given(configs)
def test_a_config_survives_its_journey_through_json(config: Config) -> None:
    assert configure("toy", Config, json.loads(json.dumps(asdict(config)))) == config


@given(configs)
def test_a_config_survives_its_journey_through_the_command_line(config: Config) -> None:
    pairs = [f"{name}={written(value)}" for name, value in asdict(config).items()]
    assert configure("toy", Config, assignments(pairs)) == config


def test_a_list_where_one_value_belongs_is_refused() -> None:
    with pytest.raises(UserError, match="widths must be a list such as 40,40, not '40'"):
        configure("toy", Config, {"widths": 40})


def test_a_recipe_without_keys_says_so() -> None:
    with pytest.raises(UserError, match="recipe linear has no key 'lr'; it has none"):
        configure("linear", Nothing, {"lr": "1"})


def test_keys_are_described_one_per_line_with_defaults() -> None:
    lines = describe(Config).splitlines()
    assert lines[0] == "  steps=5       inner steps" and len(lines) == 6
    assert describe(Nothing) == ""


def test_only_refused_values_and_missing_files_are_the_users_mistakes() -> None:
    for refusal in (ValueError("too few"), FileNotFoundError("too few")):
        with pytest.raises(UserError, match="^too few$"), user_mistakes():
            raise refusal
    with pytest.raises(KeyError), user_mistakes():
        raise KeyError("a bug")
