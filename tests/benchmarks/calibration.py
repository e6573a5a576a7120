"""Whether the probabilities of `classify` come true, and "none of these" as often as is said, for classes that are new.

`python -m tests.benchmarks.calibration` reads the runs that `tests.benchmarks.pictures` trained, and prints a table. Of
each run's held-out classes, one half calibrates, as the run's folder would; tasks of the other half are asked about.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tinymeta.io.save import contents
from tinymeta.recipes import calibrate
from tinymeta.recipes.classify import answering_of, trained_run
from tinymeta.recipes.heads import softmax
from tinymeta.recipes.report import interval

BINS = 10  # of the likeliest class's probability


class Found(NamedTuple):
    """Per cent: the expected calibration error, and of pictures wrongly refused or accepted what is said and came."""

    error: float
    refused_said: float
    refused: float
    accepted_said: float
    accepted: float


def tried(run: Path, shots: int, seed: int) -> Found:
    """Of a run's held-out classes, one half measured with what the other half says."""
    rng, (config, trained) = np.random.default_rng([seed, shots]), trained_run(run)
    answering, (held, _) = answering_of(config, trained), contents(run / calibrate.FILE)
    features, labels = held["features"], held["labels"]
    known, fresh = np.array_split(rng.permutation(np.unique(labels)), 2)
    with tempfile.TemporaryDirectory() as folder:
        mine = np.isin(labels, known)
        calibrate.keep(Path(folder), features[mine], labels[mine])
        found = calibrate.calibration(Path(folder), answering, 5, shots)
    rows = [np.flatnonzero(labels == label) for label in fresh]
    asked = calibrate._asked(answering, features, rng, rows, found.ways, shots)
    chances = softmax(asked.logits / found.temperature)
    sure, right = chances.max(1), chances.argmax(1) == asked.labels
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    error = sum(abs(sure[bins == b].sum() - right[bins == b].sum()) for b in range(BINS)) / len(sure)
    refused = (calibrate.strangeness(asked.distances) > found.strangest).mean()
    accepted = (calibrate.strangeness(asked.away) <= found.strangest).mean()
    return Found(*(100 * float(x) for x in (error, found.refused, refused, found.accepted, accepted)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path("runs/pictures"), help="where the runs are")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    print("| data | shots | calibration error | wrongly refused, as said | beyond it | accepted, as said | beyond it |")
    print("|---|---|---|---|---|---|---|")
    for name in ("drawings", "glyphs", "features"):
        for shots in (1, 5):
            found = [tried(options.root / f"{name}-{seed}", shots, seed) for seed in range(options.seeds)]
            error, refused, accepted = (np.mean([each[k] for each in found]) for k in (0, 1, 3))
            more = interval([f.refused - f.refused_said for f in found], "%")
            others = interval([f.accepted - f.accepted_said for f in found], "%")
            said = f"{refused:.1f} % | {more} | {accepted:.1f} % | {others}"
            print(f"| {name} | {shots} | {error:.1f} % | {said} |", flush=True)


if __name__ == "__main__":
    main()
