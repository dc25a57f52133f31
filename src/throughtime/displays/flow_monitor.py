"""How far gradients reach back while a network trains: a heat map of training step by lag, and their horizon."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy import ndarray
from sklearn.utils.validation import check_is_fitted

from throughtime.displays.canvas import axes_for
from throughtime.displays.curves import network_in
from throughtime.errors import ParameterError
from throughtime.estimators import SequenceEstimator
from throughtime.stability import FlowRecord, Kind

#: Powers of ten that the colors span; below them all is one color.
SPAN = 12
HORIZON = "#d1495b"


class FlowMonitorDisplay:
    """Gradients by training step and lag, of one layer: color is log10 of what is left, relative to lag 0.

    A line is the lag at which 1 % is left; where there is none, more is left over the whole series.

    Parameters
    ----------
    records
        What ``flow_`` of an estimator with ``monitor="flow"`` holds, or the ``records`` of a run's ``flow``.
    layer
        Which of the record's ``layers``, by place; the first by default, through whose states every gradient of an
        input goes.
    kind
        ``probe``, or ``step`` for the gradients of the steps' own losses, which are shown as they are.

    Raises
    ------
    ParameterError
        For records without any of that kind, and for a layer that there is not.
    """

    figsize = (6.4, 3.8)

    def __init__(self, records: Sequence[FlowRecord], *, layer: int = 0, kind: Kind = "probe") -> None:
        # as they were in time: what a member ends with may be the weights of an earlier epoch
        self.records = [record for record in records if record.kind == kind]
        if not self.records:
            raise ParameterError(
                f"FlowMonitorDisplay needs records of kind {kind!r}, got {_kinds(records)}; monitor='flow' makes "
                "probes, monitor='flow-every-step' steps too"
            )
        names = self.records[0].layers
        if layer not in range(-len(names), len(names)):
            raise ParameterError(
                f"layer needs one of the {len(names)} of the records, {', '.join(names)}, got {layer!r}"
            )
        self.layer, self.kind = int(layer), kind

    @classmethod
    def from_estimator(cls, estimator: Any, *, layer: int = 0, kind: Kind = "probe", ax: Axes | None = None) -> Self:
        """Draw what the monitor of a fitted estimator kept.

        Parameters
        ----------
        estimator
            A ``SequenceClassifier`` or ``SequenceRegressor`` with ``flow_``, or a pipeline or search that holds one.
        layer, kind
            As the class has them.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ParameterError
            For another estimator, and one that was fitted without a monitor.
        """
        network = network_in(estimator)
        if not isinstance(network, SequenceEstimator):
            raise ParameterError(
                f"{cls.__name__}.from_estimator needs a fitted SequenceClassifier or SequenceRegressor, got a "
                f"{type(network).__name__}"
            )
        check_is_fitted(network, "network_")
        if not hasattr(network, "flow_"):
            raise ParameterError(
                f"{cls.__name__}.from_estimator needs an estimator fitted with monitor='flow' or 'flow-every-step', "
                f"got one without records and monitor={network.monitor!r}; those of a run are in its flow"
            )
        return cls(network.flow_, layer=layer, kind=kind).plot(ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw into ``ax``, or into a new figure."""
        self.ax_ = axes_for(ax, self.figsize)
        self.figure_: Any = self.ax_.figure
        steps = np.array([record.step for record in self.records])
        curves = np.stack([record.log_norms[self.layer] for record in self.records], 1).astype(float)
        if self.kind == "probe":
            with np.errstate(invalid="ignore"):
                curves = curves - curves[:1]
        lags = self.records[0].lags
        top = float(np.nanmax(np.where(np.isfinite(curves), curves, np.nan), initial=0))
        low = max(-SPAN, float(np.nanmin(np.where(np.isfinite(curves), curves, np.nan), initial=0)))
        shown = np.nan_to_num(np.clip(curves, low, top), nan=np.nan)
        mesh = self.ax_.pcolormesh(
            _edges(steps), _edges(lags), shown, cmap="viridis", vmin=min(low, -2), vmax=max(top, 0), rasterized=True
        )
        self.ax_.set_facecolor("#dddddd")
        words = "gradient left, relative to lag 0" if self.kind == "probe" else "norm of the gradient"
        self.figure_.colorbar(mesh, ax=self.ax_, label=f"log10 of the {words}", extend="min")
        horizons = np.array([record.horizons[self.layer] for record in self.records])
        if np.isfinite(horizons).any():
            line = np.where(np.isfinite(horizons), horizons, np.nan)
            self.ax_.plot(steps, line, color=HORIZON, lw=1.6, marker="o", ms=3, label="1 % left")
            self.ax_.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0, frameon=False, handlelength=1.4)
        self.ax_.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        self.ax_.set_title(f"{self.records[0].layers[self.layer]}", fontsize=10, loc="left")
        self.ax_.set(xlabel="training step", ylabel="lag (steps back from the series' end)")
        return self


def _edges(places: ndarray) -> ndarray:
    """Borders half way between places, and as far beyond the outer ones."""
    if len(places) == 1:
        return np.array([places[0] - 0.5, places[0] + 0.5])
    middle = (places[1:] + places[:-1]) / 2
    edges: ndarray = np.concatenate([[2 * places[0] - middle[0]], middle, [2 * places[-1] - middle[-1]]])
    return edges


def _kinds(records: Sequence[FlowRecord]) -> str:
    return ", ".join(sorted({repr(record.kind) for record in records})) or "none"
