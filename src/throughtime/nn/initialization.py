"""``initialize``: the recurrent layers of any model, torch's or ours, started anew by a scheme."""

from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import Generator, Tensor, nn

from throughtime.kernels import CELLS, CellSpec
from throughtime.nn.conversion import is_unknown
from throughtime.nn.initializers import draw_bias, draw_layers, draw_matrix
from throughtime.nn.layers import RecurrentLayer
from throughtime.nn.recurrence import by_place
from throughtime.nn.schemes import Init, Scheme, scheme_of

M = TypeVar("M", bound=nn.Module)

_MATRICES = ("weight_ih", "weight_hh", "weight_hr")


@torch.no_grad()
def initialize(
    module: M, scheme: Init, *, lag: float | None = None, linear: bool = False, generator: Generator | None = None
) -> M:
    """Start the recurrent layers of a model anew, in place, gate by gate.

    Parameters
    ----------
    module
        A layer, or any model that holds some: torch's ``nn.RNN``, ``nn.GRU``, ``nn.LSTM`` and their cells, or ours.
    scheme
        A ``Scheme``, or the name of one of ``SCHEMES``.
    lag
        Steps that the task looks back, for chrono alone; in the place of the scheme's own.
    linear
        Whether the ``nn.Linear`` in it start anew too: as ``weight_ih`` does, with biases of zero, or torch's with
        torch's.
    generator
        Where numbers come from; torch's global one by default. They are drawn in float64 on the CPU, in the order of
        ``module.modules()``, so that other precisions and devices start at the same place.

    Returns
    -------
    The same module.

    Raises
    ------
    ValueError
        For a model without recurrent layers, with layers whose weights cannot be set (parametrized, scripted, stacked),
        or with a cell that lacks what the scheme sets; for chrono without a lag, a lag below 2, and one without chrono.
        Nothing is changed then.
    TypeError
        For what is no module.

    Examples
    --------
    >>> import torch
    >>> from throughtime.nn import initialize
    >>> model = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.GRU(8, 16))
    >>> initialize(model, "chrono", lag=100)[1].bias_hh_l0.abs().sum().item()
    0.0
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"initialize needs a torch.nn.Module, got {type(module).__name__}")
    scheme = scheme_of(scheme)
    if lag is not None:
        scheme = replace(scheme, lag=lag)
    if not any(_is_recurrent(part) for part in module.modules()):
        raise ValueError(f"initialize needs a module with recurrent layers, got {type(module).__name__} without any")
    drawn: list[tuple[Tensor, Tensor]] = []
    for name, part in module.named_modules():
        where = f"{type(part).__name__} at {name!r}" if name else type(part).__name__
        if _is_recurrent(part):
            drawn += _drawn(part, where, scheme, generator)
        elif linear and isinstance(part, nn.Linear):
            drawn += _drawn_linear(part, where, scheme, generator)
    for weight, value in drawn:
        weight.copy_(value)
    return module


def _is_recurrent(part: nn.Module) -> bool:
    return isinstance(part, RecurrentLayer | nn.RNNBase | nn.RNNCellBase) or is_unknown(part)


def _drawn(part: Any, where: str, scheme: Scheme, generator: Generator | None) -> list[tuple[Tensor, Tensor]]:
    """A recurrent layer's weights, each with what it is to become."""
    if isinstance(part, torch.jit.ScriptModule):
        raise ValueError(f"initialize needs layers before they are scripted, got a scripted {where}")
    cell, places, directions = _places(part)
    wanted = ["weight_ih", "weight_hh"] + (["bias_ih", "bias_hh"] if part.bias else [])
    wanted += (["weight_hr"] if getattr(part, "proj_size", 0) else []) + list(cell.unit_weights)
    weights = [{name: _own(place.get(name), 1 + name.startswith(_MATRICES), where) for name in wanted}
               for place in places]  # fmt: skip
    shapes = [{name: tuple(weight.shape) for name, weight in place.items()} for place in weights]
    drawn = draw_layers(cell, shapes, directions, scheme, generator)
    return [(place[name], values[name]) for place, values in zip(weights, drawn, strict=True) for name in wanted]


def _places(part: Any) -> tuple[CellSpec, list[dict[str, nn.Parameter | None]], int]:
    """A layer's cell, its weights for each layer and direction by their names without endings, and its directions."""
    if isinstance(part, nn.RNNCellBase):  # one step of a layer, whose weights' names have no endings
        names = {nn.GRUCell: "gru", nn.LSTMCell: "lstm"}
        name = next((name for cls, name in names.items() if isinstance(part, cls)), None)
        return CELLS[name or f"rnn_{part.nonlinearity}"], [part._parameters], 1
    cell = part.spec if isinstance(part, RecurrentLayer) else CELLS[part.mode.lower()]
    return cell, by_place(part._parameters, part.num_layers, part.bidirectional), 1 + part.bidirectional


def _own(weight: Tensor | None, axes: int, where: str) -> Tensor:
    """Refuse a weight that is computed from others, or of several modules."""
    if weight is None:
        raise ValueError(
            f"initialize needs weights that are parameters, got {where}, some of whose are computed: remove its "
            "parametrization, initialize, and put it on again"
        )
    if weight.dim() != axes:
        raise ValueError(f"initialize needs modules before they are stacked, got {where} with a member axis")
    return weight


def _drawn_linear(
    part: nn.Linear, where: str, scheme: Scheme, generator: Generator | None
) -> list[tuple[Tensor, Tensor]]:
    weight = _own(part._parameters.get("weight"), 2, where)
    fan_in = weight.shape[1]
    drawn = [(weight, draw_matrix(scheme.input, tuple(weight.shape), fan_in, generator))]
    if part.bias is not None:
        bias = _own(part._parameters.get("bias"), 1, where)
        drawn.append((bias, draw_bias(scheme.biases, fan_in, len(bias), generator)))
    return drawn
