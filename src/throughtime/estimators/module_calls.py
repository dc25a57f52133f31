"""A fitted estimator's network as a module with its own inputs and loss: what measurements of a module need."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from throughtime.errors import ParameterError
from throughtime.estimators.interface import FittedEstimator
from throughtime.estimators.members import check_shape, check_values, reading_key_of
from throughtime.estimators.pool import Pool
from throughtime.estimators.problem import Problem, sequences_like
from throughtime.estimators.requests import Outputs
from throughtime.estimators.trained import Module
from throughtime.kernels import backend_for
from throughtime.stability import GradientFlow, LagCurve, gradient_flow, lag_curve
from throughtime.training import Inputs, Loss, observed


class ModuleCall(NamedTuple):
    """What a module is called with, and the loss of what it gives: ``loss(module(x, lengths))``.

    Attributes
    ----------
    module
        The estimator's ``module_``.
    x
        Raw, as the module takes it: with the features, masks and static features that the network is fed, NaN where
        missing.
    lengths
        Steps of each series.
    loss
        The mean that training minimizes, without penalties and class weights; of no use without targets.
    """

    module: Module
    x: Float[Tensor, "series time channel"]
    lengths: Int[Tensor, "series"]
    loss: Callable[[Tensor], Tensor]


def module_call(estimator: Any, X: Any, y: Any = None, sample_weight: Any = None) -> ModuleCall:
    """Make what measurements of a module need from a fitted estimator and its data.

    Parameters
    ----------
    estimator
        Fitted; a forecast reads its series as in ``predict``.
    X, y, sample_weight
        As ``fit`` takes them; without ``y`` there is no loss.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        Before ``fit``.
    DataError, ParameterError
        As ``predict`` and ``fit`` raise them.
    """
    check_is_fitted(estimator, "network_")
    series = sequences_like(estimator, X)
    request = Outputs(estimator, series)
    check_shape(request)
    pool = Pool(series, reading_key_of(estimator))
    check_values(request, pool, np.arange(len(series)))
    inputs = pool.inputs(estimator.masked_, estimator.network_.dtype, estimator.device)
    x, lengths = _padded(inputs)
    loss = _no_loss if y is None else _loss_of(estimator, Problem([estimator], series, y, sample_weight), inputs)
    return ModuleCall(estimator.module_, x, lengths, loss)


def gradient_flow_of(
    estimator: Any, X: Any, y: Any, sample_weight: Any = None, *, dtype: torch.dtype | None = None
) -> GradientFlow:
    """Follow a fitted estimator's own loss back to all its states; see ``throughtime.stability.gradient_flow``."""
    call = module_call(estimator, X, y, sample_weight)
    return gradient_flow(call.module, call.x, call.loss, lengths=call.lengths, dtype=dtype)


def lag_curve_of(estimator: Any, X: Any, *, seed: int = 0, dtype: torch.dtype | None = None) -> LagCurve:
    """Measure how far back a fitted estimator's gradient reaches; see ``throughtime.stability.lag_curve``."""
    call = module_call(estimator, X)
    return lag_curve(call.module, call.x, lengths=call.lengths, seed=seed, dtype=dtype)


def _padded(inputs: Inputs) -> tuple[Tensor, Tensor]:
    """Series side by side, NaN beyond their ends, static features at every step; and their lengths."""
    steps = np.arange(int(inputs.lengths.max()))
    last = len(inputs.values) - 1  # the row of NaN
    places = np.where(steps < inputs.lengths[:, None], inputs.starts[:, None] + steps, last)
    x = inputs.values[torch.from_numpy(places).to(inputs.values.device)]
    if inputs.static is not None:
        x = torch.cat([x, inputs.static[:, None].expand(-1, len(steps), -1)], -1)
    return x, torch.tensor(inputs.lengths, device=x.device)


def _loss_of(estimator: FittedEstimator, problem: Problem, inputs: Inputs) -> Callable[[Tensor], Tensor]:
    """The weighted mean of the losses of observed targets, one per series or per step."""
    name: Loss = estimator.task.loss
    if problem.targets.by_step != estimator.by_step_:
        kinds = ("per series", "per step")
        raise ParameterError(
            f"y needs a target {kinds[estimator.by_step_]} as in fit, got one {kinds[problem.targets.by_step]}"
        )
    targets, weights = estimator.task.coding_of(estimator).encode(problem.targets, problem.weights)
    if problem.targets.lengths is not None:
        inside = np.arange(int(inputs.lengths.max())) < inputs.lengths[:, None]
        weights = np.where(inside, weights[:, None], 0)
        by_step = np.zeros(inside.shape, targets.dtype)
        by_step[inside] = targets
        targets = by_step
    seen = observed(targets)
    weights = np.where(seen, weights, 0)

    def loss(outputs: Tensor) -> Tensor:
        numbers = _on(outputs, np.where(seen, targets, 0))
        losses = backend_for(outputs.device, outputs.dtype).losses(name, outputs, numbers)
        fractions = _on(outputs, weights / weights.sum()).to(losses.dtype)
        return torch.where(fractions > 0, losses * fractions, 0).sum()

    return loss


def _on(outputs: Tensor, numbers: ndarray) -> Tensor:
    return torch.from_numpy(numbers).to(outputs.device)


def _no_loss(_outputs: Tensor) -> Tensor:
    raise TypeError("a loss needs targets, got y=None")
