"""The last hidden states of many fitted networks, in lockstep."""

from collections.abc import Sequence
from copy import copy
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from throughtime.data import Sequences
from throughtime.estimators.interface import FittedEstimator
from throughtime.estimators.members import predict_members
from throughtime.estimators.memory import DEFAULT_BUDGET
from throughtime.estimators.problem import Indices
from throughtime.estimators.trained import TrainedNetwork
from throughtime.nn import Architecture


def states_of(
    estimators: Sequence[FittedEstimator],
    X: Sequences,
    indices: Sequence[Indices],
    *,
    memory_budget: float | None = DEFAULT_BUDGET,
) -> list[Float[ndarray, "_ state"]]:
    """The last layer's hidden state at the end of each series, of many fitted estimators, each on its own series of X.

    Returns
    -------
    A row per series, both directions side by side. Of networks of the user's own (``module``), whose layers are not
    known, rows of width 0.

    Raises
    ------
    DataError
        For channels or static features other than in ``fit``.
    """
    ours = [m for m, estimator in enumerate(estimators) if isinstance(estimator.network_.net, Architecture)]
    found = [np.zeros((len(own), 0)) for own in indices]
    readers = [_with_states_as_outputs(estimators[m]) for m in ours]
    states = predict_members(readers, X, [indices[m] for m in ours], memory_budget=memory_budget) if ours else []
    for m, own in zip(ours, states, strict=True):
        found[m] = own
    return found


def _with_states_as_outputs(estimator: FittedEstimator) -> FittedEstimator:
    """The estimator with an output layer that hands on what it is given, which is exact: times 1, plus zeros."""
    network = estimator.network_
    assert isinstance(network.net, Architecture)
    width = network.net.hidden_size * (1 + network.net.bidirectional)
    as_it_is = {
        "readout.weight": torch.eye(width, dtype=network.dtype),
        "readout.bias": torch.zeros(width, dtype=network.dtype),
    }
    reader = copy(estimator)
    reader.network_ = TrainedNetwork(
        replace(network.net, pooling="last", n_outputs=width),
        0.0,
        network.noise,
        network.dtype,
        estimator.device,
        network.state | {name: tensor.to(estimator.device) for name, tensor in as_it_is.items()},
    )
    return reader
