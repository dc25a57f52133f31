"""Recurrent layers and their conversion, stacks, initializers, and the network that the estimators train."""

from throughtime.nn.arguments import misplaced_noise
from throughtime.nn.conversion import convert
from throughtime.nn.factory import FactoryModule, FactoryNetwork
from throughtime.nn.initialization import initialize
from throughtime.nn.layers import GRU, LSTM, RNN, CellRNN, LinearRNN, PeepholeLSTM, RecurrentLayer
from throughtime.nn.mean_field import MeanField, critical_weight_scale, solve_mean_field
from throughtime.nn.network import (
    Architecture,
    Net,
    SequenceNetwork,
    forward,
    initial_weights,
    is_bias,
    plain_module,
    pool,
    read_out,
    run_recurrence,
    weight_shapes,
)
from throughtime.nn.noise import NoiseRates
from throughtime.nn.recorded_calls import RecordedCall
from throughtime.nn.recurrence import Run, layer_directions, run_layers, trace_layers
from throughtime.nn.schemes import SCHEMES, Init, Scheme, misplaced_init, recommended_init, scheme_of
from throughtime.nn.stacking import Stack, stack

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "SCHEMES",
    "Architecture",
    "CellRNN",
    "FactoryModule",
    "FactoryNetwork",
    "Init",
    "LinearRNN",
    "MeanField",
    "Net",
    "NoiseRates",
    "PeepholeLSTM",
    "RecordedCall",
    "RecurrentLayer",
    "Run",
    "Scheme",
    "SequenceNetwork",
    "Stack",
    "convert",
    "critical_weight_scale",
    "forward",
    "initial_weights",
    "initialize",
    "is_bias",
    "layer_directions",
    "misplaced_init",
    "misplaced_noise",
    "plain_module",
    "pool",
    "read_out",
    "recommended_init",
    "run_layers",
    "run_recurrence",
    "scheme_of",
    "solve_mean_field",
    "stack",
    "trace_layers",
    "weight_shapes",
]
