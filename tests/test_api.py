"""Every name that a user could write is there still, or what comes instead is told."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import warnings
from importlib import import_module
from pathlib import Path

import pytest

import tinymeta as tm
from tests.public_api import ROOT, Names, stored, today
from tinymeta.cli import main
from tinymeta.moved import MOVED
from tinymeta.recipes import find
from tinymeta.recipes.config import configure

KERNELS = os.pathsep.join([str(ROOT), str(ROOT / "kernels")])


def lost(names: Names, there: Names) -> set[tuple[str, str]]:
    return {(group, name) for group, found in names.items() for name in found - there.get(group, set())}


def told(group: str, name: str) -> str:
    """What a user is told who writes a name of `group` that is no longer there."""
    kind, _, word = group.rpartition(" ")
    try:
        if kind == "recipe":
            configure(word, find(word).config, {name: 1})
        elif kind == "tinymeta":
            main([word, name])
        elif group in ("tm.Tensor", "tm.trace"):
            getattr({"tm.Tensor": tm.Tensor, "tm.trace": type(tm.trace())}[group], name)
        else:
            getattr(import_module({"tm": "tinymeta"}.get(group, group)), name)
    except (ImportError, AttributeError, tm.UserError) as error:
        return str(error)
    return "is there"


def test_every_public_name_is_in_the_stored_list() -> None:
    assert not lost(today(), stored()), "`python -m tests.public_api` adds them"


def test_a_public_name_that_went_says_what_comes_instead() -> None:
    there = today() | {"modules": stored()["modules"]}
    for group, name in lost(stored(), there):
        assert "instead" in told(group, name) or told(group, name) == "is there", f"{group}: {name} went without a word"


def test_a_name_that_goes_without_a_word_is_noticed() -> None:
    there = today()
    there["tm"] = there["tm"] - {"grad"}
    assert ("tm", "grad") in lost(stored(), there)
    assert "instead" not in told("tinymeta.nn", "nothing_of_this_name")
    assert "instead" not in told("recipe sine", "nothing_of_this_name")


@pytest.mark.parametrize("module", sorted(stored()["modules"] - set(MOVED)))
def test_a_module_of_the_first_version_is_found(module: str) -> None:
    assert importlib.util.find_spec(module), f"{module} is gone: tinymeta/moved.py says where to"


@pytest.mark.parametrize("module", sorted(stored()["modules"] & set(MOVED)))
def test_the_old_path_of_a_module_warns_and_leads_to_its_successor(module: str) -> None:
    successor = import_module(MOVED[module])
    names = [name for name, value in vars(successor).items() if getattr(value, "__module__", "") == successor.__name__]
    for name in names[:3] or ["__doc__"]:
        if not name.startswith("_"):
            with pytest.warns(DeprecationWarning, match=f"{module} is {MOVED[module]} now"):
                assert getattr(import_module(module), name) is getattr(successor, name)


def test_an_old_path_warns_where_it_is_written_and_hides_no_function() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        from tinymeta.meta.fit import fit
    assert fit is tm.meta.fit and callable(tm.meta.fit)
    assert [Path(warning.filename).name for warning in seen] == ["test_api.py"]
    with pytest.raises(AttributeError, match=r"tinymeta\.meta\.fit is tinymeta\.meta\.core\.fit now.*no nothing in it"):
        import_module("tinymeta.meta.fit").nothing  # noqa: B018


def test_who_asks_every_module_for_a_name_comes_upon_no_old_path() -> None:
    """As pickle does for an object that doesn't say where it comes from."""
    program = (
        "import sys, warnings; import tinymeta; warnings.simplefilter('error'); before = set(sys.modules)\n"
        "for name in list(sys.modules): getattr(sys.modules[name], 'no_such_name', None)\n"
        "assert set(sys.modules) == before, set(sys.modules) - before"
    )
    asked = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env={**os.environ, "PYTHONPATH": KERNELS})
    assert asked.returncode == 0


def test_the_version_is_the_same_wherever_it_is_written() -> None:
    written = {"pyproject.toml": 'version = "{}"', "CITATION.cff": "version: {}", "CHANGELOG.md": "## [{}]"}
    for file, line in written.items():
        lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
        assert any(entry.startswith(line.format(tm.__version__)) for entry in lines), file


def test_importing_tinymeta_imports_only_what_everybody_needs() -> None:
    """And every name is there when it is asked for, or listed."""
    program = (
        "import sys, tinymeta as tm; print([name for name in sys.modules if name.split('.')[:2] in "
        "[['tinymeta', room] for room in ('meta', 'tasks', 'testing', 'view', 'recipes', 'bench')] or name == 'numba' "
        "or name == 'tinymeta.compile.compiled'], [name for name in dir(tm) if not hasattr(tm, name)], "
        "callable(tm.compile), tm.meta.fit.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "[]", "True", "fit"]
