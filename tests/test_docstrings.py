"""Every public docstring says shapes, errors and an example; the examples print what they say, and calls raise."""

from __future__ import annotations

import doctest
import importlib
import inspect
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tests.docstrings import AT_HAND, claims, documented, fields, raises, text_of
from tinymeta.engine.primitive import Primitive

ROOT = Path(__file__).parents[1]
FILES = [p for part in ("tinymeta", "kernels") for p in sorted((ROOT / part).rglob("*.py"))]
EXAMPLE = re.compile(r"^\s*>>> ", re.M)
WITH_EXAMPLES = [p for p in FILES if EXAMPLE.search(p.read_text(encoding="utf-8"))]
NAMES = documented()
PUBLIC = {f"{thing.__module__}.{thing.__qualname__}" for thing in NAMES.values()}
CALLS = {
    f"{name}: {claim.call}": claim for name, thing in NAMES.items() for claim in claims(text_of(thing)) if claim.call
}

# Names for which an item makes no sense, and why.
NEITHER = {
    "tm.CompileWarning": "a warning",
    "tm.UserError": "an error",
    "optim.Optimizer": "a protocol",
    "tasks.DataError": "an error",
    "tasks.Environment": "a protocol",
    "tasks.TaskFamily": "a protocol",
}
NO_SHAPES = NEITHER | {
    "tasks.download_omniglot": "files, as they come",
    "tinymeta_kernels.set_num_threads": "no arrays",
    "tinymeta_kernels.warmup": "no arrays",
}
NO_EXAMPLE = NEITHER | {
    "meta.Dask": "needs a cluster",
    "tasks.download_omniglot": "needs the network",
    "tasks.load_folder": "needs pictures, and Pillow",
    "tasks.load_omniglot": "needs the archives, and Pillow",
    "tasks.load_runs": "needs the runs, and Pillow",
    "tinymeta_kernels.set_num_threads": "would hold for the tests that follow",
    "tinymeta_kernels.warmup": "compiles everything",
}
INNER = ("id", "opened")  # members that only the engine reads
NO_RAISES = {
    "tinymeta_kernels.erf": "one array has one shape",
    "tinymeta_kernels.erfc": "one array has one shape",
    "tinymeta_kernels.warmup": "what it runs fits",
    "meta.Distillation": "how it adapts is its own",
    "meta.GaussianPolicy": "a number per action broadcasts to the mean",
    "meta.LSTMRule": "what it stacks has one shape",
    "meta.LossNetwork": "what it joins has one shape",
    "meta.MAMLPlusPlus": "how it adapts is its own",
    "meta.MetaAdam": "how it adapts is its own",
    "meta.OnlineMetaSGD": "what it stacks has one shape",
    "meta.descend": "what it stacks has one shape",
    "meta.distilled": "how it adapts is its own",
    "meta.look_ahead": "how it adapts is its own",
    "meta.one_by_one": "what it joins has one shape",
    "ops.tree.norm": "what it stacks has one shape",
    "optim.clip_by_global_norm": "what it stacks has one shape",
}


def missing(name: str, thing: Any) -> list[str]:
    text = text_of(thing)
    wanted = {
        "Shapes": name in NO_SHAPES or fields(text, "Shapes"),
        "an example": name in NO_EXAMPLE or EXAMPLE.search(text),
        "Raises": name in NO_RAISES or not raises(thing) or claims(text),
    }
    return [item for item, there in wanted.items() if not there]


@pytest.mark.parametrize("name", NAMES)
def test_a_public_docstring_has_shapes_errors_and_an_example(name: str) -> None:
    assert not missing(name, NAMES[name]), (
        f"the docstring of {name} says nothing of: {', '.join(missing(name, NAMES[name]))}"
    )


@pytest.mark.parametrize("group", [tm.Tensor, type(tm.trace())])
def test_a_member_has_a_docstring_or_is_named_by_that_of_its_class(group: type) -> None:
    text = text_of(group) + inspect.getdoc(inspect.getmodule(group))
    members = {name: value for name, value in vars(group).items() if not name.startswith("_")}
    assert [
        name for name, v in members.items() if not v.__doc__ and f"`{name}`" not in text and name not in INNER
    ] == []


def test_exemptions_are_of_names_that_need_them() -> None:
    """An exemption that isn't used any more would hide a docstring that gets lost."""
    for exempt, there in (
        (NO_SHAPES, lambda thing: fields(text_of(thing), "Shapes")),
        (NO_EXAMPLE, lambda thing: EXAMPLE.search(text_of(thing))),
        (NO_RAISES, lambda thing: not raises(thing) or claims(text_of(thing))),
    ):
        assert [name for name in exempt if name not in NAMES or there(NAMES[name])] == []


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda p: ".".join(p.relative_to(ROOT).with_suffix("").parts))
def test_examples_print_what_they_say(path: Path) -> None:
    parts = path.relative_to(ROOT).with_suffix("").parts
    module = importlib.import_module(".".join(parts[parts[0] == "kernels" :]))
    before, report = dict(Primitive.registry), io.StringIO()
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    try:
        with np.errstate(all="ignore"), np.printoptions(precision=4, suppress=True):
            for example in doctest.DocTestFinder().find(module):
                if example.name in PUBLIC:  # the reader of the others has their modules at hand, too
                    example.globs = {}
                example.globs |= AT_HAND
                runner.run(example, out=report.write)
    finally:
        Primitive.registry.clear()
        Primitive.registry.update(before)
    assert runner.failures == 0, report.getvalue()
    assert runner.tries >= len(EXAMPLE.findall(path.read_text(encoding="utf-8"))), "an example that nobody runs"


@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_is_said_to_raise_does(call: str) -> None:
    claim = CALLS[call]
    with np.errstate(all="ignore"), pytest.raises(claim.error):
        eval(claim.call, dict(AT_HAND))


@pytest.mark.parametrize("path", FILES, ids=lambda p: ".".join(p.relative_to(ROOT).with_suffix("").parts))
def test_errors_are_said_in_one_way(path: Path) -> None:
    assert not re.search(r"^ *Raises\n *-+$", path.read_text(encoding="utf-8"), re.M), "`Raises: AnError where …`"


def test_a_docstring_that_lacks_something_is_noticed() -> None:
    def halved(x: Any) -> Any:
        """Half of x."""
        if x is None:
            raise ValueError("nothing has no half")
        return x / 2

    assert missing("halved", halved) == ["Shapes", "an example", "Raises"]
    halved.__doc__ = (
        "Half.\n\nShapes: any.\nRaises: ValueError for\nNone: `tm.half(None)`; TypeError of ’a’.\n\n>>> 1\n1"
    )
    assert missing("halved", halved) == []
    assert [(c.error, c.call) for c in claims(text_of(halved))] == [(ValueError, "tm.half(None)"), (TypeError, "")]


def test_what_a_function_calls_counts_as_its_own() -> None:
    assert raises(tm.sum) and raises(tm.tril) and raises(tm.nn.Linear) and not raises(tm.zeros_like)
