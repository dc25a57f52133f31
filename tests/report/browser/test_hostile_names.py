"""Reports of runs whose every name is hostile: nothing runs, nothing is asked for, and the names are text.

Some names by default; ``THROUGHTIME_SOAK=1`` puts all two hundred in every place.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hostile_runs import write_classes, write_numbers
from looks import active_parts
from payloads import PAYLOADS

from throughtime.report import write_comparison, write_report
from throughtime.report.parts import printable
from throughtime.study import Run

SOAK = os.environ.get("THROUGHTIME_SOAK", "") != ""
#: Names of a run.
AT_ONCE = 25
#: All names, each once; of the whole, every eighth.
PORTIONS = [PAYLOADS[k : k + AT_ONCE] for k in range(0, len(PAYLOADS), AT_ONCE)] if SOAK else [PAYLOADS[3::8]]
Written = tuple[tuple[str, ...], dict[str, Path]]


@pytest.fixture(scope="module", params=range(len(PORTIONS)))
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Names, and pages that hold them: of classes, of numbers, and of both runs."""
    names = PORTIONS[request.param]
    runs = {}
    for kind, write in (("classes", write_classes), ("numbers", write_numbers)):
        place = tmp_path_factory.mktemp(kind)
        write(place, names)
        runs[kind] = Run.open(place / "run")
    pages = {kind: tmp_path_factory.mktemp("pages") / f"{kind}.html" for kind in (*runs, "both")}
    for kind, run in runs.items():
        write_report(run, pages[kind])
    write_comparison(*runs.values(), pages["both"])
    return names, pages


@pytest.mark.parametrize("bypass", [False, True], ids=["with its policy", "without its policy"])
@pytest.mark.parametrize("kind", ["classes", "numbers", "both"])
def test_nothing_runs_and_nothing_is_asked_for(
    kind: str, bypass: bool, written: Written, visit: Callable[..., Any]
) -> None:
    page = written[1][kind]
    visited = visit(page, bypass_csp=bypass)
    visited.page.mouse.move(200, 200)  # whatever waits for the mouse
    visited.page.mouse.wheel(0, 20_000)
    visited.page.keyboard.press("Tab")
    assert visited.messages == []
    assert visited.requests == [page.as_uri()]
    assert visited.page.evaluate("'ran' in window") is False
    assert active_parts(visited.page) == []


@pytest.mark.parametrize("kind", ["classes", "numbers"])
def test_every_name_is_text_as_it_was_given(kind: str, written: Written, visit: Callable[..., Any]) -> None:
    names, pages = written
    text = _plain(visit(pages[kind]).page.evaluate("document.querySelector('main').textContent"))
    assert [name for name in names if _plain(name) not in text] == []


def test_the_page_around_the_names_is_as_it_is_without_them(written: Written, visit: Callable[..., Any]) -> None:
    page = visit(written[1]["classes"]).page
    assert page.locator("body > *").evaluate_all("parts => parts.map(part => part.tagName)") == [
        *("A", "HEADER", "NAV", "MAIN", "FOOTER"),
    ]
    assert page.locator("main > *").evaluate_all("parts => new Set(parts.map(part => part.tagName)).size") == 1
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def _plain(text: str) -> str:
    """A text as a browser shows it: spaces are one, what no page may hold is marked."""
    return " ".join(printable(text).split())
