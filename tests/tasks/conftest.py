"""What the task tests share: the data folder, a private cache, and images that carry their own number."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tinymeta.tasks import ImageClasses


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder with the real data sets, or a skip that says where it was looked for."""
    named = os.environ.get("TINYMETA_DATA")
    folder = Path(named) if named else Path(__file__).parents[3] / "shared" / "data"
    if not (folder / "images_background_small1.zip").exists():
        pytest.skip(f"no data in {folder}: set TINYMETA_DATA")
    return folder


@pytest.fixture(autouse=True)
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or writes the user's own cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tinymeta"


@pytest.fixture
def numbered() -> ImageClasses:
    """12 classes in 3 groups of 8 images of 2 x 2; each pixel is 4 * (8 * class + instance) + its place."""
    images = np.arange(12 * 8 * 4, dtype=np.float64).reshape(12, 8, 2, 2)
    return ImageClasses(images, np.repeat(["a", "b", "c"], [5, 4, 3]), np.array([f"class{c}" for c in range(12)]))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
