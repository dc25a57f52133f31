"""Debian's Chromium, driven by playwright: what a page asks for, says and shows. Skipped where there is none."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from shown_runs import PAGES, write_runs

from throughtime.report import write_comparison, write_report
from throughtime.study import Run


@dataclass
class Visit:
    """A page that was opened, and what it did: the addresses that it asked for, and all that it said."""

    page: Any
    requests: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make browser")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed: make browser")
    # As root Chromium has no sandbox to start in.
    arguments = [] if os.getuid() else ["--no-sandbox"]
    with driver.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield opened
        opened.close()


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Visit]]:
    """Open a file in a window of some pixels' width."""
    contexts = []

    def open_file(path: Path, width: int = 1280, scheme: str = "light", **options: Any) -> Visit:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **options)
        contexts.append(context)
        visited = Visit(context.new_page())
        context.on("request", lambda request: visited.requests.append(request.url))
        context.on("page", lambda _: visited.messages.append("a window was opened"))
        visited.page.on("console", lambda message: visited.messages.append(message.text))
        visited.page.on("pageerror", lambda error: visited.messages.append(str(error)))
        visited.page.on("dialog", lambda dialog: (visited.messages.append("a dialog was opened"), dialog.dismiss()))
        visited.page.goto(path.as_uri())
        return visited

    yield open_file
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the runs."""
    place = tmp_path_factory.mktemp("shown")
    write_runs(place)
    return place


@pytest.fixture(scope="session")
def page_files(runs: Path) -> dict[str, Path]:
    """Pages of one run and of two, by name."""
    opened = {name: Run.open(runs / name) for name in ("classes", "other_classes", "forecast", "least")}
    pages = {name: runs / f"{name}.html" for name in PAGES}
    for name in ("classes", "forecast", "least"):
        write_report(opened[name], pages[name])
    write_comparison(opened["classes"], opened["other_classes"], pages["compared"])
    write_comparison(opened["classes"], opened["forecast"], pages["incomparable"])
    return pages
