"""A page is whole, asks for nothing, and is the same each time."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from read_html import referred, sections_of, tree_of
from reported_runs import RUNS, classes, run_of

from throughtime import storage
from throughtime.errors import DataError
from throughtime.findings import Finding
from throughtime.report import (
    SECTIONS,
    Absent,
    Facts,
    Figure,
    Findings,
    Line,
    Part,
    Section,
    SectionBuilder,
    Table,
    built,
    rendered,
    run_page,
)
from throughtime.report.parts import printable
from throughtime.report.svg import PLACE
from throughtime.study import Run, Study, run_files

NAMES = list(RUNS)
#: Names that would be more than text where they are not escaped.
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
)


@pytest.mark.parametrize("name", NAMES)
def test_every_section_is_there_in_order_and_made(name: str, pages: dict[str, str]) -> None:
    found = sections_of(pages[name])
    assert list(found) == [builder.key for builder in SECTIONS]
    for key, section in found.items():
        assert "could not" not in section.says(), key
        assert len(section.children) > 1, key


@pytest.mark.parametrize("name", NAMES)
def test_headings_are_in_order_and_tables_and_figures_say_what_they_are(name: str, pages: dict[str, str]) -> None:
    page = tree_of(pages[name])
    headings = [element.tag for element in page.all("h1", "h2", "h3", "h4")]
    assert headings == ["h1", *["h2"] * len(SECTIONS)]
    assert [len(page.all(landmark)) for landmark in ("header", "nav", "main", "footer")] == [1, 1, 1, 1]
    for table in page.all("table"):
        heads = len(table.all("thead")[0].all("th"))
        assert len(table.all("caption")) == 1
        assert {cell.attributes["scope"] for cell in table.all("th")} == {"col", "row"}
        for row in table.all("tbody")[0].all("tr"):
            assert len(row.children) == heads
    assert page.all("svg")
    for svg in page.all("svg"):
        assert svg.attributes["role"] == "img"
        assert svg.all("title")[0].text.strip()
        assert svg.all("desc")[0].text.strip()


@pytest.mark.parametrize("name", NAMES)
def test_every_name_in_a_page_is_one_element_s_and_every_reference_has_one(name: str, pages: dict[str, str]) -> None:
    elements = tree_of(pages[name]).all()
    names = [element.attributes["id"] for element in elements if "id" in element.attributes]
    assert len(names) == len(set(names))
    assert set().union(*map(referred, elements)) <= set(names)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_runs_nothing_and_asks_for_nothing(name: str, pages: dict[str, str]) -> None:
    assert_inert(pages[name])


def assert_inert(text: str) -> None:
    page = tree_of(text)
    policies = [meta for meta in page.all("meta") if "http-equiv" in meta.attributes]
    assert [meta.attributes["content"] for meta in policies] == [
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    ]
    assert not page.all("script", "img", "link", "iframe", "object", "embed", "form", "base", "foreignobject")
    for element in page.all():
        for attribute, value in element.attributes.items():
            assert not attribute.startswith("on")
            assert attribute not in ("src", "srcset", "action", "xlink:href")
            if attribute == "href" and element.tag != "a":
                assert re.match(r"#|data:image/png;base64,[A-Za-z0-9+/=]+$", value)
            assert "url(" not in value or re.findall(r"url\(([^)]*)\)", value)[0].startswith("#")
    styles = " ".join(style.text for style in page.all("style"))
    assert "@import" not in styles
    assert "url(" not in styles


def test_names_from_data_are_text_wherever_they_stand() -> None:
    page = run_page(run_of(classes(HOSTILE, "</style><b>"))).decode()
    assert_inert(page)
    assert not tree_of(page).all("b")
    for key in ("predictions", "worst", "data"):
        assert any(name in sections_of(page)[key].text for name in HOSTILE), key
    assert "</style><b>" in sections_of(page)["groups"].text


def test_all_of_every_part_is_written_where_it_belongs() -> None:
    found = Finding("GEN999", "leak", "found", "warning", 0.25, 0.125, "Roe (1999)", "in fold 3", "stop!", "leaks.md")
    open_one = replace(found, verdict="not applicable", measured=None, detail="no dates.", remedy="", docs="")
    beside = [Figure(f'<svg id="{PLACE}-{k}"></svg>', f"title {k}", "text", f"caption {k}") for k in range(2)]
    wide = Figure("<svg></svg>", "a wide one", "text", wide=True)
    parts: list[Part] = [
        Line("It is bad.", "bad"),
        Table("what it is of", ("name", "n"), (("short", "1"), ("a name of many letters", "2")), strong=1),
        Facts((("task", "regression"),)),
        *beside,
        wide,
        replace(beside[0], title="after it"),
        Findings((found, open_one)),
        Absent("There is none.", "throughtime fit SOURCE"),
    ]
    text = rendered("the title", "the subtitle", built([SectionBuilder("a", "A", lambda _: parts)], 0), "the end")
    assert text.startswith(b'<!DOCTYPE html>\n<html lang="en">')
    page = tree_of(text.decode())
    metas = {meta.attributes.get("name"): meta.attributes for meta in page.all("meta")}
    assert b'<meta charset="utf-8">' in text[:200]  # or a browser guesses
    assert metas["viewport"]["content"] == "width=device-width, initial-scale=1"
    assert metas["color-scheme"]["content"] == "light dark"
    assert [page.all(tag)[0].says() for tag in ("title", "h1", "h2")] == ["the title", "the title", "A"]
    assert page.all("header")[0].says() == "the title the subtitle"
    assert page.all("footer")[0].says() == "the end"
    assert [link.attributes["href"] for link in page.all("a")] == ["#content", "#a"]
    section = sections_of(text.decode())["a"]
    line, _, facts, pair, alone, after, findings, absent = section.children[1:]
    assert (line.tag, line.attributes["class"], line.says()) == ("p", "bad", "It is bad.")
    assert section.all("caption")[0].says() == "what it is of"
    rows = section.all("tbody")[0].all("tr")
    assert [row.attributes.get("class") for row in rows] == [None, "strong"]
    assert [row.all("th")[0].attributes.get("class") for row in rows] == ["short", None]
    assert [(facts.all("dt")[0].says(), facts.all("dd")[0].says())] == [("task", "regression")]
    assert [one.says() for one in pair.all("figcaption")] == ["caption 0", "caption 1"]
    assert [len(row.all("figure")) for row in (pair, alone, after)] == [2, 1, 1]
    assert alone.all("div")[0].attributes["aria-label"] == "a wide one"
    first, second = (one.says() for one in findings.all("li"))
    assert first == (
        "GEN999 leak: found, warning in fold 3. Measured 0.25; up to 0.125 is no finding (Roe (1999)). "
        "Remedy: stop! More in the guide of throughtime, page leaks."
    )
    assert second == "GEN999 leak: not applicable no dates."
    assert (absent.says(), absent.all("code")[0].says()) == (
        "There is none. throughtime fit SOURCE",
        "throughtime fit SOURCE",
    )


def test_no_mark_turns_the_direction_of_what_is_written_after_it() -> None:
    assert printable("a\u202eb\u2066c\ud800d\u0085e") == "a\ufffdb\ufffdc\ufffdd\ufffde"
    assert printable("a\tb\nc\xe9 \U0001f600") == "a\tb\nc\xe9 \U0001f600"


def test_a_page_says_which_run_it_is_of_when_it_was_written_and_by_what(
    studies: dict[str, Study], pages: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(studies["classes"])
    said = tree_of(pages["classes"]).all("header")[0].says()
    when = run.created[:16].replace("T", " ")
    assert said.startswith(f"{run.metrics.models[-1].name} on ebb.csv Run small, written {when[:11]}")
    assert re.search(rf"\d\d:\d\d UTC by throughtime {re.escape(str(run.versions['throughtime']))}$", said)
    studies["values"].save(tmp_path / "mine")
    monkeypatch.chdir(tmp_path / "mine")
    page = tree_of(run_page(Run.open(".")).decode())
    assert "Run mine, written" in page.all("header")[0].says()
    assert "the directory of this run, mine, SOURCE its data, and NEW other series" in page.all("footer")[0].says()


@pytest.mark.filterwarnings("ignore:Glyph")  # of the run's own pictures
def test_what_no_page_may_hold_is_marked() -> None:
    odd = run_page(run_of(classes(("a\0\x1b", "b\x7f\x0c")))).decode()
    assert_inert(odd)
    assert not re.search("[\0\x1b\x7f\x0c]", odd)
    assert "a��" in sections_of(odd)["predictions"].text


@pytest.mark.parametrize("name", ["classes", "steps"])
def test_a_page_is_the_same_bytes_each_time(name: str, studies: dict[str, Study], pages: dict[str, str]) -> None:
    assert timeless(run_page(run_of(studies[name]))) == timeless(pages[name].encode())


def timeless(page: bytes) -> bytes:
    """A page without the time that it says its run was written at."""
    return re.sub(rb"2\d{3}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d\+00:00)?", b"when", page)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_of_few_networks_is_small(name: str, pages: dict[str, str]) -> None:
    assert len(pages[name].encode()) < 300_000


def test_runs_of_early_versions_have_a_page(studies: dict[str, Study]) -> None:
    files = run_files(studies["classes"])
    lacking = dict.fromkeys(("flow.safetensors", "flow.png", "shift.json", "shift.safetensors", "test_shift.json"))
    described = storage.json_from_bytes(files["metrics.json"])
    del described["leakage"]
    table = files["out_of_fold.csv"].decode().splitlines()
    place = table[0].split(",").index('"group"')
    ungrouped = "\n".join(",".join(cells[:place] + cells[place + 1 :]) for cells in (row.split(",") for row in table))
    change = {
        "data.json": b"{}",
        "metrics.json": storage.json_to_bytes(described),
        "out_of_fold.csv": ungrouped.encode(),
    }
    page = run_page(run_of(studies["classes"], change | lacking)).decode()
    found = sections_of(page)
    assert list(found) == [builder.key for builder in SECTIONS]
    assert "could not" not in tree_of(page).all("main")[0].text
    for key in ("groups", "shift", "gradients", "unrolled", "splits", "data"):
        assert [part for part in found[key].children if part.attributes.get("class") in ("absent", "quiet")], key


def test_the_foot_says_what_commands_name_and_other_series_are_not_the_run_s_own(pages: dict[str, str]) -> None:
    page = tree_of(pages["classes"])
    commands = [code.says() for code in page.all("code")]
    assert "throughtime shift RUN NEW --out SHIFT" in commands
    foot = page.all("footer")[0].says()
    assert foot == "In commands RUN is the directory of this run, small, SOURCE its data, and NEW other series."


def test_a_finding_names_the_page_of_the_guide_and_no_path_that_leads_nowhere() -> None:
    found = Finding("GEN001", "t", "found", "note", 2.0, 0.0, "s", "d", "r", "docs/guide/leakage.md#gen001")
    whole = replace(found, docs="docs/guide/gradients.md")
    section = Section("f", "Findings", (Findings((found, whole)),))
    page = tree_of(rendered("t", "s", [section], "").decode())
    assert [part.says() for part in page.all("p") if "guide" in part.text] == [
        "More in the guide of throughtime, page leakage, under GEN001.",
        "More in the guide of throughtime, page gradients.",
    ]


def test_a_section_that_cannot_be_made_says_why_and_the_others_are_there() -> None:
    def fail(_: int) -> list[Line]:
        raise DataError("x needs y, got <z>")

    made = built([SectionBuilder("a", "A", fail), SectionBuilder("b", "B", lambda n: [Line(f"{n}")])], 3)
    assert made[0].parts == (Absent("This section could not be made: x needs y, got <z>"),)
    assert made[1].parts == (Line("3"),)
    found = sections_of(rendered("t", "s", made, "f").decode())
    assert "x needs y, got <z>" in found["a"].text


def test_a_damaged_file_costs_its_sections_alone(studies: dict[str, Study], pages: dict[str, str]) -> None:
    damaged = run_page(run_of(studies["steps"], {"out_of_fold.csv": b"nonsense\n1\n"})).decode()
    before, after = sections_of(pages["steps"]), sections_of(damaged)
    failed = {key for key, section in after.items() if "could not be made" in section.text}
    assert failed == {"predictions", "worst", "groups"}
    assert all("out_of_fold.csv needs to hold predictions" in after[key].text for key in failed)
    assert after["scores"].text == before["scores"].text


def test_columns_of_numbers_and_intervals_are_read_from_the_right() -> None:
    rows = (("a", "1.0", "-0.1 to +2e-05", "1 of 2", "9%"), ("b", "-", "-", "-", "-"))
    page = rendered("t", "s", built([SectionBuilder("a", "A", lambda _: [Table("c", tuple("hijkl"), rows)])], 0), "f")
    first = tree_of(page.decode()).all("tbody")[0].all("tr")[0]
    assert [cell.attributes.get("class") for cell in first.children[1:]] == ["number", "number", None, "number"]


def test_a_saved_study_has_its_page_as_a_file_of_the_run(studies: dict[str, Study], tmp_path: Path) -> None:
    studies["values"].save(tmp_path / "run", report=run_page)
    run = Run.open(tmp_path / "run")
    assert "report.html" in run.names
    assert timeless((tmp_path / "run" / "report.html").read_bytes()) == timeless(run_page(run))
    studies["values"].save(tmp_path / "other")
    assert "report.html" not in Run.open(tmp_path / "other").names


def test_networks_are_kept_though_their_page_cannot_be_made(studies: dict[str, Study], tmp_path: Path) -> None:
    def fail(run: Run) -> bytes:
        raise ZeroDivisionError(run.directory.name)

    with pytest.raises(ZeroDivisionError, match="run"):
        studies["values"].save(tmp_path / "run", report=fail)
    assert len(Run.open(tmp_path / "run").members) == 15
