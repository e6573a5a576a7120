"""`tm.save` and `tm.load`: a tree comes back as it was, or one sentence says why it can't."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinymeta as tm
from tinymeta.io import save as saving
from tinymeta.io.files import FORMAT
from tinymeta.io.save import metadata

FORMATS = ["npz", "safetensors"]


class Pair(NamedTuple):
    first: Any
    second: Any


def _model() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        "layers": [
            Pair(tm.tensor(rng.normal(size=(3, 4)), requires_grad=True), tm.tensor(rng.normal(size=4).astype("f4"))),
            Pair(rng.integers(0, 9, size=(2, 0, 3)), np.asfortranarray(rng.normal(size=(3, 2)))),
        ],
        "file": tm.tensor(np.array([True, False])),  # the names that np.savez keeps for itself
        "step": 7,
        "lr": 0.1,
        "on": True,
        "nothing": None,
    }


@pytest.fixture(params=FORMATS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / f"model.{request.param}"


def test_a_tree_comes_back_with_its_leaves_and_their_kinds(path: Path) -> None:
    model = _model()
    tm.save(path, model)
    loaded = tm.load(path, like=model)
    assert tm.tree.flatten(loaded)[1] == tm.tree.flatten(model)[1]
    for a, b in zip(tm.tree.leaves(model), tm.tree.leaves(loaded)):
        assert type(a) is type(b)
        left, right = (np.asarray(x.detach() if isinstance(x, tm.Tensor) else x) for x in (a, b))
        assert left.dtype == right.dtype and left.tobytes() == right.tobytes() and left.shape == right.shape
    assert loaded["layers"][0].first.requires_grad
    assert not loaded["layers"][0].second.requires_grad


def test_a_model_comes_back_as_a_model_that_computes_the_same(path: Path) -> None:
    rng = np.random.default_rng(0)
    model, other = (tm.nn.MLP((2, 5, 1), rng=rng) for _ in range(2))
    tm.save(path, model)
    loaded, x = tm.load(path, like=other), rng.normal(size=(3, 2))
    assert type(loaded) is type(model)
    assert np.array_equal(loaded(x).detach().numpy(), model(x).detach().numpy())
    assert not np.array_equal(loaded(x).detach().numpy(), other(x).detach().numpy())


def test_a_loaded_array_can_be_written_to(path: Path) -> None:
    tm.save(path, {"w": np.zeros(3)})
    loaded = tm.load(path, {"w": np.zeros(3)})["w"]
    loaded[0] = 1.0
    assert loaded.tolist() == [1, 0, 0]


@pytest.mark.parametrize("leaf", [3, -2.5, True, np.float32(0.5), np.ones((2, 3))])
def test_a_tree_that_is_one_leaf_comes_back(path: Path, leaf: Any) -> None:
    tm.save(path, leaf)
    loaded = tm.load(path, leaf)
    assert type(loaded) is type(leaf) and np.array_equal(loaded, leaf)


def test_strings_travel_beside_the_numbers(path: Path) -> None:
    tm.save(path, {"w": np.ones(2)}, metadata={"recipe": "sinusoid", "naïve": "é"})
    assert metadata(path) == {"recipe": "sinusoid", "naïve": "é"}
    assert tm.load(path, {"w": np.zeros(2)})["w"].tolist() == [1, 1]
    tm.save(path, {"w": np.ones(2)})
    assert metadata(path) == {}


def test_a_file_of_a_later_format_is_refused_and_one_without_a_number_is_read(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = {"w": np.ones(2)}
    with monkeypatch.context() as later:
        later.setattr(saving, "FORMAT", FORMAT + 1)
        tm.save(path, tree)
    with pytest.raises(tm.UserError, match=rf"format {FORMAT + 1}, and .* reads those up to {FORMAT}"):
        tm.load(path, tree)
    np.savez(path.with_suffix(".npz"), w=np.zeros(2))
    assert tm.load(path.with_suffix(".npz"), tree)["w"].tolist() == [0, 0]


def test_numpy_opens_an_npz(tmp_path: Path) -> None:
    tm.save(tmp_path / "m.npz", {"a": {"b": np.arange(3.0)}})
    with np.load(tmp_path / "m.npz", allow_pickle=False) as archive:
        assert archive["a.b"].tolist() == [0, 1, 2]


def test_an_npz_of_numpy_is_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", w=np.arange(3.0))
    assert tm.load(tmp_path / "m.npz", {"w": np.zeros(3)})["w"].tolist() == [0, 1, 2]


def test_a_safetensors_file_has_the_published_layout(tmp_path: Path) -> None:
    """Header length, padded JSON header, contiguous little-endian data, every array aligned to its item size."""
    tm.save(tmp_path / "m.safetensors", {"a": np.int8([1, 2, 3]), "b": np.arange(2.0)}, metadata={"k": "v"})
    content = (tmp_path / "m.safetensors").read_bytes()
    length = int.from_bytes(content[:8], "little")
    assert length % 8 == 0 and content[8:9] == b"{"
    assert json.loads(content[8 : 8 + length]) == {
        "__metadata__": {"k": "v", "tinymeta_format": str(FORMAT)},
        "b": {"dtype": "F64", "shape": [2], "data_offsets": [0, 16]},
        "a": {"dtype": "I8", "shape": [3], "data_offsets": [16, 19]},
    }
    assert content[8 + length :] == np.arange(2.0, dtype="<f8").tobytes() + bytes([1, 2, 3])


def test_the_official_package_reads_and_writes_the_same_files(tmp_path: Path) -> None:
    official = pytest.importorskip("safetensors.numpy", reason="the safetensors package is not installed")
    tree = {"w": np.arange(6.0).reshape(2, 3), "b": np.float32([1, 2]), "n": np.array(3)}
    tm.save(tmp_path / "ours.safetensors", tree)
    theirs = official.load_file(tmp_path / "ours.safetensors")
    assert all(np.array_equal(theirs[k], v) and theirs[k].dtype == v.dtype for k, v in tree.items())
    official.save_file(tree, tmp_path / "theirs.safetensors")
    ours = tm.load(tmp_path / "theirs.safetensors", tree)
    assert all(np.array_equal(ours[k], v) for k, v in tree.items())


def test_equal_trees_give_equal_files(path: Path) -> None:
    tm.save(path, _model())
    first = path.read_bytes()
    tm.save(path, _model())
    assert path.read_bytes() == first


@pytest.mark.parametrize(
    ("like", "says"),
    [
        ({"w": np.zeros((3, 2)), "n": 1}, r"'w'.*shape \(2, 3\).*\(3, 2\)"),
        ({"w": np.zeros((2, 3), "f4"), "n": 1}, r"'w'.*dtype float64.*float32"),
        ({"w": np.zeros((2, 3)), "n": 1.0}, r"'n'.*dtype int64.*float64"),
        ({"w": np.zeros((2, 3))}, r"holds the leaf 'n'"),
        ({"w": np.zeros((2, 3)), "n": 1, "z": 0}, r"lacks the leaf 'z'"),
        ({"z": np.zeros((2, 3)), "y": 1}, r"lacks the leaf 'y'.*\(2 leaves in the file, 2 wanted\)"),
        ({"w": np.zeros((3, 2), "f4"), "n": 1.0}, r"'n'.*dtype int64"),  # the first in the order of the names
    ],
)
def test_another_model_is_refused_by_the_name_of_the_leaf(path: Path, like: Any, says: str) -> None:
    tm.save(path, {"w": np.ones((2, 3)), "n": 3})
    with pytest.raises(tm.UserError, match=says):
        tm.load(path, like)


def test_a_file_cut_short_anywhere_is_refused(path: Path) -> None:
    tree = {"w": np.arange(5.0), "n": 3}
    tm.save(path, tree, metadata={"a": "b"})
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(tm.UserError, match=path.name):
            tm.load(path, tree)


@pytest.mark.parametrize("content", [b"", b"{}", b"not a model", bytes(range(256)) * 4, b"PK\x03\x04" + bytes(60)])
def test_a_file_that_is_no_model_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(tm.UserError, match=path.name):
        tm.load(path, {"w": 1.0})


@given(data=st.data())
def test_no_flipped_byte_gets_past_the_checks_with_another_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """A flipped bit in the numbers of a .safetensors file, which has no checksum, is the one thing that may pass."""
    path = tmp_path_factory.getbasetemp() / f"flip.{data.draw(st.sampled_from(FORMATS))}"
    tree = {"w": np.arange(4.0), "b": np.float32([1, 2]), "n": 3}
    tm.save(path, tree, metadata={"key": "text"})
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        loaded = tm.load(path, tree)
    except tm.UserError as error:
        assert path.name in str(error)
    else:
        assert all(np.shape(loaded[k]) == np.shape(tree[k]) for k in tree)


def test_a_pickle_inside_an_npz_is_never_opened(tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", w=np.array([{"an": "object"}], dtype=object))
    with pytest.raises(tm.UserError, match="m.npz"):
        tm.load(tmp_path / "m.npz", {"w": np.zeros(1)})


def test_a_save_that_fails_leaves_the_old_file_and_nothing_beside_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tm.save(path, {"w": np.ones(3)})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(tm.UserError, match="the disk is full"):
        tm.save(path, {"w": np.zeros(3)})
    assert tm.load(path, {"w": np.zeros(3)})["w"].tolist() == [1, 1, 1]
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("name", "tree", "metadata", "says"),
    [
        ("m.pt", {"w": 1.0}, None, ".npz or .safetensors"),
        ("m.npz", {"w": "text"}, None, "'w'.*holds numbers"),
        ("m.npz", {"a": {"b": 1}, "a.b": 2}, None, "'a.b'"),
        ("m.npz", {"__metadata__": 1}, None, "__metadata__"),
        ("m.npz", {"w": 2**70}, None, "'w'"),
        ("m.safetensors", {"w": 1j}, None, "complex128.*as .npz"),
        ("m.npz", {"w": 1.0}, {"k": 3}, "strings"),
        ("no/such/folder/m.npz", {"w": 1.0}, None, "can't write"),
    ],
)
def test_what_cannot_be_saved_is_said_in_one_sentence(
    tmp_path: Path, name: str, tree: Any, metadata: Any, says: str
) -> None:
    with pytest.raises(tm.UserError, match=says):
        tm.save(tmp_path / name, tree, metadata)
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_no_system_has_is_told() -> None:
    for deed in (lambda: tm.save("a\0.npz", 0.0), lambda: tm.load("a\0.npz", 0.0)):
        with pytest.raises(tm.UserError, match="no path has a null character"):
            deed()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(tm.UserError, match="can't read .*gone.npz"):
        tm.load(tmp_path / "gone.npz", {"w": 1.0})
