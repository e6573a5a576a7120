"""The Omniglot challenge: official runs as tasks, and further tasks of the same kind."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from tinymeta.tasks import DataError, ImageClasses, challenge_tasks, load_runs, stack

image = pytest.importorskip("PIL.Image", reason="reading images needs Pillow: pip install tinymeta[images]")


def png(shade):
    content = io.BytesIO()
    image.fromarray(np.full((105, 105), 255 - shade, np.uint8)).save(content, "PNG")
    return content.getvalue()


@pytest.fixture
def runs(tmp_path):
    """Two runs of three ways: a test item has nearly the shade of its class, and items are in reverse."""
    path = tmp_path / "all_runs.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for run in ("run01", "run02"):
            for k in (1, 2, 3):
                archive.writestr(f"{run}/training/class{k:02d}.png", png(50 * k))
                archive.writestr(f"{run}/test/item{k:02d}.png", png(50 * (4 - k) + 1))
            lines = (f"{run}/test/item{k:02d}.png {run}/training/class{4 - k:02d}.png" for k in (1, 2, 3))
            archive.writestr(f"{run}/class_labels.txt", "\n".join(lines) + "\n")
    return path


def test_queries_are_labelled_with_the_class_the_official_file_names(runs):
    episodes = load_runs(runs)
    assert len(episodes) == 2
    for (xs, ys), (xq, yq) in episodes:
        assert xs.shape == xq.shape == (3, 784) and xs.dtype == np.float32
        assert ys.tolist() == [0, 1, 2] and yq.tolist() == [2, 1, 0]
        np.testing.assert_allclose(xq - xs[yq], 1 / 255, rtol=1e-5)


def test_archive_folder_and_data_folder_give_the_same_runs(runs, tmp_path):
    zipfile.ZipFile(runs).extractall(tmp_path / "unpacked")
    expected = stack(load_runs(runs, size=14, flatten=False))
    assert expected.support[0].shape == (2, 3, 1, 14, 14)
    for place in (tmp_path, tmp_path / "unpacked"):
        found = stack(load_runs(place, size=14, flatten=False))
        np.testing.assert_array_equal(found.query[0], expected.query[0])


def rewritten(runs, change):
    with zipfile.ZipFile(runs) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    with zipfile.ZipFile(runs, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return runs


def test_a_label_without_its_image_is_an_error(runs):
    broken = rewritten(runs, lambda files: files.pop("run02/test/item02.png"))
    with pytest.raises(DataError, match=r"run02/class_labels.txt does not fit the images: 'run02/test/item02"):
        load_runs(broken)


def test_a_run_without_labels_is_an_error(runs):
    broken = rewritten(runs, lambda files: files.pop("run01/class_labels.txt"))
    with pytest.raises(DataError, match="run01 is incomplete"):
        load_runs(broken)


def test_a_folder_without_runs_is_an_error(tmp_path):
    with pytest.raises(DataError, match="no all_runs.zip and no folders run01"):
        load_runs(tmp_path)


def test_an_archive_without_runs_is_an_error(tmp_path):
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme.txt", "")
        archive.writestr("cover.png", png(1))
    with pytest.raises(DataError, match="other.zip holds no runs"):
        load_runs(tmp_path / "other.zip")


def test_further_tasks_are_of_one_alphabet_and_two_hands(rng):
    images = np.arange(60 * 20, dtype=np.float64).reshape(60, 20, 1, 1)
    classes = ImageClasses(images, np.repeat(["a", "b", "c"], [25, 25, 10]), np.array([str(c) for c in range(60)]))
    (xs, ys), (xq, yq) = challenge_tasks(classes).sample(rng, 30)
    assert xs.shape == (30, 20, 1) and (ys == yq).all()
    class_s, hand_s = np.divmod(xs[..., 0].astype(int), 20)
    class_q, hand_q = np.divmod(xq[..., 0].astype(int), 20)
    assert (class_s == class_q).all() and set(class_s.ravel() // 25) == {0, 1}, "c has too few characters"
    assert (np.ptp(class_s // 25, axis=1) == 0).all()
    assert (hand_s == hand_s[:, :1]).all() and (hand_q == hand_q[:, :1]).all() and (hand_s != hand_q).all()


def test_the_real_runs_are_20_way_tasks_with_every_class_asked_once(data):
    episodes = load_runs(data / "one_shot_runs_sample.zip")
    assert len(episodes) == 2
    for (xs, ys), (xq, yq) in episodes:
        assert xs.shape == xq.shape == (20, 784)
        assert ys.tolist() == sorted(yq.tolist()) == list(range(20)) != yq.tolist()
        assert xs.min() >= 0 and 0.9 < xs.max() <= 1 and xs.mean() < 0.2
