"""`python -m tests.site`: build the documentation site, and walk through all of it in a headless Chromium.

Every page: no word on the console, no request to anywhere but the disk, no fault that axe-core finds, in light and in
dark; every link inside of the site leads somewhere. The search finds `hvp`; the page with sliders is used by keyboard
alone. Of the pages that only list a file ten are drawn; `--all` looks at them all. `--built DIR` walks through what is
built already, `--only TEXT` through pages whose name has TEXT in it.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from tests.view.chromium import Page, started

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.site", description=__doc__)
    parser.add_argument("--built", type=Path, help="the site, if it is built already")
    parser.add_argument("--only", default="", help="look at pages whose name has this in it")
    parser.add_argument("--all", action="store_true", help="also at every page that only lists a file")
    given = parser.parse_args()
    begun = time.monotonic()
    built = (given.built or ROOT / "build" / "site").resolve()
    build = [sys.executable, "-m", "tutorials.site", "--out", str(built)]
    if not given.built and subprocess.run(build, cwd=ROOT).returncode:
        print("the site was not built: see above")
        return 1
    print(f"built in {time.monotonic() - begun:.0f} s", flush=True)
    pages = sorted(file for file in built.rglob("*.html") if given.only in file.relative_to(built).as_posix())
    listings = [file for file in pages if file.relative_to(built).parts[0] in ("_modules", "source")]
    drawn = listings if given.all else random.sample(listings, min(10, len(listings)))
    pages = sorted({*pages} - {*listings} | {*drawn})
    faults = [*broken_links(built)]
    try:
        with tempfile.TemporaryDirectory() as profile:
            for browser in started(Path(profile)):
                browser.set_script_timeout(300)
                for file in pages:
                    found = [f"{file.relative_to(built)}: {fault}" for fault in looked_at(browser, file)]
                    print(f"{time.monotonic() - begun:.0f} s {file.relative_to(built)}", flush=True)
                    faults += found
                faults += [*search_faults(browser, built), *slider_faults(browser, built)]
    except pytest.skip.Exception as reason:
        print(f"nobody walked through the site: {reason}")
        return 1
    print(*faults, f"{len(pages)} pages, {len(faults)} faults, {time.monotonic() - begun:.0f} s", sep="\n")
    return bool(faults)


def looked_at(browser: Any, file: Path) -> Iterator[str]:
    """The faults of a page; in the dark its colours are others, and nothing else."""
    page = Page(browser, file)
    yield from noises(page)
    page.js(axe_source())
    yield from violations(page, "light")
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": dark})
    yield from violations(page, "dark", "color-contrast")


def violations(page: Page, ground: str, *rules: str) -> Iterator[str]:
    """What axe-core finds, without asking the disk for style sheets again, and without what is in frames."""
    how = {"resultTypes": ["violations"], "preload": False, "iframes": False} | ({"runOnly": rules} if rules else {})
    run = "const done = arguments[1]; axe.run(document, arguments[0]).then(done, error => done({error: String(error)}))"
    found = page.driver.execute_async_script(run, how)
    for fault in found.get("violations", [{"id": "axe", "help": found.get("error"), "nodes": []}]):
        where = "; ".join(node["html"][:100] for node in fault["nodes"][:3])
        yield f"{ground}, {fault['id']}: {fault['help']} ({len(fault['nodes'])}): {where}"


def noises(page: Page) -> Iterator[str]:
    """What was said on the console, and asked of anybody."""
    yield from (entry["message"] for entry in page.driver.get_log("browser"))
    events = [json.loads(entry["message"])["message"] for entry in page.driver.get_log("performance")]
    for event in events:
        if event["method"] == "Network.requestWillBeSent":
            url = event["params"]["request"]["url"]
            if url.partition(":")[0] not in ("file", "data", "about"):
                yield f"asks {url}"


def axe_source() -> str:
    return files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")


class Targets(HTMLParser):
    """What a page links to, loads, and can be linked at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        self.links += [value for key in ("href", "src") if (value := found.get(key))]
        self.ids |= {value for key in ("id", "name") if (value := found.get(key))}


def broken_links(built: Path) -> Iterator[str]:
    """Links to files or places that aren't there."""
    pages = {file: Targets(file.read_text(encoding="utf-8")) for file in built.rglob("*.html")}
    for file, found in pages.items():
        for link in dict.fromkeys(found.links):
            url = urlsplit(link)
            if url.scheme:
                continue
            target = (file.parent / unquote(url.path)).resolve() if url.path else file
            if not target.is_file():
                yield f"{file.relative_to(built)}: {link} is not there"
            elif url.fragment and target in pages and unquote(url.fragment) not in pages[target].ids:
                yield f"{file.relative_to(built)}: {link} names no place of that page"


def search_faults(browser: Any, built: Path) -> Iterator[str]:
    """The reference of `hvp` is among what the search finds."""
    from selenium.webdriver.support.ui import WebDriverWait

    page = Page(browser, built / "search.html")
    browser.get((built / "search.html").as_uri() + "?q=hvp")
    found = "return [...document.querySelectorAll('#search-results li a')].map(a => a.getAttribute('href'))"
    try:
        WebDriverWait(browser, 30).until(lambda _: any("#tm.hvp" in link for link in page.js(found)))
    except Exception:
        yield f"the search for hvp finds {page.js(found)}"
    yield from (f"the search: {noise}" for noise in noises(page))


def slider_faults(browser: Any, built: Path) -> Iterator[str]:
    """By keyboard: a slider moves, the pictures wait for a guess, and each guess shows them."""
    from selenium.webdriver.common.keys import Keys

    page = Page(browser, built / "explore.html")
    veiled = "return getComputedStyle(document.getElementById('answer')).visibility"
    for key, control in ((Keys.ARROW_RIGHT, "rate"), (Keys.ARROW_RIGHT, "steps"), (Keys.ARROW_LEFT, "rate")):
        before = page.text("error") + page.text("parts") + page.text("counts")
        page.js("document.getElementById(arguments[0]).focus()", control)
        page.press(key)
        if page.js(veiled) != "hidden":
            yield f"{control} moved, and the answer shows before anybody has guessed"
        page.js("document.querySelector('#guesses button').focus()")
        page.press(Keys.ENTER)
        if page.js(veiled) != "visible" or not page.text("verdict"):
            yield f"{control} moved and a guess was made, and nothing shows"
        if page.text("error") + page.text("parts") + page.text("counts") == before:
            yield f"{control} moved, and the numbers are the same"
    yield from (f"the sliders: {noise}" for noise in noises(page))


if __name__ == "__main__":
    sys.exit(main())
