"""What each probe of a diagnosis gained or lost, with its interval, beside no gain and the margin: a forest plot."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Self

from matplotlib.axes import Axes

from throughtime.displays.canvas import TRAINING, axes_for, set_title
from throughtime.errors import ParameterError
from throughtime.generalization import Diagnosis, Effect

#: Of an interval that leaves the question open, or says that a probe does not help.
OTHER = "#999999"
#: Inches of a row, and of what is above and below them all.
ROW, REST = 0.27, 1.0
#: What effects say that speak for no verdict.
OPEN, BELOW, NO_GAIN, LOSES = "open", "below the margin", "no gain", "loses"


class EffectsDisplay:
    """A row per probe, the largest gain first: its gain, a dot, and the simultaneous interval, a bar.

    A dot is filled where the probe gains more than the margin and its interval ends above 0; grey says that it gains
    less than the margin, and hollow that it is open. What
    lies far beyond the others is cut off, and an arrow says so.

    Parameters
    ----------
    effects
        Those of a ``Diagnosis``.
    margin
        The least gain that counts, in units of the loss.
    level
        Of the intervals.

    Attributes
    ----------
    ax_, figure_
        What ``plot`` drew into.
    dots_, bars_
        What it drew by probe; no dot for one that is cut off.
    """

    def __init__(self, effects: Sequence[Effect], margin: float, level: float = 0.95) -> None:
        if not effects:
            raise ParameterError("EffectsDisplay needs the effect of a probe, got none")
        self.effects = by_gain(effects)
        self.margin, self.level = margin, level
        #: Inches, of a new figure.
        self.figsize = 7.6, REST + ROW * len(effects)

    @classmethod
    def from_diagnosis(cls, diagnosis: Diagnosis, *, ax: Axes | None = None) -> Self:
        """Draw the effects of a diagnosis."""
        return cls(diagnosis.effects, diagnosis.margin, diagnosis.level).plot(ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw into ``ax``, or into a new figure."""
        self.ax_ = axes_for(ax, self.figsize)
        self.figure_: Any = self.ax_.figure
        self.dots_: dict[str, Any] = {}
        self.bars_: dict[str, Any] = {}
        usual, *_ = losses_of(self.effects)
        first, last = ends_of(self.effects, self.margin)
        room = 0.03 * (last - first)
        self.ax_.axvline(0, color="#555555", lw=0.8)
        self.ax_.axvline(self.margin, color="#555555", lw=0.8, ls=":")
        for row, effect in enumerate(self.effects):
            gain, *ends = (gain_number(value, self.margin) for value in (effect.gain, effect.low, effect.high))
            numbers = f"{gain} ({' to '.join(ends)})"
            self.ax_.text(1.02, row, numbers, transform=self.ax_.get_yaxis_transform(), va="center", fontsize=8)
            words = effect_in_words(effect, self.margin)
            color = OTHER if words in (OPEN, BELOW, NO_GAIN, LOSES) else TRAINING
            low, high = (min(max(end, first), last) for end in (effect.low, effect.high))
            (self.bars_[effect.probe],) = self.ax_.plot([low, high], [row, row], color=color, lw=1.6)
            for is_cut, end, sign in ((effect.low < first, first, "<"), (effect.high > last, last, ">")):
                if is_cut:
                    self.ax_.plot([end], [row], sign, color=color, ms=5)
            if effect.gain >= first:
                (self.dots_[effect.probe],) = self.ax_.plot(
                    [effect.gain], [row], "o", color=color, ms=6, mfc="white" if words == OPEN else color
                )
        self.ax_.set(
            xlim=(first - room, last + room),
            ylim=(len(self.effects) - 0.4, -0.6),
            yticks=range(len(self.effects)),
            yticklabels=[
                effect.probe if effect.loss == usual else f"{effect.probe}, {effect.loss}" for effect in self.effects
            ],
            xlabel=f"lower {usual} on series held out (dotted: the margin, {self.margin:.2g})",
        )
        self.ax_.tick_params(axis="y", length=0)
        set_title(self.ax_, f"what each probe gains, with {100 * self.level:g} % intervals", legend=False)
        return self


def effect_in_words(effect: Effect, margin: float) -> str:
    """What an effect says: the verdict that its gain speaks for, that it gains little, nothing or loses, or is open."""
    if effect.gain > margin and effect.low > 0:
        return effect.cause or "gains"
    if effect.high < 0:
        return LOSES
    if effect.high >= margin:
        return OPEN
    return BELOW if effect.gain > 0 else NO_GAIN


def gain_number(gain: float, margin: float) -> str:
    """A gain in as many decimals as show a twentieth of the margin: three of a margin of 0.1."""
    decimals = max(math.ceil(-math.log10(margin / 20)), 0) if margin > 0 else 3
    return f"{round(gain, decimals) + 0:.{decimals}f}"  # never -0


def losses_of(effects: Sequence[Effect]) -> list[str]:
    """The losses that probes were judged by, that of most of them first."""
    return [loss for loss, _ in Counter(effect.loss for effect in effects).most_common()]


def curve_loss(diagnosis: Diagnosis, subject: str) -> str:
    """What the losses of a curve are called: as those of the probes that took away of its ``subject``."""
    named = (effect.loss for effect in diagnosis.effects if effect.probe.endswith(f" of the {subject}"))
    return next(named, diagnosis.loss_name)


def by_gain(effects: Sequence[Effect]) -> list[Effect]:
    """The effects from the largest gain to the smallest."""
    return sorted(effects, key=lambda effect: -effect.gain)


def ends_of(effects: Sequence[Effect], margin: float) -> tuple[float, float]:
    """Where a forest plot begins and ends: large losses, and a few intervals far wider than others, are cut off."""
    highs = sorted(effect.high for effect in effects)
    usual, largest = highs[3 * (len(highs) - 1) // 4], max(effect.gain for effect in effects)
    last = min(max(2 * margin, 1.5 * largest, usual), max(2 * margin, highs[-1]))
    first = min(-margin, *(effect.low for effect in effects))
    last = last or -first or 1.0
    return max(first, -last), last
