"""A forest plot in letters, for a terminal of any encoding: what each probe gains, beside no gain and the margin."""

from collections.abc import Sequence

from throughtime.displays import by_gain, ends_of
from throughtime.generalization import Effect

#: Columns of the plot at most; of its labels at most; and where both end.
COLUMNS, LABELS, WIDTH = 56, 24, 80
#: No gain, the margin, an interval, its gain, and an interval that goes on.
ZERO, MARGIN, BAR, DOT, BEFORE, BEYOND = "|", ":", "-", "o", "<", ">"


def forest_lines(effects: Sequence[Effect], margin: float, width: int = WIDTH) -> list[str]:
    """A line per probe, the largest gain first, and one below them that names the lines of no gain and the margin."""
    shown = by_gain(effects)
    first, last = ends_of(shown, margin)
    labels = [_cut(effect.probe) for effect in shown]
    margin_left = max(map(len, labels)) + 2
    columns = max(min(COLUMNS, width - margin_left), 8)

    def column(gain: float) -> int:
        return round((min(max(gain, first), last) - first) / (last - first) * (columns - 1))

    lines = []
    for label, effect in zip(labels, shown, strict=True):
        row = [" "] * columns
        low, high = column(effect.low), column(effect.high)
        row[low : high + 1] = BAR * (high + 1 - low)
        row[column(margin)], row[column(0)] = MARGIN, ZERO
        if effect.low < first:
            row[0] = BEFORE
        if effect.high > last:
            row[-1] = BEYOND
        if effect.gain >= first:
            row[column(effect.gain)] = DOT
        lines.append(f"{label:<{margin_left}}{''.join(row)}".rstrip())
    between = max(column(margin) - column(0) - 1, 1)
    return [*lines, f"{'':<{margin_left + column(0)}}0{'':<{between}}margin"]


def _cut(label: str) -> str:
    return label if len(label) <= LABELS else f"{label[: LABELS - 3]}..."
