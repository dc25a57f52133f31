"""Recurrent layers and their conversion, stacks, initializers, and the network that the estimators train."""

from throughtime.nn.arguments import misplaced_noise
from throughtime.nn.conversion import convert
from throughtime.nn.factory import FactoryModule, FactoryNetwork
from throughtime.nn.initializers import Init, initialize_, initialize_bias_
from throughtime.nn.layers import GRU, LSTM, RNN, CellRNN, LinearRNN, PeepholeLSTM, RecurrentLayer
from throughtime.nn.network import (
    Architecture,
    Net,
    SequenceNetwork,
    forward,
    initial_weights,
    is_bias,
    plain_module,
    weight_shapes,
)
from throughtime.nn.noise import NoiseRates
from throughtime.nn.recorded_calls import RecordedCall
from throughtime.nn.recurrence import layer_directions, run_layers, trace_layers
from throughtime.nn.stacking import Stack, stack

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Architecture",
    "CellRNN",
    "FactoryModule",
    "FactoryNetwork",
    "Init",
    "LinearRNN",
    "Net",
    "NoiseRates",
    "PeepholeLSTM",
    "RecordedCall",
    "RecurrentLayer",
    "SequenceNetwork",
    "Stack",
    "convert",
    "forward",
    "initial_weights",
    "initialize_",
    "initialize_bias_",
    "is_bias",
    "layer_directions",
    "misplaced_noise",
    "plain_module",
    "run_layers",
    "stack",
    "trace_layers",
    "weight_shapes",
]
