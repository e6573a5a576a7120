"""The first call of a recording: what is to run is chosen, runs, and is checked.

The machine runs the rewritten program. Where it can't, the plain replay does, and where no recording does the function
justice, the function itself: slower, and never in silence (`CompileWarning`). A stage that fails, or whose numbers are
wrong, is left out from then on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from tinymeta_kernels import addresses

from tinymeta.compile.place.layout import Unplaceable
from tinymeta.compile.program.calls import is_by_value
from tinymeta.compile.program.program import Program
from tinymeta.compile.record.recording import Recording
from tinymeta.compile.rewrite import rewritten
from tinymeta.compile.run.replay import Replay
from tinymeta.compile.run.reproducer import reproducer
from tinymeta.compile.run.selfcheck import Case, Run, Verdict, compared
from tinymeta.compile.verify import Broken
from tinymeta.engine.errors import UserError
from tinymeta.engine.tensor import Array

CHECK = "self-check"  # the stage that failed, where nothing else is known to be wrong


@dataclass
class First:
    """What runs from now on, and what is to be said of it."""

    program: Program
    run: Run | None  # None: the function itself, as if it weren't compiled
    runs: str  # what `run` is, and why
    checked: str = "was not asked for"
    results: list[Array] | None = None  # of the first call
    warning: str = ""
    everywhere: bool = False  # whether the warning is about all compiled functions


def first(recording: Recording, arguments: list[Array], name: str, factor: bool, check: bool) -> First:
    """Choose, run and check what is to run for the function called `name`."""
    recorded, eager = recording.program, recording.results
    if recording.followed:
        return First(
            recorded, None, "function itself: it reads a Tensor from outside that requires a gradient",
            warning=f"{name} is not compiled: it reads a Tensor from outside that requires a gradient, so it runs as "
            "it is, every time. Pass that Tensor as an argument, or detach it",
        )  # fmt: skip
    stage = "compiler"
    try:
        rewriting = rewritten if factor else _as_it_is
        program = rewriting(recorded)
        found = chosen(program)
        found.results = found.run(arguments)  # type: ignore[misc]
        if not check:
            return found
        stage = CHECK
        verdict = compared(Case(recorded, program, executor, arguments, eager, rewriting), found.run, found.results)  # type: ignore[arg-type]
    except Exception as error:  # the compiler's own: the recorded program is right without what failed
        if is_by_value(error):
            raise  # values that eager code refuses, too
        verdict = Verdict(stage, f"failed: {type(error).__name__}: {error}")
    if verdict.stage is None:
        found.checked = verdict.said
        return found
    return _plain(recorded, arguments, eager, name, verdict, factor)


def unrecorded(name: str, broken: Broken) -> First:
    """What runs where the recorder broke a rule of its own, so that there is no program: the function itself."""
    return First(
        Program([], ()), None, f"function itself: {broken}",
        warning=f"tm.compile was wrong for {name} while it recorded it ({broken}), so it runs as it is, every time: "
        "please report that function",
    )  # fmt: skip


def chosen(program: Program) -> First:
    """What runs a program here: the machine, or where there is no Numba (or it is switched off), plain NumPy."""
    if not addresses.callable_from_loops():
        return First(
            program, Replay(program), "plain replay: no Numba", everywhere=True,
            warning="compiled functions run as plain NumPy calls, several times slower: there is no Numba, or it is "
            "switched off. Install it, or unset NUMBA_DISABLE_JIT and TINYMETA_DISABLE_JIT",
        )  # fmt: skip
    from tinymeta.compile.run.machine import Machine

    try:
        return First(program, Machine(program), "machine")
    except Unplaceable as error:
        return First(
            program, Replay(program), f"plain replay: {error}",
            warning=f"a compiled function runs as plain NumPy calls, several times slower: {error}. Write that "
            "operation with its axes in another order, or report it",
        )  # fmt: skip


def executor(program: Program) -> Run:
    """What runs a program here."""
    run = chosen(program).run
    assert run is not None
    return run


def again(program: Program, arguments: list[Array], eager: list[Array] | None, factor: bool) -> int:
    """Check a program as on its first call, and tell what is found; 1 if there is a fault, else 0."""
    rewriting = rewritten if factor else _as_it_is
    short = rewriting(program)
    run = executor(short)
    got = run(arguments)
    right = eager or Replay(program)(arguments)
    for k, (x, y) in enumerate(zip(got, right)):
        with np.errstate(all="ignore"):
            far = np.abs(np.asarray(x, float) - y).max(initial=0) if x.dtype.kind != "c" else np.abs(x - y).max()
        print(f"result {k}, {x.dtype}{list(x.shape)}: differs by up to {far:.3g}, of {np.abs(y).max(initial=0):.3g}")
    verdict = compared(Case(program, short, executor, arguments, eager, rewriting), run, got)
    print(f"at fault: {verdict.stage}" if verdict.stage else f"no fault: it {verdict.said}")
    return int(verdict.stage is not None)


def _as_it_is(program: Program) -> Program:
    return program


def _plain(
    recorded: Program, arguments: list[Array], eager: list[Array] | None, name: str, verdict: Verdict, factor: bool
) -> First:
    """The slower way, which is right, and a warning with a file that shows the fault."""
    assert verdict.stage is not None
    results = [np.array(x) for x in eager] if eager is not None else Replay(recorded)(arguments)
    try:
        file = str(reproducer(recorded, arguments, eager, stage=verdict.stage, factor=factor))
        shown = f"`python {file}` shows it: please report that folder"
    except (ValueError, OSError, UserError) as error:
        shown = f"no file that shows it could be written ({error})"
    lost = verdict.stage == "translate"
    instead = "function itself" if lost else "plain replay of the recorded program"
    if verdict.stage == CHECK:  # nothing is known of what was to run, but that nobody has looked at it
        what, why = f"tm.compile could not check itself for {name}", "what was to run could not be checked"
    else:
        what = f"tm.compile was wrong for {name}, at stage '{verdict.stage}'"
        why = f"stage '{verdict.stage}' was at fault"
    warning = (
        f"{what} (it {verdict.said}). This call gives the right results, and from now on the {instead} runs, which is "
        f"slower; {shown}"
    )
    run = None if lost else Replay(recorded)
    return First(recorded, run, f"{instead}: {why}", verdict.said, results, warning)
