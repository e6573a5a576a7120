"""The Omniglot challenge's one-shot classification: 20 characters of one alphabet, each seen once.

The official test (Lake et al. 2015) is 20 fixed runs. One person's drawings of 20 characters of one alphabet
are the support set, another person's drawings of the same characters the query set, in scrambled order.
Published error rates are the mean over the 400 decisions. `challenge_tasks` draws any number of further tasks
of the same kind, for training and for a closer estimate.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tinymeta.tasks.data import DataError, data_folder, find_source, read_files
from tinymeta.tasks.episode import Array, Episode
from tinymeta.tasks.images import FewShotImages, ImageClasses, as_unit_interval
from tinymeta.tasks.omniglot import drawing

WAYS = 20


def challenge_tasks(classes: ImageClasses, ways: int = WAYS, flatten: bool = True) -> FewShotImages:
    """Draw one-shot tasks within one alphabet, support and query each by one (different) person.

    Shapes: as `FewShotImages` with shots = query = 1.
    Source: Lake et al. 2015.

    >>> family = tm.tasks.challenge_tasks(tm.tasks.glyphs(alphabets=1, characters=5, hands=2), ways=5)
    >>> family.sample(np.random.default_rng(0), tasks=3).support[0].shape
    (3, 5, 784)
    """
    return FewShotImages(classes, ways, shots=1, query=1, flatten=flatten, within_group=True, one_hand=True)


def load_runs(
    source: str | os.PathLike[str] | None = None,
    size: int = 28,
    flatten: bool = True,
    dtype: npt.DTypeLike = np.float32,
) -> list[Episode]:
    """Load the official runs, in their order.

    Shapes: x (20, size·size), or (20, 1, size, size); y (20,) int64.
    Raises: DataError for a folder without runs, or a run that is incomplete: `tm.tasks.load_runs("nowhere")`.
    Source: Lake et al. 2015.

    Parameters
    ----------
    source : path, optional
        The archive or folder of runs, or a data folder with `all_runs` in it; TINYMETA_DATA where not given.
        A run is `runNN/training/classKK.png`, `runNN/test/itemKK.png` and `runNN/class_labels.txt`.
    size : int
        Side of the images in pixels.
    flatten : bool
        x as (20, size * size), or as (20, 1, size, size).
    dtype : NumPy dtype
        Of x; labels are int64.

    Returns
    -------
    list of Episode
        One single task per run, x in [0, 1] with ink 1. `stack` makes a batch of them.
    """
    path = runs_path(source)
    images: dict[str, dict[str, Array]] = {}
    labels: dict[str, str] = {}
    for name, content in read_files(path, ".png"):
        if len(name.parts) > 2:
            picture = as_unit_interval(drawing(content, size, f"{path}/{name}"), dtype)
            shaped = picture.reshape(-1) if flatten else picture[None]
            images.setdefault(name.parts[-3], {})["/".join(name.parts[-3:])] = shaped
    for name, content in read_files(path, ".txt"):
        if len(name.parts) > 1:
            labels[name.parts[-2]] = content.decode(errors="replace")
    if not images:
        raise DataError(f"{path} holds no runs: it needs runNN/training/*.png, runNN/test/*.png and class_labels.txt.")
    return [one_run(f"{path}/{run}", images[run], labels.get(run, "")) for run in sorted(images)]


def one_run(where: str, images: dict[str, Array], labels: str) -> Episode:
    """Make the task of one run; each line of `labels` is the path of a test image and that of its class."""
    training = sorted(name for name in images if "/training/" in name)
    pairs = [line.split() for line in labels.splitlines() if line.strip()]
    if not training or not pairs:
        raise DataError(f"{where} is incomplete: it needs training images and class_labels.txt.")
    try:
        query = np.stack([images[item] for item, _ in pairs])
        answer = np.array([training.index(target) for _, target in pairs])
    except (KeyError, ValueError) as fault:
        raise DataError(f"{where}/class_labels.txt does not fit the images: {fault}.") from fault
    support = np.stack([images[name] for name in training])
    return Episode((support, np.arange(len(training))), (query, answer))


def runs_path(source: str | os.PathLike[str] | None) -> Path:
    """The archive or folder itself, or the official one inside a data folder."""
    path = data_folder(source)
    if path.is_dir() and not any(path.glob("run*/")):
        found = find_source(path, "all_runs")
        if found is None:
            raise DataError(f"{path} holds no all_runs.zip and no folders run01, run02, ...: put the runs there.")
        return found
    return path
