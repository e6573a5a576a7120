"""The page for who comes from elsewhere: each name of ours is there, and each difference is printed by a program."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import reduce
from importlib.util import find_spec
from pathlib import Path

import pytest

import tinymeta as tm

PAGE = (Path(__file__).parents[2] / "tutorials" / "coming_from.md").read_text(encoding="utf-8")
NAMES = sorted(set(re.findall(r"`[^`]*?\btm\.([\w.]*\w)", PAGE)) | set(re.findall(r"\btm\.([\w.]*\w)", PAGE)))
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
TORCH = os.environ.get("TINYMETA_TORCH") or (sys.executable if find_spec("torch") and find_spec("jax") else None)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_the_page_is_there(name: str) -> None:
    assert reduce(getattr, name.split("."), tm) is not None


def test_there_are_many_names() -> None:
    assert len(NAMES) > 50 and "nn.load_torch" in NAMES and "tree.map" in NAMES


def said(program: str, python: str) -> None:
    """A program prints what its comments say; one without a comment prints it in other lines."""
    promised = re.findall(r"^\s*print\(.*\)  # (.+)$", program, re.M)
    done = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True)
    printed = [line for line in done.stdout.splitlines() if line not in ("IndexError", "TypeError")]
    assert printed == promised and promised


@pytest.mark.parametrize("which", [0, 3])
def test_ours_prints_what_the_page_says(which: int) -> None:
    said(BLOCKS[which], sys.executable)


def test_an_index_out_of_range_and_a_write_in_place_are_errors() -> None:
    with pytest.raises(IndexError):
        tm.ones(3)[5]
    with pytest.raises(TypeError, match="never changes in place"):
        tm.ones(3)[0] = 2.0  # type: ignore[index]


@pytest.mark.skipif(not TORCH, reason="TINYMETA_TORCH names no Python that has torch and jax")
@pytest.mark.parametrize("which", [1, 2])
def test_theirs_prints_what_the_page_says(which: int) -> None:
    said(BLOCKS[which], str(TORCH))
