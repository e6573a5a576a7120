"""Splitting classes into training, validation and test: the protocols that published numbers differ by.

Results on "Omniglot" are results on one of three splits that are not comparable, so the split is named.
"""

from __future__ import annotations

import os
from typing import Literal, NamedTuple

import numpy as np

from tinymeta.io.files import read
from tinymeta.tasks.data import LARGEST, DataError, data_folder
from tinymeta.tasks.episode import Array
from tinymeta.tasks.images import ImageClasses

Protocol = Literal["random", "groups", "vinyals", "background"]

# The alphabets of Omniglot's official evaluation set.
EVALUATION_ALPHABETS = (
    "Angelic", "Atemayar_Qelisayer", "Atlantean", "Aurek-Besh", "Avesta", "Ge_ez", "Glagolitic", "Gurmukhi",
    "Kannada", "Keble", "Malayalam", "Manipuri", "Mongolian", "Old_Church_Slavonic_(Cyrillic)", "Oriya",
    "Sylheti", "Syriac_(Serto)", "Tengwar", "Tibetan", "ULOG",
)  # fmt: skip


class Split(NamedTuple):
    """Three collections without a common class: `train`, `validation` and `test`.

    Shapes: images (classes, instances, [channels,] height, width) in each.

    >>> few = tm.tasks.glyphs(alphabets=1, characters=4, hands=2)
    >>> parts = tm.tasks.split(few, rng=np.random.default_rng(0), sizes=(2, 1, 1))
    >>> isinstance(parts, tm.tasks.Split), len(parts.train)
    (True, 2)
    """

    train: ImageClasses
    validation: ImageClasses
    test: ImageClasses


def split(
    classes: ImageClasses,
    protocol: Protocol = "random",
    rng: np.random.Generator | None = None,
    *,
    sizes: tuple[int, int, int] = (1100, 100, 423),
    data: str | os.PathLike[str] | None = None,
) -> Split:
    """Split a collection by a named protocol.

    Shapes: classes (n, …) → `sizes` classes of these, or those of the protocol.
    Raises: ValueError for another protocol, or more classes than there are:
    `tm.tasks.split(tm.tasks.glyphs(1, 2, 2), rng=np.random.default_rng(0))`; DataError where split files are missing.
    Source: Vinyals et al. 2016; Lake et al. 2015; Finn et al. 2017.

    Parameters
    ----------
    protocol : {"random", "groups", "vinyals", "background"}
        - "random": `sizes` classes from all groups (Finn et al. 2017 with the default sizes: 1100, 100, 423).
        - "groups": `sizes` whole groups, so that test groups were never seen.
        - "vinyals": the split files of Vinyals et al. 2016 (1028, 172, 423 characters), in `splits/vinyals`
          of `data`.
        - "background": Omniglot's official sets, 964 and 659 characters with no common alphabet; it has no
          validation set, which is left empty here.
    rng : numpy.random.Generator
        For "random" and "groups". The same state gives the same split on every machine.
    sizes : (int, int, int)
        For "random" and "groups".
    data : path, optional
        For "vinyals"; TINYMETA_DATA where not given.

    Examples
    --------
    >>> few = tm.tasks.glyphs(alphabets=1, characters=4, hands=2)
    >>> [len(part) for part in tm.tasks.split(few, rng=np.random.default_rng(0), sizes=(2, 1, 1))]
    [2, 1, 1]
    """
    if protocol in ("random", "groups"):
        if rng is None:
            raise ValueError(f'split(..., "{protocol}") needs rng=numpy.random.default_rng(seed).')
        members = np.arange(len(classes)) if protocol == "random" else classes.group_ids
        return drawn(classes, members, rng, sizes, "classes" if protocol == "random" else "groups")
    if protocol == "vinyals":
        return from_files(classes, data)
    if protocol == "background":
        test = np.isin(classes.groups, EVALUATION_ALPHABETS)
        if not test.any() or test.all():
            raise ValueError('split(..., "background") needs load_omniglot(data, part="all").')
        return Split(classes.select(~test), classes.select([]), classes.select(test))
    raise ValueError(f'split knows "random", "groups", "vinyals" and "background"; there is no "{protocol}".')


def drawn(
    classes: ImageClasses, members: Array, rng: np.random.Generator, sizes: tuple[int, int, int], unit: str
) -> Split:
    """Deal the units (classes, or groups of them) at random."""
    units = int(members.max()) + 1
    if sum(sizes) > units:
        wanted = " + ".join(map(str, sizes))
        raise ValueError(f"split was asked for {wanted} {unit}, and there are {units}: pass smaller sizes.")
    dealt = np.split(rng.permutation(units)[: sum(sizes)], np.cumsum(sizes)[:2])
    return Split(*(classes.select(np.flatnonzero(np.isin(members, part))) for part in dealt))


def from_files(classes: ImageClasses, data: str | os.PathLike[str] | None) -> Split:
    """Read train.txt, val.txt and test.txt, whose lines are Alphabet/character/rotation."""
    folder = data_folder(data) / "splits" / "vinyals"
    place = {str(name): index for index, name in enumerate(classes.names)}

    def listed(file: str) -> ImageClasses:
        path = folder / file
        if not path.is_file():
            raise DataError(f'{path} is missing: the split "vinyals" needs its three files in {folder}.')
        lines = read(path, LARGEST).decode(errors="replace").split()
        names = sorted({line.rpartition("/")[0] for line in lines})
        unknown = [name for name in names if name not in place]
        if unknown:
            raise DataError(f"{path} names {unknown[0]!r}, which is not among the classes: load all of Omniglot.")
        return classes.select([place[name] for name in names])

    return Split(listed("train.txt"), listed("val.txt"), listed("test.txt"))
