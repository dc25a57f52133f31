"""Ours and torch's layers side by side."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from throughtime.nn import GRU, LSTM, RNN

#: our class, torch's, and what the cell needs besides
PAIRS: dict[str, tuple[type[nn.Module], type[nn.Module], dict[str, Any]]] = {
    "tanh": (RNN, nn.RNN, {}),
    "relu": (RNN, nn.RNN, {"nonlinearity": "relu"}),
    "gru": (GRU, nn.GRU, {}),
    "lstm": (LSTM, nn.LSTM, {}),
    "lstm-projected": (LSTM, nn.LSTM, {"proj_size": 2}),
}
#: float64 keeps 16 digits; three layers and 7 steps of sums of 10 terms of order 1 lose three of them
EXACT = {"rtol": 1e-12, "atol": 1e-12}
#: float32 keeps 7 digits, and loses two the same way
SINGLE = {"rtol": 1e-5, "atol": 1e-5}


def pair(cell: str, *sizes: int, **options: Any) -> list[nn.Module]:
    """The two of them, started from the same seed of torch."""
    ours, theirs, own = PAIRS[cell]
    made = []
    for module in (ours, theirs):
        torch.manual_seed(5)
        made.append(module(*sizes, **own, **options))
    return made


def start_of(layer: Any, batch: tuple[int, ...], **options: Any) -> Any:
    """Random initial states for a layer."""
    places = layer.num_layers * (1 + layer.bidirectional)
    h = torch.randn(places, *batch, layer.proj_size or layer.hidden_size, **options)
    return (h, torch.randn(places, *batch, layer.hidden_size, **options)) if layer.mode == "LSTM" else h


def tensors(found: Any) -> Iterator[Tensor]:
    """Every tensor of nested results, a packed series' data too."""
    if isinstance(found, Tensor):
        yield found
    elif found is not None:
        for part in found:
            yield from tensors(part)


def assert_same(found: Any, expected: Any, **tolerance: float) -> None:
    """Compare nested results tensor by tensor."""
    for one, other in zip(tensors(found), tensors(expected), strict=True):
        torch.testing.assert_close(one, other, **tolerance)
