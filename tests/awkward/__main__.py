"""`python -m tests.awkward`: the table of what is awkward, and what comes of it; 1 is returned if any isn't well."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.awkward import commands, files, pictures
from tests.awkward.cases import Refused, Says

ROOMS = {"pictures": pictures.CASES, "files": files.CASES, "commands": commands.CASES}
WORDS = {Refused: "refused: … ", Says: "read, and told: … "}


def main() -> int:
    wrong = 0
    for room, cases in ROOMS.items():
        for title, case in cases.items():
            with tempfile.TemporaryDirectory() as folder:
                place = Path(folder) / "it"
                place.mkdir()
                found = case.came_to(place)
            wrong += bool(found)
            well = f"{WORDS[type(case.expected)]}{case.expected}" if type(case.expected) in WORDS else "read as it is"
            print(f"{room:9} {title:45} {f'WRONG: {found}' if found else well}", flush=True)
    commands.forget()
    tried = sum(map(len, ROOMS.values()))
    print(f"{tried - wrong} of {tried} came out well")
    return int(wrong > 0)


if __name__ == "__main__":
    raise SystemExit(main())
