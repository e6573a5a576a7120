"""Objects that are their settings: what they have recorded for themselves isn't copied or sent, but made anew."""

from __future__ import annotations

from dataclasses import fields
from typing import Any


class Settings:
    """Base class of a dataclass with compiled programs in cached properties."""

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
