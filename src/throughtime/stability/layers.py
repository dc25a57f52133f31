"""The recurrent layers of a model, torch's and ours: which there are, and what each is in words."""

from collections.abc import Callable
from typing import Any

from torch import nn

from throughtime.errors import ParameterError
from throughtime.kernels import CELLS, CellSpec
from throughtime.nn import GRU, LSTM, RNN, CellRNN

_CLASSES = (nn.RNN, nn.GRU, nn.LSTM, RNN, GRU, LSTM, CellRNN)
_FORWARDS = {cls.forward for cls in _CLASSES}


def is_known(part: nn.Module) -> bool:
    """Whether a module is a recurrent layer; whoever overrides ``forward`` computes something else."""
    return isinstance(part, _CLASSES) and type(part).forward in _FORWARDS


def recurrent_layers(
    model: nn.Module, takes: Callable[[nn.Module], bool] = is_known, *, every: bool = False
) -> dict[str, Any]:
    """Every recurrent layer of a model by its name there.

    Parameters
    ----------
    takes
        Which modules count.
    every
        Refuse a model that has a recurrent layer beside them.

    Raises
    ------
    ParameterError
        For a model without such a layer.
    """
    found = {name: part for name, part in model.named_modules() if takes(part)}
    others = [type(part).__name__ for part in model.modules() if isinstance(part, _CLASSES) and not takes(part)]
    if found and not (every and others):
        return found
    got = f"a {others[0]} beside those" if found else f"{type(model).__name__} without one"
    raise ParameterError(
        "model needs a recurrent layer (RNN, GRU or LSTM of torch or of throughtime.nn; no cells, and none that is "
        f"scripted or has a forward of its own), got {got}"
    )


def place_label(module: str, call: int, layer: int, reverse: bool) -> str:
    """One direction of one layer of one call, in words."""
    return f"{module} layer {layer}" + (" reverse" if reverse else "") + (f" (call {call + 1})" if call else "")


def cell_of(layer: Any) -> CellSpec:
    """The cell of a layer, torch's or ours."""
    return layer.spec if hasattr(layer, "spec") else CELLS[layer.mode.lower()]
