"""Recurrent layers of every kind, in float64, started alike."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from throughtime import nn as ours
from throughtime.kernels import CellSpec

CHANNELS, UNITS = 2, 3


def leaky() -> CellSpec:
    """A cell of a user's own."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "openings"))
    from leaky_cell import LEAKY

    return LEAKY


#: By cell: a layer of (input_size, hidden_size, num_layers, options).
MAKERS: dict[str, Callable[..., nn.Module]] = {
    "torch rnn": nn.RNN,
    "torch gru": nn.GRU,
    "torch lstm": nn.LSTM,
    "torch projected lstm": lambda *sizes, **options: nn.LSTM(*sizes, proj_size=2, **options),
    "rnn": ours.RNN,
    "relu": lambda *sizes, **options: ours.RNN(*sizes, nonlinearity="relu", **options),
    "gru": ours.GRU,
    "lstm": ours.LSTM,
    "projected lstm": lambda *sizes, **options: ours.LSTM(*sizes, proj_size=2, **options),
    "linear": ours.LinearRNN,
    "peephole lstm": ours.PeepholeLSTM,
    "leaky": lambda *sizes, **options: ours.CellRNN(leaky(), *sizes, **options),
    "gru with zoneout": lambda *sizes, **options: ours.GRU(*sizes, zoneout=0.3, **options),
    "lstm with zoneout": lambda *sizes, **options: ours.LSTM(*sizes, zoneout=0.3, cell_zoneout=0.2, **options),
    "projected lstm with zoneout": lambda *sizes, **options: ours.LSTM(*sizes, proj_size=2, zoneout=0.3, **options),
}


def layer(name: str, num_layers: int = 1, **options: Any) -> Any:
    """A layer with weights larger than torch's, so that no gate stays in its middle."""
    torch.manual_seed(3)
    made = MAKERS[name](CHANNELS, UNITS, num_layers, dtype=torch.float64, **options)
    with torch.no_grad():
        for weight in made.parameters():
            weight.mul_(1.5)
    return made.eval()


def series(time: int = 6, count: int = 4) -> Tensor:
    """Random inputs (time, series, channel)."""
    return torch.randn(time, count, CHANNELS, dtype=torch.float64, generator=torch.Generator().manual_seed(5))


def start(made: Any, count: int = 4) -> Any:
    """Random initial states for a layer."""
    generator = torch.Generator().manual_seed(7)
    places = made.num_layers * (1 + made.bidirectional)
    sizes = [made.proj_size or UNITS, UNITS]
    states = [torch.randn(places, count, size, dtype=torch.float64, generator=generator) * 0.5 for size in sizes]
    return tuple(states) if has_c(made) else states[0]


def has_c(made: Any) -> bool:
    """Whether a layer's state is (h, c)."""
    return made.mode == "LSTM" or "c" in getattr(made, "spec", nn.Identity()).__dict__.get("states", ())
