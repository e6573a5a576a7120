"""One step writes a version everywhere, and what is built is looked into: a fault in either is found."""

from __future__ import annotations

import tomllib

import pytest

import tinymeta
from tests.release import NEEDED, PLACES, ROOT, released, sdist_faults, wheel_faults

TEXTS = {path: (ROOT / path).read_text(encoding="utf-8") for path in PLACES}
TEXTS["CHANGELOG.md"] = "# Changelog\n\n## [0.2.0] - unreleased\n\n### Added\n- a\n\n## [0.1.0] - 2026-11-21\n"


def test_the_version_is_the_same_wherever_it_stands() -> None:
    project = tomllib.loads(TEXTS["pyproject.toml"])["project"]
    assert project["version"] == tinymeta.__version__
    assert f"\nversion: {tinymeta.__version__}\n" in TEXTS["CITATION.cff"]


def test_one_step_writes_the_version_and_the_date() -> None:
    new = released(TEXTS, "7.8.9rc1", "2031-02-03")
    assert tomllib.loads(new["pyproject.toml"])["project"]["version"] == "7.8.9rc1"
    assert '\n__version__ = "7.8.9rc1"\n' in new["tinymeta/__init__.py"]
    assert "\nversion: 7.8.9rc1\ndate-released: 2031-02-03\n" in new["CITATION.cff"]
    expected = TEXTS["CHANGELOG.md"].replace("[0.2.0] - unreleased", "[7.8.9rc1] - 2031-02-03")
    assert new["CHANGELOG.md"] == expected


@pytest.mark.parametrize("heading", ["## [0.2.0] - 2026-01-01", "## [0.2.0] - unreleased\n\n## [0.3.0] - unreleased"])
def test_a_changelog_without_one_unreleased_heading_is_refused(heading: str) -> None:
    with pytest.raises(SystemExit, match=r"CHANGELOG\.md holds [02] lines"):
        released({**TEXTS, "CHANGELOG.md": heading}, "0.3.0", "2031-02-03")


@pytest.mark.parametrize("version", ["", "v1.0.0", "1.0", "1.0.0-beta"])
def test_what_is_no_version_is_refused(version: str) -> None:
    with pytest.raises(SystemExit, match="three numbers"):
        released(TEXTS, version, "2031-02-03")


WHEEL = [*NEEDED, "tinymeta-0.2.0.dist-info/licenses/LICENSE", "tinymeta-0.2.0.dist-info/METADATA"]
SDIST = ["LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "tests/conftest.py", "tutorials/compile.md"]


def test_a_fault_in_what_is_built_is_named() -> None:
    assert list(wheel_faults(WHEEL)) == [] and list(sdist_faults(f"tinymeta-0.2.0/{name}" for name in SDIST)) == []
    for i, name in enumerate(WHEEL[:-1]):
        (said,) = wheel_faults(WHEEL[:i] + WHEEL[i + 1 :])
        assert said.endswith(name) or "licence" in said
    for extra in ("tests/conftest.py", "tinymeta/__pycache__/a.pyc", "tinymeta/tests/a.py", "kernels/a.py"):
        assert len(list(wheel_faults([*WHEEL, extra]))) == 1
    for i, name in enumerate(SDIST):
        assert list(sdist_faults(f"t/{n}" for n in SDIST[:i] + SDIST[i + 1 :])) == [f"the sdist lacks {name}"]
