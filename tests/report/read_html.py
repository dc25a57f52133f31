"""A page as a tree, read as strictly as a page can be: every element is closed, every name is one's own."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

#: Elements that have no end.
_EMPTY = {"meta", "link", "br", "img", "input", "hr"}


@dataclass
class Element:
    """An element, and the text of all that is in it."""

    tag: str
    attributes: dict[str, str]
    children: list["Element"] = field(default_factory=list)
    text: str = ""

    def all(self, *tags: str) -> list["Element"]:
        """Every element below it, of some tags or of any."""
        found = []
        for child in self.children:
            found += [child] if not tags or child.tag in tags else []
            found += child.all(*tags)
        return found

    def says(self) -> str:
        """Its text with blanks as a reader sees them."""
        return " ".join(self.text.split())


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open = [Element("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice: {names}"
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in _EMPTY:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _EMPTY:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> ends <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.text += data


def tree_of(page: str) -> Element:
    """The page's elements; refused where one is left open or closed by another's end."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert len(reader.open) == 1, f"<{reader.open[-1].tag}> is left open"
    return reader.open[0]


def sections_of(page: str) -> dict[str, Element]:
    """Its sections by their address."""
    return {section.attributes["id"]: section for section in tree_of(page).all("section")}


def referred(element: Element) -> set[str]:
    """Names in the page that an element's attributes refer to."""
    found = set()
    for name, value in element.attributes.items():
        if name == "href" and value.startswith("#"):
            found.add(value[1:])
        if name.startswith("aria-") and name.endswith("by"):
            found |= set(value.split())
        found |= set(re.findall(r"url\(#([^)]*)\)", value))
    return found
