"""What a run was really trained with, whatever a later command says: its keys, and how far it came."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

import tinymeta as tm
from tinymeta.engine.errors import UserError
from tinymeta.io.save import metadata
from tinymeta.recipes.config import written


def check_later(folder: object, before: Any, now: Any) -> None:
    """Refuse to measure a run as one that was trained in another way. Raises: UserError."""
    measured = {e.name for e in fields(now) if e.metadata["later"] or e.name == "tasks" or e.name.startswith("test_")}
    for entry in fields(now):
        was, asked = getattr(before, entry.name), getattr(now, entry.name)
        if was != asked and entry.name not in measured:
            raise UserError(
                f"{folder} was trained with {entry.name}={written(was)}, and eval can't make that {written(asked)}: "
                f"train anew for it; eval takes {', '.join(sorted(measured)) or 'no keys'}"
            )


def reached(config: Any, folder: Path) -> tuple[Any, dict[str, str]]:
    """The config with as many iterations as were taken, and what to say of trainings that were stopped before the end.

    Checkpoints that ship, and those of a recipe with loops of its own, don't say how far they have come.
    """
    told: dict[str, str] = {}
    for file in sorted(folder.glob("checkpoint*.npz")):
        with suppress(UserError, ValueError):
            done = int(tm.load(file, np.int64(0), within="iteration"))
            asked = json.loads(metadata(file).get("settings", "{}")).get("iterations", done)
            if done < asked:
                name = file.stem.removeprefix("checkpoint").removeprefix("-") or "training"
                told[f"stopped: {name}"] = f"after {done:,} of {asked:,.0f} iterations"
                if asked == getattr(config, "iterations", None):
                    config = replace(config, iterations=done)
    return config, told
