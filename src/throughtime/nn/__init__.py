"""Recurrent layers, initializers and the network that the estimators train."""

from throughtime.nn.initializers import Init, initialize_, initialize_bias_
from throughtime.nn.layers import GRU, LSTM, RNN
from throughtime.nn.network import (
    Architecture,
    SequenceNetwork,
    forward,
    initial_weights,
    is_bias,
    standardize,
    weight_shapes,
)
from throughtime.nn.recurrence import run_layers

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Architecture",
    "Init",
    "SequenceNetwork",
    "forward",
    "initial_weights",
    "initialize_",
    "initialize_bias_",
    "is_bias",
    "run_layers",
    "standardize",
    "weight_shapes",
]
