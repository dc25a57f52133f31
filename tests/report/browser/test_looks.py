"""What the measures of a page's looks see: each fault alone, and nothing on a page without any."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from looks import active_parts, complaints

PAGE = "<!doctype html><html lang=en><title>page</title><body style='background:white;color:black'>{}</body></html>"
FIGURE = "<figure><svg viewBox='0 0 200 100' width=200 height=100><title>figure</title>{}</svg></figure>"
GOOD = "<rect x=0 y=0 width=90 height=40 fill=navy /><text x=10 y=20 fill=white font-size=12>white</text>"


def opened(visit: Callable[..., Any], place: Path, inside: str) -> Any:
    file = place / "page.html"
    file.write_text(PAGE.format(inside), encoding="utf-8")
    return visit(file).page


@pytest.mark.parametrize(
    ("inside", "complaint"),
    [
        ("<div style='width:2000px'>wide</div>", "wider than the window"),
        (FIGURE.format("<text x=190 y=50 font-size=12>outside</text>"), "text outside of its figure"),
        (FIGURE.format("<rect x=150 y=10 width=90 height=20 />"), "shape outside of its figure"),
        (
            FIGURE.format("<text x=10 y=50 font-size=12>one</text><text x=12 y=53 font-size=12>two</text>"),
            "texts over each other",
        ),
        (FIGURE.format("<text x=10 y=50 font-size=6>small</text>"), "text too small to read"),
        (
            FIGURE.format("<text x=10 y=50 font-size=12 fill='#999'>pale</text>"),
            "text of too little contrast in a figure",
        ),
        (
            FIGURE.format("<rect width=90 height=40 fill=navy /><text x=10 y=20 font-size=12>black</text>"),
            "text of too little contrast in a figure",
        ),
    ],
)
def test_every_fault_is_seen(inside: str, complaint: str, visit: Callable[..., Any], tmp_path: Path) -> None:
    assert list(complaints(opened(visit, tmp_path, inside))) == [complaint]


def test_a_good_figure_is_not_complained_of(visit: Callable[..., Any], tmp_path: Path) -> None:
    turned = "<text transform='translate(150 80) rotate(-90)' font-size=12>turned</text><text x=160 y=60>near</text>"
    assert complaints(opened(visit, tmp_path, FIGURE.format(GOOD + turned))) == {}


@pytest.mark.parametrize(
    "inside",
    [
        "<script>1</script>",
        "<p onclick='1'>x</p>",
        "<a href='javascript:1'>x</a>",
        "<img src=x>",
        "<iframe></iframe>",
        "<p style='background:url(x)'>x</p>",
        "<svg><image href='x'/></svg>",
        "<svg><rect fill='url(http://evil.invalid#x)'/></svg>",
        "<meta http-equiv=refresh content='9;url=x'>",
    ],
)
def test_every_active_part_is_seen(inside: str, visit: Callable[..., Any], tmp_path: Path) -> None:
    assert len(active_parts(opened(visit, tmp_path, inside))) >= 1


def test_a_page_at_rest_has_none(visit: Callable[..., Any], tmp_path: Path) -> None:
    inside = "<a href='#x'>x</a><svg><clipPath id=x></clipPath><rect clip-path='url(#x)'/></svg>"
    assert active_parts(opened(visit, tmp_path, inside)) == []


def test_messages_and_requests_are_heard(visit: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(PAGE.format("<img src='http://evil.invalid/x'><script>alert(1); console.log('said')</script>"))
    visited = visit(file)
    assert "a dialog was opened" in visited.messages
    assert "said" in visited.messages
    assert "http://evil.invalid/x" in visited.requests
