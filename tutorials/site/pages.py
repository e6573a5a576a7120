"""What pages there are, whose text stands where in the repository, and where its links lead.

A page of the repository keeps its text: only the targets of its links change. What is no page of its own (a source file,
a folder, a test) gets one under `source/`, so that everything that is named can be looked at without the repository.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from pathlib import Path

from tinymeta.recipes import claims

ROOT = Path(__file__).resolve().parents[2]
# The pages whose text is a file of the repository.
FILES = {
    "guide/coming_from": "tutorials/coming_from.md",
    "guide/bring_your_own": "tutorials/bring_your_own.md",
    "guide/pictures": "tutorials/pictures.md",
    "guide/workers": "tutorials/workers.md",
    "guide/systems": "tutorials/systems.md",
    "guide/results": "tutorials/results.md",
    "inside/architecture": "ARCHITECTURE.md",
    "inside/kinks": "tutorials/kinks.md",
    "inside/kernels": "kernels/README.md",
    "inside/compile": "tutorials/compile.md",
    "inside/speed": "tutorials/speed.md",
    "project/contributing": "CONTRIBUTING.md",
    "project/changelog": "CHANGELOG.md",
    "project/security": "SECURITY.md",
    "project/environments": "tests/matrix.md",
}
# What stands elsewhere on the site than in a page of its own.
ELSEWHERE = {"README.md": "index", "README.zh-CN.md": "zh/index"}
_CODE = re.compile(r"(^ *(`{3,})[^\n]*\n.*?^ *\2 *$|`[^`\n]+`)", re.M | re.S)
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^()\s]+)\)")
_SCHEME = re.compile(r"[a-z]+:|#")


class Site:
    """The pages as they are written, by name: Markdown and notebooks; and the files that stand beside them."""

    def __init__(self) -> None:
        self.pages: dict[str, str] = {}
        self.notebooks: dict[str, str] = {}
        self.images: dict[str, Path] = {}
        self.sources: set[str] = set()

    def add(self, page: str, text: str, file: str = "") -> None:
        """A page whose text stands in a file of the repository; without one its links are read from the root."""
        self.pages[page] = self.linked(text, file, page)

    def linked(self, text: str, file: str, page: str) -> str:
        """The text of a page with links that lead to pages, those in Chinese to those in Chinese."""
        return _outside_code(text, lambda part: _LINK.sub(lambda m: self._link(m, file, page.startswith("zh/")), part))

    def _link(self, found: re.Match[str], file: str, chinese: bool) -> str:
        picture, words, target = found.groups()
        if _SCHEME.match(target) or target.startswith("/"):
            return found[0]
        path, _, anchor = target.partition("#")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(file), path))
        if not (ROOT / path).exists():
            raise SystemExit(f"{file} links to {path}, which isn't there")
        if picture:
            self.images[f"images/{Path(path).name}"] = ROOT / path
            return f"![{words}](/images/{Path(path).name})"
        if path.startswith("tutorials/results/") and path.endswith(".json"):
            return f"[{words}](#{Path(path).stem}-{anchor or 'claim'})"
        page = self.page_of(path)
        page = f"zh/{page}" if chinese and f"zh/{page}".removesuffix(".ipynb") in self.notebooks else page
        return f"[{words}](/{page}{'#' + anchor if anchor else ''})"

    def page_of(self, path: str) -> str:
        """The page of a file or a folder of the repository, with its suffix."""
        for page, file in FILES.items():
            if file == path:
                return f"{page}.md"
        if path in ELSEWHERE:
            return f"{ELSEWHERE[path]}.md"
        if lesson := re.fullmatch(r"tutorials/(\d\d_\w+)\.py", path):
            return f"course/{lesson[1]}.ipynb"
        self.sources.add(path)
        return f"{_source_page(path)}.md"

    def write_sources(self) -> None:
        """A page for each file or folder that some page names, and one that lists them."""
        for path in sorted(self.sources):
            self.pages[_source_page(path)] = _source(ROOT / path)
        listed = "\n".join(f"{path} </{_source_page(path)}>" for path in sorted(self.sources))
        self.pages["source/index"] = f"# Files\n\nFiles of the repository that pages name.\n\n{toctree(listed)}"


def _source_page(path: str) -> str:
    return f"source/{path.replace('.', '_')}"


def toctree(entries: str, *options: str) -> str:
    return "```{toctree}\n" + "".join(f"{option}\n" for option in options) + f"{entries}\n```\n"


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    """`change` what is neither in a block of code nor between backticks; a link's own words may hold code."""
    kept: list[str] = []

    def put_away(found: re.Match[str]) -> str:
        kept.append(found[0])
        return f"\0{len(kept) - 1}\0"

    return re.sub(r"\0(\d+)\0", lambda m: kept[int(m[1])], change(_CODE.sub(put_away, text)))


def _source(path: Path) -> str:
    """A file as it stands, or what is in a folder. Searches pass it by: they find what it says in the pages about it."""
    name = path.relative_to(ROOT).as_posix()
    if path.is_dir():
        body = "\n".join(f"- `{child.name}`" for child in sorted(path.iterdir()) if child.suffix in (".py", ".md"))
    else:
        language = {".py": "python", ".toml": "toml"}.get(path.suffix, "text")
        body = f"``````{language}\n{path.read_text(encoding='utf-8')}``````"
    return f"---\nno-search: true\n---\n\n# {name}\n\n{body}\n"


def claim_names(name: str) -> list[str]:
    """What pages may name of a claim: `results/NAME.json#…`."""
    return [*claims.load(name).numbers, "seeds", "commit", "seconds", "memory", "command", "claim"]
