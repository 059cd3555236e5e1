"""A made study, its page, and a browser without a window."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pyrovae.report.page import write_page
from pyrovae.study.store.results import StudyResults
from report.made import PRIORS, make_study


@pytest.fixture(scope="session")
def made_study(tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    """Two priors, two posteriors, three seeds; one run failed and one is missing."""
    root = tmp_path_factory.mktemp("results") / "made"
    posteriors = ("mean_field_normal", "laplace")
    return make_study(
        root, seeds=3, units=8, fail=[3], leave_out=[7], prior=PRIORS[:2], posterior=posteriors
    )


@pytest.fixture(scope="session")
def page(made_study: StudyResults, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(made_study, tmp_path_factory.mktemp("page") / "page.html")


class Browser:
    """What tests ask a page."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, path: Path, *, fragment: str = "") -> None:
        self.driver.get("about:blank")
        self.driver.get_log("performance")
        self.driver.get_log("browser")
        self.driver.get(path.as_uri() + fragment)

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(f"return {script}", *arguments)

    def click(self, selector: str) -> None:
        self.driver.find_element("css selector", selector).click()

    def wait(self, condition: Callable[[], bool]) -> None:
        """Return when the condition holds; fail if it does not within a minute."""
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, 60).until(lambda _: condition())

    def all(self, selector: str) -> list[Any]:
        return self.driver.find_elements("css selector", selector)

    def column(self, heading: str) -> list[str]:
        """Return a column's text, in the rows that are shown."""
        return self.driver.execute_script(
            """
            const index = [...document.querySelectorAll('#table thead th')]
              .findIndex((th) => th.textContent.trim().startsWith(arguments[0]));
            return [...document.querySelectorAll('#table tbody tr')]
              .filter((row) => row.offsetParent !== null)
              .map((row) => row.cells[index].textContent.trim());
            """,
            heading,
        )

    def requests(self) -> list[str]:
        """Return every address asked for since the page was opened, the page's own apart."""
        asked = []
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                asked.append(message["params"]["request"]["url"])
        return [url for url in asked if not url.startswith(("data:", "blob:", "about:"))][1:]

    def console(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium, driven by selenium."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("needs Chromium and chromedriver (Debian: chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_argument("--window-size=1280,1000")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.chrome.service.Service(driver)
    started = webdriver.Chrome(options=options, service=service)
    # Smooth scrolling would move what is about to be clicked.
    still = {"name": "prefers-reduced-motion", "value": "reduce"}
    started.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [still]})
    yield Browser(started)
    started.quit()
