"""A run's folder has one writer; who may not write there may still measure."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.recipes.toy_console import Command
from tinymeta.io.folder import sole_writer


@pytest.mark.parametrize("why", ["may not be written to", "is being written by"])
def test_eval_of_a_folder_that_it_may_not_write_to_prints_its_numbers_and_keeps_nothing(
    tinymeta: Command, tmp_path: Path, why: str
) -> None:
    here = tmp_path / "here"
    tinymeta("run", "toy", "--out", "here")
    before = {entry.name: entry.read_bytes() for entry in here.iterdir()}
    with sole_writer(here) if "by" in why else nullcontext():
        here.chmod(0o700 if "by" in why else 0o500)
        try:
            status, out, err = tinymeta("eval", "here", "--quiet")
        finally:
            here.chmod(0o700)
    assert (status, err) == (0, "") and "published" in out and "kept:     nothing of this; here " + why in out
    assert {entry.name: entry.read_bytes() for entry in here.iterdir()} == before


def test_two_processes_do_not_train_in_one_folder(tinymeta: Command, tmp_path: Path) -> None:
    tinymeta("run", "toy", "--out", "here", "--set", "end=interrupt")
    with sole_writer(tmp_path / "here"):
        status, out, err = tinymeta("run", "toy", "--out", "here", "--resume")
    assert (status, out) == (2, "") and f"here is being written by process {os.getpid()}" in err
    assert tinymeta("run", "toy", "--out", "here", "--resume").status == 0
