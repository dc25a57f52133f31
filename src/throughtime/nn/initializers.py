"""The weights that recurrent layers start with, drawn by a ``Scheme``.

Fans and orthogonality are taken gate by gate: on the stacked matrix of an LSTM Xavier's bound would be .632 of what
it should be, and the gates would not be orthogonal. ``keras`` alone takes them on the stacked matrices, as Keras does.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Generator, Tensor, nn

from throughtime.kernels import CellSpec
from throughtime.nn.mean_field import critical_weight_scale, solve_mean_field
from throughtime.nn.schemes import ACTIVATIONS, Biases, Fill, Scheme, misplaced_init

Shapes = Mapping[str, tuple[int, ...]]

#: Le's standard deviation of all weights but the recurrent ones.
_SMALL = 0.001


def draw_layers(
    cell: CellSpec,
    shapes: Sequence[Shapes],
    directions: int,
    scheme: Scheme,
    generator: Generator | None = None,
) -> list[dict[str, Tensor]]:
    """Draw the weights of layers that stand on one another, in float64 on the CPU.

    Float32 and float64 networks so start at the same place.

    Parameters
    ----------
    shapes
        For each layer and direction, in torch's order, the shape of each weight by torch's name without the ending
        (``weight_ih``, ...), in the order in which they are drawn.
    generator
        Torch's global one by default.

    Raises
    ------
    ValueError
        For a scheme that the cell lacks something for, and for chrono without a lag.
    """
    biased = all("bias_ih" in part for part in shapes)
    if wrong := misplaced_init(scheme, cell, biased=biased):
        raise ValueError(f"{wrong}, got {cell.name}" + ("" if biased else " with bias=False"))
    if scheme.biases == "chrono" and scheme.lag is None:
        raise ValueError("chrono biases need a lag, the steps that the task looks back, got none")
    drawn = []
    power = 1.0  # mean square of what the next layer reads
    for number, part in enumerate(shapes):
        weights = _draw(cell, part, scheme, generator, power)
        if scheme.lag is not None:
            _set_chrono(weights["bias_ih"], cell, scheme.lag, generator)
        drawn.append(weights)
        if scheme.recurrent == "critical" and number % directions == directions - 1:
            power = _state_power(cell, weights, power)
    return drawn


def draw_matrix(fill: Fill, shape: tuple[int, ...], units: int, generator: Generator | None = None) -> Tensor:
    """Draw one matrix without gates, such as an output layer's, in float64; ``units`` is what torch's bound is of."""
    weight = torch.empty(shape, dtype=torch.float64, device="cpu")
    _FILLS[fill](weight, units, generator)
    return weight


def draw_bias(biases: Biases, units: int, size: int, generator: Generator | None = None) -> Tensor:
    """Draw a bias without gates: torch's with ``torch``, else zero."""
    bias = torch.zeros(size, dtype=torch.float64, device="cpu")
    if biases == "torch":
        _uniform(bias, 1 / math.sqrt(units), generator)
    return bias


def _draw(
    cell: CellSpec, shapes: Shapes, scheme: Scheme, generator: Generator | None, power: float
) -> dict[str, Tensor]:
    """One layer's weights in one direction, all but chrono's biases."""
    gates = len(cell.gates)
    units = shapes["weight_ih"][0] // gates
    weights: dict[str, Tensor] = {}
    for name, shape in shapes.items():
        if len(shape) == 1:  # biases, and a cell's weights per unit
            weights[name] = draw_bias(scheme.biases, units, *shape, generator=generator)
            continue
        weight = weights[name] = torch.empty(shape, dtype=torch.float64, device="cpu")
        if name != "weight_ih" and scheme.recurrent == "critical":
            scale = critical_weight_scale(_bias_variance(weights, power), ACTIVATIONS[cell.name])
            nn.init.normal_(weight, std=scale / math.sqrt(units), generator=generator)
        else:
            fill = _FILLS[cast(Any, scheme.input if name == "weight_ih" else scheme.recurrent)]
            stacked = 1 if name == "weight_hr" or not scheme.per_gate else gates
            for gate in weight.chunk(stacked):
                fill(gate, units, generator)
        if name != "weight_ih":
            weight *= scheme.gain
    kept = scheme.forget_bias
    if kept is None and scheme.biases == "unit_forget" and len(cell.memory_gates) == 2 and "bias_ih" in weights:
        kept = 1.0
    if kept is not None:
        for name, value in (("bias_ih", kept), ("bias_hh", 0.0)):
            _gate(weights[name], cell, cell.memory_gates[0]).fill_(value)
    return weights


def _set_chrono(bias: Tensor, cell: CellSpec, lag: float, generator: Generator | None) -> None:
    """Tallec & Ollivier's b_f = ln U(1, lag - 1), b_i = -b_f; a GRU's z keeps and writes, and is set alone."""
    kept = _gate(bias, cell, cell.memory_gates[0])
    nn.init.uniform_(kept, 1, lag - 1, generator=generator).log_()
    for written in cell.memory_gates[1:]:
        _gate(bias, cell, written).copy_(-kept)


def _gate(bias: Tensor, cell: CellSpec, gate: str) -> Tensor:
    """A gate's part of a bias."""
    return bias.chunk(len(cell.gates))[cell.gates.index(gate)]


def _bias_variance(weights: Mapping[str, Tensor], power: float) -> float:
    """s_b^2 of the mean field: what inputs of a mean square add to a unit, on average."""
    return power * weights["weight_ih"].square().sum(1).mean().item()


def _state_power(cell: CellSpec, weights: Mapping[str, Tensor], power: float) -> float:
    """Mean square of a critical layer's states, which the next layer reads."""
    activation = ACTIVATIONS[cell.name]
    if activation != "tanh":
        return 1.0  # it grows without end, and the critical scale does not depend on it
    variance = _bias_variance(weights, power)
    scale = critical_weight_scale(variance)
    return (solve_mean_field(scale, variance).q - variance) / scale**2


def _uniform(weight: Tensor, bound: float, generator: Generator | None) -> None:
    nn.init.uniform_(weight, -bound, bound, generator=generator)


#: ``fill(gate, units, generator)``
_FILLS: dict[str, Any] = {
    "torch": lambda w, units, generator: _uniform(w, 1 / math.sqrt(units), generator),
    "xavier_uniform": lambda w, _, generator: nn.init.xavier_uniform_(w, generator=generator),
    "xavier_normal": lambda w, _, generator: nn.init.xavier_normal_(w, generator=generator),
    "he_uniform": lambda w, _, generator: nn.init.kaiming_uniform_(w, nonlinearity="relu", generator=generator),
    "he_normal": lambda w, _, generator: nn.init.kaiming_normal_(w, nonlinearity="relu", generator=generator),
    "orthogonal": lambda w, _, generator: nn.init.orthogonal_(w, generator=generator),
    # torch's ``eye_`` would ask the default device
    "identity": lambda w, *_: w.zero_().fill_diagonal_(1),
    "small_normal": lambda w, _, generator: nn.init.normal_(w, std=_SMALL, generator=generator),
}


def generator_of(seed: int) -> Generator:
    """A torch generator of its own, the global one left alone."""
    return torch.Generator().manual_seed(seed)
