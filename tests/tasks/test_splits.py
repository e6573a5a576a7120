"""Splits: no class on two sides, and the published protocols."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinymeta.tasks import DataError, ImageClasses, split


def named(names):
    names = sorted(names)
    groups = np.array([name.split("/")[0] for name in names])
    return ImageClasses(np.zeros((len(names), 20, 1, 1), np.uint8), groups, np.array(names))


@pytest.fixture(scope="session")
def omniglot(data):
    """All of Omniglot's classes by name, without decoding an image."""
    names = set()
    for archive in ("images_background", "images_evaluation"):
        with zipfile.ZipFile(data / f"{archive}.zip") as files:
            names |= {"/".join(f.split("/")[1:3]) for f in files.namelist() if f.endswith(".png")}
    return named(names)


LETTERS = named(f"{alphabet}/{letter}" for alphabet in "abcdef" for letter in range(5))


@given(seed=st.integers(0, 2**32), sizes=st.tuples(*[st.integers(0, 10)] * 3))
@settings(deadline=None)
def test_a_random_split_has_its_sizes_and_no_class_twice(seed, sizes):
    parts = split(LETTERS, "random", np.random.default_rng(seed), sizes=sizes)
    assert tuple(map(len, parts)) == sizes
    names = [name for part in parts for name in part.names]
    assert len(set(names)) == len(names)


@given(st.integers(0, 2**32))
@settings(deadline=None)
def test_a_split_by_groups_keeps_groups_whole(seed):
    parts = split(LETTERS, "groups", np.random.default_rng(seed), sizes=(3, 1, 2))
    groups = [set(part.groups) for part in parts]
    assert [len(g) for g in groups] == [3, 1, 2] and len(set.union(*groups)) == 6
    assert [len(part) for part in parts] == [15, 5, 10]


def test_equal_seeds_split_alike_and_others_do_not():
    one, same, other = (split(LETTERS, "random", np.random.default_rng(s), sizes=(10, 5, 5)) for s in (0, 0, 1))
    assert one.test.names.tolist() == same.test.names.tolist() != other.test.names.tolist()


def test_the_split_of_vinyals_has_the_published_sizes(omniglot, data):
    parts = split(omniglot, "vinyals", data=data)
    assert [len(part) for part in parts] == [1028, 172, 423]
    assert len({name for part in parts for name in part.names}) == 1623


def test_the_official_split_has_30_and_20_alphabets(omniglot):
    parts = split(omniglot, "background")
    assert [len(part) for part in parts] == [964, 0, 659]
    assert [len(set(part.groups)) for part in parts] == [30, 0, 20]


def test_the_random_split_of_all_of_omniglot_is_that_of_finn(omniglot, rng):
    assert [len(part) for part in split(omniglot, rng=rng)] == [1100, 100, 423]


def test_split_files_are_needed_and_must_fit(tmp_path):
    with pytest.raises(DataError, match="train.txt is missing"):
        split(LETTERS, "vinyals", data=tmp_path)
    (tmp_path / "splits/vinyals").mkdir(parents=True)
    for file in ("train", "val", "test"):
        (tmp_path / f"splits/vinyals/{file}.txt").write_text("a/0/rot000\na/0/rot090\nz/1/rot000\n")
    with pytest.raises(DataError, match="names 'z/1'"):
        split(LETTERS, "vinyals", data=tmp_path)


@pytest.mark.parametrize(
    "how, message",
    [
        ({"protocol": "random"}, "rng=numpy.random.default_rng"),
        ({"protocol": "background"}, 'part="all"'),
        ({"protocol": "thirds"}, 'there is no "thirds"'),
        ({"rng": np.random.default_rng(0)}, r"1100 \+ 100 \+ 423 classes, and there are 30"),
    ],
)
def test_what_cannot_be_split_is_refused(how, message):
    with pytest.raises(ValueError, match=message):
        split(LETTERS, **how)
