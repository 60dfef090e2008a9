"""The pages in a real browser: what a person sees of runs that go on, and that are over."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, FloatRect, Locator, Page, ViewportSize, expect

from evener.rundir.layout import RunDir
from tests.dashboard import chromium
from tests.dashboard.pages import shown
from tests.faults import runs
from tests.synthetic_run import Script, records, run_with

pytestmark = pytest.mark.slow
HOSTILE = "<img src=x onerror=window.harmed=1>"
PATIENCE_MS = 60_000


@pytest.fixture
def browser() -> Iterator[Browser]:
    """One for each test: its processes come and go as they like, and end with it."""
    with chromium.browser() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """One that no script error and no refused file goes unnoticed on."""
    wrong: list[str] = []
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    yield page
    context.close()
    # What the browser says where a test asks without the key, and where it has ended the server.
    expected = ("status of 401", "ERR_CONNECTION_REFUSED")
    assert [each for each in wrong if not any(words in each for words in expected)] == []


@dataclass(frozen=True)
class Going:
    """A run of three ranks that goes on until it is stopped."""

    run: RunDir
    address: str


@contextmanager
def going(folder: Path) -> Iterator[Going]:
    job = runs.write_job(folder, steps=1_000_000, pause_s=0.03)
    done = runs.evener(folder, "run", str(job), "--detach", "--json", "-o", "dashboard.port=0")
    assert done.returncode == 0, done.stderr
    try:
        yield Going(runs.run_of(folder), json.loads(done.stdout)["page"])
    finally:
        runs.evener(folder, "stop", "--now")


def test_a_run_is_seen_while_it_goes_on(page: Page, tmp_path: Path) -> None:
    """It moves without being loaded again, shows a death and the recovery from it, follows a log
    whatever is in it, and stops when it is asked to."""
    with going(tmp_path) as run:
        page.goto(run.address)
        assert "key=" not in page.url
        expect(page.locator("#phase")).to_have_text("training")
        page.evaluate("window.loaded = 1")
        told = page.locator("#step").inner_text()
        expect(page.locator("#step")).not_to_have_text(told)
        page.locator("#ranks").scroll_into_view_if_needed()
        expect(page.locator("#ranks-place")).to_contain_text("rank 2")

        os.kill(runs.pid_of(run.run, 2), signal.SIGKILL)
        timeline = page.locator("#timeline-place")
        timeline.scroll_into_view_if_needed()
        expect(timeline).to_contain_text("rank 2 lost")
        expect(timeline).to_contain_text(re.compile(r"go on after .* lost"))
        expect(timeline).to_contain_text("rank 2 is back")

        page.locator("#logs").scroll_into_view_if_needed()
        expect(page.locator("#log-choice")).to_have_value("rank_0.log")
        with run.run.rank_log(0).open("a") as log:
            log.write(f"{HOSTILE}\nthe needle\n")
        expect(page.locator("#log-text")).to_contain_text(HOSTILE)
        page.fill("#log-word", "NEEDLE")
        page.click("#log-search button")
        expect(page.locator("#log-matches")).to_contain_text("the needle")

        page.click("#save")
        expect(page.locator("#checkpoints-place")).to_contain_text("step-")
        page.click("#stop")
        page.click("#sure button[value=stop]")
        expect(page.locator("#phase")).to_have_text("stopped")
        expect(page.locator("#actions")).to_be_hidden()
        assert page.evaluate("[window.loaded, window.harmed]") == [1, None]


def test_a_stranger_sees_nothing(page: Page, tmp_path: Path) -> None:
    run_with(tmp_path, records(Script(steps=30, ranks=1)), "of-mine")
    with shown(tmp_path) as address:
        for wrong in (address.partition("?")[0], address[:-1], address + "x"):
            answer = page.goto(wrong)
            assert answer is not None
            assert answer.status == 401
            assert "of-mine" not in page.content()
        answer = page.goto(address)
        assert answer is not None
        assert answer.status == 200
        expect(page.locator("#runs-place")).to_contain_text("of-mine")


def test_runs_are_compared_whatever_they_are_called(page: Page, tmp_path: Path) -> None:
    run_with(tmp_path, records(Script(steps=200, ranks=2)), HOSTILE)
    run_with(tmp_path, records(Script(steps=120, ranks=3)), "other")
    with shown(tmp_path) as address:
        page.goto(address)
        table = page.locator("#runs-place")
        expect(table).to_contain_text(HOSTILE)
        for box in table.locator("input[type=checkbox]").all():
            box.check()
        expect(page.locator("#compare")).to_be_visible()
        page.locator("#compare").scroll_into_view_if_needed()
        expect(page.locator("#compare .u-over").first).to_be_visible()
        expect(page.locator("#compare")).to_contain_text("other")
        table.get_by_role("link", name=HOSTILE).click()
        expect(page.locator("#name")).to_have_text(HOSTILE)
        assert page.evaluate("window.harmed") is None


def _box(chart: Locator) -> FloatRect:
    """Where the chart is: it has no place while it is drawn anew."""
    for _ in range(100):
        if box := chart.bounding_box():
            return box
        chart.page.wait_for_timeout(50)
    raise AssertionError("the chart is not drawn")


def test_a_chart_is_zoomed_by_dragging(page: Page, tmp_path: Path) -> None:
    run = run_with(tmp_path, records(Script(steps=400, ranks=2)), "demo")
    with shown(run.path.parent) as address:
        page.goto(address.replace("/?", "/runs/demo/?"))
        chart = page.locator("#curves-place .u-over").first
        expect(chart).to_be_visible()
        expect(page.locator("#curves-place")).to_contain_text(re.compile(r"last 1\.\d"))
        back = page.get_by_role("button", name="Zoom out")
        expect(back).to_be_disabled()
        box = _box(chart)
        page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 40)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 60, steps=5)
        page.mouse.up()
        expect(back).to_be_enabled()
        chart.dblclick()
        expect(back).to_be_disabled()


def test_nothing_runs_over_the_edge(browser: Browser, tmp_path: Path) -> None:
    run_with(tmp_path, records(Script(steps=200, ranks=3)), "demo")
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    with shown(tmp_path) as address:
        for width, scheme in itertools.product((360, 1280), schemes):
            size: ViewportSize = {"width": width, "height": 800}
            context = browser.new_context(viewport=size, color_scheme=scheme)
            page = context.new_page()
            for path in ("/?", "/runs/demo/?"):
                page.goto(address.replace("/?", path))
                page.wait_for_load_state("networkidle")
                over = page.evaluate(
                    "document.documentElement.scrollWidth - document.documentElement.clientWidth"
                )
                assert over <= 0, (path, width, scheme)
            context.close()
