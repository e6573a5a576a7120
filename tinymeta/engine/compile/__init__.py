"""`tm.compile`: record once, tidy the program, plan its memory, replay. Read compiled.py, then record.py."""

from tinymeta.engine.compile.compiled import compile as compile
