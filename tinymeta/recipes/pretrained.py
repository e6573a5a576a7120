"""Runs that ship with the package: `tinymeta eval pretrained:sine-maml`.

Each is a `.safetensors` file in `weights/`: the meta-parameters of a finished run, and in its metadata the
recipe, its config and the command that made it. Evaluation unpacks one into a run's folder like any other.
"""

from __future__ import annotations

import json
from pathlib import Path

from tinymeta.engine.errors import UserError
from tinymeta.io.files import write_text
from tinymeta.io.save import contents, save
from tinymeta.recipes.run import recorded

PREFIX = "pretrained:"
WEIGHTS = Path(__file__).parent / "weights"
LARGEST = 200_000  # bytes of a file that ships


def names() -> list[str]:
    """The runs that ship, by name."""
    return sorted(file.stem for file in WEIGHTS.glob("*.safetensors"))


def unpacked(name: str) -> Path:
    """The folder `runs/pretrained-NAME` with the run's config and checkpoints; what it holds already stays.

    Raises: UserError where no run of this name ships.
    """
    if name not in names():
        raise UserError(f"no run called '{name}' ships with tinymeta: there are {', '.join(names())}")
    file = WEIGHTS / f"{name}.safetensors"
    folder = Path("runs") / f"pretrained-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    arrays, texts = contents(file)
    for checkpoint in {key.partition("/")[0] for key in arrays}:
        parts = {key.partition("/")[2]: a for key, a in arrays.items() if key.startswith(f"{checkpoint}/")}
        save(folder / f"{checkpoint}.npz", parts)
    write_text(folder / "config.json", texts["run"])  # last: its presence makes the folder a run's
    return folder


def pack(run: Path, name: str) -> Path:
    """Write the meta-parameters of a finished run to `weights/NAME.safetensors`.

    Raises: UserError where the folder holds no finished run, or its meta-parameters take more than 200 kB.
    """
    config = recorded(run)
    if not (run / "result.json").is_file():
        raise UserError(f"{run} holds no finished run: only finished ones ship")
    if config["data"]:  # where it lay on the machine that trained
        config["command"], config["data"] = config["command"].replace(config["data"], "DATA"), None
    arrays = {
        f"{file.stem}/{key}": a
        for file in sorted(run.glob("checkpoint*.npz"))
        for key, a in contents(file)[0].items()
        if key.startswith("phi")
    }
    size = sum(a.nbytes for a in arrays.values())
    if size > LARGEST:
        raise UserError(f"the meta-parameters of {run} take {size} bytes, and at most {LARGEST} ship")
    file = WEIGHTS / f"{name}.safetensors"
    save(file, arrays, {"run": json.dumps(config)})
    return file
