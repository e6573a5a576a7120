"""The examples in the docstrings run and print what they say."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import numpy as np
import pytest

from tinymeta.engine.primitive import Primitive

ROOT = Path(__file__).parents[2]
FILES = [p for part in ("engine", "ops", "testing") for p in sorted((ROOT / "tinymeta" / part).rglob("*.py"))]
WITH_EXAMPLES = [p for p in FILES if ">>>" in p.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda p: p.stem)
def test_examples_print_what_they_say(path: Path) -> None:
    module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    before = dict(Primitive.registry)
    try:
        with np.errstate(all="ignore"):
            found = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    finally:
        Primitive.registry.clear()
        Primitive.registry.update(before)
    assert found.attempted > 0 and found.failed == 0
