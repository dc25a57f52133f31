"""How far a step moves the weights: ``|step| / |w|``, gate by gate, for a gate may stand still while another runs."""

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from throughtime.errors import ParameterError
from throughtime.findings import Check, Measured, NotApplicable
from throughtime.records import Records, Row
from throughtime.stability.arguments import check_model
from throughtime.stability.calls import DOCS, as_float64
from throughtime.stability.layers import cell_of, recurrent_layers

#: What to hand in, in words of Python.
_COPIES = "{name: w.detach().clone() for name, w in model.named_parameters()}"
#: The ratio that steps are compared with, and by how many decades they may differ.
_USUAL, _DECADES = 1e-3, 1.0


@dataclass(frozen=True, repr=False)
class UpdateRatio(Row):
    """Of one gate's block of rows in one tensor; of a whole tensor outside the recurrent layers.

    Attributes
    ----------
    tensor
        The parameter's name in the model.
    gate
        Empty where the tensor has none.
    step_norm, weight_norm
        L2 norms of the change, and of the weights before it.
    ratio
        ``inf`` where the weights were zero and moved, NaN where they were zero and did not.
    """

    title: ClassVar[str] = "norm of the step, of the weights before it, and the former over the latter"

    tensor: str
    gate: str
    step_norm: float
    weight_norm: float
    ratio: float

    def _cells(self) -> dict[str, str]:
        norms = {"step": self.step_norm, "weights": self.weight_norm, "ratio": self.ratio}
        return {"tensor": self.tensor, "gate": self.gate, **{name: f"{norm:.3g}" for name, norm in norms.items()}}


def update_ratio(model: nn.Module, before: Mapping[str, Tensor] | torch.optim.Optimizer) -> Records[UpdateRatio]:
    """How far the weights of a model with recurrent layers have moved, or move in one step of an optimizer.

    Parameters
    ----------
    model
        With its weights after the step.
    before
        The weights before, by name: copies, such as ``{name: w.detach().clone() for name, w in
        model.named_parameters()}``. Or an optimizer of this model, whose ``step`` is then called, with the gradients
        that are there.

    Returns
    -------
    One per gate of each weight of a recurrent layer, and one per other parameter, in the model's order.

    Raises
    ------
    ParameterError
        For a model without recurrent layers; for weights that lack one of its parameters, have another shape, or are
        the model's own memory, as those of ``state_dict`` are; for an optimizer that lacks one, or has no gradient to
        step by. Nothing has been stepped then.

    Examples
    --------
    >>> import torch
    >>> from throughtime.stability import update_ratio
    >>> layer = torch.nn.GRU(2, 4)
    >>> layer(torch.randn(5, 3, 2))[0].square().sum().backward()
    >>> found = update_ratio(layer, torch.optim.SGD(layer.parameters(), lr=0.1))
    >>> [ratio.gate for ratio in found[:3]]
    ['r', 'z', 'n']
    """
    check_model(model)
    layers = recurrent_layers(model)
    if isinstance(before, torch.optim.Optimizer):
        _check_optimizer(model, before)
        kept = {name: as_float64(weight) for name, weight in model.named_parameters()}
        before.step()
        before = kept
    else:
        _check_copies(model, before)
    found = []
    for name, weight in model.named_parameters():
        owner, _, own = name.rpartition(".")
        gates: Sequence[str] = ("",)
        if owner in layers and own.startswith(("weight_ih", "weight_hh", "bias_ih", "bias_hh")):
            gates = cell_of(layers[owner]).gates
        old, new = as_float64(before[name]), as_float64(weight)
        blocks = zip(gates, old.chunk(len(gates)), new.chunk(len(gates)), strict=True)
        found += [_ratio(name, gate, one, other) for gate, one, other in blocks]
    return Records(found)


def _check_optimizer(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    if inspect.signature(optimizer.step).parameters["closure"].default is inspect.Parameter.empty:
        raise ParameterError(
            f"before needs an optimizer that steps by the gradients that are there, got {type(optimizer).__name__}, "
            f"which needs a closure; take {_COPIES} before its step"
        )
    stepped = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    lacking = [name for name, weight in trained.items() if id(weight) not in stepped]
    if lacking:
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        raise ParameterError(
            f"before needs an optimizer of this model, got one without {lacking[0]}{more}; pass the part of the model "
            "that it steps, or an optimizer made of model.parameters()"
        )
    if all(weight.grad is None for weight in trained.values()):
        raise ParameterError(
            "before needs gradients for its optimizer's step, got none; call backward() on a loss first"
        )


def _check_copies(model: nn.Module, before: Any) -> None:
    if not isinstance(before, Mapping):
        raise ParameterError(
            f"before needs the weights before the step by name, {_COPIES}, or an optimizer, got {type(before).__name__}"
        )
    for name, weight in model.named_parameters():
        old = before.get(name)
        if not isinstance(old, Tensor) or old.shape != weight.shape:
            got = f"one of {tuple(old.shape)}" if isinstance(old, Tensor) else "none" if old is None else repr(old)
            raise ParameterError(f"before needs a weight {name} of {tuple(weight.shape)}, got {got}")
        if weight.numel() and old.untyped_storage().data_ptr() == weight.untyped_storage().data_ptr():
            raise ParameterError(
                f"before needs copies of the weights, got the model's own memory for {name}, as state_dict() gives it: "
                f"that moves with them; take {_COPIES} before the step"
            )


def _ratio(tensor: str, gate: str, old: Tensor, new: Tensor) -> UpdateRatio:
    step, weight = float((new - old).norm()), float(old.norm())
    ratio = step / weight if weight else math.inf if step else math.nan
    return UpdateRatio(tensor, gate, step, weight, ratio)


def _decades(ratios: Sequence[UpdateRatio]) -> Measured | NotApplicable:
    """Matrices only: a bias starts at zero, so that its ratio says nothing."""
    away = {found: _distance(found.ratio) for found in ratios if "weight" in found.tensor and found.weight_norm > 0}
    if not away:
        return NotApplicable("no weights that are not zero")
    worst = max(away, key=lambda found: away[found])
    where = f"gate {worst.gate} of {worst.tensor}" if worst.gate else worst.tensor
    return Measured(away[worst], f"{where} moves by {worst.ratio:.2g} of its norm in a step")


def _distance(ratio: float) -> float:
    return abs(math.log10(ratio / _USUAL)) if ratio > 0 else math.inf


UPDATE_SIZE = Check(
    "STA015",
    "size of the steps",
    "warning",
    ("update_ratio",),
    lambda update_ratio: _decades(update_ratio),
    "convention: within a decade of 1e-3 (Karpathy, CS231n, https://cs231n.github.io/neural-networks-3/)",
    "try a smaller learning rate where it is larger, a larger one where it is smaller",
    threshold=_DECADES,
    docs=DOCS,
)
