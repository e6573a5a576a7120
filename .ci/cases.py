"""Run the programs that were wrong once, where they lie beside the project; exit 1 if one is wrong still.

Usage: python .ci/cases.py FOLDER, which holds `compile/` and `engine/`. Each program exits 0 when what it checks is
right. They run two at a time, none for longer than LIMIT seconds.
"""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

LIMIT = 300
INFORM = {"common", "e_observer", "f_verify", "h_coverage", "r07_variants_grow", "r13_masked_row_poisons"}
# These call a check that has to fail on what they plant: they are right when it ends them with its own words.
CAUGHT = {
    "s_c13_check_primitive_never_broadcasts_the_second": "AssertionError: P2 fails",
    "s_c15_check_grad_lets_kernels_write": "AssertionError: the kernel of double wrote into its input 0",
}


def run(program: Path) -> tuple[str, str]:
    """The verdict on one program, and the last line it printed."""
    root = Path(__file__).parents[1]
    path = os.pathsep.join([str(root), str(root / "kernels"), str(program.parent)])
    try:
        done = subprocess.run(
            [sys.executable, str(program)],
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT,
        )
    except subprocess.TimeoutExpired:
        return "too long", f"{LIMIT} s"
    last = (done.stdout.strip().splitlines() or [""])[-1]
    right = CAUGHT[program.stem] in done.stdout if program.stem in CAUGHT else done.returncode == 0
    return ("right" if right else f"WRONG ({done.returncode})"), last


def main(folder: Path) -> int:
    programs = [
        p for name in ("compile", "engine") for p in sorted((folder / name).glob("*.py")) if p.stem not in INFORM
    ]
    if not programs:
        print(f"no programs in {folder}/compile and {folder}/engine", file=sys.stderr)
        return 1
    wrong = 0
    with ThreadPoolExecutor(2) as pool:
        for program, (verdict, last) in zip(programs, pool.map(run, programs)):
            wrong += verdict != "right"
            name, note = f"{program.parent.name}/{program.stem}", last[:80] if verdict != "right" else ""
            print(f"{name:62} {verdict:10} {note}".rstrip())
    print(f"{len(programs) - wrong} of {len(programs)} cases are right")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
