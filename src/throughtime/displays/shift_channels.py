"""How far each channel moved: quantiles of the summaries that moved most, reference series against deployed ones."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from numpy import ndarray

from throughtime.displays.canvas import MOST_OF_NAME, TRAINING, VALIDATION, axes_for, set_title, show_literally
from throughtime.errors import ParameterError
from throughtime.shift import ChannelShift, ShiftDiagnosis, target_names

#: Inches of a row, and of what is above and below them all.
ROW, REST = 0.42, 1.15
#: Inches of a figure whose names have at most so many letters, and of each further one.
WIDTH, SHORT, LETTER = 7.6, 14, 0.08
#: Of more summaries the first, which moved most, are drawn.
MOST_ROWS = 12
#: Standard deviations beyond which an arrow stands for what lies there.
FAR = 8.0
#: What is drawn of each sample: a thin line, a thick one, a dot.
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class ShiftChannelsDisplay:
    """A row per channel and summary: where 90 % and 50 % of the series lie, and their median, of either sample.

    0 is the mean of the reference, 1 a standard deviation within the samples: the unit of ``ChannelShift.effect``.

    Parameters
    ----------
    channels
        Those of a ``ShiftDiagnosis``, in the order of the rows.
    reference, deployed
        Their summaries, a row per series and a column per channel of ``channels``.

    Attributes
    ----------
    quantiles_
        Standardized, (row, sample, quantile) for `QUANTILES`.
    ax_, figure_
        What ``plot`` drew into.
    dots_
        The medians of the reference and of the deployed series.
    """

    title = "what moved"

    def __init__(
        self,
        channels: Sequence[ChannelShift],
        reference: Float[ndarray, "series row"],
        deployed: Float[ndarray, "series row"],
    ) -> None:
        if not channels:
            raise ParameterError(f"{type(self).__name__} needs the shift of a channel, got none")
        self.channels = channels[:MOST_ROWS]
        self.left_out = len(channels) - len(self.channels)
        shown = slice(len(self.channels))
        self.quantiles_ = _standardized(reference[:, shown], deployed[:, shown])
        longest = max(len(_short_name(one)) for one in self.channels)
        #: Inches, of a new figure: wider for long names, beside which title and legend would meet.
        self.figsize = WIDTH + LETTER * max(0, longest - SHORT), REST + ROW * len(self.channels)

    @classmethod
    def from_diagnosis(cls, diagnosis: ShiftDiagnosis, *, ax: Axes | None = None) -> Self:
        """Draw what moved most, the largest first.

        Raises
        ------
        ParameterError
            When the diagnosis looked at no channel, as where series were too few.
        """
        return cls.of_diagnosis(diagnosis).plot(ax)

    @classmethod
    def of_diagnosis(cls, diagnosis: ShiftDiagnosis) -> Self:
        """The same, not drawn yet."""
        reference, deployed = diagnosis.reference.embedding, diagnosis.deployed
        columns = [reference.summary_names.index(name_of(one)) for one in diagnosis.channels]
        return cls(diagnosis.channels, reference.summaries[:, columns], deployed.summaries[:, columns])

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw into ``ax``, or into a new figure."""
        self.ax_ = axes_for(ax, self.figsize)
        self.figure_: Any = self.ax_.figure
        self.ax_.axvline(0, color="#777777", lw=0.8, ls=":")
        self.dots_: list[Any] = []
        rows = np.arange(len(self.channels))
        for sample, (label, color, above) in enumerate(
            [("reference", TRAINING, -0.13), ("deployed", VALIDATION, 0.13)]
        ):
            low, first, median, third, high = np.clip(self.quantiles_[:, sample].T, -FAR, FAR)
            self.ax_.hlines(rows + above, low, high, color=color, lw=1.6)
            self.ax_.hlines(rows + above, first, third, color=color, lw=4.5, alpha=0.75)
            self.dots_ += self.ax_.plot(median, rows + above, "o", color=color, ms=5, label=label)
            for end, sign in ((low, "<"), (high, ">")):
                cut = np.abs(end) == FAR
                self.ax_.plot(end[cut], rows[cut] + above, sign, color=color, ms=5)
        for row, one in enumerate(self.channels):
            words = f"{one.effect:+.2f} ({one.low:+.2f} to {one.high:+.2f})"
            bold = "bold" if one.p_value <= 0.05 else "normal"
            at = self.ax_.get_yaxis_transform()
            self.ax_.text(1.02, row, words, transform=at, va="center", fontsize=8, weight=bold)
        self.ax_.set(
            ylim=(len(self.channels) - 0.5, -0.5),
            yticks=rows,
            yticklabels=[_short_name(one) for one in self.channels],
            xlabel="sd within the samples (line: 90 % of the series, bar: 50 %, dot: median)",
        )
        show_literally(self.ax_.get_yticklabels())
        self.ax_.tick_params(axis="y", length=0)
        more = f"{self.title} ({self.left_out} more moved less)" if self.left_out else self.title
        at = self.ax_.transAxes
        self.ax_.text(1.02, 1.03, "mean (95 %), bold: p <= .05", transform=at, fontsize=8, va="bottom")
        set_title(self.ax_, more, legend=True)
        return self


class ShiftTargetsDisplay(ShiftChannelsDisplay):
    """The same of targets that are numbers, or of targets per step."""

    title = "how far the targets moved"

    @classmethod
    def of_diagnosis(cls, diagnosis: ShiftDiagnosis) -> Self:
        """The same, not drawn yet."""
        known, deployed = (
            np.empty((0, 0)) if one.target is None else one.target.reshape(len(one), -1).astype(np.float64)
            for one in (diagnosis.reference.embedding, diagnosis.deployed)
        )
        names = target_names(diagnosis.reference.embedding)
        columns = [names.index(one.summary) for one in diagnosis.targets]
        return cls(diagnosis.targets, known[:, columns], deployed[:, columns])


def name_of(one: ChannelShift) -> str:
    """The summary's name in an embedding: its channel's and its own."""
    return f"{one.channel} {one.summary}".strip()


def _short_name(one: ChannelShift) -> str:
    """The name, without its middle where it would leave little room for the axes: ends tell names apart."""
    name, half = name_of(one), (MOST_OF_NAME - 3) // 2
    return name if len(name) <= MOST_OF_NAME else f"{name[: half + 1]}...{name[-half:]}"


def _standardized(reference: ndarray, deployed: ndarray) -> Float[ndarray, "row sample quantile"]:
    """Quantiles of both from the reference's mean, in deviations within the samples, or of both if there are none."""
    center, n = reference.mean(0), len(reference) + len(deployed)
    within = sum(np.square(sample - sample.mean(0)).sum(0) for sample in (reference, deployed))
    scale = np.sqrt(within / (n - 2))
    scale = np.where(scale > 0, scale, np.concatenate([reference, deployed]).std(0))
    scale = np.where(scale > 0, scale, 1.0)
    of_both = [np.quantile((sample - center) / scale, QUANTILES, axis=0) for sample in (reference, deployed)]
    return np.stack(of_both).transpose(2, 0, 1)
