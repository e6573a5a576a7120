"""Runs that ship with the package: `tinymeta eval pretrained:sine-maml`.

Each is a `.safetensors` file in `weights/`: the meta-parameters of a finished run, and in its metadata the
recipe, its config and the command that made it. Evaluation unpacks one into a run's folder like any other.
"""

from __future__ import annotations

from pathlib import Path

from tinymeta.engine.errors import UserError
from tinymeta.io.files import write_text
from tinymeta.io.save import contents, save

PREFIX = "pretrained:"
WEIGHTS = Path(__file__).parent / "weights"


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
