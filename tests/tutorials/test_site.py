"""What can be told of the documentation site without building it: its pages, its menu, its names, its settings."""

from __future__ import annotations

import json
import re
import runpy
from functools import cache
from importlib import import_module
from types import ModuleType

import pytest

import tinymeta as tm
from tests.public_api import ROOT, stored, today
from tinymeta.view import lessons
from tutorials.site import reference
from tutorials.site.__main__ import pages
from tutorials.site.pages import Site

TOCTREE = re.compile(r"^```\{toctree\}\n(?::[^\n]*\n)*(.*?)^```", re.M | re.S)
MODULES = {group: import_module(group) for group in stored() if re.match(r"tinymeta(_kernels|\.)", group)} | {"tm": tm}
THERE = [(group, name) for group in MODULES for name in sorted(stored()[group]) if hasattr(MODULES[group], name)]
NAMES = [(group, name) for group, name in THERE if not isinstance(getattr(MODULES[group], name), ModuleType)]


@cache
def site() -> Site:
    return pages("{}")


def test_every_page_is_in_one_menu() -> None:
    entries = [line for text in site().pages.values() for found in TOCTREE.findall(text) for line in found.split("\n")]
    listed = [re.sub(r".*</(.*)>|/(.*)", r"\1\2", line) for line in entries if line]
    assert sorted(listed) == sorted({*site().pages, *site().notebooks} - {"index"})


@pytest.mark.parametrize(("group", "name"), NAMES)
def test_every_public_name_is_in_the_reference(group: str, name: str) -> None:
    there = reference.known(f"{group.replace('tinymeta.ops', 'tm').replace('tinymeta.', 'tm.')}.{name}")
    module, _, own = there.rpartition(".")
    page = site().pages[f"reference/{reference.group_of(there, reference.names()[there])}"]
    assert re.search(rf"auto\w+:: {re.escape(module)}::{own}$", page, re.M)


def test_every_public_module_is_in_the_reference_by_what_it_holds() -> None:
    parts = {part for name in reference.names() for part in name.split(".")[:-1]}
    assert [name for _, name in set(THERE) - set(NAMES) if name not in parts] == []


def test_commands_are_there_with_their_help_and_recipes_with_their_keys() -> None:
    for group, names in today().items():
        kind, _, word = group.partition(" ")
        if kind == "recipe":
            assert all(f"\n| `{name}` |" in site().pages[f"gallery/{word}"] for name in names), group
        elif word:
            assert f"## `tinymeta {word}`\n\n```text\nusage: tinymeta {word}" in site().pages["reference/commands"]


@pytest.mark.parametrize("path", lessons.lessons(), ids=lambda path: path.stem)
def test_a_lesson_shows_a_blank_and_folds_its_solution_away(path: lessons.Path) -> None:
    for page in (f"course/{path.stem}", f"zh/course/{path.stem}"):
        if page in site().notebooks:
            book = json.loads(site().notebooks[page])
            folded = [cell for cell in book["cells"] if "hide-input" in cell["metadata"].get("tags", [])]
            assert len(folded) == len(lessons.exercises(path))
            assert all("your turn" not in cell["source"] and "prompt_show" in str(cell["metadata"]) for cell in folded)
            blanks = [cell["source"] for cell in book["cells"] if "...  # your turn" in cell["source"]]
            assert len(blanks) == len(folded)
            assert "SOLUTION" not in site().notebooks[page] and "Solved:" not in site().notebooks[page]


def test_the_settings_load_and_ask_nothing_of_the_network() -> None:
    found = runpy.run_path(str(ROOT / "tutorials" / "site" / "conf.py"))
    assert found["nitpicky"] and not found["nb_ipywidgets_js"] and not found["html_show_search_summary"]
    assert not any("http" in str(value) for name, value in found.items() if not name.startswith("_"))


def test_a_link_leads_to_a_page_or_is_refused() -> None:
    made = Site()
    text = "[x](compile.md) [y](../tinymeta/cli.py) [z](results/main.json#maml) `[n](o)` [w](https://w.org)"
    assert made.linked(text, "tutorials/a.md", "a").split(" ") == [
        "[x](/inside/compile.md)",
        "[y](/source/tinymeta/cli_py.md)",
        "[z](#main-maml)",
        "`[n](o)`",
        "[w](https://w.org)",
    ]
    with pytest.raises(SystemExit, match="isn't there"):
        made.add("b", "[x](nowhere.md)")


def test_a_docstring_says_the_same_in_the_language_of_autodoc() -> None:
    said = reference.restructured(
        "y = |x|, of `f(*x)`s.\n\n    y* = 1\n\nShapes: x_ → `y`,\nas it is.\nRaises: it.\n\n>>> 1\n1\n\n"
        "Parameters\n----------\nx : int\n    The `x`."
    )
    assert said == (
        "y = \\|x\\|, of ``f(*x)``\\ s.\n\n::\n\n    y* = 1\n\n"
        ":Shapes: x\\_ → ``y``,\n    as it is.\n\n:Raises: it.\n\n>>> 1\n1\n\n"
        "Parameters\n----------\n\nx : int\n    The ``x``."
    )
