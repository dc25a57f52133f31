"""What is left of a gradient at each lag, with its spread over the series, and the lag at which 1 % is left."""

from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from throughtime.displays.canvas import FURTHER, TRAINING, VALIDATION, axes_for, set_title
from throughtime.estimators import lag_curve_of
from throughtime.stability import FRACTION, LagCurve

#: Powers of ten that are drawn below lag 0.
DECADES = 12
#: Of the first layer, then of the others.
COLORS = (TRAINING, VALIDATION, *FURTHER)


class LagCurveDisplay:
    """``G(lag) / G(0)`` of every layer and direction: the geometric mean, and the middle 80 % of the series.

    A line marks 1 %, a dot on it the gradient horizon, a bar the horizon's 95 % interval.

    Parameters
    ----------
    curve
        What ``throughtime.stability.lag_curve`` gave.

    Attributes
    ----------
    ax_, figure_, lines_, bands_, horizons_
        What ``plot`` drew; the last three by layer, horizons where there is one.
    """

    #: Inches, of a new figure.
    figsize = 6.0, 3.6

    def __init__(self, curve: LagCurve) -> None:
        self.curve = curve

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, *, seed: int = 0, ax: Axes | None = None) -> Self:
        """Pull the last states of a fitted estimator's network back on some series, and draw."""
        return cls(lag_curve_of(estimator, X, seed=seed)).plot(ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw into ``ax``, or into a new figure."""
        self.ax_ = axes_for(ax, self.figsize)
        self.figure_: Any = self.ax_.figure
        self.lines_: dict[str, Any] = {}
        self.bands_: dict[str, Any] = {}
        self.horizons_: dict[str, Any] = {}
        self.ax_.axhline(FRACTION, color="#777777", lw=0.8, ls="--")
        for number, layer in enumerate(self.curve.layers):
            color, lags = COLORS[number % len(COLORS)], np.arange(len(layer.mean))
            mean, low, high = (_drawable(values) for values in (layer.mean, layer.low, layer.high))
            (self.lines_[layer.label],) = self.ax_.plot(lags, mean, color=color, lw=1.8, label=layer.label)
            if self.curve.n_series > 1:
                self.bands_[layer.label] = self.ax_.fill_between(lags, low, high, color=color, alpha=0.15, lw=0)
            if np.isfinite(layer.gradient_horizon):
                low_end, high_end = layer.horizon_low, min(layer.horizon_high, len(lags) - 1)
                error = None if np.isnan(low_end) else [[layer.gradient_horizon - low_end],
                                                        [max(high_end - layer.gradient_horizon, 0)]]  # fmt: skip
                self.horizons_[layer.label] = self.ax_.errorbar(
                    layer.gradient_horizon, FRACTION, xerr=error, color=color, marker="o", ms=5, capsize=3, zorder=4
                )
        self.ax_.set_yscale("log")
        drawn = np.concatenate([_drawable(layer.mean) for layer in self.curve.layers])
        self.ax_.set_ylim(max(float(np.nanmin(drawn)) / 2, 10.0**-DECADES), float(np.nanmax(drawn)) * 3)
        self.ax_.yaxis.set_major_locator(LogLocator(numticks=8))
        self.ax_.yaxis.set_major_formatter("{x:g}")
        self.ax_.yaxis.set_minor_formatter(NullFormatter())
        self.ax_.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        self.ax_.set(xlabel="lag (steps back from the loss)", ylabel="gradient left", xlim=(0, self.curve.longest - 1))
        several = len(self.curve.layers) > 1
        set_title(self.ax_, f"{self.curve.n_series} series, {_summary(self.curve)}", legend=False)
        if several:
            self.ax_.legend(frameon=False, fontsize=8, loc="best")
        return self


def _summary(curve: LagCurve) -> str:
    """What the first layer shows."""
    layer = curve.layers[0]
    if np.isfinite(layer.gradient_horizon):
        return f"1 % left at lag {layer.gradient_horizon:.3g}"
    if np.nanmax(layer.mean) > 1 / FRACTION:
        return f"{layer.growth:.3g} times per step back"
    return f"more than 1 % left at lag {curve.longest - 1}"


def _drawable(values: Any) -> Any:
    """Zero has no place on a logarithmic axis, and infinity ends every axis."""
    return np.where((values > 0) & np.isfinite(values), values, np.nan)
