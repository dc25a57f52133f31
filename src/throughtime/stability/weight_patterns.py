"""How recurrent weights were started, seen from the weights: the spread of each gate, and the scheme that it fits.

Fans and orthogonality belong to a gate. Taken on the stacked matrix of an LSTM, Xavier's bound
``sqrt(6 / (fan_in + 4 fan_out))`` is .632 of what it should be (Glorot & Bengio 2010,
https://proceedings.mlr.press/v9/glorot10a.html), and orthonormal columns leave each gate with singular values of rms .5
(Saxe et al. 2013, https://arxiv.org/abs/1312.6120). Keras's defaults do both.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float64
from torch import Tensor

from throughtime.findings import Check, Measured
from throughtime.kernels import CELLS
from throughtime.nn import critical_weight_scale, solve_mean_field
from throughtime.records import Row
from throughtime.stability.traces import StepTrace

DOCS = "docs/guide/initialization.md"
STACKED = " of the stacked gates"
#: Standard errors that a spread may be off, and by how much of it the largest of n uniform numbers may miss the bound,
#: as a multiple of 1/n: either is passed by chance once in some thousand times.
_ERRORS, _MISS = 3.5, 8.0
#: Of orthogonal weights held in float32.
_ROUNDING = 1e-4


@dataclass(frozen=True, repr=False)
class GateWeights(Row):
    """One gate's block of rows in one matrix.

    Attributes
    ----------
    label
        The layer and direction in words.
    tensor, gate
        ``weight_ih`` or ``weight_hh``, and the gate's name.
    fan_in, fan_out
        Columns and rows of the block.
    std
        Root mean square of its numbers.
    to_xavier, to_he
        That, over ``sqrt(2 / (fan_in + fan_out))`` and over ``sqrt(2 / fan_in)``.
    rms_sigma
        Root mean square of its singular values; 1 for an orthogonal square block.
    radius
        Spectral radius of a square block, else NaN.
    pattern
        How the whole matrix seems to have been filled: ``torch``, ``xavier``, ``he``, ``critical``, ``orthogonal``,
        ``identity``, ``zero``; ``xavier of the stacked gates``, ``orthogonal of the stacked gates``; else ``other``.
    """

    title: ClassVar[str] = "how the weights of each gate were started"

    label: str
    tensor: str
    gate: str
    fan_in: int
    fan_out: int
    std: float
    to_xavier: float
    to_he: float
    rms_sigma: float
    radius: float
    pattern: str

    def _cells(self) -> dict[str, str]:
        numbers = {
            "std": self.std,
            "to Xavier": self.to_xavier,
            "to He": self.to_he,
            "rms sigma": self.rms_sigma,
            "radius": self.radius,
        }
        where = {"layer": self.label, "weights": self.tensor, "gate": self.gate, "looks like": self.pattern}
        return where | {name: "-" if math.isnan(number) else f"{number:.3g}" for name, number in numbers.items()}


def gate_weights(
    trace: StepTrace, weight_ih: Float64[Tensor, "gate_unit channel"], power: float = 1.0
) -> list[GateWeights]:
    """Each gate's block of the recurrent weights and of the input weights; ``power`` is as of ``state_power``."""
    found = []
    gates = trace.cell.gates
    for tensor, whole in (("weight_hh", trace.w_hh), ("weight_ih", weight_ih)):
        critical = _critical_std(trace, weight_ih, power) if tensor == "weight_hh" else None
        pattern = find_pattern(whole, len(gates), critical)
        for gate, block in zip(gates, whole.chunk(len(gates)), strict=True):
            fan_out, fan_in = block.shape
            std = float(block.square().mean().sqrt())
            radius = float(torch.linalg.eigvals(block).abs().max()) if fan_in == fan_out else math.nan
            found.append(
                GateWeights(
                    trace.label,
                    tensor,
                    gate,
                    fan_in,
                    fan_out,
                    std,
                    std / math.sqrt(2 / (fan_in + fan_out)),
                    std / math.sqrt(2 / fan_in),
                    std * math.sqrt(max(fan_in, fan_out)),  # the squares of min(fan_in, fan_out) values add up to all
                    radius,
                    pattern,
                )
            )
    return found


def state_power(trace: StepTrace, weight_ih: Float64[Tensor, "gate_unit channel"], power: float) -> float:
    """Mean square of the states of critical weights, by mean field, from that of their inputs; 1 of other cells."""
    if trace.cell != CELLS["rnn_tanh"]:
        return 1.0
    variance = _input_variance(weight_ih, power)
    scale = critical_weight_scale(variance)
    return (solve_mean_field(scale, variance).q - variance) / scale**2


def _critical_std(trace: StepTrace, weight_ih: Float64[Tensor, "gate_unit channel"], power: float) -> float | None:
    """The deviation of critical weights in a tanh layer; of relu it is He's, of a linear layer Xavier's."""
    if trace.cell != CELLS["rnn_tanh"]:
        return None
    return critical_weight_scale(_input_variance(weight_ih, power)) / math.sqrt(len(weight_ih))


def _input_variance(weight_ih: Float64[Tensor, "gate_unit channel"], power: float) -> float:
    return power * float(weight_ih.square().sum(1).mean())


def find_pattern(weight: Float64[Tensor, "gate_unit channel"], gates: int, critical_std: float | None = None) -> str:
    """Which way of filling a matrix of gates fits it; of several that fit the closest."""
    if not weight.any():
        return "zero"
    blocks = weight.chunk(gates)
    if all(_is_identity(block) for block in blocks):
        return "identity"
    if all(_is_orthogonal(block) for block in blocks):
        return "orthogonal"
    if _is_orthogonal(weight):
        return "orthogonal" + STACKED
    rows, columns = blocks[0].shape
    # a uniform number's bound is sqrt(3) deviations, which n of them tell to sqrt(.2 / n); normal ones reach further
    most = math.sqrt(3) * (1 + _ERRORS * math.sqrt(0.2 / weight.numel()))
    uniform = float(weight.abs().max()) < most * float(weight.square().mean().sqrt())
    stds = {"torch": 1 / math.sqrt(3 * rows)} if uniform else {}  # first: it may be Xavier's of other fans to the digit
    stds |= {
        "xavier": math.sqrt(2 / (columns + rows)),
        "he": math.sqrt(2 / columns),
        "xavier" + STACKED: math.sqrt(2 / (columns + gates * rows)),
    }
    if gates == 1:
        del stds["xavier" + STACKED]
    if critical_std is not None and not uniform:  # Gaussian, as it is always drawn
        stds["critical"] = critical_std
    distances = {name: _distance(weight, std, uniform) for name, std in stds.items()}
    fitting = {name: distance for name, distance in distances.items() if distance < 1}
    # small matrices fit several: a mistake is none where it may be chance
    sound = {name: distance for name, distance in fitting.items() if not name.endswith(STACKED)} or fitting
    return min(sound, key=lambda name: sound[name], default="other")


def _distance(weight: Tensor, std: float, uniform: bool) -> float:
    """How far numbers are from having been drawn with a standard deviation, 1 being as far as chance goes."""
    count = weight.numel()
    if not uniform:
        return abs(float(weight.square().mean().sqrt()) / std - 1) * math.sqrt(2 * count) / _ERRORS
    missing = 1 - float(weight.abs().max()) / (std * math.sqrt(3))
    return missing * count / _MISS if missing > -_ROUNDING else math.inf


def _is_identity(block: Tensor) -> bool:
    rows, columns = block.shape
    return rows == columns and bool((block - block[0, 0] * torch.eye(rows, dtype=block.dtype)).abs().max() == 0)


def _is_orthogonal(block: Tensor) -> bool:
    """Whether rows or columns, those that are fewer, are orthogonal and of one length."""
    rows, columns = block.shape
    if min(rows, columns) < 2:
        return False  # one row is orthogonal to nothing, which tells nothing
    gram = block @ block.mT if rows < columns else block.mT @ block
    size = float(gram.diagonal().mean())
    return bool((gram / size - torch.eye(len(gram), dtype=gram.dtype)).abs().max() < _ROUNDING)


def _stacked(gates: Sequence[GateWeights], pattern: str, words: str) -> Measured:
    found = list(dict.fromkeys((one.label, one.tensor) for one in gates if one.pattern == pattern + STACKED))
    if not found:
        return Measured(0.0, f"no matrix of stacked gates is {pattern} as a whole")
    first = next(one for one in gates if (one.label, one.tensor) == found[0])
    where = f"{first.tensor} of {first.label}"
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return Measured(float(len(found)), f"{where}{more}: {words.format(first)}")


STACKED_FAN = Check(
    "STA022",
    "fan of stacked gates",
    "warning",
    ("gate_weights",),
    lambda gate_weights: _stacked(gate_weights, "xavier", "a gate's spread is {0.to_xavier:.3f} of Xavier's"),
    "a fan is that of a gate: Glorot & Bengio (2010); Keras's default takes the stacked one",
    "try throughtime.nn.initialize(model, 'xavier_uniform'), which takes each gate on its own",
    docs=DOCS,
)

STACKED_ORTHOGONAL = Check(
    "STA023",
    "gates not orthogonal",
    "warning",
    ("gate_weights",),
    lambda gate_weights: _stacked(
        gate_weights, "orthogonal", "orthogonal as a whole, a gate's singular values have rms {0.rms_sigma:.2f}"
    ),
    "a gate's own product with h is to keep its length: Saxe et al. (2013); Keras's default takes the stacked one",
    "try throughtime.nn.initialize(model, 'orthogonal'), which takes each gate on its own",
    docs=DOCS,
)
