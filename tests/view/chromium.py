"""The page in a real Chromium, driven by selenium: how to open it, press keys in it and look at it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


def started(profile: Path) -> Iterator[Any]:
    """A headless Chromium; the test is skipped where there is none, or no selenium to drive it."""
    webdriver = pytest.importorskip(
        "selenium.webdriver", reason="selenium is not installed: pip install tinymeta[test]"
    )
    from selenium.webdriver.chrome.service import Service

    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    browser, driver = next(filter(None, map(shutil.which, names)), None), shutil.which("chromedriver")
    if not (browser and driver):
        pytest.skip("no Chromium with its chromedriver on the PATH; in Debian: apt install chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless", "--disable-gpu", "--disable-background-networking", f"--user-data-dir={profile}"):
        options.add_argument(argument)
    if os.name == "posix" and os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # for root Chromium has no sandbox
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chromium = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield chromium
    finally:
        chromium.quit()


class Page:
    """An open page, and the few things that the tests do with it."""

    def __init__(self, driver: Any, file: Path, width: int = 1280, dark: bool = False) -> None:
        self.driver = driver
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        driver.get("about:blank")
        for log in ("browser", "performance"):
            driver.get_log(log)
        driver.get(file.as_uri())

    def js(self, code: str, *arguments: object) -> Any:
        """What a piece of JavaScript returns in the page."""
        return self.driver.execute_script(code, *arguments)

    def press(self, *keys: str) -> None:
        """Press keys, wherever the focus is."""
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)

    def click(self, selector: str) -> None:
        self.driver.find_element("css selector", selector).click()

    def text(self, name: str) -> str:
        """The text of the element with this id."""
        return str(self.js("return document.getElementById(arguments[0]).textContent", name))

    @property
    def step(self) -> int:
        """The number of the step that is shown."""
        return int(self.text("name").split()[0].removeprefix("%"))
