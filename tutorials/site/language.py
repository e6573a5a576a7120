"""Each page knows its language, and where it stands in the other one; and what the theme forgets to say is said."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

# Of the theme's pages: headings that say no level, landmarks without a name, and empty cells as headings.
MENDED = {
    '<p class="caption" role="heading">': '<p class="caption" role="heading" aria-level="2">',
    '<aside class="sidebar-drawer">': '<aside class="sidebar-drawer" aria-label="Site">',
    '<aside class="toc-drawer">': '<aside class="toc-drawer" aria-label="Page">',
    '<th class="head"><p></p></th>': "<td></td>",
}


def setup(app: Any) -> None:
    app.connect("html-page-context", _context)
    app.connect("build-finished", _mend)


def other(page: str, pages: Any) -> str:
    """The same page in the other language; where there is none, that language's first page."""
    if page.startswith("zh/"):
        return page[3:] if page[3:] in pages else "index"
    return f"zh/{page}" if f"zh/{page}" in pages else "zh/index"


def _context(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    chinese = page.startswith("zh/")
    context["language"] = "zh-CN" if chinese else "en"
    if "body" in context:
        there = context["pathto"](other(page, app.env.all_docs))
        word, code = ("English", "en") if chinese else ("中文", "zh-CN")
        context["body"] = f'<p class="language"><a href="{there}" lang="{code}">{word}</a></p>' + context["body"]


def _mend(app: Any, problem: Exception | None) -> None:
    (Path(app.outdir) / "_modules" / "index.html").unlink(missing_ok=True)  # a list of files, to which nothing leads
    for file in Path(app.outdir).rglob("*.html"):
        text = file.read_text(encoding="utf-8")
        mended = re.sub("|".join(map(re.escape, MENDED)), lambda m: MENDED[m[0]], text)
        if mended != text:
            file.write_text(mended, encoding="utf-8")
