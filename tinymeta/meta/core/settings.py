"""Objects that are their settings: what they have recorded for themselves isn't copied or sent, but made anew."""

from __future__ import annotations


class Settings:
    """Base class of a dataclass with compiled programs in cached properties."""

    def __getstate__(self) -> dict[str, object]:
        fields = vars(type(self))["__dataclass_fields__"]
        return {name: x for name, x in vars(self).items() if name in fields}
