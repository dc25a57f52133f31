"""The series that the network does worst on, by networks that did not train on them."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from numpy import ndarray

from throughtime.displays import VALIDATION, PredictionsDisplay, SortedLossesDisplay, set_title
from throughtime.report.parts import Figure, Line, Part, Table
from throughtime.report.subject import Subject
from throughtime.report.svg import figure_of
from throughtime.report.target_losses import TargetLosses, first_seed, losses_of_targets
from throughtime.study import Run, number

#: Series in the table, and those of them that are drawn over time.
LISTED, DRAWN = 10, 3
#: Of a longer series so many stretches are drawn, each by its extremes.
MOST_STRETCHES = 300
#: Inches of a series over time.
_SIZE = 6.0, 2.6


def worst(subject: Subject) -> Sequence[Part]:
    """A table of the worst, how the others do, and the worst drawn where each step has a target."""
    run = subject.run
    if run.out_of_fold is None:
        return [Line("No fold has predictions.", "quiet")]
    found = losses_of_targets(run, run.out_of_fold)
    names, members = np.unique(found.table["series"].astype(str), return_inverse=True)
    counts = np.bincount(members)
    means = np.bincount(members, found.losses) / counts
    order = np.argsort(-means, kind="stable")
    by_step = "step" in found.table or "time" in found.table
    listed = order[:LISTED]
    parts: list[Part] = [_sorted(found, means, names[order[0]])]
    if by_step:
        parts.append(_table_by_series(found, names, members, listed, means))
        parts += [_over_time(run, found, str(names[k])) for k in order[:DRAWN]]
    else:
        parts.append(_table_of_targets(found, names, members, listed, means))
        parts.append(Line("A run keeps no series, so what the network read of these is not drawn here.", "quiet"))
    return parts


def _sorted(found: TargetLosses, means: ndarray, name: str) -> Figure:
    display = SortedLossesDisplay(means, found.name, marked=min(LISTED, len(means)), guess=found.guess)
    words = (
        f"The largest is that of series {name}, {number(float(means.max()))}; the median is "
        f"{number(float(np.median(means)))}"
    )
    if found.guess is not None:
        above = float(np.mean(means > found.guess))
        words += f"; {above:.0%} of {len(means)} series are worse than a guess ({number(found.guess)})"
    title = f"Mean {found.name} of every series held out, the worst first"
    return figure_of(display.plot, display.figsize, title, f"{words}.", f"{words}.")


def _table_of_targets(found: TargetLosses, names: ndarray, members: ndarray, listed: ndarray, means: ndarray) -> Table:
    """One target per series: its truth and what was predicted for it."""
    first = {name: k for k, name in reversed(list(enumerate(members)))}
    rows = []
    for k in listed:
        place, own = first[k], members == k
        truth, predicted = (_value(found.table[column][place]) for column in ("truth", "prediction"))
        certainty = () if found.truths is None else (number(float(found.truths[own].mean())),)
        rows.append((str(names[k]), *_group(found, place), truth, predicted, *certainty, number(float(means[k]))))
    certain = () if found.truths is None else ("probability of the truth",)
    group = ("group",) if "group" in found.table else ()
    head = ("series", *group, "truth", "prediction", *certain, found.name)
    return Table(_caption(len(rows), len(means)), head, tuple(rows))


def _table_by_series(found: TargetLosses, names: ndarray, members: ndarray, listed: ndarray, means: ndarray) -> Table:
    """A target per step: how many, and the worst of them."""
    rows = []
    for k in listed:
        own = np.flatnonzero(members == k)
        group = _group(found, own[0])
        rows.append(
            (str(names[k]), *group, str(len(own)), number(float(means[k])), number(float(found.losses[own].max())))
        )
    group = ("group",) if "group" in found.table else ()
    head = ("series", *group, "targets", f"mean {found.name}", "largest")
    return Table(_caption(len(rows), len(means)), head, tuple(rows))


def _caption(listed: int, n: int) -> str:
    if listed == n:
        return f"All {n} series held out, the worst first"
    return f"The {listed} worst of {n} series held out"


def _group(found: TargetLosses, place: int) -> tuple[str, ...]:
    return (str(found.table["group"][place]),) if "group" in found.table else ()


def _over_time(run: Run, found: TargetLosses, name: str) -> Figure:
    """One series: truth and prediction over its steps; of classes the probability of the true one."""
    own = found.table["series"].astype(str) == name
    table = first_seed({column: values[own] for column, values in found.table.items()})
    when = "time" if "time" in table else "step"
    order = np.argsort(table[when], kind="stable")
    table = {column: values[order] for column, values in table.items()}
    loss = number(float(found.losses[own].mean()))
    title = f"Series {name}, held out"
    words = f"Series {name}: {len(order)} targets, mean {found.name} {loss}."
    if found.truths is not None:
        truths = found.truths[own][: len(order)][order] if run.seeds == 1 else losses_of_targets(run, table).truths
        assert truths is not None
        shown = thinned(truths)
        draw = partial(_draw_truths, table[when][shown], truths[shown], _axis(run, when))
        return figure_of(draw, _SIZE, title, words, words)
    truth, predicted = (table[column].astype(float) for column in ("truth", "prediction"))
    shown = np.union1d(thinned(truth), thinned(predicted))
    display = PredictionsDisplay(
        truth[shown],
        predicted[shown],
        _distinct(table[when][shown]),
        run.config["target"] or "target",
        _axis(run, when),
    )
    return figure_of(partial(_draw_values, display, name), _SIZE, title, words, words)


def _draw_values(display: PredictionsDisplay, name: str, ax: Axes) -> None:
    display.plot(ax)
    ax.set_title(f"series {name}", fontsize=10, loc="left")


def _draw_truths(times: ndarray, truths: ndarray, axis: str, ax: Axes) -> None:
    ax.plot(times, truths, color=VALIDATION, lw=1)
    ax.set(ylim=(-0.03, 1.03), ylabel="probability", xlabel=axis)
    set_title(ax, "probability of the true class", legend=False)


def _distinct(times: ndarray) -> ndarray:
    """The times of a series, or its places where several targets have one time."""
    return times if len(np.unique(times)) == len(times) else np.arange(len(times))


def _axis(run: Run, when: str) -> str:
    return run.config["columns"]["time"] or when


def thinned(values: ndarray) -> ndarray:
    """Places that show what a long series shows: of each of so many stretches its lowest and its highest value."""
    if len(values) <= 2 * MOST_STRETCHES:
        return np.arange(len(values))
    edges = np.linspace(0, len(values), MOST_STRETCHES + 1).round().astype(int)
    ends = [(a + values[a:b].argmin(), a + values[a:b].argmax()) for a, b in pairwise(edges.tolist())]
    return np.unique(ends)


def _value(value: object) -> str:
    return number(float(value)) if isinstance(value, float | np.floating) else str(value)
