"""Nodes that make of raw series what the network is fed: see the steps 1 to 5 of `throughtime.export.contents`."""

from typing import NamedTuple

import numpy as np

from throughtime.export.contents import Contents
from throughtime.export.onnx_features import Steps, channels_of, rows_before, summary_of
from throughtime.export.onnx_nodes import END, Graph, States


class NetworkInputs(NamedTuple):
    """What the network is fed.

    Attributes
    ----------
    values
        (time, batch, input), in the network's precision; a missing value is 0.
    lengths
        (batch,), the steps that are read; ``inside`` (batch, time) says which.
    steps_read
        (batch,), the steps that were read before: of a stream, in earlier calls.
    usable
        (batch,), whether `predict` would take the series.
    time
        One number, the steps of x as it was given; of what is read there is one at least.
    """

    values: str
    lengths: str
    inside: str
    steps_read: str
    usable: str
    time: str


class RawSeries(NamedTuple):
    """What a graph is given.

    Attributes
    ----------
    x, clock
        (batch, time, channel) and, where the model reads times, (batch, time).
    lengths, static
        (batch,) and, where the model has static features, (batch, feature).
    """

    x: str
    lengths: str
    static: str | None
    clock: str | None


def add_inputs(graph: Graph, contents: Contents) -> RawSeries:
    """Declare the inputs."""
    x = graph.input("x", np.float64, "batch", "time", len(contents.channels))
    lengths = graph.input("lengths", np.int64, "batch")
    static = graph.input("static", np.float64, "batch", len(contents.static)) if contents.static else None
    dated = contents.clock in ("days", "numbers")
    clock = graph.input("clock", np.float64, "batch", "time") if dated else None
    return RawSeries(x, lengths, static, clock)


def network_inputs(graph: Graph, states: States, contents: Contents, given: RawSeries) -> NetworkInputs:
    """Raw series as the network is fed them."""
    x, lengths, static, clock = given
    time = graph.size(x, 1)
    ahead = 0 if states.streaming else contents.horizon
    wrong_length = graph.add("Or", graph.add("Less", lengths, np.int64(0)), graph.add("Less", time, lengths))
    x = _at_least(graph, x, 1 + ahead, axes=3)
    clock = None if clock is None else _at_least(graph, clock, 1 + ahead, axes=2)
    if ahead:
        x, clock = _as_read(graph, contents, x, clock)
        lengths = graph.add("Sub", lengths, np.int64(ahead))
    longest = graph.size(x, 1)
    # A number that is no length must not reach the operators, which would refuse the whole batch.
    lengths = graph.add("Max", graph.add("Min", lengths, longest), np.int64(0))
    numbers = graph.add("Unsqueeze", graph.count(np.int64(0), longest), np.array([0]))
    inside = graph.add("Less", numbers, graph.add("Unsqueeze", lengths, np.array([1])))
    steps_read = states.read("steps_read", np.int64)
    states.keep("steps_read", graph.add("Add", steps_read, lengths))

    columns = _columns(Steps(graph, lengths, inside, steps_read, clock), states, contents, x, static)
    missing = graph.add("IsNaN", columns)
    scaled = graph.add("Div", graph.add("Sub", columns, contents.shift), contents.scale)
    values = graph.cast(graph.add("Where", missing, np.float64(0), scaled), contents.dtype)

    wrong = graph.add("IsInf", values)
    if contents.refuses_missing:
        wrong = graph.add("Or", wrong, missing)
    if clock is not None:
        no_time = graph.add("Or", graph.add("IsNaN", clock), graph.add("IsInf", clock))
        wrong = graph.add("Or", wrong, graph.add("Unsqueeze", no_time, np.array([2])))
    wrong = graph.add("And", wrong, graph.add("Unsqueeze", inside, np.array([2])))
    n_wrong = graph.add("ReduceSum", graph.cast(wrong, np.int64), np.array([1, 2]), keepdims=0)
    refused = graph.add("Or", wrong_length, graph.add("Less", np.int64(0), n_wrong))
    # A stream that was wrong once has a state that nobody can mend.
    refused = graph.add("Or", refused, states.read("refused", np.bool_))
    states.keep("refused", refused)
    by_time = graph.add("Transpose", values, perm=[1, 0, 2])
    return NetworkInputs(by_time, lengths, inside, steps_read, graph.add("Not", refused), time)


def _at_least(graph: Graph, values: str, steps: int, axes: int) -> str:
    """Values (batch, time, ...) with missing ones behind up to so many steps: of none ONNX Runtime crashes."""
    lacking = graph.add("Max", graph.add("Sub", np.int64(steps), graph.size(values, 1)), np.int64(0))
    before, others = graph.constant(np.zeros(axes + 1, np.int64)), graph.constant(np.zeros(axes - 2, np.int64))
    added = graph.add("Concat", before, graph.add("Unsqueeze", lacking, np.array([0])), others, axis=0)
    return graph.add("Pad", values, added, np.float64(np.nan))


def _as_read(graph: Graph, contents: Contents, x: str, clock: str | None) -> tuple[str, str | None]:
    """What a forecast sees last at each step: the known channels of ``horizon`` steps ahead."""
    horizon = contents.horizon
    read = graph.at(x, 1, 0, -horizon)
    if contents.known:
        known = np.isin(np.arange(len(contents.channels)), contents.known)
        read = graph.add("Where", known, graph.at(x, 1, horizon, END), read)
    return read, None if clock is None else graph.at(clock, 1, horizon, END)


def _columns(steps: Steps, states: States, contents: Contents, x: str, static: str | None) -> str:
    """All that a network may know of each step (batch, time, input), before it is scaled."""
    graph, n_channels = steps.graph, len(contents.channels)
    channels = channels_of(steps, contents, x, rows_before(steps, states, contents.features, x, n_channels))
    columns = graph.add("Concat", x, *channels, axis=2) if channels else x
    summaries = summary_of(steps, contents, x)
    if contents.masked:
        n_static = len(contents.static) + len(summaries) * n_channels
        columns = _with_masks(steps, states, columns, (contents.n_inputs - n_static) // 3)
    by_series = summaries if static is None else [static, *summaries]
    if not by_series:
        return columns
    shape = graph.add("Concat", graph.at(graph.add("Shape", x), 0, 0, 2), np.array([1]), axis=0)
    row = graph.add("Unsqueeze", graph.add("Concat", *by_series, axis=1), np.array([1]))
    return graph.add("Concat", columns, graph.add("Expand", row, shape), axis=2)


def _with_masks(steps: Steps, states: States, columns: str, n_columns: int) -> str:
    """The columns, 1 where each is missing, and the steps since each was seen."""
    graph = steps.graph
    missing = graph.cast(graph.add("IsNaN", columns), np.float64)

    def step(body: Graph, before: list[str], now: list[str]) -> tuple[list[str], list[str]]:
        absent, running = now
        since = body.add("Mul", body.add("Add", before[0], np.float64(1)), absent)
        return [body.add("Where", running, since, before[0])], [since]

    running = graph.add("Unsqueeze", steps.inside, np.array([2]))
    start = states.read("steps_since_seen", np.float64, n_columns)
    end, since = graph.scan(
        step, [(start, np.float64)], [(missing, np.float64), (running, np.bool_)], np.float64, axis=1
    )
    states.keep("steps_since_seen", end)
    return graph.add("Concat", columns, missing, since, axis=2)
