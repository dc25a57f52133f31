"""How weights start: torch's own way, Xavier (Glorot & Bengio 2010), He (2015), orthogonal (Saxe 2013).

Fans and orthogonality are taken gate by gate: on the stacked matrix of an LSTM Xavier's bound would be .632 of what
it should be, and the gates would not be orthogonal.
"""

import math
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

Init = Literal["torch", "xavier_uniform", "xavier_normal", "he_uniform", "he_normal", "orthogonal"]


def initialize_(
    weight: Float[Tensor, "gate_unit fan_in"],
    init: Init,
    gates: int,
    units: int,
    generator: Generator | None = None,
) -> None:
    """Fill a recurrent layer's weight in place, each of its gates on its own.

    Parameters
    ----------
    init
        ``torch``: U(+-1/sqrt(units)). ``xavier_uniform``: U(+-sqrt(6/(fan_in+fan_out))); ``xavier_normal``: the same
        variance. ``he_normal``: standard deviation sqrt(2/fan_in); ``he_uniform``: the same variance.
        ``orthogonal``: orthonormal rows or columns.
    """
    if init == "torch":
        bound = 1 / math.sqrt(units)
        nn.init.uniform_(weight, -bound, bound, generator=generator)
        return
    fill: Any = {
        "xavier_uniform": nn.init.xavier_uniform_,
        "xavier_normal": nn.init.xavier_normal_,
        "he_uniform": _he_uniform_,
        "he_normal": _he_normal_,
        "orthogonal": nn.init.orthogonal_,
    }[init]
    for gate in weight.chunk(gates):
        fill(gate, generator=generator)


def initialize_bias_(
    bias: Float[Tensor, "gate_unit"], init: Init, units: int, generator: Generator | None = None
) -> None:
    """Fill a bias in place: as torch does with ``torch``, else with zeros."""
    if init == "torch":
        bound = 1 / math.sqrt(units)
        nn.init.uniform_(bias, -bound, bound, generator=generator)
    else:
        nn.init.zeros_(bias)


def _he_uniform_(weight: Tensor, generator: Generator | None) -> None:
    nn.init.kaiming_uniform_(weight, nonlinearity="relu", generator=generator)


def _he_normal_(weight: Tensor, generator: Generator | None) -> None:
    nn.init.kaiming_normal_(weight, nonlinearity="relu", generator=generator)


def generator_of(seed: int) -> Generator:
    """A torch generator of its own, the global one left alone."""
    return torch.Generator().manual_seed(seed)
