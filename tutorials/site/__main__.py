"""`python -m tutorials.site` builds the documentation site into `build/site`; `pip install -e ".[all,docs]"` brings what it takes.

Lessons run once: what they printed is kept beside the site until their code, or tinymeta's, is another.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import shutil
import sys
from pathlib import Path

from tutorials.site import course, front, gallery, reference, runs
from tutorials.site.pages import FILES, ROOT, Site

HERE = Path(__file__).resolve().parent


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tutorials.site", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "site", help="the folder to write (build/site)")
    out = parser.parse_args().out.resolve()
    work = out.parent / f"{out.name}-work"
    source, kept = work / "source", work / "kept" / _digest()
    (kept / "extra" / "traces").mkdir(parents=True, exist_ok=True)
    for old in (out, source, work / "doctrees"):
        shutil.rmtree(old, ignore_errors=True)
    _surround(work / "ipython", kept / "extra" / "traces")
    if not (kept / "runs.json").is_file():
        (kept / "runs.json").write_text(json.dumps(runs.computed()), encoding="utf-8")
    write(pages((kept / "runs.json").read_text(encoding="utf-8")), source)

    from sphinx.cmd.build import main as build

    paths = {"nb_execution_cache_path": kept / "cells", "html_extra_path": kept / "extra"}
    options = ["-W", "--keep-going", "-q", "-c", str(HERE), "-d", str(work / "doctrees")]
    options += [word for key, value in paths.items() for word in ("-D", f"{key}={value}")]
    return build([*options, str(source), str(out)])


def pages(found: str) -> Site:
    """All pages, and what stands beside them; `found` is what the page with sliders shows."""
    site = Site()
    for part in (course, reference, gallery):
        part.add(site)
    runs.add(site, found)
    for page, file in FILES.items():
        site.add(page, (ROOT / file).read_text(encoding="utf-8"), file)
    front.add(site)
    site.write_sources()
    return site


def write(site: Site, source: Path) -> None:
    """The pages as files."""
    texts = {f"{page}.md": text for page, text in site.pages.items()}
    texts |= {f"{page}.ipynb": text for page, text in site.notebooks.items()}
    for name, text in texts.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text, encoding="utf-8")
    for name, image in site.images.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(image, source / name)


def _surround(ipython: Path, traces: Path) -> None:
    """What the lessons run in: this checkout, no settings of the user's, and a kernel that says nothing of itself."""
    settings = ipython / "profile_default" / "ipython_kernel_config.py"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text("get_config().IPKernelApp.log_level = 40\n", encoding="utf-8")
    logging.getLogger("traitlets").setLevel(logging.WARNING)
    os.environ |= {"IPYTHONDIR": str(ipython), "TINYMETA_TRACES": str(traces), "COLUMNS": "88", "NO_COLOR": "1"}
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "kernels")])


def _digest() -> str:
    """A name for what the lessons run on, and their trace pages are made of."""
    files = [file for room in ("tinymeta", "kernels") for file in sorted((ROOT / room).rglob("*.*"))]
    files = [file for file in files if file.suffix in (".py", ".html", ".css", ".js")]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


if __name__ == "__main__":
    sys.exit(main())
