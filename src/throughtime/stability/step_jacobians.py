"""The Jacobians of a recurrence, ``J_t = d(state_t) / d(state_{t-1})``, and the singular values of their products.

The largest singular value of the weights says little: torch's default initialization has 1.14 while its gradients die.
That of a product over as many steps as the lag bounds every gradient over that lag.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float64, Int
from numpy import ndarray
from torch import Tensor, nn

from throughtime.errors import DataError
from throughtime.findings import Check, Measured, NotApplicable
from throughtime.records import Records, Row
from throughtime.stability.arguments import check_call, check_lag, check_record, check_whole
from throughtime.stability.calls import DOCS, ModelInput
from throughtime.stability.linearization import identity, linearize
from throughtime.stability.traces import StepTrace, trace

#: Bytes that the Jacobians of one call may take.
_MOST_BYTES = 2 * 2**30
#: The gradient that a horizon is measured at: 1 %, here in decades.
_LOST = 2.0


@dataclass(frozen=True, repr=False)
class Jacobians(Row):
    """Of one layer and direction.

    Attributes
    ----------
    label
        The layer and direction in words.
    cell
        Its cell's.
    states
        How many of the rows, and columns, are of h, and behind them of c.
    reverse
        Whether the state before is the next step's.
    lengths
        Steps of each series.
    values
        J at each step, NaN beyond a series' end. The first of a run is with regard to the initial state.
    """

    title: ClassVar[str] = "d(state)/d(state before) at each step: Frobenius norms, over the steps and series"

    label: str
    cell: str
    states: tuple[int, ...]
    reverse: bool
    lengths: Int[ndarray, "series"]
    values: Float64[ndarray, "time series state state"]

    def _cells(self) -> dict[str, str]:
        norms = np.sqrt(np.square(self.values).sum((-2, -1)))  # NaN beyond a series' end
        step, series = np.unravel_index(int(np.nanargmax(norms)), norms.shape)
        return {
            "layer": self.label,
            "cell": self.cell,
            "states": " + ".join(map(str, self.states)),
            "series": str(len(self.lengths)),
            "steps": str(int(self.lengths.max())),
            "median": f"{np.nanmedian(norms):.3g}",
            "largest": f"{norms[step, series]:.3g}",
            "at": f"step {step} of series {series}",
        }


@dataclass(frozen=True, repr=False)
class SingularValues(Row):
    """Of the products of a layer's and direction's Jacobians over a window.

    Attributes
    ----------
    label
        The layer and direction in words.
    window
        Steps that a product goes over.
    values
        Descending, for the product that ends with each step; NaN where a series has not run so many steps yet. Those
        below 1e-16 of the largest are rounding.
    """

    title: ClassVar[str] = "singular values of products of Jacobians: medians over the steps and series"

    label: str
    window: int
    values: Float64[ndarray, "time series value"]

    def _cells(self) -> dict[str, str]:
        middle = np.nanmedian(self.values, (0, 1))
        values = {"largest": middle[0], "median": middle[len(middle) // 2], "smallest": middle[-1]}
        return {
            "layer": self.label,
            "window": str(self.window),
            **{name: f"{value:.3g}" for name, value in values.items()},
        }


def jacobians(
    model: nn.Module, x: ModelInput, *, lengths: Int[Tensor, "series"] | Sequence[int] | None = None
) -> Records[Jacobians]:
    """Derivatives of each state with regard to the one before, at each step, layer and direction.

    In float64 and evaluation mode; zoneout is its expectation. Takes ``8 time series state^2`` bytes for each layer and
    direction, a state of an LSTM being h and c; at most 2 GiB in all.

    Parameters
    ----------
    model
        A recurrent layer of torch or of throughtime.nn, any model that holds some, a fitted estimator's ``module_``.
    x
        What the model is called with: its input, or a sequence of all its arguments, initial states among them.
    lengths
        Steps of each series.

    Returns
    -------
    One per layer and direction, in torch's order.

    Raises
    ------
    ParameterError
        For a model without recurrent layers, and lengths that are none.
    DataError
        For an x that the model cannot take, and one whose Jacobians take more than 2 GiB; for values that are not
        finite, the layer, series and step named.

    Examples
    --------
    >>> import torch
    >>> from throughtime.stability import jacobians
    >>> (found,) = jacobians(torch.nn.LSTM(2, 3), torch.zeros(7, 5, 2))
    >>> found.values.shape
    (7, 5, 6, 6)
    """
    check_call(model, x, lengths, arguments=(tuple, list))
    places = trace(model, x, lengths=lengths)
    _check_size(places)
    return Records(_jacobians(place) for place in places)


def singular_values(found: Jacobians, window: int = 1) -> SingularValues:
    """Singular values of the products of Jacobians over a window, ``J_t J_{t-1} ...``.

    Parameters
    ----------
    found
        Of one layer and direction.
    window
        Steps that a product goes over; 1 takes each Jacobian on its own.

    Raises
    ------
    ParameterError
        For a window that no series is long enough for, and what are no Jacobians of one layer and direction.
    """
    check_record("found", found, Jacobians, "jacobians(model, x)")
    check_whole("window", window, 1, int(found.lengths.max()), "the steps of the longest series")
    steps = found.values[::-1] if found.reverse else found.values
    time, series, size, _ = steps.shape
    product = steps[window - 1 :]
    for back in range(1, window):
        product = product @ steps[window - 1 - back : time - back]
    values = np.full((time, series, size), np.nan)
    whole = ~np.isnan(product).any((-2, -1))
    values[window - 1 :][whole] = np.linalg.svd(product[whole], compute_uv=False)
    return SingularValues(found.label, window, values[::-1].copy() if found.reverse else values)


def _check_size(places: Sequence[StepTrace]) -> None:
    """Refuse what would take the machine's memory."""
    size = sum(8 * place.running.numel() * sum(place.widths) ** 2 for place in places)
    if size > _MOST_BYTES:
        time, series = places[0].running.shape[:2]
        raise DataError(
            f"jacobians needs at most {_MOST_BYTES / 2**30:.3g} GiB, got an x of {series} series and {time} steps that "
            f"take {size / 2**30:.4g} GiB; hand in fewer series or steps"
        )


def _jacobians(place: StepTrace) -> Jacobians:
    blocks = linearize(place).push(identity(place), slice(None))
    size = sum(place.widths)
    whole = torch.cat([block.expand(*block.shape[:-2], -1, size) for block in blocks], -2)
    values = torch.where(place.running[..., None, None], whole, torch.nan).numpy()
    return Jacobians(place.label, place.cell.name, tuple(place.widths), place.reverse, place.lengths.numpy(), values)


def _lost(spectra: Sequence[SingularValues], lag: int) -> Measured | NotApplicable:
    check_lag(lag)
    over = [found for found in spectra if found.window == lag and np.isfinite(found.values).any()]
    if not over:
        return NotApplicable(f"it needs singular values over a window of the lag, {lag} steps")
    largest = [float(np.nanmedian(found.values[..., 0])) for found in over]
    worst = int(np.argmin(largest))
    lost = -math.log10(largest[worst]) if largest[worst] > 0 else math.inf
    detail = (
        f"over {lag} steps no direction keeps more than {largest[worst]:.2g} of its gradient in {over[worst].label}"
    )
    return Measured(lost, detail)


LOST_DIRECTIONS = Check(
    "STA010",
    "every direction lost",
    "warning",
    ("singular_values", "lag"),
    lambda singular_values, lag: _lost(singular_values, lag),
    "convention: 2 decades, the 1 % of the gradient horizon; a product's largest singular value bounds every gradient",
    "try orthogonal weights per gate, a larger forget bias, or init='chrono' with the lag",
    threshold=_LOST,
    docs=DOCS,
    lacking="it needs singular values, and the lag that the task needs",
)
