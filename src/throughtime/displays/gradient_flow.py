"""Which gradient reaches which state: a map of layers and directions over time, by powers of ten."""

from typing import Any, Literal, Self

import numpy as np
from jaxtyping import Float64
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, MaxNLocator
from numpy import ndarray

from throughtime.displays.canvas import axes_for, set_title
from throughtime.errors import ParameterError
from throughtime.estimators import gradient_flow_of
from throughtime.stability import GradientFlow, LayerFlow

#: Powers of ten below the largest norm that have a color; what is below has the last.
DECADES = 12


class GradientFlowDisplay:
    """Norm of the gradient at each state, the geometric mean over the series: a row per layer and direction.

    Parameters
    ----------
    flow
        What ``throughtime.stability.gradient_flow`` gave.
    state
        Of which the norm is drawn: h, c, or ``total``, both as one vector.

    Attributes
    ----------
    norms
        log10 of what is drawn, (layer and direction, step), the last layer first; ``-inf`` where nothing arrives, NaN
        where no series has that step or no norm is a number.
    labels
        Of the rows.
    ax_, figure_, image_, colorbar_
        What ``plot`` drew.
    """

    #: Inches, of a new figure with a few layers.
    figsize = 6.4, 1.6

    def __init__(self, flow: GradientFlow, *, state: Literal["total", "h", "c"] = "total") -> None:
        layers = list(reversed([layer for layer in flow.layers if state != "c" or layer.c is not None]))
        if not layers:
            raise ParameterError("GradientFlowDisplay needs a cell with c for state='c', got none")
        self.state = state
        self.labels = [layer.label for layer in layers]
        self.norms = np.full((len(layers), max(len(layer.h) for layer in layers)), np.nan)
        for row, layer in zip(self.norms, layers, strict=True):
            row[: len(layer.h)] = _mean_log(layer, getattr(layer, state))

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: Any, *, state: Literal["total", "h", "c"] = "total", ax: Axes | None = None
    ) -> Self:
        """Follow a fitted estimator's own loss on some series back to all its states, and draw."""
        return cls(gradient_flow_of(estimator, X, y), state=state).plot(ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw into ``ax``, or into a new figure."""
        width, height = self.figsize
        self.ax_ = axes_for(ax, (width, height + 0.28 * len(self.labels)))
        self.figure_: Any = self.ax_.figure
        finite = self.norms[np.isfinite(self.norms)]
        top = float(finite.max()) if len(finite) else 0.0
        low = max(float(finite.min()), top - DECADES) if len(finite) else -1.0
        low = min(low, top - 1)  # a flow that is the same everywhere has one color, not noise
        shown = np.where(self.norms == -np.inf, low, self.norms)
        self.image_ = self.ax_.imshow(
            shown, aspect="auto", cmap="viridis", vmin=low, vmax=top, interpolation="nearest", origin="upper"
        )
        self.ax_.set_facecolor("#dddddd")  # where there is no series
        self.ax_.yaxis.set_major_locator(FixedLocator(range(len(self.labels))))
        self.ax_.set_yticklabels(self.labels)
        self.ax_.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        self.ax_.set_xlabel("step")
        below = bool((self.norms < low).any())
        what = {"total": "gradient", "h": "gradient of h", "c": "gradient of c"}[self.state]
        self.colorbar_ = self.figure_.colorbar(self.image_, ax=self.ax_, extend="min" if below else "neither")
        self.colorbar_.set_ticks(MaxNLocator(4, integer=top - low > 3))
        self.colorbar_.ax.yaxis.set_major_formatter(lambda power, _: f"{10.0**power:.{int(power % 1 > 0)}e}")
        set_title(self.ax_, f"norm of the {what} at each state, geometric mean of the series", legend=False)
        return self


def _mean_log(layer: LayerFlow, norms: Float64[ndarray, "time series"]) -> Float64[ndarray, "time"]:
    """log10 of the geometric mean over the series that have a step."""
    inside = np.arange(len(norms))[:, None] < layer.lengths
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(inside, np.log10(norms), 0)
        mean: ndarray = logs.sum(1) / inside.sum(1)
    return np.where(np.isposinf(mean), np.nan, mean)
