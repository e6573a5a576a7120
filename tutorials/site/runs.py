"""The page with sliders: MAML on sinusoids, trained for each step size, number of inner steps, and mode.

Each run trains a start for one inner loop. Of it the page shows the error that is left on new waves, one wave before and
after adapting, how the meta-gradient at that start splits into what first-order MAML keeps and what it leaves out, and
the derivative table of the program. `explore.js` draws; here is all that it draws from.
"""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

import tinymeta as tm
from tinymeta.recipes.report import interval
from tinymeta.view.trace_table import table_of
from tutorials.site.pages import Site

HERE = Path(__file__).resolve().parent
RATES, STEPS, MODES = (0.001, 0.003, 0.01, 0.02), (1, 2, 3, 5), ("exact", "first_order")
ITERATIONS, TASKS = 1500, 400
FAMILY = tm.tasks.Sinusoids(shots=10, query=10)
START = tm.nn.MLP([1, 32, 32, 1], rng=np.random.default_rng(0), weight_init=tm.nn.init.truncated_normal(0.1))


def add(site: Site, found: str) -> None:
    """The page in both languages; `found` is the JSON of `computed`."""
    frame = (HERE / "explore.html").read_text(encoding="utf-8")
    for language, words in json.loads((HERE / "explore.json").read_text(encoding="utf-8")).items():
        said = {**words["page"], "up": "../" * (language == "zh")}
        data = json.dumps({**json.loads(found), "words": words["script"]}, ensure_ascii=False)
        body = frame.replace("{{data}}", data.replace("<", "\\u003c"))
        for name, text in said.items():
            body = body.replace(f"{{{{{name}}}}}", text)
        site.add(f"{'zh/' * (language == 'zh')}explore", f"# {words['title']}\n\n{words['intro']}\n\n{body}")


def computed() -> dict[str, Any]:
    """All runs, and a derivative table for each number of steps and mode."""
    x, y = _wave(np.linspace(-5, 5, 61))
    return {
        "rate": RATES,
        "steps": STEPS,
        "x": _short(x),
        "y": _short(y),
        "support": [_short(a) for a in _wave(np.random.default_rng(1).uniform(-5, 5, 10))],
        "tables": {" ".join(map(str, program)): _table(*program) for program in product(STEPS, MODES)},
        "runs": {" ".join(map(str, run)): _run(*run) for run in product(RATES, STEPS, MODES)},
    }


def _wave(x: Any) -> tuple[Any, Any]:
    """A wave that no run was tuned on, at some points (n, 1)."""
    x = np.asarray(x, np.float32)[:, None]
    return x, 3 * np.sin(x - 1)


def loss(model: Any, batch: Any) -> tm.Tensor:
    x, y = batch
    return tm.nn.mse_loss(model(x), y)


def _adapted(model: Any, support: Any, rate: float, steps: int, mode: str) -> Any:
    return tm.meta.adapt(loss, model, support, rule=tm.optim.SGD(rate), steps=steps, differentiate=mode)


def _objective(*how: Any) -> Any:
    one = lambda model, e: loss(_adapted(model, e.support, *how), e.query)
    return lambda model, episodes: tm.vmap(one, in_axes=(None, 0))(model, episodes).mean()


def _run(rate: float, steps: int, mode: str) -> dict[str, Any]:
    adam = tm.optim.Clipped(tm.optim.Adam(0.002), lambda g: tm.optim.clip_by_global_norm(g, 10.0))
    how: Any = {"optimizer": adam, "iterations": ITERATIONS, "meta_batch": 25, "compiled": True}
    phi = tm.meta.fit(_objective(rate, steps, mode), START, FAMILY, **how)
    test, batch = (FAMILY.sample(np.random.default_rng(seed), tasks) for seed, tasks in ((1, TASKS), (2, 25)))
    rule = tm.optim.SGD(rate)
    errors = tm.meta.adaptation_curve(loss, tm.meta.on_query(loss), phi, test, rule=rule, steps=steps)
    kept, exact = (_flat(tm.grad(_objective(rate, steps, m))(phi, batch)) for m in ("first_order", "exact"))
    rest, size = exact - kept, float(np.linalg.norm(kept))
    along = float(rest @ kept) / size
    across = float(np.linalg.norm(rest - along / size * kept))
    line, support = (_wave(x) for x in (np.linspace(-5, 5, 61), np.random.default_rng(1).uniform(-5, 5, 10)))
    models = phi, _adapted(phi, support, rate, steps, mode)
    return {
        "error": [[found.mean, str(found)] for found in map(interval, errors[:, [0, -1]].T)],
        "split": [float(f"{v:.4g}") for v in (size, along, across)],
        "curves": [_short(model(line[0]).numpy()) for model in models],
    }


def _table(steps: int, mode: str) -> list[list[Any]]:
    """The columns of the derivative table: an operation, and how many of order 1 and of order 2 hang below it."""
    support = query = _wave(np.linspace(-5, 5, 10))
    with tm.trace() as trace:
        tm.grad(lambda model: loss(_adapted(model, support, 0.01, steps, mode), query))(START)
    table = table_of(trace)
    return [[s.op, *(len(table.stacks.get((s.id, order), [])) for order in (1, 2))] for s in table.columns]


def _flat(tree: Any) -> Any:
    return np.concatenate([leaf.numpy().ravel() for leaf in tm.tree.leaves(tree)])


def _short(values: Any) -> list[float]:
    return [round(float(v), 3) for v in np.ravel(values)]
