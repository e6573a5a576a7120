"""How a trained run answers: by which features of a picture, and which head on them, as chosen on classes held out.

prototypes   the network's embedding, the nearest class mean
logistic     the network's embedding, logistic regression
edges        the embedding beside what scikit-image sees, edges, and colours; logistic regression
joint        the same beside the pixels, too; where there is no scikit-image, embedding and pixels
places       pictures compared place by place, where the network was trained so (`score=local`)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

import tinymeta as tm
from tinymeta.engine.errors import UserError
from tinymeta.engine.tensor import Array
from tinymeta.engine.typing import Tree
from tinymeta.io.files import read_json
from tinymeta.recipes import handmade, heads
from tinymeta.recipes.heads import Tasks
from tinymeta.recipes.run import Run

FILE = "heads.json"
CHOICES = ("prototypes", "logistic", "edges", "joint")
PLACES = "places"
TASKS = 200  # validation tasks that a head is chosen on


@dataclass(frozen=True)
class Answering:
    """A network and the head on it.

    Attributes
    ----------
    phi
        The network.
    head : str
        One of `CHOICES`, or `PLACES`.
    scales : tuple of float
        Of the blocks of features that are put beside one another.
    """

    phi: Tree
    head: str = "prototypes"
    scales: tuple[float, ...] = ()

    def features(self, pictures: Array) -> Tree:
        """Of pictures (n, [channels,] height, width): (n, features), or directions and weights of their places."""
        if self.head == PLACES:
            return heads.embedded(self.phi.places, pictures)
        if self.head not in BESIDE:
            return heads.embedded(self.phi, pictures)
        edges = self.head == "edges" or len(self.scales) > 2
        return heads.beside(blocks(self.phi, pictures, self.head, edges), self.scales)

    def scores(self, features: Tree, tasks: Tasks) -> Array:
        """The logits of every task's queries: (tasks, m, ways)."""
        head = heads.places(self.phi) if self.head == PLACES else HEAD[self.head]
        return heads.scores(head, features, tasks)

    def distances(self, features: Tree, tasks: Tasks) -> Array:
        """How far queries are from the classes, 0 for what is the same: (tasks, m, ways)."""
        if self.head != PLACES:
            return -heads.scores(heads.means, features, tasks)
        m = tasks.query.shape[1]
        own = Tasks(tasks.query, np.tile(np.arange(m), (len(tasks.query), 1)), tasks.query, tasks.query)
        best = np.diagonal(self.scores(features, own), axis1=1, axis2=2)[..., None]
        far: Array = np.maximum(best - self.scores(features, tasks), 0)
        return far

    def right(self, features: Tree, tasks: Tasks) -> Array:
        """Per cent of right answers, by task."""
        return heads.right(self.scores(features, tasks), tasks)


BESIDE = ("edges", "joint")
HEAD = {name: heads.means if name == "prototypes" else heads.logistic for name in CHOICES}


def blocks(phi: Tree, pictures: Array, head: str, edges: bool) -> list[Array]:
    """What a head puts beside one another: the embedding, for `joint` the pixels, and if asked edges and colours."""
    found = [heads.embedded(phi, pictures), *([handmade.pixels(pictures)] if head == "joint" else [])]
    if edges:
        if not handmade.can_see_edges():
            raise UserError(f"the head of this run sees edges, and {handmade.MISSING.partition(', for ')[2]}")
        found += [handmade.edges(pictures), *([handmade.colours(pictures)] if pictures.ndim == 4 else [])]
    return found


def sees_edges(pictures: Array) -> bool:
    """Whether there are any in what is asked about, and somebody to see them."""
    return pictures.shape[-2] > 1 and handmade.can_see_edges()


def chosen(phi: Tree, allowed: Iterable[str], family: tm.tasks.FewShotImages, rng: np.random.Generator) -> Answering:
    """The head that is right most often on the tasks of a family, which are not of the test."""
    pictures, tasks = heads.drawn(family, rng, TASKS)
    sees, names = sees_edges(pictures), tuple(allowed)
    candidates = []
    for head in names:
        scales: tuple[float, ...] = ()
        if head in BESIDE:
            if head == "edges" and not sees and len(names) > 1:
                continue
            scales = tuple(map(heads.spread, blocks(phi, pictures, head, sees or head == "edges")))
        candidates.append(Answering(phi, head, scales))
    if len(candidates) == 1:
        return candidates[0]
    return max(candidates, key=lambda each: each.right(each.features(pictures), tasks).mean())


def keep(run: Run, found: dict[str, Answering]) -> None:
    """Write down the heads of a run's trainings, by stage."""
    run.write(FILE, {"heads": {stage: {"head": a.head, "scales": list(a.scales)} for stage, a in found.items()}})


def kept(run: Run, stage: str, phi: Tree) -> Answering | None:
    """The head that was written down for a stage; a run of before there were any has prototypes.

    Raises: UserError where the file was damaged.
    """
    file = run.folder / FILE
    if not file.is_file():
        return None
    said: Any = read_json(file)
    try:
        head, scales = (said["heads"][stage][name] for name in ("head", "scales"))
        if head in (*CHOICES, PLACES) and all(type(x) is float and 0 < x < np.inf for x in scales):
            return Answering(phi, head, tuple(scales))
    except (TypeError, KeyError, AttributeError):
        pass
    raise UserError(f"{file} is damaged: train again with another --out")
