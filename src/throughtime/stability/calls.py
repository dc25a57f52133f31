"""Every call of a recurrent layer inside a model, caught with what the layer was really given."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from throughtime.errors import DataError, ParameterError
from throughtime.kernels import CELLS, CellSpec
from throughtime.nn import GRU, LSTM, RNN, CellRNN

#: The page that explains what is measured of recurrent layers, and its checks.
DOCS = "docs/guide/gradients.md"

#: Of torch and of the package; whoever overrides ``forward`` computes something else.
_CLASSES = (nn.RNN, nn.GRU, nn.LSTM, RNN, GRU, LSTM, CellRNN)
_FORWARDS = {cls.forward for cls in _CLASSES}
#: What the layers' ``forward`` takes, in order; torch's the first two.
_ARGUMENTS = ("input", "hx", "lengths", "return_states")

#: What a model is called with: its input, all its arguments, or packed series.
ModelInput = Tensor | PackedSequence | Sequence[Any]


@dataclass(frozen=True, eq=False)
class RecurrentCall:
    """One call of one recurrent layer, on the CPU in float64.

    Parameters
    ----------
    name
        Where the model has the layer; its class for the model itself.
    number
        Which call of the layer, from 0.
    layer
        torch's or ours.
    x
        Its input; what lies beyond a series' own end is zero.
    lengths
        Steps of each series.
    start
        Initial states, ``()`` for zeros.
    given
        What the layer returned.
    """

    name: str
    number: int
    layer: Any
    x: Float64[Tensor, "time series channel"]
    lengths: Int[Tensor, "series"]
    start: tuple[Float64[Tensor, "layer_direction series _"], ...]
    given: Any

    @property
    def cell(self) -> CellSpec:
        """The layer's cell."""
        return cell_of(self.layer)

    @property
    def weights(self) -> dict[str, Float64[Tensor, "1 ..."]]:
        """The layer's weights by torch's names, with a member axis."""
        return {name: as_float64(getattr(self.layer, name))[None] for name in self.layer._flat_weights_names}


def recurrent_layers(model: nn.Module) -> dict[str, Any]:
    """Every recurrent layer of a model, torch's or ours, by its name there.

    Raises
    ------
    ParameterError
        For what is no module, and a model without such a layer.
    """
    if not isinstance(model, nn.Module):
        cure = "; pass its module_" if hasattr(type(model), "module_") else ""
        raise ParameterError(f"model needs a torch.nn.Module, got {type(model).__name__}{cure}")
    found = {
        name: part
        for name, part in model.named_modules()
        if isinstance(part, _CLASSES) and type(part).forward in _FORWARDS
    }
    if not found:
        raise ParameterError(
            "model needs a recurrent layer (RNN, GRU or LSTM of torch or of throughtime.nn; no cells, and none that is "
            f"scripted or has a forward of its own), got {type(model).__name__} without one"
        )
    return found


def place_label(module: str, call: int, layer: int, reverse: bool) -> str:
    """One direction of one layer of one call, in words."""
    return f"{module} layer {layer}" + (" reverse" if reverse else "") + (f" (call {call + 1})" if call else "")


def cell_of(layer: Any) -> CellSpec:
    """The cell of a layer, torch's or ours."""
    return layer.spec if hasattr(layer, "spec") else CELLS[layer.mode.lower()]


def recurrent_calls(
    model: nn.Module, x: ModelInput, *, lengths: Int[Tensor, "series"] | Sequence[int] | None = None
) -> list[RecurrentCall]:
    """Call a model in evaluation mode, without gradients, and catch every call of its recurrent layers.

    Parameters
    ----------
    model
        Any model that holds recurrent layers, or such a layer; a fitted estimator's ``module_``. It is left as it was.
    x
        What the model is called with: its input, or a sequence of all its arguments, an initial state among them.
    lengths
        Steps of each series, handed on by that name; to torch's layers as packed series.

    Raises
    ------
    ParameterError
        For a model without recurrent layers, or that does not call them.
    DataError
        When a layer is given a value that is not finite; the layer, series and step are named.
    """
    with torch.inference_mode(False), torch.no_grad():
        return call_model(model, x, lengths=lengths)[1]


def call_model(
    model: nn.Module, x: ModelInput, *, lengths: Int[Tensor, "series"] | Sequence[int] | None = None
) -> tuple[Any, list[RecurrentCall]]:
    """``recurrent_calls`` with gradients as they are, and what the model gave."""
    layers = recurrent_layers(model)
    calls: list[RecurrentCall] = []
    hooks = [
        layer.register_forward_hook(partial(_catch, calls, name), with_kwargs=True) for name, layer in layers.items()
    ]
    try:
        with evaluation(model):
            output = _call(model, x, lengths)
    finally:
        for hook in hooks:
            hook.remove()
    if not calls:
        raise ParameterError(f"model needs to call its recurrent layers, got none called in {type(model).__name__}")
    for call in calls:
        _check_finite(call)
    return output, calls


@contextmanager
def evaluation(model: nn.Module) -> Iterator[None]:
    """Put a model and all its parts in evaluation mode, and each back afterwards."""
    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


def check_number(value: Any) -> None:
    """Refuse a loss that is not one number."""
    if not isinstance(value, Tensor) or value.numel() != 1:
        found = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
        raise ParameterError(f"loss needs to give one number as a tensor, got {found}; take its mean or sum")


def as_float64(tensor: Tensor) -> Float64[Tensor, "..."]:
    """A copy on the CPU, out of every graph."""
    return tensor.detach().to("cpu", torch.float64, copy=True)


def _call(model: nn.Module, x: ModelInput, lengths: Any) -> Any:
    given: list[Any] = [x] if isinstance(x, Tensor | PackedSequence) else list(x)  # a PackedSequence is a tuple too
    first, *others = given
    if lengths is None:
        return model(first, *others)
    lengths = torch.as_tensor(lengths)
    if isinstance(model, nn.RNNBase):
        packed = pack_padded_sequence(first, lengths.cpu(), model.batch_first, enforce_sorted=False)
        return model(packed, *others)
    return model(first, *others, lengths=lengths)


def _catch(
    calls: list[RecurrentCall], name: str, layer: Any, args: Sequence[Any], options: Mapping[str, Any], given: Any
) -> None:
    """Keep what a layer was called with, series padded and in their order, the time axis first."""
    named = dict(zip(_ARGUMENTS, args, strict=False)) | dict(options)
    x, start, lengths = named["input"], named.get("hx"), named.get("lengths")
    start = () if start is None else (start,) if isinstance(start, Tensor) else tuple(start)
    if isinstance(x, PackedSequence):
        x, lengths = pad_packed_sequence(x)
    elif x.dim() == 2:
        x, start = x[:, None], tuple(state[:, None] for state in start)
    elif layer.batch_first:
        x = x.transpose(0, 1)
    time, series, _ = x.shape
    steps = torch.full((series,), time) if lengths is None else torch.as_tensor(lengths).reshape(-1).long().cpu()
    running = torch.arange(time)[:, None] < steps
    calls.append(
        RecurrentCall(
            name or type(layer).__name__,
            sum(call.layer is layer for call in calls),
            layer,
            torch.where(running[..., None], as_float64(x), 0),
            steps,
            tuple(as_float64(state) for state in start),
            given,
        )
    )


def _check_finite(call: RecurrentCall) -> None:
    wrong: Float[Tensor, "time series"] = ~call.x.isfinite().all(-1)
    if wrong.any():
        step, series = wrong.nonzero()[0].tolist()
        raise DataError(
            f"the input of layer {call.name} needs finite values, got "
            f"{call.x[step, series].tolist()[0] if call.x.shape[-1] == 1 else 'one that is not'} at step {step} of "
            f"series {series}"
        )
