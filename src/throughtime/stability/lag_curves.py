"""What is left of a gradient so many steps back from one loss time, and the lag at which 1 % is.

A random direction of every series' last state is pulled back to all states before it. With a loss at every step each
step would get a fresh gradient, which hides the decay.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float64, Int
from numpy import ndarray
from torch import Tensor, nn

from throughtime.errors import DataError, ParameterError
from throughtime.records import Record, Row, aligned
from throughtime.stability.arguments import check_call, check_seed
from throughtime.stability.decay import fit_horizon, growth_per_step, log_ratios, mean_log_ratio
from throughtime.stability.flow import first_nonfinite
from throughtime.stability.pulling_back import pull_back, unit_directions
from throughtime.stability.recorded_copy import Place, recorded_run

#: Of the series, at each lag.
QUANTILES = (0.1, 0.5, 0.9)
#: Lags of the table, as far as the series go.
SHOWN_LAGS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)
#: With fewer series a horizon says little: its error is 7 to 47 % with 32 random walks, 3 to 21 % with 128.
FEWEST_SERIES = 32


@dataclass(frozen=True, repr=False, eq=False)
class LayerLagCurve(Row):
    """``G(lag) / G(0)`` at the states of one layer in one direction, G the norm of what is left of the gradient.

    Attributes
    ----------
    label, module, layer, reverse
        As in ``LayerFlow``.
    mean
        Geometric mean over the series that are so long; of unequal series a mean of squares would follow the largest.
    low, median, high
        Quantiles over the series: 10, 50 and 90 %.
    n_series
        How many series there are at each lag.
    gradient_horizon
        The lag at which the mean is down to 1 %; ``inf`` where it never is.
    horizon_low, horizon_high
        A 95 % interval, by a bootstrap over the series; NaN with a single one.
    growth
        By what the mean is multiplied per step back, by least squares on its logarithm.
    """

    title: ClassVar[str] = "geometric mean over the series, and the lag's 95 % interval"

    label: str
    module: str
    layer: int
    reverse: bool
    mean: Float64[ndarray, "lag"]
    low: Float64[ndarray, "lag"]
    median: Float64[ndarray, "lag"]
    high: Float64[ndarray, "lag"]
    n_series: Int[ndarray, "lag"]
    gradient_horizon: float
    horizon_low: float
    horizon_high: float
    growth: float

    def _cells(self) -> dict[str, str]:
        return _row(self, _shown_lags(len(self.mean)))


@dataclass(frozen=True, repr=False, eq=False)
class LagCurve(Record):
    """How far back a gradient reaches.

    Attributes
    ----------
    source
        The layer whose last states the direction starts from.
    layers
        Every layer and direction up to that one.
    longest
        Steps of the longest series.
    n_series
        How many series.
    seed
        Of the directions.
    """

    source: str
    layers: tuple[LayerLagCurve, ...]
    longest: int
    n_series: int
    seed: int

    @property
    def gradient_horizon(self) -> float:
        """That of the first layer, for every way from an input to the loss leads through its states."""
        return self.layers[0].gradient_horizon

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def lag_curve(
    model: nn.Module,
    x: Any,
    *,
    lengths: Int[Tensor, "series"] | None = None,
    layer: str | None = None,
    seed: int = 0,
    dtype: torch.dtype | None = None,
) -> LagCurve:
    """Pull a random direction of the last state back through time, and measure what is left at every lag.

    One direction per series, of norm 1, at the series' own end; of h, which is what a loss reads. At the states of a
    cell with c the norm is that of both, ``sqrt(|dh|^2 + |dc|^2)``. A reverse direction's states are measured from the
    reverse end of the last layer.

    Parameters
    ----------
    model, x, lengths, dtype
        As ``gradient_flow`` takes them. At least 32 series; random walks ask for more.
    layer
        Name of the module whose last states are pulled back from; by default the recurrent layer that is called last.
    seed
        Of the directions and the bootstrap.

    Raises
    ------
    ParameterError, DataError
        As ``gradient_flow`` raises them; for series of a single step, and gradients that are NaN.

    Examples
    --------
    >>> import torch
    >>> from throughtime.stability import lag_curve
    >>> model = torch.nn.LSTM(2, 64, batch_first=True)
    >>> curve = lag_curve(model, torch.randn(32, 100, 2))
    >>> 5 < curve.gradient_horizon < 15  # torch's default initialization
    True
    """
    check_call(model, x, lengths, dtype=dtype)
    seed = check_seed(seed)
    with recorded_run(model, x, lengths, dtype) as run:
        source = _source(run.places, layer)
        weights = [weight for weight in run.parameters.values() if weight.requires_grad]
        curves = _curves(run.places, source, weights, seed)
    lengths = source.call.lengths
    return LagCurve(source.module, curves, int(lengths.max()), len(lengths), seed)


def _source(places: Sequence[Place], layer: str | None) -> Place:
    """The last layer of the call that is pulled back from."""
    names = list(dict.fromkeys(place.module for place in places))
    if layer is not None and layer not in names:
        raise ParameterError(
            f"layer needs the name of a recurrent layer that is called ({', '.join(names)}), got {layer!r}"
        )
    source = [place for place in places if layer in (None, place.module)][-1]
    if int(source.call.lengths.max()) < 2:
        raise DataError("a lag curve needs series of at least 2 steps, got series of 1")
    return source


def _curves(places: Sequence[Place], source: Place, weights: list[Tensor], seed: int) -> tuple[LayerLagCurve, ...]:
    end, order = source.recorded.ends[0], source.call.form.order
    _, _, batch, width = end.shape
    ends = 1 + source.reverse  # the last place of a bidirectional layer is its reverse one
    directions = unit_directions(batch, ends, width, seed).to(end.device)
    if order is not None:  # a series keeps its direction however they are sorted
        directions = directions[:, order.argsort()]
    deltas, reverse = [place.deltas for place in places], [place.reverse for place in places]
    norms = pull_back(end, directions[None], weights, deltas, reverse)
    found = [
        _curve(place, place.in_order(own[0]).cpu().numpy(), place.reverse and ends == 2, seed)
        for place, own in zip(places, norms, strict=True)
        if own is not None and own.any()
    ]
    return tuple(found)


def _curve(place: Place, norms: Float64[ndarray, "time series"], reverse: bool, seed: int) -> LayerLagCurve:
    """What is left at a place of a direction at each series' end, or at its start (``reverse``)."""
    lengths = place.call.lengths.cpu().numpy()
    broken = np.isnan(norms) & ~np.isinf(norms).any(0)  # NaN that no overflow explains
    if broken.any():
        step, series = first_nonfinite(np.where(broken, np.nan, 0), reverse) or (0, 0)
        raise DataError(
            f"a lag curve needs gradients that are numbers, got NaN at {place.label}, first at step {step} of series "
            f"{series}"
        )
    logs = log_ratios(norms, lengths, reverse=reverse)[: lengths.max()]
    low, median, high = _quantiles(logs)
    return LayerLagCurve(
        place.label,
        place.module,
        place.layer,
        place.reverse,
        np.exp(mean_log_ratio(logs)),
        low,
        median,
        high,
        (~np.isnan(logs)).sum(1),
        *fit_horizon(logs, seed=seed),
        growth_per_step(norms, lengths, reverse=reverse),
    )


def _quantiles(logs: Float64[ndarray, "lag series"]) -> Float64[ndarray, "quantile lag"]:
    """10, 50 and 90 % over the series that are there: order statistics, for some may be infinite."""
    ordered = np.sort(logs, 1)  # NaN last
    count = (~np.isnan(logs)).sum(1)
    places = [np.maximum(np.ceil(fraction * count).astype(int) - 1, 0) for fraction in QUANTILES]
    return np.exp([ordered[np.arange(len(logs)), place] for place in places])


def _lines(curve: LagCurve) -> list[str]:
    """A row per layer and a column per lag."""
    few = f" (a horizon asks for {FEWEST_SERIES})" if curve.n_series < FEWEST_SERIES else ""
    head = f"pulled back from the last state of {curve.source}, {curve.n_series} series{few}"
    rows = [_row(layer, _shown_lags(curve.longest)) for layer in curve.layers]
    return [head, *aligned([list(rows[0]), *(list(row.values()) for row in rows)])]


def _shown_lags(longest: int) -> list[int]:
    return [lag for lag in SHOWN_LAGS if lag < longest][-8:]


def _row(layer: LayerLagCurve, lags: list[int]) -> dict[str, str]:
    left = {str(lag): f"{layer.mean[lag]:.2g}" if lag < len(layer.mean) else "-" for lag in lags}
    return {"gradient left at lag": layer.label, **left, "1 % left at lag": _horizon(layer)}


def _horizon(layer: LayerLagCurve) -> str:
    if np.isinf(layer.gradient_horizon):
        return f"beyond {len(layer.mean) - 1}"
    if np.isnan(layer.horizon_low):
        return f"{layer.gradient_horizon:.3g}"
    high = "beyond" if np.isinf(layer.horizon_high) else f"{layer.horizon_high:.3g}"
    return f"{layer.gradient_horizon:.3g} ({layer.horizon_low:.3g} to {high})"
