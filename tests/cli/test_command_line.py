"""The command line: verbs, one sentence per mistake, Ctrl-C, and nothing imported that is not used."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import warnings
from importlib import import_module
from pathlib import Path

import pytest

from tests.recipes import toy_recipe
from tests.recipes.toy_console import Command
from tinymeta import cli, recipes

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "kernels")))}
TOY = (sys.executable, "-m", "tests.recipes.toy_recipe")


def one_sentence(text: str) -> bool:
    return text.startswith("tinymeta: ") and text.count("\n") == 1 and text.endswith("\n")


def test_list_names_every_recipe_with_its_idea(tinymeta: Command) -> None:
    lines = tinymeta("list").out.splitlines()
    assert [line.split(maxsplit=1) for line in lines] == [[n, e.idea] for n, e in recipes.RECIPES.items()]


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_a_recipe_says_the_same_of_itself_as_the_table(name: str) -> None:
    recipe = recipes.find(name)
    assert (recipe.name, recipe.idea) == (name, recipes.RECIPES[name].idea)


@pytest.mark.parametrize("verb", cli.VERBS)
def test_a_verb_of_the_table_exists_and_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main([verb, "--help"])
    assert stop.value.code == 0
    assert cli.VERBS[verb].help in capsys.readouterr().out


def test_help_and_list_import_no_recipe_no_plots_and_no_compiler() -> None:
    program = (
        "import sys; from tinymeta.cli import main; main(['list'])\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(*(name for name in sys.modules), sep='\\n', file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    heavy = {"rich", "matplotlib", "numba", "scipy", "tinymeta.recipes.run"}
    assert "tinymeta.cli" in loaded
    assert not loaded & {*heavy, *(entry.module for entry in recipes.RECIPES.values())}


def test_without_a_verb_the_main_job_gets_the_options(tinymeta: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, object] = {}
    module = type(sys)("tinymeta.recipes.main_job")
    monkeypatch.setattr(module, "main", lambda **options: asked.update(options), raising=False)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(recipes, "main_job", module, raising=False)
    assert tinymeta("--iterations", "7", "--seed", "3", "--out", "here", "--quiet").status == 0
    assert asked == {"out": Path("here"), "iterations": 7, "seed": 3, "quiet": True, "resume": False}


def test_version_is_the_packages(tinymeta: Command) -> None:
    import tinymeta as package

    assert tinymeta("--version").out == f"tinymeta {package.__version__}\n"


def test_help_of_a_recipe_lists_its_keys_with_defaults(capsys: pytest.CaptureFixture[str], tinymeta: Command) -> None:
    with pytest.raises(SystemExit):
        cli.main(["run", "toy", "--help"])
    out = capsys.readouterr().out
    assert toy_recipe.IDEA in out
    assert "rule=sgd" in out and "update rule (sgd | adam)" in out and "widths=4,4" in out


MISTAKES = {
    "an unknown command": (("rum", "toy"), "did you mean 'run'"),
    "a recipe without run": (("toy",), "`tinymeta run toy`"),
    "an unknown recipe": (("run", "toi"), "did you mean 'toy'"),
    "no recipe": (("run",), "required: RECIPE"),
    "an unknown option": (("run", "toy", "--lr", "1"), "unrecognized arguments: --lr 1"),
    "an unknown key": (("run", "toy", "--set", "shot=2"), "did you mean 'shots'?); its keys are iterations, tasks, lr"),
    "no assignment": (("run", "toy", "--set", "shots"), "key=value, not 'shots'"),
    "no number": (("run", "toy", "--set", "lr=fast"), "lr must be a number, not 'fast'"),
    "not a number": (("run", "toy", "--set", "lr=nan"), "lr must be a number, not 'nan'"),
    "half an example": (("run", "toy", "--set", "shots=1.5"), "shots must be a whole number, not '1.5'"),
    "no shots": (("run", "toy", "--set", "shots=0"), "shots must be 1 or more, not 0"),
    "no yes or no": (("run", "toy", "--set", "images=perhaps"), "images must be yes or no, not 'perhaps'"),
    "no list": (("run", "toy", "--set", "widths=4,x"), "widths must be a whole number, not 'x'"),
    "an unknown choice": (("run", "toy", "--set", "rule=sdg"), "one of sgd, adam, not 'sdg' (did you mean 'sgd'?)"),
    "negative iterations": (("run", "toy", "--iterations", "-5"), "--iterations: must be a whole number, 0 or more"),
    "iterations in words": (("run", "toy", "--iterations", "many"), "--iterations: must be a whole number, 0 or more"),
    "negative iterations as a key": (("run", "toy", "--set", "iterations=-5"), "iterations must be 0 or more, not -5"),
    "no workers": (("run", "toy", "--workers", "0"), "--workers: must be 1 or more"),
    "an output folder that is a file": (("run", "toy", "--out", "file"), "--out file is a file"),
    "an output folder below a file": (("run", "toy", "--out", "file/run"), "a file stands where a folder is needed"),
    "a missing data folder": (("run", "toy", "--data", "nowhere"), "no folder or file nowhere"),
    "more shots than examples": (("run", "toy", "--set", "images=yes", "shots=4"), "lower shots or query"),
    "a data folder without data": (
        ("run", "toy", "--set", "images=yes", "--data", "empty"),
        "neither images_background.zip",
    ),
    "an archive that is none": (("run", "toy", "--set", "images=yes", "--data", "broken"), "not a whole zip archive"),
    "evaluating nothing": (("eval", "nowhere"), "nowhere is no folder of a run"),
    "evaluating another folder": (("eval", "empty"), "empty holds no run (there is no config.json)"),
    "evaluating a foreign config": (("eval", "foreign"), "no configuration of a run"),
    "resuming nothing": (("run", "toy", "--resume"), "runs/ holds no run of toy to resume"),
    "resuming another folder": (("run", "toy", "--resume", "--out", "empty"), "empty holds no run"),
}


@pytest.mark.parametrize("arguments, sentence", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_costs_one_sentence_and_status_2(
    tinymeta: Command, tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    (tmp_path / "file").write_text("mine")
    for folder in ("empty", "broken", "foreign"):
        (tmp_path / folder).mkdir()
    (tmp_path / "broken" / "images_background.zip").write_text("no archive")
    (tmp_path / "foreign" / "config.json").write_text('{"learning_rate": 1}')
    status, out, err = tinymeta(*arguments, *(["--quiet"] if arguments[0] in ("run", "eval") else []))
    assert (status, out) == (2, "")
    assert one_sentence(err) and sentence in err
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())
    assert (tmp_path / "file").read_text() == "mine"


def test_a_process_with_a_mistake_ends_with_status_2_and_no_traceback(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tinymeta", "run", "sinus"],
        env=ENVIRONMENT,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert one_sentence(done.stderr) and "did you mean 'sine'" in done.stderr


def test_a_bug_keeps_its_traceback(tinymeta: Command) -> None:
    with pytest.raises(ZeroDivisionError):
        tinymeta("run", "toy", "--set", "end=bug")


ASKING = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]


@pytest.mark.parametrize("asked", ASKING)
def test_who_asks_to_end_gets_a_checkpoint_and_the_line_that_resumes(
    tmp_path: Path, tinymeta: Command, asked: signal.Signals
) -> None:
    command = [*TOY, "run", "toy", "--out", "a run", "--set", "end=wait"]
    heeding = lambda: signal.signal(asked, signal.SIG_DFL)  # a suite in the background may ignore it
    with subprocess.Popen(
        command, env=ENVIRONMENT, cwd=tmp_path, stderr=subprocess.PIPE, text=True, preexec_fn=heeding
    ) as process:
        assert process.stderr is not None
        assert any(line == "waiting\n" for line in process.stderr)
        process.send_signal(asked)
        err = process.stderr.read()
    assert process.returncode == 128 + asked
    assert err.endswith("\n  tinymeta run toy --out 'a run' --resume\n") and "Traceback" not in err
    assert (tmp_path / "a run" / "checkpoint.npz").exists()
    assert tinymeta("run", "toy", "--out", "a run", "--resume").status == 0


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="terminals hang up on POSIX systems")
def test_a_terminal_that_is_gone_is_not_written_to(tmp_path: Path) -> None:
    import pty

    child, terminal = pty.fork()
    if child == 0:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # a suite in the background may ignore it
        os.chdir(tmp_path)
        os.execve(sys.executable, [*TOY, "run", "toy", "--out", "here", "--set", "end=wait"], ENVIRONMENT)
    said = b""
    while b"waiting" not in said:
        said += os.read(terminal, 1000)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 128 + signal.SIGHUP
    assert (tmp_path / "here" / "checkpoint.npz").exists()


def test_a_signal_that_is_ignored_stays_so_and_handlers_are_given_back(tinymeta: Command) -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with cli._signals_like_ctrl_c():
            signal.raise_signal(signal.SIGTERM)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with pytest.raises(KeyboardInterrupt), cli._signals_like_ctrl_c():
            signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_killed_and_resumed_run_equals_one_that_was_not(tmp_path: Path, tinymeta: Command) -> None:
    killed = subprocess.run(
        [*TOY, "run", "toy", "--set", "end=kill"], env=ENVIRONMENT, cwd=tmp_path, stderr=subprocess.PIPE
    )
    assert killed.returncode == -signal.SIGKILL
    # Two iterations beyond the checkpoint of iteration 10 were logged, and half a line as a crash may leave it.
    metrics = tmp_path / "runs" / "toy-1" / "metrics.jsonl"
    assert len(metrics.read_text().splitlines()) == 12
    metrics.write_text(metrics.read_text() + '{"iteration": 13, "lo')
    assert tinymeta("run", "toy", "--resume").status == 0
    assert tinymeta("run", "toy").status == 0
    resumed, whole = (tmp_path / "runs" / f"toy-{n}" for n in (1, 2))
    assert read_losses(resumed) == read_losses(whole) and len(read_losses(whole)) == 20
    one, other = (json.loads((run / "result.json").read_text())["metrics"] for run in (resumed, whole))
    assert one == other


def read_losses(run: Path) -> list[tuple[int, float]]:
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [(line["iteration"], line["loss"]) for line in lines]


def test_quiet_prints_the_table_alone(tinymeta: Command) -> None:
    status, out, err = tinymeta("run", "toy", "--quiet")
    assert (status, err) == (0, "") and "published" in out


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    with open(write, "w") as pipe:
        done = subprocess.run(
            [*TOY, "list"], env=ENVIRONMENT, cwd=tmp_path, stdout=pipe, stderr=subprocess.PIPE, text=True
        )
    assert (done.returncode, done.stderr) == (0, "")


def test_modules_named_by_verbs_are_importable() -> None:
    for verb in cli.VERBS.values():
        module, _, function = verb.target.partition(":")
        assert callable(getattr(import_module(module), function))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full is Linux's")
def test_an_output_without_room_is_told_in_a_sentence() -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([*TOY, "list"], env=ENVIRONMENT, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2 and one_sentence(done.stderr) and "can't write the output" in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="a stream is closed as POSIX shells do")
def test_a_closed_output_is_no_bug() -> None:
    command = shlex.join([*TOY, "list"])
    done = subprocess.run(["sh", "-c", f"{command} >&-"], env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_home_that_the_shell_has_left_is_found(
    tinymeta: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert tinymeta("run", "toy", "--out=~/run", "--quiet").status == 0
    assert (tmp_path / "home/run/result.json").exists() and not Path("~").exists()
    assert tinymeta("eval", "~/run", "--quiet").status == 0


def test_a_warning_is_a_sentence_and_silent_with_quiet(tinymeta: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "list_recipes", lambda *_: warnings.warn("something \x1b[31modd", stacklevel=1))
    assert one_sentence(tinymeta("list").err)
    assert tinymeta("list", "--quiet").err == ""


def test_sizes_beyond_all_sense_are_refused(tinymeta: Command) -> None:
    for recipe in ("images", "challenge"):
        status, _, err = tinymeta("run", recipe, "--set", "size=100000")
        assert status == 2 and one_sentence(err) and "size must be at most 512" in err
