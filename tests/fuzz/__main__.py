"""`python -m tests.fuzz networks`, `arrays`, `programs` or `all`: random programs, and exit 1 if any is wrong."""

from __future__ import annotations

import argparse
import secrets
import signal
import sys
import time
import traceback
from collections import Counter
from importlib import import_module

from tests.fuzz.agreement import Refused
from tests.fuzz.shrink import shrunk

KINDS = {"networks": "networks", "arrays": "arrays", "programs": "builder"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("kind", choices=[*KINDS, "all"], help="what to draw; all: each in turn")
    parser.add_argument("--seed", type=int, help="of the first one; those that follow count up (random if left out)")
    parser.add_argument("--count", type=int, default=sys.maxsize, help="how many (of each kind)")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="how long (for each kind)")
    parser.add_argument("--keep", type=int, default=10, help="how many failures to make shorter and show")
    given = parser.parse_args()
    _bound_memory()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what came is told then, too
    seed = secrets.randbelow(1 << 40) if given.seed is None else given.seed
    kinds = list(KINDS) if given.kind == "all" else [given.kind]
    try:
        return max(run(kind, seed, given.count, given.minutes, given.keep) for kind in kinds)
    except BrokenPipeError:
        return 1


def run(kind: str, seed: int, count: int, minutes: float, keep: int = 10) -> int:
    """Check `count` cases of a kind from `seed` on; what came, and what is wrong, is printed."""
    module = import_module(f"tests.fuzz.{KINDS[kind]}")
    until = time.monotonic() + 60 * minutes
    came: Counter[str] = Counter()
    wrong, refused, tried = 0, 0, 0
    print(f"python -m tests.fuzz {kind} --seed {seed}", flush=True)
    try:
        while tried < count and time.monotonic() < until:
            case = module.draw(seed + tried)
            tried += 1
            try:
                said = case.check()
            except (Refused, MemoryError) as error:
                refused += 1
                came[f"refused: {str(error)[:60]}"] += 1
                continue
            except Exception:
                traceback.print_exc()
                said = "the check itself raises"
            came.update(set(case.names()))
            if said:
                wrong += 1
                print(f"\nWRONG {kind} --seed {seed + tried - 1} --count 1: {said}", flush=True)
                if wrong <= keep and "itself" not in said:
                    case = shrunk(case)
                    print(f"{case.check()}\n{case.text()}", flush=True)
    except KeyboardInterrupt:
        print("stopped")
    print("\n".join(f"{n:8} {name}" for name, n in sorted(came.items())))
    print(
        f"{kind}: {tried} drawn, {refused} refused, {tried - refused} compared, wrong {wrong} (--seed {seed})",
        flush=True,
    )
    return int(wrong > 0)


def _bound_memory(most: int = 8 << 30) -> None:
    """A program that asks for too much raises a MemoryError instead of taking the machine with it."""
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))


if __name__ == "__main__":
    sys.exit(main())
