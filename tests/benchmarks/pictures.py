"""The learner against its baselines: `python -m tests.benchmarks.pictures DRAWINGS.zip` prints the table.

Four folders of pictures are made of what is installed (`pictures_data`), in an environment of its own, where
scikit-image and scikit-learn are put beside what this one has; fonts are those that `fc-list` finds. Then every
seed draws a division of the classes, trains, chooses its head on validation classes, and is tested on the same tasks
as every baseline. A fifth row is of features: those of the network that learned letters, frozen, of the drawings.
Numbers are means over seeds with Student's 95 % interval. What is done already is read from the folder of runs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Any

import numpy as np

import tinymeta as tm
from tests.benchmarks.pictures_data import MADE
from tests.trust.stored import commit
from tinymeta import recipes
from tinymeta.recipes.classify import trained_run
from tinymeta.recipes.heads import embedded
from tinymeta.recipes.images import LEARNED, start
from tinymeta.recipes.launch import Wishes, launch
from tinymeta.recipes.report import interval

NEEDED = ("scikit-image", "scikit-learn")
FROZEN = "features"
SETTINGS: dict[str, list[str]] = {  # what differs from the recipe's keys
    "drawings": ["iterations=150"],
    "glyphs": ["iterations=150"],
    "digits": ["iterations=150", "size=16", "splits=2"],
    "photos": ["iterations=150"],
    FROZEN: ["iterations=150"],
}
PAGE = Path(__file__).with_suffix(".md")
COMMON = ["splits=1", "final=no", "meta_batch=2", "tasks=300", "ways=5", "shots=5", "query=5"]


def inside(folder: Path) -> Path:
    """The interpreter of an environment in which all that this one has is seen, and what else is needed."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        (site,) = folder.glob("lib/python*/site-packages")
        (site / "beside.pth").write_text(sysconfig.get_path("purelib") + "\n")
        subprocess.run([python, "-m", "pip", "install", "-q", *NEEDED], check=True)
    return python


def features(folder: Path, run: Path, file: Path) -> None:
    """What the network of a run sees in another folder of pictures, as a file of features."""
    config, trained = trained_run(run)
    classes = tm.tasks.load_folder(folder, config.size, "grey", tell=lambda _: None)
    x = embedded(tm.meta.trained(trained.checkpoint, start(config, trained)), classes.pictures)
    np.savez(file, X=x, y=np.repeat(classes.names, classes.counts))


def result(name: str, seed: int, root: Path) -> dict[str, Any]:
    """The metrics of one run."""
    out = root / f"{name}-{seed}"
    if not (out / "result.json").exists():
        data = root / "data" / name
        if name == FROZEN:
            data = root / f"features-of-glyphs-{seed}.npz"
            features(root / "data" / "drawings", root / f"glyphs-{seed}", data)
        keys = dict(pair.split("=") for pair in [*COMMON, f"split_seed={seed}", *SETTINGS[name]])
        wishes = Wishes(out=out, seed=seed, data=data, quiet=True, resume=out.exists())
        launch(recipes.find("images"), {} if out.exists() else keys, wishes, ("run", "images"))
    found: dict[str, Any] = json.loads((out / "result.json").read_text(encoding="utf-8"))
    return found


def rows(name: str, found: list[dict[str, Any]]) -> list[str]:
    """Of one data set: the learner, every baseline, and by how much the learner is beyond it in each seed."""
    metrics = [each["metrics"] for each in found]
    heads = ", ".join(each["protocol"]["head"].split(",")[0] for each in found)
    lines = [f"| **{name}** | trained, {heads} | {interval([m[LEARNED]['mean'] for m in metrics], '%')} | |"]
    others = [key for key, value in metrics[0].items() if isinstance(value, dict) and "accuracy" in value]
    for key in sorted(others, key=lambda key: -np.mean([m[key]["accuracy"]["mean"] for m in metrics])):
        its, ahead = (interval([m[key][part]["mean"] for m in metrics], "%") for part in ("accuracy", BEYOND))
        verdict = "" if not ahead.mean + ahead.half < 0 else " (below)"
        lines.append(f"| | {key} | {its} | {ahead}{verdict} |")
    return lines


BEYOND = "the learner minus it"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("drawings", type=Path, help="Omniglot's images_background_small1.zip")
    parser.add_argument("--root", type=Path, default=Path("runs/pictures"), help="where data and runs go")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=list(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.name}")
    parser.add_argument("--within", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.within:
        python = inside(options.root / "venv")
        command = [str(python), "-m", "tests.benchmarks.pictures", *sys.argv[1:], "--within"]
        raise SystemExit(
            subprocess.run(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}).returncode
        )
    for name, make in MADE.items():
        folder = options.root / "data" / name
        if not folder.exists():
            folder.mkdir(parents=True)
            make(folder, *([options.drawings] if name == "drawings" else []))
    table = []
    for name in options.only:
        table += rows(name, [result(name, seed, options.root) for seed in range(options.seeds)])
    head = ["| data | learner, or baseline | accuracy | the learner minus it |", "|---|---|---|---|"]
    end = f"5-way 5-shot, {options.seeds} seeds, each with a division of the classes of its own; commit {commit()}."
    text = "\n".join([*head, *table, "", end, ""])
    print(text)
    if options.write:
        before = PAGE.read_text(encoding="utf-8").partition(head[0])[0]
        PAGE.write_text(before + text, encoding="utf-8")


if __name__ == "__main__":
    main()
