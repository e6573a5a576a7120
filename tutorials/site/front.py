"""The first page of each language, which begins as its README does, and the course's; the menu stands on the first."""

from __future__ import annotations

from tutorials.site.pages import ROOT, Site, toctree

MENU = {
    "Learn": ["course/index", "explore", "guide/coming_from"],
    "Use": [
        "gallery/index",
        "guide/systems",
        "guide/results",
        "guide/bring_your_own",
        "guide/pictures",
        "guide/workers",
    ],
    "Look up": ["reference/index"],
    "Inside": ["inside/architecture", "inside/kernels", "inside/compile", "inside/speed", "inside/kinks"],
    "Project": [
        "project/contributing",
        "project/changelog",
        "project/security",
        "project/environments",
        "source/index",
    ],
    "中文": ["首页与课程 </zh/index>"],
}
LEADS = """## Where to go

- [The course](/course/index.md): seventeen lessons with exercises, from sixty lines that differentiate twice to a meta-learner of your own.
- [Predict, then look](/explore.md): sliders over trained runs, for whoever says first what will happen.
- [Coming from PyTorch, JAX or learn2learn](/guide/coming_from.md): name by name, and what differs.
- [Recipes](/gallery/index.md): what was measured, how, and how to run it again. [Which one, when](/guide/systems.md).
- [Reference](/reference/index.md): every public name, with shapes, errors and examples that the tests run.
- [Architecture](/inside/architecture.md), [kernels](/inside/kernels.md), [what compile promises](/inside/compile.md), [speed](/inside/speed.md).

"""


def add(site: Site) -> None:
    """English: what README shows on one screen, and where to go. Chinese: README whole, and the lessons."""
    english, chinese = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh-CN.md"))
    start, _, rest = english.partition("\n## Lessons\n")
    course, _, _ = rest.partition("\n## ")
    menus = [toctree(_listed(pages), ":hidden:", f":caption: {title}") for title, pages in MENU.items()]
    site.add("index", f"{start}\n{LEADS}" + "\n".join(menus), "README.md")
    lessons = [page for page in site.notebooks if page.startswith("course/")]
    site.add("course/index", f"# The course\n\n{course}\n\n{toctree(_listed(lessons), ':hidden:')}", "README.md")
    translated = [page for page in site.notebooks if page.startswith("zh/")]
    site.add("zh/index", f"{chinese}\n\n{toctree(_listed(['zh/explore', *translated]), ':hidden:')}", "README.zh-CN.md")


def _listed(pages: list[str]) -> str:
    return "\n".join(page if page.endswith(">") else f"/{page}" for page in pages)
