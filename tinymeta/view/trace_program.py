"""Programs to trace: the user's own script, and the small built-in ones that stand for recipes."""

from __future__ import annotations

import linecache
import runpy
import sys
import traceback
from importlib.resources import files
from pathlib import Path
from types import TracebackType

from tinymeta.engine.errors import UserError
from tinymeta.view.table_svg import derivative_table
from tinymeta.view.trace import Trace

# Each is `trace_maml.py` with one line changed: what the stepper shows is what ran.
PROGRAMS = {"sine": ("MAML", "False"), "sine-first-order": ("First-order MAML", "True")}


def trace_program(name: str) -> Trace:
    """The trace of a built-in program: one inner step of MAML, or of first-order MAML, on one sinusoid.

    Raises: UserError where there is no such program.
    """
    if name not in PROGRAMS:
        raise UserError(f"there is no program '{name}' to step through: name a Python file, or {' or '.join(PROGRAMS)}")
    title, first_order = PROGRAMS[name]
    source = files("tinymeta.view").joinpath("trace_maml.py").read_text(encoding="utf-8")
    source = source.replace("FIRST_ORDER = False", f"FIRST_ORDER = {first_order}")
    # Under a name of its own the program counts as the user's code, not as part of the package.
    file = f"{name}.py"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    trace = Trace(title)
    with trace:
        exec(compile(source, file, "exec"), {"__name__": "__main__"})
    return trace


def trace_file(path: Path) -> tuple[Trace, UserError | None]:
    """Run a script as `python path` would, under a trace.

    An error of the script is the script's: its traceback goes to stderr, without the lines that are
    ours. The trace holds what ran until then, and the error comes back in a sentence.

    Raises: UserError where there is no such file.
    """
    if not path.is_file():
        raise UserError(f"there is no file {path} to step through")
    trace, failure = Trace(path.name), None
    arguments, folders = sys.argv, sys.path
    sys.argv, sys.path = [str(path)], [str(path.resolve().parent), *sys.path]
    try:
        with trace:
            runpy.run_path(str(path), run_name="__main__")
    except SystemExit:
        pass  # a script may end as it likes
    except Exception as error:
        failure = _told(error, str(path))
    finally:
        sys.argv, sys.path = arguments, folders
    return trace, failure


def _told(error: Exception, path: str) -> UserError:
    """Print the script's traceback, from its own first line on."""
    place: TracebackType | None = error.__traceback__
    while place is not None and place.tb_frame.f_code.co_filename != path:
        place = place.tb_next
    traceback.print_exception(type(error), error, place or error.__traceback__)
    line = f" in line {place.tb_lineno}" if place else ""
    return UserError(f"{Path(path).name} stopped{line} with {type(error).__name__}: {error}")


def side_by_side() -> str:
    """The README's picture: MAML beside first-order MAML, which has no order 2."""
    return derivative_table(*map(trace_program, PROGRAMS))


if __name__ == "__main__":
    print(side_by_side(), end="")
