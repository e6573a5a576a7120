"""How a run gets among those that ship: `python -m tests.recipes.packing RUN NAME` writes it to their folder."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tinymeta.engine.errors import UserError
from tinymeta.io.save import contents, save
from tinymeta.recipes import pretrained
from tinymeta.recipes.run import recorded

LARGEST = 200_000  # bytes of a file that ships


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
    file = pretrained.WEIGHTS / f"{name}.safetensors"
    save(file, arrays, {"run": json.dumps(config)})
    return file


if __name__ == "__main__":
    print(pack(Path(sys.argv[1]), sys.argv[2]))
