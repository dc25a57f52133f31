"""Nodes for the features made of series: what `throughtime.estimators.transformers` computes, one function for each."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from throughtime.export.contents import Contents
from throughtime.export.onnx_nodes import END, Graph, States
from throughtime.feature_specs import FeatureSpec

#: Decimals that Fourier features keep, as `throughtime.FourierFeatures` does.
_DECIMALS = 12


class Steps(NamedTuple):
    """The steps of a call.

    Attributes
    ----------
    lengths, steps_read
        (batch,), the steps of each series in this call and before it.
    inside
        (batch, time), which are its own.
    clock
        (batch, time), where the model reads times.
    """

    graph: Graph
    lengths: str
    inside: str
    steps_read: str
    clock: str | None


class Rows(NamedTuple):
    """The channels (batch, before + time, channel) of a call's steps, with those of ``before`` steps earlier."""

    values: str
    before: int


def rows_before(steps: Steps, states: States, specs: Sequence[FeatureSpec], x: str, n_channels: int) -> Rows:
    """The channels, in a stream with as many earlier steps as the features look back; before the first it stands."""
    before = max(map(_looks_back, specs), default=0)
    if not (states.streaming and before):
        return Rows(x, 0)
    graph = steps.graph
    recent = states.read("recent", np.float64, before, n_channels)
    new = graph.add("Unsqueeze", graph.add("Less", steps.steps_read, np.int64(1)), np.array([1, 2]))
    rows = graph.add("Concat", graph.add("Where", new, graph.at(x, 1, 0, 1), recent), x, axis=1)
    ends = graph.add("Unsqueeze", steps.lengths, np.array([1, 2]))
    states.keep("recent", graph.add("GatherND", rows, graph.add("Add", ends, np.arange(before)[:, None]), batch_dims=1))
    return Rows(rows, before)


def channels_of(steps: Steps, contents: Contents, x: str, rows: Rows) -> list[str]:
    """The channels (batch, time, new) of all features, in their order."""
    made: list[str] = []
    for spec in contents.features:
        if spec.name == "lag":
            made += [_lagged(steps, rows, int(lag)) for lag in spec.numbers]
        elif spec.name == "diff":
            made += [steps.graph.add("Sub", x, _lagged(steps, rows, int(lag))) for lag in spec.numbers]
        elif spec.name == "rolling":
            for window in spec.numbers:
                made += _rolling(steps, rows, int(window), spec.words)
        elif spec.name == "fourier":
            made += _waves(steps, spec.numbers, contents.horizon)
    return made


def summary_of(steps: Steps, contents: Contents, x: str) -> list[str]:
    """The static features (batch, channel) of all summaries, in their order."""
    words = [word for spec in contents.features if spec.name == "summary" for word in spec.words]
    if not words:
        return []
    graph = steps.graph
    seen = graph.add(
        "And", graph.add("Not", graph.add("IsNaN", x)), graph.add("Unsqueeze", steps.inside, np.array([2]))
    )
    count = _sum(graph, graph.cast(seen, np.float64))
    least = graph.add("Max", count, np.float64(1))

    def mean(terms: str) -> str:
        return graph.add("Div", _sum(graph, graph.add("Where", seen, terms, np.float64(0))), least)

    def centered(values: str) -> str:
        return graph.add("Sub", values, graph.add("Unsqueeze", mean(values), np.array([1])))

    def std() -> str:
        from_mean = centered(x)
        return graph.add("Sqrt", mean(graph.add("Mul", from_mean, from_mean)))

    def slope() -> str:
        since = centered(graph.cast(graph.add("Unsqueeze", _place(steps), np.array([2])), np.float64))
        variation = mean(graph.add("Mul", since, since))
        covariation = mean(graph.add("Mul", since, centered(x)))
        flat = graph.add("Less", np.float64(0), variation)
        return graph.add("Div", covariation, graph.add("Where", flat, variation, np.float64(1)))

    def extreme(op: str, absent: float) -> str:
        return graph.add(op, graph.add("Where", seen, x, np.float64(absent)), axes=[1], keepdims=0)

    found: dict[str, Callable[[], str]] = {
        "mean": lambda: mean(x),
        "std": std,
        "min": lambda: extreme("ReduceMin", np.inf),
        "max": lambda: extreme("ReduceMax", -np.inf),
        "slope": slope,
    }
    there = graph.add("Less", np.float64(0), count)
    return [graph.add("Where", there, found[word](), np.float64(np.nan)) for word in words]


def _looks_back(spec: FeatureSpec) -> int:
    """Steps before the present one that a feature is made of."""
    furthest = int(max(spec.numbers, default=0))
    return {"lag": furthest, "diff": furthest, "rolling": furthest - 1}.get(spec.name, 0)


def _place(steps: Steps, before: int = 0) -> str:
    """(batch, before + time), the number of each step in its own series, and of rows before the call."""
    graph = steps.graph
    numbers = graph.count(np.int64(-before), graph.size(steps.inside, 1))
    return graph.add("Add", numbers, graph.add("Unsqueeze", steps.steps_read, np.array([1])))


def _earlier(steps: Steps, values: str, by: int) -> str:
    """Values (batch, time, ...) of some steps before each, or the first there are."""
    graph = steps.graph
    numbers = graph.count(np.int64(-by), graph.add("Sub", graph.size(values, 1), np.int64(by)))
    return graph.add("Gather", values, graph.add("Max", numbers, np.int64(0)), axis=1)


def _lagged(steps: Steps, rows: Rows, lag: int) -> str:
    return _present(steps.graph, _earlier(steps, rows.values, lag), rows.before)


def _present(graph: Graph, values: str, before: int) -> str:
    """Without what was made of rows before the call."""
    return graph.at(values, 1, before, END) if before else values


def _waves(steps: Steps, periods: Sequence[float], horizon: int) -> list[str]:
    """Sine and cosine of the time of the step that is predicted."""
    graph, clock = steps.graph, steps.clock
    if clock is None:
        clock = graph.cast(graph.add("Add", _place(steps), np.int64(horizon)), np.float64)
    made = []
    for period in map(float, periods):
        # of the sign of the clock, where np.mod has the period's: the same place in the season
        rest = graph.add("Mod", clock, np.float64(period), fmod=1)
        phase = graph.add("Div", graph.add("Mul", np.float64(2 * np.pi), rest), np.float64(period))
        for op in ("Sin", "Cos"):
            wave = graph.add("Mul", graph.add(op, phase), np.float64(10.0**_DECIMALS))
            rounded = graph.add("Div", graph.add("Round", wave), np.float64(10.0**_DECIMALS))
            made.append(graph.add("Unsqueeze", rounded, np.array([2])))
    return made


class _Moments(NamedTuple):
    """Of some steps: how many values, their mean, the sum of squares about it, the lowest and the highest."""

    seen: str
    mean: str
    squares: str
    low: str
    high: str


def _rolling(steps: Steps, rows: Rows, window: int, words: Sequence[str]) -> list[str]:
    """Statistics of the last ``window`` steps, put together as `throughtime.RollingStatistics` does."""
    graph = steps.graph
    missing = graph.add("IsNaN", rows.values)
    zero = graph.add("Where", missing, np.float64(0), rows.values)
    block = _Moments(
        graph.cast(graph.add("Not", missing), np.float64),
        zero,
        graph.add("Mul", zero, np.float64(0)),
        graph.add("Where", missing, np.float64(np.inf), rows.values),
        graph.add("Where", missing, np.float64(-np.inf), rows.values),
    )
    place = graph.add("Unsqueeze", _place(steps, rows.before), np.array([2]))
    result: _Moments | None = None
    behind, size = 0, 1
    while size <= window:
        if window & size:
            result = block if result is None else _joined(steps, result, block, place, behind)
            behind += size
        if 2 * size <= window:
            block = _joined(steps, block, block, place, size)
        size *= 2
    assert result is not None
    last = result

    def std() -> str:
        return graph.add("Sqrt", graph.add("Div", last.squares, graph.add("Max", last.seen, np.float64(1))))

    found: dict[str, Callable[[], str]] = {
        "mean": lambda: last.mean,
        "std": std,
        "min": lambda: last.low,
        "max": lambda: last.high,
    }
    there = graph.add("Less", np.float64(0), last.seen)
    values = [graph.add("Where", there, found[word](), np.float64(np.nan)) for word in words]
    return [_present(graph, value, rows.before) for value in values]


def _joined(steps: Steps, recent: _Moments, earlier: _Moments, place: str, by: int) -> _Moments:
    """Moments of both, the earlier ones taken so many steps before each; there is nothing before a series.

    Source: Chan, Golub & LeVeque (1983), https://doi.org/10.1080/00031305.1983.10483115, equation 2.1.
    """
    graph = steps.graph
    outside = graph.add("Less", place, np.int64(by))
    seen, mean, squares, low, high = (_earlier(steps, value, by) for value in earlier)
    added = graph.add("Where", outside, np.float64(0), seen)
    count = graph.add("Add", recent.seen, added)
    fraction = graph.add("Div", added, graph.add("Max", count, np.float64(1)))
    some = graph.add("Less", np.float64(0), added)
    shift = graph.add("Where", some, graph.add("Sub", mean, recent.mean), np.float64(0))
    between = graph.add("Mul", graph.add("Mul", shift, shift), graph.add("Mul", recent.seen, fraction))
    return _Moments(
        count,
        graph.add("Add", recent.mean, graph.add("Mul", shift, fraction)),
        graph.add(
            "Add", graph.add("Add", recent.squares, graph.add("Where", outside, np.float64(0), squares)), between
        ),
        graph.add("Min", recent.low, graph.add("Where", outside, np.float64(np.inf), low)),
        graph.add("Max", recent.high, graph.add("Where", outside, np.float64(-np.inf), high)),
    )


def _sum(graph: Graph, values: str) -> str:
    """Over the steps."""
    return graph.add("ReduceSum", values, np.array([1]), keepdims=0)
