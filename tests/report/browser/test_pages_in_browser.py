"""Reports opened in Chromium: what they ask for and say, how they look, how they are used and printed."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from looks import active_parts, complaints
from shown_runs import PAGES

from throughtime.report import write_comparison
from throughtime.study import Run

Pages = dict[str, Path]
Visitor = Callable[..., Any]

PHONE, DESK = 390, 1280
#: Width between the margins of A4, in CSS pixels; and its height.
PAPER = 718, 1047
SCHEMES = "light", "dark"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_says_nothing_and_asks_for_nothing_but_itself(name: str, page_files: Pages, visit: Visitor) -> None:
    visited = visit(page_files[name])
    assert visited.messages == []
    assert visited.requests == [page_files[name].as_uri()]
    assert active_parts(visited.page) == []
    assert visited.page.locator("h1").count() == 1
    assert visited.page.locator("main section").count() > 3


@pytest.mark.parametrize("name", PAGES)
def test_a_page_loads_nothing_even_where_its_policy_does_not_hold(name: str, page_files: Pages, visit: Visitor) -> None:
    visited = visit(page_files[name], bypass_csp=True)
    assert (visited.messages, visited.requests) == ([], [page_files[name].as_uri()])


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("name", PAGES)
def test_everything_can_be_read(name: str, width: int, scheme: str, page_files: Pages, visit: Visitor) -> None:
    assert complaints(visit(page_files[name], width, scheme).page) == {}


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_a_command_longer_than_a_line_is_read_in_full(width: int, runs: Path, visit: Visitor) -> None:
    file = runs / f"other-series-{width}.html"
    write_comparison(Run.open(runs / "forecast"), Run.open(runs / "least"), file)
    page = visit(file, width).page
    assert complaints(page) == {}
    command = page.locator("#verdict code")
    assert command.inner_text().startswith("throughtime fit ")
    lines = """part => part.getBoundingClientRect().height / parseFloat(getComputedStyle(part).fontSize)"""
    assert command.evaluate(lines) > 2
    options = command.locator("span").filter(has_text=re.compile("^--"))
    assert options.count() > 3
    assert all(option.evaluate(lines) < 2 for option in options.all())  # none is broken at its hyphens


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ["classes", "forecast", "compared"])
def test_axe_finds_nothing(name: str, scheme: str, page_files: Pages, visit: Visitor) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed: make browser")
    found = axe.Axe().run(visit(page_files[name], scheme=scheme).page)
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found.response["violations"]] == []


def test_light_and_dark_are_two_colors(page_files: Pages, visit: Visitor) -> None:
    shown = [
        visit(page_files["classes"], scheme=scheme).page.evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in SCHEMES
    ]
    assert shown[0] != shown[1]


@pytest.mark.parametrize("name", ["classes", "compared"])
def test_every_figure_has_a_text_for_those_who_do_not_see_it(name: str, page_files: Pages, visit: Visitor) -> None:
    page = visit(page_files[name]).page
    texts = page.evaluate("""() => [...document.querySelectorAll('figure svg')].map(svg =>
        svg.getAttribute('aria-label') ?? svg.getAttribute('aria-labelledby').split(' ')
            .map(id => svg.querySelector('#' + id).textContent).join(' '))""")
    assert texts
    assert all(len(text.split()) > 5 for text in texts)
    names = page.locator("[id]").evaluate_all("elements => elements.map(element => element.id)")
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", PAGES)
def test_print_cuts_neither_figures_nor_lines(name: str, page_files: Pages, visit: Visitor) -> None:
    page = visit(page_files[name], PAPER[0]).page
    page.emulate_media(media="print")
    assert complaints(page) == {}
    cut = page.evaluate(
        """height => [...document.querySelectorAll('figure, tr')].filter(part => part.offsetHeight > height
            || getComputedStyle(part).breakInside !== 'avoid').map(part => part.textContent.slice(0, 60))""",
        PAPER[1],
    )
    assert cut == []
    assert page.pdf(format="A4").startswith(b"%PDF-")


@pytest.mark.parametrize("name", ["forecast", "compared"])
def test_the_keyboard_reaches_every_link_and_all_that_can_be_moved_in_order(
    name: str, page_files: Pages, visit: Visitor
) -> None:
    page = visit(page_files[name], PHONE).page
    wanted = page.evaluate("""() => [...document.querySelectorAll('*')].filter(element =>
        element.matches('a[href]') || ['auto', 'scroll'].includes(getComputedStyle(element).overflowX)
    ).map((element, place) => (element.dataset.place = place))""")
    reached = []
    for _ in wanted:
        page.keyboard.press("Tab")
        place, outlined = page.evaluate("""() => [
            document.activeElement.dataset.place, parseFloat(getComputedStyle(document.activeElement).outlineWidth) > 0
        ]""")
        assert outlined
        reached.append(int(place))
    assert reached == wanted


@pytest.mark.parametrize("name", ["classes", "compared"])
def test_every_link_of_the_contents_leads_to_a_section(name: str, page_files: Pages, visit: Visitor) -> None:
    page = visit(page_files[name]).page
    missing = page.evaluate("""() => [...document.querySelectorAll('nav a')]
        .filter(link => document.getElementById(link.hash.slice(1))?.tagName !== 'SECTION').map(link => link.hash)""")
    assert missing == []
    titles = page.locator("nav a").all_inner_texts()
    assert titles == page.locator("main h2").all_inner_texts()
