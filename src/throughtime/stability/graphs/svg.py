"""A computation graph as SVG: one file without references, on a white sheet of its own: for any page, and for print."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from textwrap import wrap

from throughtime.stability.graphs.binning import bin_steps
from throughtime.stability.graphs.colors import BROKEN, COLORS, UNKNOWN, ZERO, Scale, scale_of
from throughtime.stability.graphs.graph import Edge, Graph, Node

_INK, _FAINT = "#1b1f24", "#5f6b76"
_RULES = {
    "text": f"font:12px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:{_INK}",
    ".s": f"font-size:9.5px;fill:{_FAINT}",
    ".b": "font-weight:600",
    ".m": "text-anchor:middle",
    ".e": "text-anchor:end",
    ".t": "font-size:15px;font-weight:600",
    ".n": f"stroke:{_INK};stroke-width:.8",
    ".z": "stroke-dasharray:2 2",
    ".box": "stroke-width:2.4",
    **{f".f{k}": f"fill:{color}" for k, color in enumerate((*COLORS, ZERO, BROKEN, UNKNOWN))},
    **{f".k{k}": f"stroke:{color}" for k, color in enumerate((*COLORS, ZERO, BROKEN, UNKNOWN))},
    f".k{len(COLORS)}": "stroke:#c9ced3;stroke-dasharray:2 3",  # white cannot be seen as a line
}
#: For this picture alone: in a notebook its rules would else hold for the whole page.
_STYLE = "".join(f".throughtime-graph {selector}{{{rule}}}" for selector, rule in _RULES.items())
_PALETTE = {color: k for k, color in enumerate((*COLORS, ZERO, BROKEN, UNKNOWN))}


@dataclass(frozen=True)
class _Sheet:
    """Pixels: of a column and a lane, of the margins around them, and of a node's half width and height."""

    column: float
    lane: float
    left: float
    top: float
    right: float
    bottom: float


_SHEETS = {
    "time": _Sheet(37, 56, 226, 92, 44, 46),
    "step": _Sheet(118, 66, 70, 92, 70, 30),
    "layers": _Sheet(150, 86, 70, 92, 70, 30),
}


def svg_of(graph: Graph, columns: int) -> str:
    """The picture; see ``ComputationGraph.to_svg``."""
    return "".join(_Picture(bin_steps(graph, columns)).parts())


class _Picture:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.sheet = _SHEETS[graph.subject]
        self.nodes = {node.name: node for node in graph.nodes}
        self.scale: Scale | None = scale_of(graph.gradients)
        lowest = min(node.lane for node in graph.nodes)
        self.lanes = max(node.lane for node in graph.nodes) - lowest
        self.columns = max(node.column for node in graph.nodes)
        self.width = max(
            self.sheet.left + self.columns * self.sheet.column + self.sheet.right, 640, 32 + 9 * len(graph.title)
        )
        self.footer = wrap(str(graph.depth), round(self.width / 5.6))
        if any(node.first != node.last for node in graph.nodes):
            self.footer.append("several steps in a column: norms are geometric means over those that are not zero")
        self.ground = self.sheet.top + self.lanes * self.sheet.lane + lowest * self.sheet.lane
        self.height = self.ground - lowest * self.sheet.lane + self.sheet.bottom + 14 * len(self.footer) + 6

    def parts(self) -> Iterator[str]:
        """The picture, piece by piece."""
        width, height = round(self.width), round(self.height)
        yield (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f'class="throughtime-graph" style="max-width:100%;height:auto" role="img" '
            f'aria-label="{escape(self.graph.title)}">'
            f"<title>{escape(self.graph.title)}</title><desc>{escape(self._description())}</desc>"
            f"<style>{_STYLE}</style>"
            f'<rect width="{width}" height="{height}" rx="6" fill="#fff"/>'
            f'<text class="t" x="16" y="26">{escape(self.graph.title)}</text>'
        )
        yield from self._legend()
        if self.graph.subject == "time":
            yield from self._bands()
            yield from self._axis()
        yield '<g fill="none">'
        yield from map(self._edge, self.graph.edges)
        yield "</g>"
        yield from map(self._node, self.graph.nodes)
        yield from self._footer()
        yield "</svg>\n"

    def _description(self) -> str:
        what = {
            "time": "Computation graph through time: steps to the right, layers upwards.",
            "step": "Computation graph of one step of a recurrent cell.",
            "layers": "Computation graph of a network: values above, derivatives below.",
        }[self.graph.subject]
        known = self.graph.gradients
        sizes = f" Norms of gradients from {min(known):.1e} to {max(known):.1e}." if known else ""
        return f"{what}{sizes} {self.graph.depth}."

    def at(self, node: Node) -> tuple[float, float]:
        """The middle of a node."""
        return self.sheet.left + node.column * self.sheet.column, self.ground - node.lane * self.sheet.lane

    def _tone(self, gradient: float | None) -> int:
        return _PALETTE[UNKNOWN if gradient is None or self.scale is None else self.scale.color(gradient)]

    def _legend(self) -> Iterator[str]:
        if self.scale is None:
            yield '<text class="s" x="16" y="44">no loss was given: edges and nodes have no gradient</text>'
            return
        what = "‖∂L/∂node‖, and what flows back along each edge; arrows go as the forward pass"
        yield f'<text class="s" x="16" y="50">{what}</text>'
        begin, size = 424, 18
        for k in range(len(COLORS)):
            yield f'<rect class="f{k}" x="{begin + k * size}" y="41" width="{size}" height="10"/>'
        below = "≤ " if self.scale.cut else ""
        for text, x in ((f"{below}1e{self.scale.low}", begin), (f"1e{self.scale.high}", begin + len(COLORS) * size)):
            yield f'<text class="s m" x="{x}" y="62">{text}</text>'
        after = begin + len(COLORS) * size + 22
        yield (
            f'<rect class="n z f{len(COLORS)}" x="{after}" y="41" width="10" height="10"/>'
            f'<text class="s" x="{after + 15}" y="50">0</text>'
        )
        if any(node.gradient is not None and not math.isfinite(node.gradient) for node in self.graph.nodes):
            yield (
                f'<rect class="n f{len(COLORS) + 1}" x="{after + 34}" y="41" width="10" height="10"/>'
                f'<text class="s" x="{after + 49}" y="50">not finite</text>'
            )

    def _bands(self) -> Iterator[str]:
        """A band behind each lane, and beside it what runs there and the weights that all its steps share."""
        half = self.sheet.lane / 2
        end = self.sheet.left + self.columns * self.sheet.column + 14
        for number, lane in enumerate(self.graph.lanes):
            y = self.ground - number * self.sheet.lane
            tint = {"c": "#fff3d6", "h": "#eef2f7"}.get(lane.kind, "#f8f9fa")
            begin = self.sheet.left - 16
            yield (
                f'<rect x="{begin}" y="{y - half + 2:g}" width="{end - begin:g}" height="{2 * half - 4:g}" rx="5" '
                f'fill="{tint}"/>'
            )
            yield f'<text class="b" x="16" y="{y - (8 if lane.detail else -4):g}">{escape(lane.label)}</text>'
            for line, text in enumerate(lane.detail.split("; ") if lane.detail else ()):
                yield f'<text class="s" x="16" y="{y + 4 + 11 * line:g}">{escape(text)}</text>'

    def _axis(self) -> Iterator[str]:
        y = self.ground + self.sheet.lane / 2 + 10
        seen: dict[float, Node] = {}
        for node in self.graph.nodes:
            if node.first is not None:
                seen.setdefault(node.column, node)
        yield f'<text class="s e" x="{self.sheet.left - 24}" y="{y:g}">step</text>'
        labels = {
            column: str(node.first) if node.first == node.last else f"{node.first}-{node.last}"
            for column, node in sorted(seen.items())
        }
        every = math.ceil(max(map(len, labels.values())) * 6.2 / self.sheet.column)  # or they would overlap
        for column, text in list(labels.items())[::every]:
            x = self.sheet.left + column * self.sheet.column
            yield f'<text class="s m" x="{x:g}" y="{y:g}">{text}</text>'

    def _footer(self) -> Iterator[str]:
        for number, line in enumerate(self.footer):
            y = self.height - 10 - 14 * (len(self.footer) - 1 - number)
            yield f'<text class="s" x="16" y="{y:g}">{escape(line)}</text>'

    def _node(self, node: Node) -> str:
        x, y = self.at(node)
        tone = self._tone(node.gradient)
        known = "" if node.gradient is None else f": {node.gradient:.1e}"
        told = f"<title>{escape(self._where(node))}{known}</title>"
        if self._small(node):
            dashed = " z" if tone == len(COLORS) else ""
            if node.kind == "c":
                return f'<circle class="n{dashed} f{tone}" cx="{x:g}" cy="{y:g}" r="7">{told}</circle>'
            half = 8 if node.kind == "h" else 5
            return (
                f'<rect class="n{dashed} f{tone}" x="{x - half:g}" y="{y - half:g}" width="{2 * half}" '
                f'height="{2 * half}" rx="{3 if node.kind == "h" else 0}">{told}</rect>'
            )
        width, height = self._half(node)
        words = [" x ".join(map(str, node.shape)), "" if node.gradient is None else f"{node.gradient:.1e}"]
        small = "" if self.graph.subject == "time" else ", ".join(word for word in words if word)
        radius = {"operation": height, "loss": height, "gate": 3, "linear": 3}.get(node.kind, 8)
        fill = {"gate": "#fdf0d5", "linear": "#fdf0d5", "parameter": "#f1f3f5", "c": "#fff3d6"}.get(node.kind, "#fff")
        box = (
            f'<rect class="box k{tone}" x="{x - width:g}" y="{y - height:g}" width="{2 * width:g}" '
            f'height="{2 * height:g}" rx="{radius:g}" fill="{fill}">{told}</rect>'
        )
        if node.kind == "operation":  # a line that rises to the right takes the place above
            rises = any(
                edge.source == node.name
                and self.nodes[edge.target].lane > node.lane
                and self.nodes[edge.target].column > node.column
                for edge in self.graph.edges
            )
            beside = f'<text class="s" x="{x + width + 3:g}" y="{y + (15 if rises else -8):g}">{small}</text>'
            return f'{box}<text class="m" x="{x:g}" y="{y + 4:g}">{_with_subscripts(node.label)}</text>{beside}'
        lift = 6 if small else 0
        name = f'<text class="m" x="{x:g}" y="{y + 4 - lift:g}">{_with_subscripts(node.label)}</text>'
        return f'{box}{name}<text class="s m" x="{x:g}" y="{y + 12:g}">{small}</text>' if small else box + name

    def _where(self, node: Node) -> str:
        shape = " x ".join(map(str, node.shape))
        return f"{node.label}{f' ({shape})' if shape else ''}"

    def _small(self, node: Node) -> bool:
        """Whether it is one of many along time, without words in it."""
        return self.graph.subject == "time" and node.kind in ("input", "value", "h", "c")

    def _half(self, node: Node) -> tuple[float, float]:
        """Half the width and height of a node."""
        if self._small(node):
            return (8, 8) if node.kind == "h" else (7, 7) if node.kind == "c" else (5, 5)
        if node.kind == "operation":
            return max(13, 4 + 3.6 * len(node.label)), 13
        if self.graph.subject == "time":
            return max(17, 8 + 3.7 * len(node.label)), 14
        small = 3 * len(" x ".join(map(str, node.shape))) + (0 if node.gradient is None else 24)
        return max(17, 8 + 3.7 * len(node.label), 4 + small), 18

    def _edge(self, edge: Edge) -> str:
        source, target = self.nodes[edge.source], self.nodes[edge.target]
        (x0, y0), (x1, y1) = self.at(source), self.at(target)
        tone = self._tone(edge.gradient)
        wide = 1.0 if edge.gradient is None or tone >= len(COLORS) else 0.9 + 0.22 * tone
        path, head = self._path(edge, source, target, x0, y0, x1, y1)
        known = "" if edge.gradient is None else f": {edge.gradient:.1e}"
        names = f" through {', '.join(edge.parameters)}" if edge.parameters and self.graph.subject != "time" else ""
        told = f"<title>{escape(f'{source.label} to {target.label}{names}{known}')}</title>"
        dashed = ' stroke-dasharray="3 3"' if edge.kind == "saved" else ""
        line = f'<path class="k{tone}" stroke-width="{wide:.1f}"{dashed} d="{path}">{told}</path>'
        return line + (f'<path class="k{tone} f{tone}" d="{head}"/>' if head else "")

    def _path(
        self, edge: Edge, source: Node, target: Node, x0: float, y0: float, x1: float, y1: float
    ) -> tuple[str, str]:
        """An edge's line, from border to border, and its arrow's head."""
        (w0, h0), (w1, h1) = self._half(source), self._half(target)
        if (
            self.graph.subject == "time"
            and edge.kind in ("x", "state", "value")
            and x0 == x1
            and target.first is not None
        ):
            up = -1 if y1 < y0 else 1
            y0, y1 = y0 + up * h0, y1 - up * h1
            far = abs(target.lane - source.lane)
            if far <= 1:
                return f"M{x0:g} {y0:g}V{y1:g}", ""
            # around the lanes between: on the right to a forward direction, on the left to a reverse one
            bow = (7 + 1.6 * far) * (-1 if target.reverse else 1)
            return f"M{x0:g} {y0:g}C{x0 + bow:g} {y0 - 18:g} {x0 + bow:g} {y1 + 18:g} {x1:g} {y1:g}", ""
        if self.graph.subject == "step" and edge.parameters:
            return self._elbow(edge, source, target, x0, y0, x1, y1)
        if y0 == y1 and source.lane == target.lane:
            right = 1 if x1 > x0 else -1
            a, b = x0 + right * w0, x1 - right * w1
            return f"M{a:g} {y0:g}H{b:g}", _head(b, y1, right, 0)
        if edge.kind in ("output", "c", "h") and self.graph.subject == "time":
            return self._around(x0, y0 - h0, x1, y1 + h1)
        # straight, from border to border
        dx, dy = x1 - x0, y1 - y0
        from_border = min(w0 / abs(dx) if dx else math.inf, h0 / abs(dy) if dy else math.inf)
        to_border = min(w1 / abs(dx) if dx else math.inf, h1 / abs(dy) if dy else math.inf)
        a, b, c, d = x0 + dx * from_border, y0 + dy * from_border, x1 - dx * to_border, y1 - dy * to_border
        length = math.hypot(dx, dy)
        return f"M{a:.1f} {b:.1f}L{c:.1f} {d:.1f}", _head(c, d, dx / length, dy / length)

    def _elbow(
        self, edge: Edge, source: Node, target: Node, x0: float, y0: float, x1: float, y1: float
    ) -> tuple[str, str]:
        """Along the source's lane, then up or down into the gate; the lines of one source run beside each other."""
        (w0, _), (_, h1) = self._half(source), self._half(target)
        others = [
            self.nodes[other.target] for other in self.graph.edges if other.source == edge.source and other.parameters
        ]
        # the nearest gate's line turns first, and is on that side where it crosses none of the others
        rank = sorted(node.column for node in others).index(target.column)
        up = -1 if y1 < y0 else 1
        beside = 4.0 * rank - 2.0 * (len(others) - 1) if up < 0 else 4.0 * (len(others) - rank) + 2
        into = x1 - 26 if up > 0 else x1 + (-10 if source.kind == "input" else 10)
        end = y1 - up * h1
        return f"M{x0 + w0:g} {y0 + beside:g}H{into:g}V{end:g}", _head(into, end, 0, up)

    def _around(self, x0: float, y0: float, x1: float, y1: float) -> tuple[str, str]:
        """From a state to what takes it above: up between the columns, and along above the highest lane."""
        half = self.sheet.column / 2 * (1 if x1 <= x0 else -1)
        along = self.ground - (len(self.graph.lanes) - 0.5) * self.sheet.lane - 4
        if y0 - along < self.sheet.lane / 2:
            return f"M{x0:g} {y0:g}C{x0:g} {along - 8:g} {x1:g} {y1 + 20:g} {x1:g} {y1:g}", ""
        return (
            f"M{x0:g} {y0:g}Q{x0:g} {y0 - 14:g} {x0 + half:g} {y0 - 20:g}V{along + 8:g}"
            f"Q{x0 + half:g} {along:g} {x0 + half + (8 if x1 > x0 else -8):g} {along:g}"
            f"C{(x0 + x1) / 2:g} {along:g} {x1:g} {along:g} {x1:g} {y1:g}"
        ), ""


def _head(x: float, y: float, dx: float, dy: float) -> str:
    """An arrow's head with its tip at a point."""
    size, half = 5.0, 2.6
    back_x, back_y = x - size * dx, y - size * dy
    return (
        f"M{x:.1f} {y:.1f}L{back_x - half * dy:.1f} {back_y + half * dx:.1f}L{back_x + half * dy:.1f} "
        f"{back_y - half * dx:.1f}Z"
    )


def _with_subscripts(label: str) -> str:
    name, _, index = label.partition("_")
    if not index or " " in index:
        return escape(label)
    return f'{escape(name)}<tspan dy="3" font-size="9">{escape(index)}</tspan>'
