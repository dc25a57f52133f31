"""RNN, GRU and LSTM layers: torch's constructors, parameter names and shapes, with ragged lengths.

``run_layers`` is the computation, with a member axis; the modules are its one-member face.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from throughtime.kernels import GATES, Kind, recurrent
from throughtime.nn.initializers import initialize_, initialize_bias_


def weight_names(layer: int, reverse: bool) -> tuple[str, str, str, str]:
    """torch's names of one layer's parameters in one direction."""
    end = f"_l{layer}" + ("_reverse" if reverse else "")
    return f"weight_ih{end}", f"weight_hh{end}", f"bias_ih{end}", f"bias_hh{end}"


def run_layers(
    kind: Kind,
    weights: Mapping[str, Float[Tensor, "member ..."]],
    x: Float[Tensor, "member time batch channel"],
    lengths: Int[Tensor, "member batch"],
    *,
    num_layers: int,
    bidirectional: bool,
    start: Sequence[Float[Tensor, "member layer_direction batch unit"]] | None = None,
    masks: Sequence[Float[Tensor, "member time batch feature"] | None] = (),
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run the layers one on the other, each in its directions.

    Parameters
    ----------
    weights
        torch's names; biases may be absent.
    start
        Initial states, ``(h0,)`` or ``(h0, c0)``, torch's order of layers and directions.
    masks
        What the outputs of each layer but the last are multiplied with: dropout, already drawn.

    Returns
    -------
    The last layer's outputs (member, time, batch, direction * unit), and the final states
    (member, layer * direction, batch, unit), each taken where the series itself ends.
    """
    directions = (False, True) if bidirectional else (False,)
    ends: list[tuple[Tensor, ...]] = []
    for layer in range(num_layers):
        outputs = []
        for reverse in directions:
            w_ih, w_hh, b_ih, b_hh = (weights.get(name) for name in weight_names(layer, reverse))
            initial = {} if start is None else dict(zip(("h0", "c0"), (s[:, len(ends)] for s in start), strict=False))
            y, *end = recurrent(kind, x, lengths, w_ih, w_hh, b_ih, b_hh, reverse=reverse, **initial)  # type: ignore[arg-type]
            outputs.append(y)
            ends.append(tuple(end))
        x = torch.cat(outputs, -1) if bidirectional else outputs[0]
        if layer < len(masks) and (mask := masks[layer]) is not None:
            x = x * mask
    return x, tuple(torch.stack(states, 1) for states in zip(*ends, strict=True))


class _Recurrent(nn.Module):
    """What the three layers share; see ``torch.nn.RNNBase``."""

    kind: Kind

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = dropout
        self.bidirectional = bidirectional
        gates = GATES[self.kind]
        for layer in range(num_layers):
            inputs = input_size if layer == 0 else hidden_size * (1 + bidirectional)
            for reverse in (False, True)[: 1 + bidirectional]:
                shapes = (
                    (gates * hidden_size, inputs),
                    (gates * hidden_size, hidden_size),
                    *2 * ((gates * hidden_size,),),
                )
                for name, shape in zip(weight_names(layer, reverse), shapes, strict=True):
                    if bias or name.startswith("weight"):
                        self.register_parameter(name, nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Fill the weights as torch does, from torch's global generator."""
        for name, weight in self.named_parameters():
            if name.startswith("weight"):
                initialize_(weight, "torch", GATES[self.kind], self.hidden_size)
            else:
                initialize_bias_(weight, "torch", self.hidden_size)

    def run(self, x: Tensor, start: tuple[Tensor, ...] | None, lengths: Tensor | None) -> tuple[Tensor, list[Tensor]]:
        """The layers' outputs and final states in torch's axis order."""
        if x.dim() == 2:  # one series without a batch axis, as torch takes it too
            at = 0 if self.batch_first else 1
            y, ends = self.run(
                x.unsqueeze(at), None if start is None else tuple(state.unsqueeze(1) for state in start), lengths
            )
            return y.squeeze(at), [end.squeeze(1) for end in ends]
        x = x.transpose(0, 1) if self.batch_first else x
        time, batch, _ = x.shape
        if lengths is None:
            lengths = torch.full((batch,), time, device=x.device)
        elif lengths.shape != (batch,) or bool(((lengths < 1) | (lengths > time)).any()):
            raise ValueError(f"lengths needs 1 to {time} steps for each of {batch} series, got {lengths.tolist()}")
        masks = []
        if self.training and self.dropout > 0:
            width = self.hidden_size * (1 + self.bidirectional)
            ones = x.new_ones(1, time, batch, width)
            masks = [nn.functional.dropout(ones, self.dropout) for _ in range(self.num_layers - 1)]
        y, ends = run_layers(
            self.kind,
            {name: weight[None] for name, weight in self.named_parameters()},
            x[None],
            lengths[None],
            num_layers=self.num_layers,
            bidirectional=self.bidirectional,
            start=None if start is None else [state[None] for state in start],
            masks=masks,
        )
        return (y[0].transpose(0, 1) if self.batch_first else y[0]), [end[0] for end in ends]

    def extra_repr(self) -> str:
        """The sizes, as torch prints them."""
        parts = [str(self.input_size), str(self.hidden_size)]
        plain = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False}
        parts += [f"{name}={getattr(self, name)}" for name, value in plain.items() if getattr(self, name) != value]
        return ", ".join(parts)


class RNN(_Recurrent):
    """Elman network, ``torch.nn.RNN`` with ``lengths``: ``(y, h_n) = rnn(x, h_0, lengths)``."""

    def __init__(
        self, input_size: int, hidden_size: int, *args: Any, nonlinearity: str = "tanh", **kwargs: Any
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        self.nonlinearity = nonlinearity
        self.kind = "rnn_tanh" if nonlinearity == "tanh" else "rnn_relu"
        super().__init__(input_size, hidden_size, *args, **kwargs)

    def forward(self, input: Tensor, hx: Tensor | None = None, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Outputs (time, batch, direction * unit) and final state (layer * direction, batch, unit)."""
        y, (h_n,) = self.run(input, None if hx is None else (hx,), lengths)
        return y, h_n


class GRU(_Recurrent):
    """Gated recurrent unit, ``torch.nn.GRU`` with ``lengths``: ``(y, h_n) = gru(x, h_0, lengths)``."""

    kind = "gru"

    def forward(self, input: Tensor, hx: Tensor | None = None, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Outputs (time, batch, direction * unit) and final state (layer * direction, batch, unit)."""
        y, (h_n,) = self.run(input, None if hx is None else (hx,), lengths)
        return y, h_n


class LSTM(_Recurrent):
    """Long short-term memory, ``torch.nn.LSTM`` with ``lengths``.

    ``(y, (h_n, c_n)) = lstm(x, (h_0, c_0), lengths)``.
    """

    kind = "lstm"

    def forward(
        self,
        input: Tensor,
        hx: tuple[Tensor, Tensor] | None = None,
        lengths: Tensor | None = None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Outputs (time, batch, direction * unit) and final states (layer * direction, batch, unit)."""
        y, (h_n, c_n) = self.run(input, hx, lengths)
        return y, (h_n, c_n)
