"""The command line: one table of verbs, one place where errors become sentences.

Verbs are loaded when they are used, so `tinymeta --help` and `tinymeta list` import no recipe, no plots and
no kernels. A verb is a function `verb(parser, arguments) -> None` that adds its options to the parser it is
given, parses, and acts.

Exit status: 0; 2 for a mistake of the user's, told in one sentence; 130 after Ctrl-C, and 128 and the signal's number
after one that asks to end (SIGTERM, SIGHUP), which is heeded in the same way. A traceback is a bug.
"""

from __future__ import annotations

import argparse
import errno
import os
import shlex
import signal
import stat
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, NoReturn

from tinymeta import __version__
from tinymeta.engine.errors import UserError
from tinymeta.io.files import named
from tinymeta.io.visible import visible
from tinymeta.view.terminal import nobody_listens, streams_are_there, warnings_in_a_line


class Verb(NamedTuple):
    """`module:function` and what it does, in one line."""

    target: str
    help: str


VERBS = {
    "list": Verb("tinymeta.cli:list_recipes", "every recipe and the idea it stands for"),
    "run": Verb("tinymeta.cli:run_recipe", "train a recipe, measure it, write a folder"),
    "eval": Verb("tinymeta.cli:evaluate_run", "measure a trained run on fresh tasks"),
    "classify": Verb("tinymeta.recipes.classify:classify", "label new images of new classes by a run of images"),
    "runs": Verb("tinymeta.recipes.runs:runs", "list runs with their size on disk, compare two, remove some"),
    "step": Verb("tinymeta.cli:step_through", "step through a program's derivatives, or write the page"),
    "learn": Verb("tinymeta.view.classroom:learn", "the lessons, cell by cell"),
    "data": Verb("tinymeta.cli:fetch_data", "fetch data from its public home"),
    "reproduce": Verb("tinymeta.recipes.reproduce:reproduce", "what is claimed, as a table; a claim run again"),
    "bench": Verb("tinymeta.bench.contest:bench", "the workloads, beside JAX and PyTorch where installed"),
    "warmup": Verb("tinymeta.cli:warm_up", "compile the kernels now, and keep them for later runs"),
}


SENTENCE = 2000  # characters of an error, which may quote what a file says


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are the same kind of sentence as all others."""

    def error(self, message: str) -> NoReturn:
        told = getattr(sys.exception(), "__context__", None)  # by an argument's type, such as `named`
        raise UserError(
            str(told) if isinstance(told, UserError) else f"{message}; `{self.prog} --help` shows the usage"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line on `arguments` (by default the process's own) and return the exit status."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    streams_are_there()
    try:
        with _signals_like_ctrl_c(), warnings_in_a_line("--quiet" in arguments):
            _dispatch(arguments)
        sys.stdout.flush()
    except UserError as error:
        print("tinymeta:", visible(" ".join(str(error).split()))[:SENTENCE], file=sys.stderr)
        return 2
    except MemoryError as error:
        print(f"tinymeta: this needs more memory than there is ({error}): ask for less of it", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        notes = getattr(stop, "__notes__", ["stopped"])
        print("", *(visible(note, keep="\n") for note in notes), sep="\n", file=sys.stderr)
        return 128 + (stop.args[0] if stop.args else signal.SIGINT)
    except BrokenPipeError:
        nobody_listens()
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.EACCES):  # asking whether it is there is refused, too
            long = error.errno == errno.ENAMETOOLONG
            why, most = ("no file has a name as long as", 40) if long else ("you may not look at", SENTENCE)
            print("tinymeta:", why, visible(str(error.filename))[:most], file=sys.stderr)
            return 2
        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EBADF, errno.EIO):
            raise  # a file's, which should have been told by who opened it
        nobody_listens()
        print(f"tinymeta: can't write the output: {error.strerror}; what was asked for is done", file=sys.stderr)
        return 2
    return 0


@contextmanager
def _signals_like_ctrl_c() -> Iterator[None]:
    """Raise what Ctrl-C raises, with its number, for a signal that asks to end; an ignored one (nohup) stays so."""

    def stop(number: int, frame: object) -> NoReturn:
        for output in (1, 2):
            with suppress(OSError):  # to a terminal that is gone nothing is written any more
                if stat.S_ISCHR(os.fstat(output).st_mode) and not os.isatty(output):
                    os.dup2(os.open(os.devnull, os.O_WRONLY), output)
        raise KeyboardInterrupt(number)

    here = threading.current_thread() is threading.main_thread()  # no other may set handlers
    asking = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if here and hasattr(signal, name)]
    heeded = [number for number in asking if signal.getsignal(number) is signal.SIG_DFL]
    try:
        for number in heeded:
            signal.signal(number, stop)
        yield
    finally:
        for number in heeded:
            signal.signal(number, signal.SIG_DFL)


def _dispatch(arguments: list[str]) -> None:
    if arguments and arguments[0] in VERBS:
        module, _, function = VERBS[arguments[0]].target.partition(":")
        verb: Callable[[Parser, list[str]], None] = getattr(import_module(module), function)
        verb(Parser(prog=f"tinymeta {arguments[0]}", description=VERBS[arguments[0]].help), arguments[1:])
    elif arguments and not arguments[0].startswith("-"):
        raise UserError(_unknown(arguments[0]))
    else:
        main_job(arguments)


def _unknown(word: str) -> str:
    from tinymeta.recipes import RECIPES
    from tinymeta.recipes.config import closest

    if word in RECIPES:
        return f"'{word}' is a recipe: `tinymeta run {word}` runs it"
    return f"there is no command '{word}'{closest(word, VERBS)}: it is one of {', '.join(VERBS)}"


def main_job(arguments: list[str]) -> None:
    """`tinymeta` without a verb: meta-learn sinusoids, compare, draw."""
    verbs = "\n".join(f"  {name:8}{verb.help}" for name, verb in VERBS.items())
    parser = Parser(
        prog="tinymeta",
        description="Without a command: meta-learn sinusoids, compare the methods, draw; under a minute.",
        epilog=f"commands:\n{verbs}\n\n`tinymeta COMMAND --help` tells more.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version and stop")
    _add_run_options(parser)
    options = parser.parse_args(arguments)
    if vars(options).pop("version"):
        print(f"tinymeta {__version__}")
        return
    from tinymeta.recipes import main_job

    main_job.main(**vars(options))


def list_recipes(parser: Parser, arguments: list[str]) -> None:
    """`tinymeta list`."""
    parser.parse_args(arguments)
    from tinymeta.recipes import RECIPES

    width = max(map(len, RECIPES))
    for name, entry in RECIPES.items():
        print(f"{name:<{width}}  {entry.idea}")


def run_recipe(parser: Parser, arguments: list[str]) -> None:
    """`tinymeta run RECIPE`."""
    parser.add_argument("recipe", metavar="RECIPE", help="a name from `tinymeta list`")
    _add_run_options(parser)
    _add_task_options(parser)
    parser.add_argument(
        "--skip-bad-tasks", action="store_true", help="leave out tasks whose loss or gradient is not finite, and go on"
    )
    parser.add_argument("--split", type=named, metavar="FILE", help="division of the classes, for images")
    parser.add_argument("--features", type=named, metavar="FILE", help="arrays X and y, an .npz")
    others = parser.add_mutually_exclusive_group()
    others.add_argument("--workers", type=_positive, metavar="N", help="share the work between N processes of one core")
    others.add_argument("--dask", metavar="ADDRESS", help="share it between the workers of a Dask scheduler")
    _explain_keys(parser, arguments)
    options = parser.parse_args(arguments)
    from tinymeta import recipes
    from tinymeta.recipes.config import assignments
    from tinymeta.recipes.launch import Wishes, launch

    recipe = recipes.find(options.recipe)
    if (file := options.features) and (recipe.name != "images" or options.data or file.suffix != ".npz"):
        raise UserError("--features names an .npz file that takes the place of --data, in the recipe images")
    changes = assignments(options.set) | ({} if options.iterations is None else {"iterations": str(options.iterations)})
    data = options.features or options.data
    wishes = Wishes(options.out, options.seed, data, options.resume, options.quiet, options.skip_bad_tasks)
    wishes = replace(wishes, workers=options.workers, dask=options.dask, split=options.split)
    launch(recipe, changes, wishes, verb=("run", recipe.name))


def step_through(parser: Parser, arguments: list[str]) -> None:
    """`tinymeta step RECIPE|file.py`."""
    parser.add_argument("target", metavar="RECIPE|file.py", help="sine, sine-first-order, or a script of yours")
    parser.add_argument("--html", type=named, metavar="FILE", help="write the page instead of stepping in the terminal")
    options = parser.parse_args(arguments)
    from tinymeta.view.step_command import main as step

    step(options.target, options.html)


def evaluate_run(parser: Parser, arguments: list[str]) -> None:
    """`tinymeta eval RUN`."""
    from tinymeta.recipes import pretrained

    shipped = ", ".join(pretrained.PREFIX + name for name in pretrained.names())
    parser.add_argument("run", metavar="RUN", help=f"the folder of a run, or one that ships: {shipped}")
    parser.add_argument("--tasks", type=_positive, metavar="N", help="how many fresh tasks")
    _add_task_options(parser)
    parser.add_argument("--quiet", action="store_true", help="no progress; only the table")
    options = parser.parse_args(arguments)
    from tinymeta.recipes.config import assignments
    from tinymeta.recipes.launch import evaluate

    changes = assignments(options.set) | ({} if options.tasks is None else {"tasks": str(options.tasks)})
    shipped_one = options.run.startswith(pretrained.PREFIX)
    folder = pretrained.unpacked(options.run.removeprefix(pretrained.PREFIX)) if shipped_one else named(options.run)
    evaluate(folder, changes, options.data, options.quiet)


def fetch_data(parser: Parser, arguments: list[str]) -> None:
    """`tinymeta data NAME`."""
    parser.add_argument("name", choices=["omniglot"], metavar="NAME", help="omniglot: 1,623 characters (15 MB, MIT)")
    parser.add_argument("--data", type=named, metavar="DIR", help="where to (default: TINYMETA_DATA, else data)")
    parser.add_argument("--minimal", action="store_true", help="also the challenge's two sets of five alphabets (3 MB)")
    options = parser.parse_args(arguments)
    from tinymeta.io.files import told
    from tinymeta.tasks import download_omniglot

    folder = options.data or Path(os.environ.get("TINYMETA_DATA") or "data")
    parts = ("background", "evaluation", *(["small1", "small2"] if options.minimal else []))
    with told(folder):
        paths = download_omniglot(folder, parts)
    print(*(visible(str(path)) for path in paths), sep="\n")
    print(visible(f"next:     tinymeta run omniglot --data {shlex.quote(str(folder))}"))


def warm_up(parser: Parser, arguments: list[str]) -> None:
    """`tinymeta warmup`."""
    parser.parse_args(arguments)
    import tinymeta_kernels

    tinymeta_kernels.warmup()


def _add_run_options(parser: Parser) -> None:
    parser.add_argument("--iterations", type=_count, metavar="N", help="meta-iterations")
    parser.add_argument("--seed", type=_count, metavar="N", help="seed of everything random (default 0)")
    parser.add_argument("--out", type=named, metavar="DIR", help="folder to write (default: runs/RECIPE-N)")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out, or the latest one")
    parser.add_argument("--quiet", action="store_true", help="no progress; only the table")


def _add_task_options(parser: Parser) -> None:
    parser.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="key=value", help="change keys of the recipe"
    )
    parser.add_argument("--data", type=named, metavar="DIR", help="folder of data (default: TINYMETA_DATA)")


def _explain_keys(parser: Parser, arguments: list[str]) -> None:
    """Let `tinymeta run RECIPE --help` list that recipe's keys."""
    if arguments and {"-h", "--help"} & set(arguments[1:]):
        from tinymeta import recipes
        from tinymeta.recipes.config import describe

        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        recipe = recipes.find(arguments[0])
        parser.description = f"{recipe.name}: {recipe.idea}"
        parser.epilog = f"keys, with their defaults (change them by --set):\n{describe(recipe.config)}"


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number, 0 or more, not '{text}'")
    return int(text)


def _positive(text: str) -> int:
    if _count(text) == 0:
        raise argparse.ArgumentTypeError("must be 1 or more, not '0'")
    return int(text)
