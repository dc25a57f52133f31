"""Whether there are enough series, and such as can be compared: where not, a diagnosis is insufficient."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from throughtime.findings import Check, Measured, NotApplicable, Severity
from throughtime.shift.records import Embedding, Reference, plural_of

#: Series on either side below which no test is made.
LEAST_SERIES = 10
#: Groups or blocks on either side; of 5 against 5 one side can be drawn in 252 ways, of fewer in too few for Holm's
#: procedure. Where a side's are `UNEQUAL` times as large in the mean, permuted sides are not like the measured ones:
#: of no shift a test at .05 finds .37 with 2 groups, .10 with 6, .07 with 8 (docs/decisions/0017-naming-a-shift.md).
LEAST_GROUPS, LEAST_UNEQUAL_GROUPS, UNEQUAL = 5, 8, 2.0
#: The fraction of deployed series beyond which what they lack or where they lie leaves little to compare.
MOST_APART = 0.5
#: Of a range, relative to where it lies: what another precision of the same numbers makes of one without a width.
_LEAST_WIDTH = 1e-6
_DOCS = "docs/guide/shift.md"
_SOURCE = "fewer than half of the deployed series could be compared"


def _few(reference: Embedding, deployed: Embedding) -> Measured:
    """How many too few: of series, or of groups, which change sides as a whole."""
    sides = (reference, deployed)
    counts = [len(side) if side.groups is None else len(np.unique(side.groups)) for side in sides]
    unit, least, why = "series", LEAST_SERIES, ""
    if reference.groups is not None or deployed.groups is not None:
        unit, least = "block" if "block" in (reference.unit, deployed.unit) else "group", LEAST_GROUPS
        sizes = [len(side) / count for side, count in zip(sides, counts, strict=True)]
        if max(sizes) >= UNEQUAL * min(sizes):
            least, why = LEAST_UNEQUAL_GROUPS, f", as they are of {sizes[0]:.3g} and {sizes[1]:.3g} series in the mean"
    units = unit if counts[0] == 1 else plural_of(unit)
    lacking = max(0, least - min(counts))
    short = f": {lacking} too few" if lacking else ""
    return Measured(
        float(lacking),
        f"{counts[0]} {units} in the reference and {counts[1]} deployed; {least} of each are needed{why}{short}",
    )


def _missing(reference: Embedding, deployed: Embedding) -> Measured:
    worst = _largest_rise(reference, deployed, "missing", lambda fractions: fractions)
    if worst is None:
        return Measured(0.0, "there are no channels")
    return Measured(
        worst.deployed - worst.reference,
        f"{100 * worst.deployed:.0f} % of {worst.channel} is missing in deployed series, {100 * worst.reference:.0f} % "
        "in the reference",
    )


def _silent(reference: Embedding, deployed: Embedding) -> Measured:
    worst = _largest_rise(reference, deployed, "sd", lambda deviations: deviations == 0)
    if worst is None:
        return Measured(0.0, "there are no channels")
    return Measured(
        worst.deployed - worst.reference,
        f"{worst.channel} is constant in {100 * worst.deployed:.0f} % of the deployed series, in "
        f"{100 * worst.reference:.0f} % of the reference's",
    )


class _Rise(NamedTuple):
    """A channel, and a mean over the series of either side."""

    channel: str
    reference: float
    deployed: float


def _largest_rise(
    reference: Embedding, deployed: Embedding, statistic: str, of: Callable[[ndarray], ndarray]
) -> _Rise | None:
    """The channel in which the mean of a function of a summary rose most; ``None`` without channels."""
    ending = f" {statistic}"
    places = [i for i, name in enumerate(reference.summary_names) if name.endswith(ending)]
    if not places:
        return None
    known, found = (np.mean(of(side.summaries[:, places]), 0) for side in (reference, deployed))
    worst = int((found - known).argmax())
    channel = reference.summary_names[places[worst]].removesuffix(ending)
    return _Rise(channel, float(known[worst]), float(found[worst]))


def _lengths(reference: Embedding, deployed: Embedding) -> Measured | NotApplicable:
    if "length" not in reference.summary_names:
        return NotApplicable("lengths were not kept")
    place = reference.summary_names.index("length")
    known, found = reference.summaries[:, place], deployed.summaries[:, place]
    outside = float(np.mean((found < known.min()) | (found > known.max())))
    return Measured(
        outside,
        f"{100 * outside:.0f} % of the deployed series, of {_range(found)}, are outside the reference's "
        f"{_range(known)}",
    )


def _range(lengths: ndarray) -> str:
    low, high = lengths.min(), lengths.max()
    return f"{low:g} to {high:g} steps" if low < high else "1 step" if low == 1 else f"{low:g} steps"


def _support(reference: Embedding, deployed: Embedding) -> Measured:
    """Series with a mean farther from the reference's range than that range is wide: other units, not other weather."""
    places = [i for i, name in enumerate(reference.summary_names) if name.endswith(" mean")]
    if not places:
        return Measured(0.0, "there are no channels")
    known, found = (side.summaries[:, places] for side in (reference, deployed))
    low, high = known.min(0), known.max(0)
    width = np.maximum(high - low, _LEAST_WIDTH * np.maximum(np.abs(low), np.abs(high)))
    outside: ndarray = np.mean((found < low - width) | (found > high + width), 0)
    worst = int(outside.argmax())
    channel = reference.summary_names[places[worst]].removesuffix(" mean")
    if width[worst] > high[worst] - low[worst]:
        where = f"is not {low[worst]:.3g}, as in every series of the reference, in"
    else:
        where = f"is far outside the reference's range, {low[worst]:.3g} to {high[worst]:.3g}, in"
    return Measured(
        float(outside[worst]), f"the mean of {channel} {where} {100 * outside[worst]:.0f} % of the deployed series"
    )


def _in_sample(whole: Reference) -> Measured | NotApplicable:
    if whole.in_sample is None:
        return NotApplicable("the training indices of the splits were not given")
    n = len(whole.embedding)
    return Measured(whole.in_sample / n, f"{whole.in_sample} of {n} series were trained on by their network")


def _absent(whole: Reference, labels: ndarray) -> Measured:
    """Classes of the reference without a deployed series, though some were to be expected."""
    assert whole.classes is not None
    assert whole.embedding.target is not None
    known = np.bincount(whole.embedding.target, minlength=len(whole.classes)) / len(whole.embedding)
    counts = np.bincount(labels, minlength=len(whole.classes))
    # expected by so many that their absence has a chance below .01
    absent = np.flatnonzero((counts == 0) & ((1 - known) ** len(labels) < 0.01))
    names = ", ".join(str(whole.classes[k]) for k in absent[:5])
    return Measured(float(len(absent)), f"no deployed series of {names}" if len(absent) else "every class is there")


def _check(
    code: str,
    title: str,
    measure: object,
    remedy: str,
    *,
    threshold: float,
    source: str,
    severity: Severity = "error",
) -> Check:
    return Check(
        code,
        title,
        severity,
        needs=("reference", "deployed"),
        measure=measure,  # type: ignore[arg-type]
        threshold=threshold,
        source=source,
        remedy=remedy,
        docs=f"{_DOCS}#{code.lower()}",
    )


#: Those that leave nothing to test where they are found.
SUFFICIENCY_CHECKS = (
    _check(
        "SHF001",
        "too few series",
        _few,
        "add series, or groups, to the side that has too few; windows of few long series can change sides by stretches "
        "of these, reference_of(block=), or by shorter ones",
        threshold=0.0,
        source="permutations of fewer tell no shift from chance, or find one where there is none",
        severity="warning",  # nothing is wrong with the series there are
    ),
    _check(
        "SHF002",
        "missing values",
        _missing,
        "see why the channel is no longer observed; where it stays so, train a model without it",
        threshold=MOST_APART,
        source=_SOURCE,
    ),
    _check(
        "SHF003",
        "constant channel",
        _silent,
        "see whether its sensor is dead, and repair it; where it stays so, train a model without it",
        threshold=MOST_APART,
        source=_SOURCE,
    ),
    _check(
        "SHF004",
        "other lengths",
        _lengths,
        "cut deployed series as the reference was cut",
        threshold=MOST_APART,
        source=_SOURCE,
    ),
    _check(
        "SHF005",
        "other range",
        _support,
        "compare units and scaling of the channel",
        threshold=MOST_APART,
        source=_SOURCE,
    ),
)
REFERENCE_CHECKS = (
    Check(
        "SHF009",
        "in-sample reference",
        "warning",
        needs=("whole",),
        measure=_in_sample,
        source="outputs for series that were trained on are too confident: .15 to .20 false alarms",
        remedy="make the reference from fold members and their test folds",
        docs=f"{_DOCS}#shf009",
    ),
    Check(
        "SHF010",
        "absent classes",
        "note",
        needs=("whole", "labels"),
        measure=_absent,
        source="so many series of the reference's fractions lack a class with a chance below .01",
        remedy="see whether deployed series of the class are collected at all",
        docs=f"{_DOCS}#shf010",
        lacking="the deployed series have no class labels",
    ),
)
