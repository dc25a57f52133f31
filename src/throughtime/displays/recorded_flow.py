"""What a record keeps of a network's gradients: what is left at each lag, as lines, and as a grid of layers by lags."""

from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from throughtime.displays.canvas import LAYER_COLORS, axes_for, plain_log, set_title
from throughtime.errors import ParameterError
from throughtime.stability import FRACTION, FlowRecord

#: Powers of ten that are drawn below lag 0.
DECADES = 12
#: Inches of a layer in the grid, and of what is above and below them all.
ROW, REST = 0.32, 1.2


class RecordedLagsDisplay:
    """A line per layer and direction: the fraction of the gradient at lag 0 that is left at each lag.

    Parameters
    ----------
    record
        Of kind ``probe`` or ``kept``: what ``flow_`` of an estimator holds, or the ``records`` of a run's ``flow``.

    Attributes
    ----------
    ax_, figure_
        What ``plot`` drew into.
    lines_
        What it drew by layer.
    """

    figsize = 6.0, 3.6

    def __init__(self, record: FlowRecord) -> None:
        self.record = record

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw into ``ax``, or into a new figure."""
        self.ax_ = axes_for(ax, self.figsize)
        self.figure_: Any = self.ax_.figure
        self.lines_: dict[str, Any] = {}
        record, left = self.record, _left(self.record)
        self.ax_.axhline(FRACTION, color="#777777", lw=0.8, ls="--")
        for place, (name, curve) in enumerate(zip(record.layers, left, strict=True)):
            color = LAYER_COLORS[place % len(LAYER_COLORS)]
            drawn = np.where(np.isfinite(curve), 10.0**curve, np.nan)
            (self.lines_[name],) = self.ax_.plot(record.lags, drawn, color=color, lw=1.8, label=name)
            if np.isfinite(record.horizons[place]):
                self.ax_.plot([record.horizons[place]], [FRACTION], "o", color=color, ms=5)
        known = left[np.isfinite(left)]
        low, high = (known.min(), known.max()) if len(known) else (0.0, 0.0)
        last = record.lags[(left >= -DECADES).any(0)][-1:]  # beyond it nothing would be seen
        self.ax_.set_yscale("log")
        self.ax_.set_ylim(10.0 ** max(min(low, -2.0) - 0.3, -DECADES), 10.0 ** min(max(high, 0.0) + 0.3, DECADES))
        plain_log(self.ax_.yaxis)
        self.ax_.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        self.ax_.set(
            xlabel="lag (steps back from the series' end)", ylabel="gradient left", xlim=(0, max(1, *last.tolist()))
        )
        set_title(self.ax_, "dashed: 1 % left", legend=False)
        if len(record.layers) > 1:
            self.ax_.legend(frameon=False, fontsize=8, loc="best")
        return self


class RecordedGridDisplay:
    """A row per layer and direction, from the input upwards, a column per lag: log10 of what is left of the gradient.

    Parameters
    ----------
    record
        As `RecordedLagsDisplay` takes it.

    Attributes
    ----------
    ax_, figure_, mesh_
        What ``plot`` drew.
    """

    def __init__(self, record: FlowRecord) -> None:
        self.record = record
        #: Inches, of a new figure.
        self.figsize = 6.0, REST + ROW * len(record.layers)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw into ``ax``, or into a new figure."""
        self.ax_ = axes_for(ax, self.figsize)
        self.figure_: Any = self.ax_.figure
        left, lags = np.clip(_left(self.record), -DECADES, DECADES), self.record.lags.astype(float)
        known = left[~np.isnan(left)]
        low, high = (known.min(), known.max()) if len(known) else (0.0, 0.0)
        middle = (lags[1:] + lags[:-1]) / 2
        columns = np.concatenate([[-0.5], middle, [lags[-1] + 0.5]])
        rows = np.arange(len(left) + 1) - 0.5
        self.mesh_ = self.ax_.pcolormesh(
            columns, rows, left, cmap="viridis", vmin=min(low, -2), vmax=max(high, 0), rasterized=True
        )
        self.figure_.colorbar(self.mesh_, ax=self.ax_, label="log10 of what is left")
        self.ax_.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        self.ax_.set(yticks=range(len(left)), yticklabels=self.record.layers, xlabel="lag (steps back)")
        self.ax_.tick_params(axis="y", length=0)
        self.ax_.set_title("gradient left, by layer and lag", fontsize=10, loc="left")
        return self


def _left(record: FlowRecord) -> Any:
    """log10 of what is left of the norm at lag 0, ``(layer, lag)``.

    Raises
    ------
    ParameterError
        For a record of a step's own loss, which may be read at many times.
    """
    if record.kind == "step":
        raise ParameterError("a record of kind 'probe' or 'kept' is needed for what is left at each lag, got 'step'")
    with np.errstate(invalid="ignore"):  # of norms that overflow from lag 0 on
        return record.log_norms.astype(float) - record.log_norms[:, :1]
