"""The Omniglot challenge: 20 characters of one new alphabet, each seen once (Lake, Salakhutdinov & Tenenbaum 2015).

Characters of one alphabet look alike, so this is much harder than the usual 20-way task, whose classes come from
everywhere. It is learned from 30 alphabets (`train=background`) or from five (`small1`, `small2`), and tested on the
20 alphabets of the evaluation set: on the official runs, where `runs` names them, and on many more episodes of
the same kind. Every image is normalised by itself, so nothing here is transductive. It also means that a test image has
the same features in all episodes: they are computed once.

Two scores of a pair of drawings compete: `score=local` compares them place by place (`tm.meta.LocalMatching`), and
`score=pooled` by the distance of one embedding each (a prototypical network).

`augment=strokes` draws every image anew by an affine map, a smooth bending and a change of pen, and bends whole
classes into further classes; `affine` leaves out what changes strokes, and `none` takes the drawings as they are.
Tasks of a share `turned` are turned by quarters or mirrored, all alike: further alphabets. Where training redraws, so
does the test: scores are those of `views` of an image, all but one slightly moved.
Several `networks` are trained from one seed after the other; each is reported by itself, and all together by the sum
of their scores. `held_out` alphabets of the training set are left out, and take the test's place: what is chosen is
chosen there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

import tinymeta as tm
from tinymeta.engine.typing import Array, Function, Options, Tree
from tinymeta.meta.learners.protonet import squared_distances
from tinymeta.recipes import fewshot
from tinymeta.recipes.recipe import Found, Recipe, Result, Run, Stage, curves, interval, key, published, user_mistakes
from tinymeta.tasks.images import as_unit_interval

EPISODES, RUNS = "error, within-alphabet episodes", "error, official runs"
METHODS: dict[str, tuple[Function, Function]] = {
    "local": (tm.meta.LocalMatching, fewshot.matcher),
    "pooled": (tm.meta.ProtoNet, fewshot.convnet),
}
AT_ONCE = 400  # images embedded at a time


@dataclass(frozen=True)
class Config:
    iterations: int = key(2500, "meta-iterations", least=0)
    source: str = key("auto", "where characters come from", choices=("auto", "omniglot", "glyphs"))
    train: str = key("background", "Omniglot's set to learn from", choices=("background", "small1", "small2"))
    score: str = key("local", "how two drawings are compared", choices=("local", "pooled"), before="pooled")
    size: int = key(56, "side of the images in pixels, a multiple of 28 if local", least=28, most=512, before=28)
    augment: str = key("strokes", "how drawings vary in training", choices=("strokes", "affine", "none"))
    turned: float = key(0.3, "share of training tasks that are turned or mirrored", least=0, before=0.0)
    turns: bool = key(False, "count an alphabet turned by a quarter, a half and three quarters as further alphabets")
    runs: str = key("", "the official runs: an archive or a folder of run01, run02, ...", later=True)
    held_out: int = key(0, "training alphabets to test on instead: choose keys there", least=0)
    ways: int = key(20, "classes per training task", least=2)
    query: int = key(1, "query images per class in training", least=1)
    pool: bool = key(True, "pooled: a network that pools (Snell et al. 2017); else stride 2, four times cheaper")
    halvings: int = key(3, "pooled: how many of the four blocks halve the image", choices=(2, 3, 4))
    outer_lr: float = key(0.002, "the outer step size, after a warm-up falling to 0 on half a cosine")
    meta_batch: int = key(4, "tasks per iteration", least=1)
    tasks: int = key(1000, "test episodes", least=2)
    networks: int = key(1, "networks to train, each from a seed of its own, and to ask together", least=1)
    views: int = key(5, "test: slightly moved copies of an image to compare; one where training redraws none", least=1)


@dataclass(frozen=True)
class Redraw:
    """Every class becomes a similar one, and then every image of it another hand's; a share of the tasks is turned.

    Amounts in pixels are for images of 28, and grow with their `size`.
    """

    affine_only: bool = False
    size: int = 28
    turned: float = 0.0

    def __call__(self, rng: np.random.Generator, images: Array) -> Array:
        for change in (tm.tasks.Augment(pen=0.0, shared=1), tm.tasks.Augment()):
            change = replace(change, bend=0.0, pen=0.0) if self.affine_only else change
            images = enlarged(change, self.size)(rng, images)
        for task in np.flatnonzero(rng.random(len(images)) < self.turned):
            mirrored, quarters = divmod(int(rng.integers(1, 8)), 4)  # any symmetry of the square but the identity
            images[task] = np.rot90(images[task], quarters, axes=(-2, -1))
            images[task] = images[task][..., ::-1] if mirrored else images[task]
        return images


def enlarged(change: tm.tasks.Augment, size: int) -> tm.tasks.Augment:
    """The same change of images of another size than 28."""
    by = size / 28
    return replace(change, translate=change.translate * by, bend=change.bend * by, pen=min(change.pen * by, 1.0))


def redraws(config: Config) -> bool:
    return config.augment in ("strokes", "affine")


def families(config: Config, run: Run) -> tuple[tm.tasks.FewShotImages, tm.tasks.FewShotImages]:
    """The distributions of training tasks and of test episodes, both within one alphabet."""
    redraw = Redraw(config.augment == "affine", config.size, config.turned) if redraws(config) else None
    with user_mistakes():
        if fewshot.source(config, run) == "glyphs":
            classes, held_out = fewshot.invented(alphabets=16, characters=20, hands=10, size=config.size), 6
        else:
            part: Any = config.train
            classes, held_out = tm.tasks.load_omniglot(run.data, part, config.size), config.held_out
        groups = len(np.unique(classes.groups))
        parts = tm.tasks.split(classes, "groups", np.random.default_rng(0), sizes=(groups - held_out, 0, held_out))
        test = parts.test if held_out else tm.tasks.load_omniglot(run.data, "evaluation", config.size)
        tasks = tm.tasks.challenge_tasks(parts.train, config.ways, flatten=False)
        tasks = replace(tasks, query=config.query, augment=redraw, rotations=config.turns)
        return tasks, tm.tasks.challenge_tasks(test, flatten=False)


def learner(config: Config, ways: int) -> Any:
    image: Options = {"image": (1, config.size, config.size)}
    if config.score == "pooled":
        image |= {"pool": config.pool, "halvings": config.halvings, "norm": "group"}
    of, network = METHODS[config.score]
    return of(ways=ways, network=partial(network, **image))


def stages(config: Config, run: Run, found: Found) -> Iterator[tuple[str, Stage]]:
    """One for each network, with a seed of its own."""
    official(config)  # a wrong path is told before the training, not after it
    training, _ = families(config, run)
    rate = tm.optim.schedules.cosine(config.outer_lr, max(config.iterations, 1))
    rule = tm.optim.AdamW(tm.optim.schedules.warmup(100, rate)) if config.score == "local" else tm.optim.Adam(rate)
    among = learner(config, config.ways)
    for number in range(config.networks):
        stage = Stage.of(config, run, among, training, rule, seed=run.seed + number)
        yield str(number) * (config.networks > 1), stage


def official(config: Config) -> list[tm.tasks.Episode]:
    """The official runs, if the user named them."""
    with user_mistakes():
        return tm.tasks.load_runs(config.runs, config.size, flatten=False) if config.runs else []


def features(config: Config, phi: Tree, images: Array) -> list[Tree]:
    """What `alike` compares of images (..., height, width): for each view of them a tree with their axes in front."""
    network = tm.compile(lambda phi, x: phi.places(x) if config.score == "local" else phi(x))
    pictures = as_unit_interval(images, np.float32).reshape(-1, 1, config.size, config.size)
    glance = enlarged(tm.tasks.Augment(rotate=5, shear=0.06, scale=0.06, translate=0.6, bend=0.0, pen=0.0), config.size)
    rng, views = np.random.default_rng(0), []
    for view in range(config.views if redraws(config) else 1):
        seen = glance(rng, pictures) if view else pictures
        parts = [
            tm.tree.map(tm.Tensor.numpy, network(phi, seen[i : i + AT_ONCE])) for i in range(0, len(seen), AT_ONCE)
        ]
        whole = tm.tree.map(lambda *x: np.concatenate(x), *parts)
        views.append(tm.tree.map(lambda x: x.reshape(*images.shape[:-2], *x.shape[1:]), whole))
    return views if config.score == "local" else [np.mean(views, axis=0)]


def alike(config: Config, phi: Tree) -> Function:
    """How much alike drawings are, from their features: m of them and n give (m, n)."""
    if config.score == "local":
        return partial(tm.compile(lambda phi, a, b: phi.scores(a, b)), phi)
    return lambda a, b: -squared_distances(tm.tensor(a), tm.tensor(b))


def scores(compare: Function, views: list[Tree], support: Array, query: Array) -> Array:
    """The scores (tasks, queries, classes), added over views; `support` and `query` index the first axes of these."""

    def one(view: Tree, s: Array, q: Array) -> Array:
        found: tm.Tensor = compare(tm.tree.map(lambda x: x[tuple(q)], view), tm.tree.map(lambda x: x[tuple(s)], view))
        return found.numpy()

    return np.array([sum(one(view, s, q) for view in views) for s, q in zip(support, query)]) / len(views)


def exams(config: Config, run: Run) -> dict[str, tuple[Array, ...]]:
    """By name: images, and of each test task which of them are its classes and its queries, and the right answers."""
    test, runs = families(config, run)[1], official(config)
    images = test.classes.images
    numbers = np.arange(images.shape[0] * images.shape[1], dtype=np.float64).reshape(*images.shape[:2], 1, 1)
    drawn = replace(test, classes=replace(test.classes, images=numbers), dtype=np.float64)
    (s, _), (q, answers) = drawn.sample(run.rng("test"), config.tasks)
    pick = [x.reshape(len(x), 1, -1).astype(int) for x in (s, q)]
    found = {EPISODES: (images.reshape(-1, *images.shape[-2:]), *pick, answers)}
    if runs:
        (xs, _), (xq, answers) = tm.tasks.stack(runs)
        both = np.concatenate([xs, xq], 1)
        images, count = both.reshape(-1, *both.shape[-2:]), np.arange(both[..., 0, 0, 0].size).reshape(len(both), 1, -1)
        found[RUNS] = (images, count[..., : xs.shape[1]], count[..., xs.shape[1] :], answers)
    return found


def errors(scores: Array, answers: Array) -> Array:
    """Per cent of wrong answers in each task; in the challenge classes come in the order of their labels."""
    each: Array = 100 * (scores.argmax(-1) != answers).mean(-1)
    return each


def measure(config: Config, run: Run, found: Found) -> Result:
    where, test = fewshot.source(config, run), families(config, run)[1]
    metrics: dict[str, Any] = {}
    alone: dict[str, Any] = {}
    for name, (images, support, query, answers) in exams(config, run).items():
        total: Any = 0
        for number, phi in enumerate(found.values()):
            each = scores(alike(config, phi), features(config, phi, images), support, query)
            alone[f"{name}, seed {run.seed + number} alone"] = interval(errors(each, answers), "%")
            total += each
        metrics[name] = interval(errors(total, answers), "%")
    metrics |= alone if len(found) > 1 else {}
    pixels = 100 - 100 * fewshot.nearest_neighbour(test.sample(run.rng("test"), config.tasks))
    metrics["error, nearest neighbour in pixels"] = interval(pixels, "%")
    size = "30 alphabets" if config.train == "background" else "5 alphabets"
    pooled = f"4 × 3×3×64, {'pooling' if config.pool else 'stride 2'}, {config.halvings} times halved, group norm"
    local = "residual, 32 to 128 channels, maps of 1/8 of the side, group norm; places compared"
    return Result(
        protocol={
            "characters": f"Omniglot, {config.train} ({size})" if where == "omniglot" else "glyphs, 10 alphabets",
            "held out": f"{config.held_out} alphabets, and tested on these" if config.held_out else "none",
            "task": "20-way within one alphabet, one example of each by one person, one query of each by another",
            "statistics": "inductive",
            "network": f"{local if config.score == 'local' else pooled}, {config.size} px",
            "augmentation": f"{config.augment}, {config.turned:.0%} of tasks turned"
            + ", alphabets turned by quarters" * config.turns,
            "views of a test image": config.views if redraws(config) else 1,
            "networks": f"{config.networks}, their scores added" if len(found) > 1 else 1,
            "outer": f"Adam{'W' * (config.score == 'local')} {config.outer_lr} on half a cosine, {config.iterations} "
            f"iterations of {config.meta_batch} tasks, {config.ways}-way, {config.query} query images per class",
            "test episodes": config.tasks,
            "official runs": len(official(config)),
        },
        metrics=metrics,
        published=published("challenge", size) if where == "omniglot" and not config.held_out else {},
    )


recipe = Recipe.trained(Config, stages, measure, curves("Loss on the query set"))
