"""``convert``: torch's recurrent layers in any model swapped for ours, and back."""

from typing import Any, Literal, TypeVar

import torch
from torch import nn
from torch.nn.utils import parametrize

from throughtime.errors import warn
from throughtime.nn.layers import GRU, LSTM, RNN, CellRNN, RecurrentLayer
from throughtime.nn.noise import NoiseRates, draw_mask

M = TypeVar("M", bound=nn.Module)

_OURS: dict[type[nn.Module], type[nn.Module]] = {nn.RNN: RNN, nn.GRU: GRU, nn.LSTM: LSTM}
_TORCHS = {ours: torchs for torchs, ours in _OURS.items()}
_NAMES = frozenset(torchs.__name__ for torchs in _OURS)

#: What the constructors share; ``dropout`` is set afterwards, or torch would warn again of a lone layer's.
_ARGUMENTS = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "bidirectional")


def convert(module: M, to: Literal["throughtime", "torch"] = "throughtime") -> M | Any:
    """Swap the recurrent layers of a model, in place.

    Parameters
    ----------
    module
        Any model; or a recurrent layer itself, which cannot be swapped in place: use what is returned.
    to
        Whose layers the model shall have.

    Returns
    -------
    The same model. Its layers hold the same ``Parameter`` objects as before, so that an optimizer goes on, and keep
    hooks, mode, device, dtype, and what a user has set on them. A layer used twice is still one. Subclasses,
    parametrized layers among them, and scripted layers are passed over: what they compute is not known. Cells
    (``GRUCell``) are no layers. Of a fitted estimator's ``module_`` both kinds of layers give the same; a module of
    your own that calls its layers with ``lengths=`` or ``return_states=`` needs ours.

    Raises
    ------
    ValueError
        For layers that torch does not have, of a cell of ours or with noise or a source of masks; nothing is swapped
        then.

    Warns
    -----
    UserWarning
        For layers that are passed over, by their names and classes.

    Examples
    --------
    >>> import torch
    >>> from throughtime.nn import convert
    >>> model = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.LSTM(8, 16, batch_first=True))
    >>> convert(model)[1]
    LSTM(8, 16, batch_first=True)
    """
    if to not in ("throughtime", "torch"):
        raise ValueError(f"to needs throughtime or torch, got {to!r}")
    classes = _OURS if to == "throughtime" else _TORCHS
    found = [(name, old) for name, old in module.named_modules(remove_duplicate=False) if type(old) in classes]
    if to == "torch":
        for name, part in module.named_modules():
            if isinstance(part, CellRNN):
                raise ValueError(
                    f"convert needs layers that torch has too, got {type(part).__name__} of cell {part.spec.name} in "
                    f"{name or 'the module'}: torch has no such layer"
                )
    for name, old in found:
        if isinstance(old, RecurrentLayer) and (noise := noise_of(old)):
            raise ValueError(
                f"convert needs layers that torch has too, got {' and '.join(noise)} in {name or 'the module'}"
            )
    swapped = {old: swap(old, classes[type(old)]) for _, old in found}
    for name, old in found:
        if name:
            module.set_submodule(name, swapped[old])
    kept = [f"{describe(part)} at {name!r}" for name, part in module.named_modules() if is_unknown(part, to)]
    if kept:
        warn(
            f"convert swapped {len(swapped)} of {len(swapped) + len(kept)} recurrent layers; passed over, since what a "
            f"layer of another class computes is not known: {', '.join(kept)}",
            UserWarning,
        )
    return swapped.get(module, module)


def is_unknown(part: nn.Module, to: str = "throughtime") -> bool:
    """Whether a module is a recurrent layer, but none that can be swapped."""
    if to == "torch":
        return isinstance(part, RecurrentLayer) and type(part) not in _TORCHS
    scripted = isinstance(part, torch.jit.ScriptModule) and part.original_name in _NAMES
    return scripted or (isinstance(part, nn.RNNBase) and type(part) not in _OURS)


def describe(part: nn.Module) -> str:
    """The class of a layer that cannot be swapped, and the cure if there is one."""
    if parametrize.is_parametrized(part):
        return f"{type(part).__name__} (remove its parametrization, convert, and put it on again)"
    if isinstance(part, torch.jit.ScriptModule):
        return f"{part.original_name} (scripted: convert before scripting)"
    return type(part).__name__


def noise_of(layer: RecurrentLayer) -> list[str]:
    """What a layer has beyond torch's noise, by name."""
    own = [] if layer.draw is draw_mask else ["a draw of its own"]
    return [name for name in NoiseRates.__annotations__ if getattr(layer, name)] + own


def swap(old: Any, cls: Any) -> nn.Module:
    """Make a layer of another class out of the very parts of an old one."""
    options = {name: getattr(old, name) for name in _ARGUMENTS}
    if old.mode == "LSTM":
        options["proj_size"] = old.proj_size
    if old.mode.startswith("RNN"):
        options["nonlinearity"] = old.nonlinearity
    fresh = type(old)(**options, device="meta")
    new: nn.Module = cls(**options, device="meta")
    new.dropout = old.dropout
    # The dictionaries themselves, so that the handles of hooks still remove what they added.
    for name in vars(nn.Module()):
        new.__dict__[name] = old.__dict__[name]
    for name in vars(old).keys() - vars(fresh).keys():
        new.__dict__[name] = old.__dict__[name]
    return new
