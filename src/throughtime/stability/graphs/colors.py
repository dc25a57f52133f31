"""The scale of gradients: by powers of ten, darker is larger, so that it reads in print too."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

#: From small to large, ordered by lightness (seaborn's "mako", reversed).
COLORS = ("#cfeede", "#a0dfb9", "#60ceac", "#3db3ad", "#3497a9", "#357ba3", "#3a5d9b", "#40407f", "#2b1c40")
#: Of what is zero, of what is not finite, and where no derivative is known.
ZERO, BROKEN, UNKNOWN = "#ffffff", "#d62839", "#b8c4cc"
#: Powers of ten that the scale spans at most; what is smaller has the first color.
MOST_DECADES = 18


@dataclass(frozen=True)
class Scale:
    """Powers of ten from the smallest to the largest norm; ``cut`` where there are smaller ones."""

    low: int
    high: int
    cut: bool = False

    def index(self, norm: float) -> int:
        """Which of the colors a norm has that is above zero and finite."""
        part = (math.log10(norm) - self.low) / (self.high - self.low)
        return min(max(int(part * len(COLORS)), 0), len(COLORS) - 1)

    def color(self, norm: float | None) -> str:
        """The color of a norm."""
        if norm is None:
            return UNKNOWN
        if not math.isfinite(norm):
            return BROKEN
        return COLORS[self.index(norm)] if norm > 0 else ZERO


def scale_of(norms: Iterable[float]) -> Scale | None:
    """A scale for norms, ``None`` where there are none above zero."""
    logs = [math.log10(norm) for norm in norms if 0 < norm < math.inf]
    if not logs:
        return None
    high = math.ceil(max(logs))
    low = max(math.floor(min(logs)), high - MOST_DECADES)
    return Scale(min(low, high - 1), high, cut=min(logs) < low)
