"""Which lags carry a weight's gradient: dL/dW as a sum over how many steps before the loss the weight acts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64
from numpy import ndarray
from torch import Tensor, nn

from throughtime.records import Record, aligned
from throughtime.stability.arguments import check_call, check_loss, check_whole
from throughtime.stability.lag_curves import SHOWN_LAGS
from throughtime.stability.step_gradients import step_gradients


@dataclass(frozen=True, repr=False)
class LagDecomposition(Record):
    """The gradient of a recurrent layer's weights, by lag.

    Attributes
    ----------
    terms
        For each weight by torch's name, the part of each lag, from 0 on. Over all lags they add up to ``full``; lag 0
        is the one-step gradient, which truncation to one step computes.
    full
        The whole gradient by weight.
    norms
        Of the terms, by weight.
    """

    terms: dict[str, Float[ndarray, "lag ..."]]
    full: dict[str, Float[ndarray, "..."]]
    norms: dict[str, Float64[ndarray, "lag"]]

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def lag_decomposition(
    model: nn.Module,
    x: Any,
    loss: Callable[[Any], Float[Tensor, ""]],
    *,
    lengths: Tensor | None = None,
    lags: int | None = None,
) -> LagDecomposition:
    """Take the gradient of a model's recurrent layer apart by lag.

    The part of lag k is what goes from the loss to an output at step t, from there k steps back, and to the use of the
    weight at step t - k. ``delta^(0)_t = dl/dh_t``, the direct gradient alone, and ``delta^(k)_t = J_{t+1}^T
    delta^(k-1)_{t+1}``; the sum over k is the total delta of full BPTT.

    Parameters
    ----------
    model
        A module with one recurrent layer of ours or of torch, of any cell and number of layers, in one direction and
        without noise; the ``module_`` of a fitted estimator. It is left as it is.
    x
        What the model is called with: a tensor, or a tuple of several arguments.
    loss
        Takes the model's output, gives one number.
    lengths
        Handed to the model as ``lengths=``.
    lags
        How many lags to take, from 0 on; by default all, as many as the longest series has steps. Each holds as many
        numbers as the weights.

    Raises
    ------
    ParameterError
        For a model or a loss that cannot be taken apart, and more lags than the longest series has steps.
    DataError
        For an x that the model cannot take; for a gradient with NaN or infinity.

    Examples
    --------
    >>> import torch
    >>> from throughtime.stability import lag_decomposition
    >>> model = torch.nn.GRU(3, 8, batch_first=True)
    >>> parts = lag_decomposition(model, torch.randn(4, 30, 3), lambda output: output[0][:, -1].square().mean())
    >>> parts.terms["weight_hh_l0"].shape
    (30, 24, 8)
    """
    check_call(model, x, lengths)
    check_loss(loss)
    found = step_gradients(model, x, loss, lengths)
    longest = found.longest
    count = longest if lags is None else check_whole("lags", lags, 1, longest, "the steps of the longest series")
    terms = {name: np.zeros((count, *weight.shape)) for name, weight in found.full.items()}
    for lag, part in zip(range(count), found.by_lag(), strict=False):
        for name, term in part.items():
            terms[name][lag] = term.cpu().numpy()
    norms = {name: np.sqrt(np.square(own).reshape(count, -1).sum(1)) for name, own in terms.items()}
    return LagDecomposition(terms, {name: _array(grad) for name, grad in found.full.items()}, norms)


def _lines(parts: LagDecomposition) -> list[str]:
    """A row per weight and a column per lag."""
    count = len(next(iter(parts.norms.values())))
    lags = [lag for lag in (0, *SHOWN_LAGS) if lag < count][-9:]
    rows = [["of lag", *map(str, lags), "norm of the whole"]]
    for name, norms in parts.norms.items():
        whole = float(np.linalg.norm(parts.full[name]))
        rows.append([name, *(f"{norms[lag] / whole:.2g}" if whole else "-" for lag in lags), f"{whole:.3g}"])
    return [f"norm of each lag's part of the gradient over that of the whole, lags 0 to {count - 1}", *aligned(rows)]


def _array(grad: Tensor) -> ndarray:
    return grad.to(torch.float64).cpu().numpy()
