"""Which shift it is, from p-values and from how well each kind alone explains the samples.

What was tried, and the figures: docs/decisions/0017-naming-a-shift.md.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from throughtime.shift.explanations import Explanations
from throughtime.shift.records import ShiftVerdict

#: The p-value at which p(y given x) of classes is a second cause where X or Y has a smaller one.
SECOND_CAUSE = 0.01


def adjusted(p_values: Sequence[float]) -> list[float]:
    """P-values for several tests at once, of Holm (1979), https://www.jstor.org/stable/4615733."""
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    found, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        found[place] = largest
    return found


def name_shift(
    p: Mapping[str, float], explained: Explanations, *, of_classes: bool, level: float = 0.05
) -> ShiftVerdict:
    """The name of a shift between series with targets.

    Parameters
    ----------
    p
        Of "X", "Y", "concept", "Y given X" and "X given Y", of numbers of the mean "outputs" too; 1 where there was
        nothing to test.
    explained
        Of `explanations`.
    of_classes
        Targets are classes; of numbers p(y given x) as a whole is tested, since a constant added to every target is
        concept shift, which looks like label and covariate shift at once.

    Returns
    -------
    "none detected" unless Holm's procedure rejects X, Y, or the test of p(y given x). If p(y given x) changed as label
    shift does not, "concept", or "mixed" where the rest moved too; "mixed" also if both p(y given x) and p(x given y)
    changed. Else "label" or "covariate", whichever explains the samples better, and "undetermined" if what that name
    keeps has changed.
    """
    third = "concept" if of_classes else "Y given X"
    moved_x, moved_y, moved_third = (one <= level for one in adjusted([p["X"], p["Y"], p[third]]))
    if not (moved_x or moved_y or moved_third):
        return "none detected"
    both = max(p["Y given X"], p["X given Y"]) <= level
    alone = not (moved_x or moved_y)
    if of_classes:
        is_concept = moved_third and (alone or p[third] <= max(SECOND_CAUSE, min(p["X"], p["Y"])))
    else:
        is_concept = moved_third and (alone or both or p["concept"] <= level)
    # what concept shift leaves as it is: of numbers not Y, and the outputs tell of X what matters to them
    has_more = 2 * min(p["X"], p["Y" if of_classes else "outputs"]) <= level
    if is_concept:
        return "mixed" if has_more else "concept"
    if both:
        return "mixed"
    gains: dict[ShiftVerdict, float] = {"label": explained.label, "covariate": explained.covariate}
    if moved_third and not has_more:
        gains["concept"] = explained.concept
    first = max(gains, key=lambda name: gains[name])
    kept = {"label": p["X given Y"], "covariate": p["Y given X"], "concept": p["X"]}[first]
    if kept <= level:
        return "undetermined"
    return first


def name_without_labels(
    p_x: float, p_beyond: float, *, level: float = 0.05
) -> Literal["none detected", "covariate", "undetermined"]:
    """The name of a shift between series, the deployed ones without targets, supposing that it is no concept shift.

    Parameters
    ----------
    p_x
        Of the series.
    p_beyond
        Of the series, the best explanation by label shift held fixed.

    Returns
    -------
    "covariate" if more moved than label shift explains. Never "label": a covariate shift along the outputs looks alike,
    and in 13 of 24 planted ones would have been called so.
    """
    if p_x > level:
        return "none detected"
    return "covariate" if p_beyond <= level else "undetermined"
