"""The nodes and edges of a graph through time, put together lane by lane from below."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from throughtime.stability.graphs.depth import depth_of
from throughtime.stability.graphs.drawing import ComputationGraph
from throughtime.stability.graphs.graph import Edge, Lane, Node, SharedParameter
from throughtime.stability.graphs.norms import Gradients
from throughtime.stability.graphs.replaying import Replay
from throughtime.stability.graphs.tracing import Place, Trace


def time_graph(model: str, traced: Trace, gradients: Gradients, end: str) -> ComputationGraph:
    """The graph of a pass through a model; norms are left out where ``end`` is not a loss, ``L``."""
    return _Drawing(model, traced, gradients, end).graph()


class _Drawing:
    """What is put together so far."""

    def __init__(self, model: str, traced: Trace, gradients: Gradients, end: str) -> None:
        self.model, self.traced, self.gradients, self.end = model, traced, gradients, end
        self.places = list(traced.places())
        self.known = end == "L"
        self.nodes: list[Node] = []
        self.edges: list[Edge] = []
        self.lanes: list[Lane] = []
        #: of each call that feeds another the other, by how
        self.fed: dict[int, int] = {}

    def graph(self) -> ComputationGraph:
        """The whole."""
        replays = self.traced.replays
        for number, replay in enumerate(replays):
            x = replay.call.x
            below = [
                j
                for j, earlier in enumerate(replays[:number])
                if _depends([x], [earlier.outputs]) and len(x) == len(earlier.outputs)
            ]
            self._inputs(number, below[-1] if below else None)
            for place in self._of(replay):
                self._lanes(place)
                self._steps(place)
            self._starts(number)
        self._head()
        steps = max(len(replay.outputs) for replay in replays)
        inputs = frozenset(node.name for node in self.nodes if node.kind == "input")
        return ComputationGraph(
            f"{self.model} over {steps} step{'s' if steps > 1 else ''}: {self._layers_in_words()}",
            "time",
            steps,
            tuple(self.nodes),
            tuple(self.edges),
            tuple(self._parameters()),
            tuple(self.lanes),
            depth_of(self.edges, inputs, "time"),
        )

    def _of(self, replay: Replay) -> list[Place]:
        return [place for place in self.places if place.replay is replay]

    def _inputs(self, number: int, below: int | None) -> None:
        """What a call's first layer takes, in a lane of its own, and the layers on it; from a call below or from x."""
        replay = self.traced.replays[number]
        call = replay.call
        self.lanes.append(Lane("x" if number == 0 else f"x of {call.name}", _shape_in_words(call.x.shape[1:]), "input"))
        sources = [] if below is None else self._top(below)
        # a linear layer between the two is one more to wait for
        between = (
            0 if below is None else sum(_depends([call.x], [linear.output]) for linear in self.traced.between[number])
        )
        for t in range(len(call.x)):
            kind: Any = "value" if sources else "input"
            self._node(f"x{number}.{t}", kind, f"x_{t}", call.x[t], None, t, (call.x, t))
            for source in sources:
                above = source.direction.steps[t].above
                names = f"{source.key}.h.{t}", f"x{number}.{t}"
                self._edge(*names, "value", above, (above, None), (), between)
        for place in self._of(replay):
            layer = place.direction.layer
            self._feed(place, [p for p in self._of(replay) if p.direction.layer == layer - 1], f"x{number}")

    def _top(self, number: int) -> list[Place]:
        own = self._of(self.traced.replays[number])
        self.fed[number] = 1
        return [place for place in own if place.direction.layer == own[-1].direction.layer]

    def _feed(self, place: Place, sources: list[Place], x: str) -> None:
        """Edges into every step of a layer from the outputs below it, a part for each direction there."""
        names = tuple(name for name in place.direction.weights if "weight_ih" in name or "bias_ih" in name)
        for t, step in enumerate(place.direction.steps):
            target = f"{place.key}.h.{t}"
            begin = 0
            for source in sources:
                width = source.direction.steps[t].h.shape[-1]
                part = slice(begin, begin + width)
                begin += width
                self._edge(f"{source.key}.h.{t}", target, "x", source.direction.steps[t].h, (step.x, part), names, 1)
            if not sources:
                self._edge(f"{x}.{t}", target, "x", step.x, (step.x, slice(None)), names, 1)

    def _lanes(self, place: Place) -> None:
        weights, spec = place.direction.weights, place.replay.call.cell
        arrow = "←" if place.direction.reverse else "→"
        count = len(place.direction.steps)
        hidden = [f"{name} {_shape_in_words(w.shape)}" for name, w in weights.items() if "weight" in name]
        detail = "; ".join(hidden) + f"; the same at all {count} steps"
        self.lanes.append(Lane(f"layer {place.layer} {arrow} h", detail, "h"))
        if "c" in spec.states:
            self.lanes.append(Lane(f"layer {place.layer} {arrow} c", "", "c"))

    def _steps(self, place: Place) -> None:
        steps, reverse = place.direction.steps, place.direction.reverse
        recurrent = tuple(name for name in place.direction.weights if "weight_hh" in name or "bias_hh" in name)
        h_lane = len(self.lanes) - (2 if steps[0].c is not None else 1)
        for t, step in enumerate(steps):
            h, c = f"{place.key}.h.{t}", f"{place.key}.c.{t}"
            before = t + 1 if reverse else t - 1
            self._node(h, "h", f"h_{t}", step.h, place, t, (step.h, None), h_lane)
            if 0 <= before < len(steps):
                self._edge(f"{place.key}.h.{before}", h, "h", step.h, (step.before[0], slice(None)), recurrent, 1)
            if step.c is None:
                continue
            self._node(c, "c", f"c_{t}", step.c, place, t, (step.computed[1], None), h_lane + 1)
            if 0 <= before < len(steps):
                self._edge(f"{place.key}.c.{before}", c, "c", step.c, (step.before[1], slice(None)), (), 0)
            through = self.gradients.difference(step.computed[1], step.c) if self.known else None
            self.edges.append(Edge(c, h, "state", tuple(step.c.shape), (), 0, through))

    def _starts(self, number: int) -> None:
        """Initial states that come from a call before, as a decoder's from an encoder."""
        replays = self.traced.replays
        start = replays[number].call.start
        if not start:
            return
        for earlier in reversed(range(number)):
            ends = [end for direction in replays[earlier].directions for end in direction.ends]
            if not _depends(start, [*ends, replays[earlier].outputs]):
                continue
            pairs = zip(self._top(earlier), self._of(replays[number]), strict=False)
            for source, target in pairs:
                last = 0 if source.direction.reverse else len(source.direction.steps) - 1
                first = len(target.direction.steps) - 1 if target.direction.reverse else 0
                step = target.direction.steps[first]
                for state, kind, tensor in zip("hc", ("h", "c"), step.before, strict=False):
                    ends_at = (f"{source.key}.{state}.{last}", f"{target.key}.{state}.{first}")
                    cost = 1 if kind == "h" else 0
                    self._edge(*ends_at, kind, tensor, (tensor, slice(None)), (), cost)
            return

    def _head(self) -> None:
        """Linear layers after the last recurrent one, and the loss."""
        linears = self.traced.linears
        lane = float(len(self.lanes))
        sources: list[str] = []
        takers: dict[int, list[int]] = {}
        for n, linear in enumerate(linears):
            before = [m for m in range(n) if _depends([linear.output], [linears[m].output])]
            takers[n] = before[-1:]
        first = [n for n in takers if not takers[n]]
        last = [n for n in takers if not any(n in taken for taken in takers.values())]
        heads = [linears[n].name or "linear" for n in first] or [self.end]
        columns: list[float] = []
        for source, tensor, column in self._handed_on():
            sources.append(source)
            columns.append(column)
            for head, n in zip(heads, first or [-1], strict=True):
                names = () if n < 0 else tuple(linears[n].weights)
                kind: Any = "c" if ".c." in source else "output"
                norm = self.gradients.norm_of(tensor) if self.known else None
                self.edges.append(Edge(source, head, kind, tuple(tensor.shape), names, 0 if n < 0 else 1, norm))
        middle = sum(columns) / len(columns) if columns else 0.0
        for n, (name, _, output) in enumerate(linears):
            for m in takers[n]:
                ends_at, below = (linears[m].name or "linear", name), linears[m].output
                self._edge(*ends_at, "value", below, (below, slice(None)), tuple(linears[n].weights), 1)
            self._node(name or "linear", "linear", name or "linear", output, None, None, (output, None), lane, middle)
            lane += 1
        for n in last:
            output = linears[n].output
            self._edge(linears[n].name or "linear", self.end, "value", output, (output, slice(None)), (), 0)
        one = 1.0 if self.known else None
        self.nodes.append(Node(self.end, "loss", self.end, (), None, False, None, None, one, middle, lane))

    def _handed_on(self) -> Iterable[tuple[str, Tensor, float]]:
        """States that the loss or the linear layers take, with the gradients that come from there."""
        for number, replay in enumerate(self.traced.replays):
            if number in self.fed:
                continue
            own = self._of(replay)
            top = own[-1].direction.layer
            for place in own:
                at_end = _at_end(place, self.gradients)
                for t, step in enumerate(place.direction.steps):
                    parts = [[end.get(t)] for end in at_end]
                    if place.direction.layer == top:
                        parts[0].append(self.gradients.of(step.above) if self.gradients.reached(step.above) else None)
                    for part, states in zip(parts, place.direction.returned, strict=True):
                        part.append(self.gradients.of(states)[t] if self.gradients.reached(states) else None)
                    for state, part in zip("hc", parts, strict=False):
                        known = [gradient for gradient in part if gradient is not None]
                        if known and bool((total := torch.stack(known).sum(0)).ne(0).any()):
                            yield f"{place.key}.{state}.{t}", total, float(t)

    def _node(
        self,
        name: str,
        kind: Any,
        label: str,
        tensor: Tensor,
        place: Place | None,
        t: int | None,
        wanted: tuple[Tensor, int | None],
        lane: float | None = None,
        column: float | None = None,
    ) -> None:
        norm = self.gradients.norm(*wanted) if self.known else None
        layer, reverse = (None, False) if place is None else (place.layer, place.direction.reverse)
        where = float(len(self.lanes) - 1 if lane is None else lane)
        at = float(t or 0) if column is None else column
        self.nodes.append(Node(name, kind, label, tuple(tensor.shape), layer, reverse, t, t, norm, at, where))

    def _edge(
        self,
        source: str,
        target: str,
        kind: Any,
        tensor: Tensor,
        wanted: tuple[Tensor, slice | None],
        parameters: tuple[str, ...],
        cost: int,
    ) -> None:
        norm = self.gradients.norm(*wanted) if self.known else None
        self.edges.append(Edge(source, target, kind, tuple(tensor.shape), parameters, cost, norm))

    def _parameters(self) -> Iterable[SharedParameter]:
        uses: dict[str, SharedParameter] = {}
        for place in self.places:
            for name, weight in place.direction.weights.items():
                before = uses[name].uses if name in uses else 0
                uses[name] = SharedParameter(name, tuple(weight.shape), before + len(place.direction.steps))
        for linear in self.traced.linears:
            for name, weight in linear.weights.items():
                uses[name] = SharedParameter(name, tuple(weight.shape), 1)
        return uses.values()

    def _layers_in_words(self) -> str:
        words = []
        for replay in self.traced.replays:
            layers = replay.call.layer.num_layers
            two = " x 2 directions" if replay.call.layer.bidirectional else ""
            units = replay.directions[0].steps[0].h.shape[-1]
            words.append(f"{layers} layer{'s' if layers > 1 else ''}{two} of {replay.call.cell.name}, {units} units")
        return "; ".join(words)


def _at_end(place: Place, gradients: Gradients) -> list[dict[int, Tensor]]:
    """What comes back to h, and c, at the end of the run, by the step where a series has its end."""
    found: list[dict[int, Tensor]] = []
    lengths = place.replay.call.lengths
    for end in place.direction.ends:
        by_step: dict[int, Tensor] = {}
        if gradients.reached(end):
            whole = gradients.of(end)
            for t in {0} if place.direction.reverse else sorted(set((lengths - 1).tolist())):
                here = torch.ones_like(lengths) if place.direction.reverse else lengths == t + 1
                by_step[t] = torch.where(here.bool()[:, None], whole, 0)
        found.append(by_step)
    return found


def _depends(targets: Sequence[Tensor], sources: Sequence[Tensor]) -> bool:
    asked = [target for target in targets if target.requires_grad]
    if not asked:
        return False
    whole = torch.stack([target.sum() for target in asked]).sum()
    return any(g is not None for g in torch.autograd.grad(whole, list(sources), retain_graph=True, allow_unused=True))


def _shape_in_words(shape: Iterable[int]) -> str:
    return " x ".join(str(size) for size in shape)
