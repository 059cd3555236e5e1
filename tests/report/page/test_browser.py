"""The page in a real browser."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from pyrovae.report.page import write_page
from pyrovae.study.store.results import StudyResults
from report.page.conftest import Browser

pytest.importorskip("selenium", reason="selenium is not installed")
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys


@pytest.fixture(autouse=True)
def _quiet(browser: Browser, page: Path):
    """Whatever a test does, the page asks for nothing and complains of nothing."""
    browser.open(page)
    yield
    assert browser.requests() == []
    assert browser.console() == []


def test_shows_every_finished_run(browser: Browser, made_study: StudyResults):
    assert browser.column("Run") == [run[:8] for run in made_study.runs["run"]]
    assert browser.run("document.querySelectorAll('#cells .chart svg').length") == 2
    notice = browser.run("document.querySelector('.notice').textContent")
    assert "1 run failed, 1 is missing." in notice


def test_sorts_by_value_both_ways_and_back(browser: Browser, made_study: StudyResults):
    values = [float(text.replace("−", "-")) for text in browser.column("ELBO")]
    headings = browser.run(
        "[...document.querySelectorAll('#table thead th')].map(h => h.textContent)"
    )
    place = 1 + next(i for i, text in enumerate(headings) if text.startswith("ELBO"))
    heading = f"#table thead th:nth-child({place})"
    assert browser.run("document.querySelector(arguments[0]).textContent", heading).startswith(
        "ELBO"
    )
    for order, expected in (
        ("descending", sorted(values, reverse=True)),
        ("ascending", sorted(values)),
        ("none", values),
    ):
        browser.click(f"{heading} button")
        assert browser.run("document.querySelector(arguments[0]).ariaSort", heading) == order
        assert [float(t.replace("−", "-")) for t in browser.column("ELBO")] == expected


def test_filters_by_choice_and_by_words(browser: Browser, made_study: StudyResults):
    browser.run("(() => { const s = document.querySelector('[data-filter=\"0\"]');"
                "s.value = 'Laplace'; s.dispatchEvent(new Event('change')); })()")  # fmt: skip
    expected = made_study.runs.query("prior == 'laplace'")["run"].str[:8].tolist()
    assert browser.column("Run") == expected
    assert f"{len(expected)} of {len(made_study.runs)}" in browser.run(
        "document.getElementById('shown').textContent"
    )
    browser.driver.find_element("id", "search").send_keys("seed 2")
    both = made_study.runs.query("prior == 'laplace' and seed == 2")["run"].str[:8].tolist()
    assert browser.column("Run") == both
    browser.driver.find_element("id", "search").send_keys(" nowhere")
    assert browser.column("Run") == []
    assert browser.run("!document.getElementById('none').hidden")
    browser.click("#clear")
    assert len(browser.column("Run")) == len(made_study.runs)


def test_opens_a_run_by_keyboard_and_gives_the_focus_back(
    browser: Browser, made_study: StudyResults
):
    run = made_study.runs["run"].iloc[1]
    browser.run("document.querySelectorAll('.open')[1].focus()")
    browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
    assert browser.run("document.getElementById('run').open")
    assert browser.run("location.hash") == f"#run={run}"
    assert browser.run("document.activeElement.id") == "run-title"
    units = made_study.folder(run).units().sort_values("kl", ascending=False)
    rows = [row.text.split() for row in browser.all(".unit-table tbody tr")]
    assert [int(row[0]) for row in rows] == units["unit"].tolist()
    kls = [float(row[1].replace("−", "-")) for row in rows]
    np.testing.assert_allclose(kls, units["kl"], atol=5.1e-4)
    assert browser.run("document.querySelectorAll('#run svg').length") == 6
    assert browser.run("[...document.querySelectorAll('#run img')].every("
                       "(img) => img.alt && img.complete && img.naturalWidth > 0)")  # fmt: skip
    browser.driver.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert browser.run("location.hash") == f"#run={made_study.runs['run'].iloc[2]}"
    browser.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not browser.run("document.getElementById('run').open")
    # A dialog is shut at once, but tells of it in a task of its own; the rest follows from that.
    browser.wait(lambda: browser.run("location.hash") == "")
    assert browser.run("document.activeElement.textContent") == made_study.runs["run"].iloc[2][:8]


def test_a_link_opens_its_run(browser: Browser, made_study: StudyResults, page: Path):
    run = made_study.runs["run"].iloc[-1]
    for shown in (run, run[:8]):  # whole, or as the page shows it
        browser.open(page, fragment=f"#run={shown}")
        assert browser.run("document.getElementById('run').open")


def test_a_point_opens_its_run(browser: Browser):
    browser.run("document.querySelector('#chart-scatter').scrollIntoView({block: 'center'})")
    drawn = browser.driver.find_elements("css selector", "#chart-scatter svg path")
    point = next(path for path in drawn if 8 < path.rect["width"] < 16 and path.rect["height"] > 8)
    ActionChains(browser.driver).move_to_element(point).click().perform()
    assert browser.run("document.getElementById('run').open")


def test_pointing_at_a_point_tells_its_values(browser: Browser, made_study: StudyResults):
    browser.run("document.querySelector('#chart-scatter').scrollIntoView({block: 'center'})")
    drawn = browser.driver.find_elements("css selector", "#chart-scatter svg path")
    point = next(path for path in drawn if 8 < path.rect["width"] < 16 and path.rect["height"] > 8)
    ActionChains(browser.driver).move_to_element(point).perform()
    browser.wait(lambda: bool(browser.all("#chart-scatter .tip")))
    heading, *lines = browser.run("document.querySelector('#chart-scatter .tip').innerText").split(
        "\n"
    )
    assert ", seed " in heading
    assert [line.split(":")[0] for line in lines] == ["Rate", "Distortion"]
    told = float(lines[0].split(": ")[1].split()[0])
    assert np.abs(made_study.runs["rate"] - told).min() < 1e-3 * told


def test_prints_all_rows_and_no_controls(browser: Browser, made_study: StudyResults):
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        style = "getComputedStyle(document.querySelector(arguments[0]))"
        for control in (".filters", "#theme", "nav"):
            assert browser.run(f"{style}.display", control) == "none"
        assert browser.run(f"{style}.maxHeight", ".scroll") == "none"
        assert browser.run(f"{style}.overflowY", ".scroll") == "visible"
        assert len(browser.column("Run")) == len(made_study.runs)
    finally:
        still = {"name": "prefers-reduced-motion", "value": "reduce"}
        browser.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"media": "", "features": [still]}
        )


def test_themes_follow_the_system_until_chosen(browser: Browser):
    def shown() -> str:
        return browser.run("document.documentElement.dataset.shown")

    for scheme in ("dark", "light"):
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        # The browser tells the page of the change when it next has time to.
        browser.wait(lambda scheme=scheme: shown() == scheme)
    browser.click("#theme")
    browser.click("#theme")
    assert shown() == "dark"
    browser.click("#theme")
    assert shown() == "light"


def test_names_every_control(browser: Browser):
    """What a screen reader says of each control is not empty."""
    browser.click(".open")
    tree = browser.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles = ("button", "combobox", "searchbox", "dialog", "table", "region", "image", "img")
    controls = [n for n in tree if n.get("role", {}).get("value") in roles]
    unnamed = [
        n["role"]["value"] for n in controls if not n.get("name", {}).get("value", "").strip()
    ]
    # Tables that have a caption are named by it.
    assert controls
    assert unnamed == []


def test_no_width_makes_the_page_scroll_sideways(browser: Browser):
    for width in (360, 768, 1280):
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
        browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        assert browser.run("document.documentElement.scrollWidth") <= width
    browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_no_labels_overprint_on_a_telephone(browser: Browser):
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    collide = """
      [...document.querySelectorAll('.chart')].flatMap((chart) => {
        const boxes = [...chart.querySelectorAll('text')].filter((text) => text.textContent.trim())
          .map((text) => [text.textContent, text.getBoundingClientRect()]);
        return boxes.flatMap(([one, a], i) => boxes.slice(i + 1)
          .filter(([, b]) => a.left < b.right - 1 && b.left < a.right - 1
            // Lines of one label touch.
            && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > a.height / 2)
          .map(([other]) => `${one} / ${other}`));
      })
    """.strip()
    assert browser.run("document.querySelectorAll('.chart text').length") > 10
    for key in browser.run("[...document.getElementById('score').options].map((o) => o.value)"):
        browser.run(
            "(() => { const s = document.getElementById('score'); s.value = arguments[0];"
            " s.dispatchEvent(new Event('change', {bubbles: true})); return true; })()",
            key,
        )
        assert browser.run(collide) == [], key
    browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_users_text_stays_text(browser: Browser, made_study: StudyResults, tmp_path: Path):
    evil = "</script><img src=x onerror='window.hacked = 1'><b>&amp;"
    runs = made_study.runs.replace({"prior": {"laplace": evil}})
    # What a run is, is read from its configuration.
    configs = {
        run: config.model_copy(update={"prior": {"name": evil}})
        if config.prior["name"] == "laplace"
        else config
        for run, config in made_study.configs.items()
    }
    study = dataclasses.replace(
        made_study, name="made", description=evil, runs=runs, configs=configs
    )
    study.failed["f" * 16] = evil
    try:
        path = write_page(study, tmp_path / "evil.html")
    finally:
        del study.failed["f" * 16]
    browser.open(path)
    browser.click("tbody tr:last-child .open")
    assert browser.run("window.hacked === undefined")
    assert browser.run("document.querySelectorAll('[onerror]').length") == 0
    assert browser.run("document.querySelector('.lede').textContent") == evil
    assert evil in browser.run("document.getElementById('run-title').textContent")
