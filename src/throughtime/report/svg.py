"""Displays as SVG inside a page: text stays text, colors follow the page, names are unique.

Matplotlib writes a file of its own: a prologue, a style sheet for everything around it, names and fonts for every mark.
"""

import io
import re
import warnings
from collections.abc import Callable, Iterator
from html import escape
from typing import Any
from xml.etree import ElementTree

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from throughtime.displays import FURTHER, OBSERVED, PREDICTED, TRAINING, VALIDATION, shorten_texts
from throughtime.report.parts import Figure, printable

#: What every name in a figure begins with, until the page numbers its figures: no text of a page holds it.
PLACE = "\0"

#: Of a display's own inches: as much smaller as keeps its text readable on a phone, where it is as wide as the screen.
SCALE, FONT = 0.8, 9

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_STYLE: Any = {  # a string per key, to matplotlib's types
    "svg.fonttype": "none",
    "svg.hashsalt": "throughtime",  # else every picture has names of its own for its parts
    "text.parse_math": False,  # a name from data may hold dollars
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "path.simplify_threshold": 0.5,
    "font.size": FONT,
}
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
#: Colors that the page has a light and a dark one for.
_VARIABLES = {
    "#000000": "currentColor",
    "#ffffff": "var(--paper)",
    "#d9d9d9": "var(--bar)",
    **dict.fromkeys(("#555555", "#595959", "#777777"), "var(--quiet)"),
    "#999999": "var(--grey)",
    OBSERVED.lower(): "currentColor",
    TRAINING: "var(--blue)",
    VALIDATION: "var(--red)",
    PREDICTED: "var(--red)",
    **{color: f"var(--further-{k})" for k, color in enumerate(FURTHER, 1)},
}
_COLOR = re.compile(r"#[0-9a-f]{6}")
#: Beginning of the outline of a round marker, with its radius.
_DISC = re.compile(r"M 0 ([\d.]+)\s+C ")
#: From so many dots on they are joined, into so many paths.
FEWEST_DOTS, DOT_PATHS = 40, 8
_DECIMALS = re.compile(r"(-?\d+\.\d\d)\d+")
_FONT_FAMILY = re.compile(r"font-family:[^;]*;? ?")


def figure_of(
    draw: Callable[[Axes], object], size: tuple[float, float], title: str, description: str, caption: str = ""
) -> Figure:
    """Draw into axes of some inches, as a figure of the page.

    Parameters
    ----------
    draw
        A display's ``plot``, or another function of axes.
    """
    buffer = io.StringIO()
    with rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)  # the reader's fonts have it
        canvas = Canvas(figsize=(SCALE * size[0], SCALE * size[1]), layout="constrained")
        draw(canvas.subplots())
        shorten_texts(canvas)
        canvas.savefig(buffer, format="svg", metadata=_NO_METADATA)
    return Figure(inline_svg(buffer.getvalue(), title, description), title, description, caption)


def inline_svg(content: str, title: str, description: str) -> str:
    """An SVG file that we wrote, as an element of a page, with a title and a description for those who hear it."""
    root = ElementTree.fromstring(printable(content))
    title, description = printable(title), printable(description)
    _join_dots(root)
    used = set(_references(root))
    box = root.get("viewBox", "")
    _simplify(root, used)
    inner = "".join(_serialized(child) for child in root)
    width = box.split()[2] if box else "480"
    return (
        f'<svg viewBox="{escape(box)}" role="img" aria-labelledby="{PLACE}-title {PLACE}-text" '
        f'style="max-width: {float(width) * 4 / 3:.0f}px">'
        f'<title id="{PLACE}-title">{escape(title)}</title><desc id="{PLACE}-text">{escape(description)}</desc>'
        f"{inner}</svg>"
    )


def _join_dots(root: ElementTree.Element) -> None:
    """Draw many dots of one kind as a few paths, of points with round ends: a tenth of the bytes.

    A few, not one, so that where dots lie above each other it is darker.
    """
    radii = {
        path.get("id"): float(found[1])
        for path in root.iter(f"{{{_SVG}}}path")
        if (found := _DISC.match(path.get("d", ""))) is not None
    }
    for group in root.iter(f"{{{_SVG}}}g"):
        uses = group.findall(f"{{{_SVG}}}use")
        kinds = {(use.get(f"{{{_XLINK}}}href", "")[1:], use.get("style", "")) for use in uses}
        if len(uses) != len(group) or len(uses) < FEWEST_DOTS or len(kinds) != 1:
            continue
        ((name, style),) = kinds
        if name not in radii:
            continue
        rules = dict(rule.split(": ") for rule in style.split("; "))
        look = f"fill: none; stroke: {rules.get('fill', '#000000')}; stroke-width: {2 * radii[name]:g}"
        look += f"; stroke-linecap: round; stroke-opacity: {rules.get('fill-opacity', '1')}"
        points = [f"M{float(use.get('x', 0)):.1f} {float(use.get('y', 0)):.1f}h.01" for use in uses]
        group[:] = [
            ElementTree.Element(f"{{{_SVG}}}path", {"d": "".join(points[k::DOT_PATHS]), "style": look})
            for k in range(DOT_PATHS)
        ]


def _references(root: ElementTree.Element) -> Iterator[str]:
    """Names that some part refers to."""
    for element in root.iter():
        for value in element.attrib.values():
            if value.startswith("#"):
                yield value[1:]
            yield from re.findall(r"url\(#([^)]*)\)", value)


def _simplify(element: ElementTree.Element, used: set[str]) -> None:
    """Take away what a page has no use for, below an element too."""
    for child in list(element):
        tag = child.tag.removeprefix(f"{{{_SVG}}}")
        if tag in ("metadata", "style", "title", "desc", "script"):
            element.remove(child)
            continue
        _simplify(child, used)
        if tag in ("g", "defs") and not len(child):
            element.remove(child)
    name = element.attrib.pop("id", None)
    if name in used:
        element.set("id", f"{PLACE}-{name}")
    target = element.attrib.pop(f"{{{_XLINK}}}href", None)
    if target is not None and target.startswith("#"):
        element.set("href", f"#{PLACE}-{target[1:]}")
    elif target is not None and target.startswith("data:image/png;base64,"):  # the cells of a matrix, of a heat map
        element.set("href", "".join(target.split()))
    for key in ("d", "x", "y", "transform", "points", "style", "width", "height", "cx", "cy"):
        if key in element.attrib:
            element.set(key, _DECIMALS.sub(r"\1", " ".join(element.attrib[key].split())))
    for key in ("style", "fill", "stroke"):
        if key in element.attrib:
            value = _FONT_FAMILY.sub("", element.attrib[key])
            element.set(key, _COLOR.sub(lambda found: _VARIABLES.get(found[0], found[0]), value))
    if "clip-path" in element.attrib:
        element.set("clip-path", element.attrib["clip-path"].replace("url(#", f"url(#{PLACE}-"))


def _serialized(element: ElementTree.Element) -> str:
    """An element as HTML has it, without the prefixes of XML."""
    tag = element.tag.removeprefix(f"{{{_SVG}}}")
    attributes = "".join(f' {name}="{escape(value)}"' for name, value in element.attrib.items())
    inner = escape(element.text or "") if tag in ("text", "tspan") else ""
    inner += "".join(_serialized(child) for child in element)
    tail = escape(element.tail or "") if tag == "tspan" else ""
    return f"<{tag}{attributes}>{inner}</{tag}>{tail}"
