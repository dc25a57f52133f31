"""A fitted classifier whose probabilities are corrected, by other numbers in its output layer."""

from copy import copy
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from throughtime.errors import ParameterError
from throughtime.estimators.interface import FittedEstimator, parameters_of
from throughtime.estimators.trained import TrainedNetwork
from throughtime.nn import Architecture

E = TypeVar("E", bound=FittedEstimator)

_WEIGHT, _BIAS = "readout.weight", "readout.bias"


def recalibrate(estimator: E, temperature: float, bias: Float[ndarray, "class"]) -> E:
    """Copy a fitted classifier so that its probabilities are ``softmax(logits / temperature + bias)``.

    Both go into the output layer, which is linear: the copy is a classifier as any other, saved and run as such. To
    turn fractions p of the classes into q, the bias is ``log(q / p)``.

    Raises
    ------
    ParameterError
        For a network of the user's own (``module``), whose last layer is not known; no temperature above 0; another
        number of biases than classes; numbers that are not finite.
    """
    network = estimator.network_
    name = type(estimator).__name__
    if not can_recalibrate(estimator):
        raise ParameterError(f"recalibrate needs a classifier with an output layer of ours, got {name} of another kind")
    if not 0 < temperature < np.inf:
        raise ParameterError(f"recalibrate needs a temperature above 0, got {temperature}")
    if bias.shape != (network.net.n_outputs,) or not np.isfinite(bias).all():
        raise ParameterError(f"recalibrate needs {network.net.n_outputs} finite biases, one per class, got {bias}")
    state = {key: value.clone() for key, value in network.state.items()}
    state[_WEIGHT] = (state[_WEIGHT].double() / temperature).to(network.dtype)
    offset = torch.from_numpy(bias.astype(np.float64)).to(state[_BIAS].device)
    state[_BIAS] = (state[_BIAS].double() / temperature + offset).to(network.dtype)
    corrected = copy(estimator)
    dropout = float(parameters_of(estimator)["dropout"])
    corrected.network_ = TrainedNetwork(network.net, dropout, network.noise, network.dtype, estimator.device, state)
    return corrected


def can_recalibrate(estimator: FittedEstimator) -> bool:
    """Whether it is a classifier whose output layer is known."""
    return estimator.task.name == "classification" and isinstance(estimator.network_.net, Architecture)
