"""`tinymeta step`: trace a script or a built-in program, then step through it, or write its page."""

from __future__ import annotations

from pathlib import Path

from tinymeta.view.trace_program import trace_file, trace_program


def main(target: str, html: Path | None = None) -> None:
    """Step through a script (a file's name) or a built-in program in the terminal, or write its page.

    Raises: UserError where there is no such target; or the script failed, after its steps until then have been shown.
    """
    trace, failure = trace_file(Path(target)) if Path(target).suffix == ".py" else (trace_program(target), None)
    if html is not None:
        trace.html(html)
        print(f"wrote {html}")
    else:
        trace.step()
    if failure is not None:
        raise failure
