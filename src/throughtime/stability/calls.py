"""Every call of a recurrent layer inside a model, caught with what the layer was really given."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from throughtime.errors import DataError, ParameterError, ThroughtimeError
from throughtime.kernels import CellSpec
from throughtime.stability.input_forms import InputForm, data_of
from throughtime.stability.layers import cell_of, place_label, recurrent_layers

#: The page that explains what is measured of recurrent layers, and its checks.
DOCS = "docs/guide/gradients.md"

#: What the layers' ``forward`` takes, in order; torch's the first two.
_ARGUMENTS = ("input", "hx", "lengths", "return_states")

#: What a model is called with: its input, all its arguments, or packed series.
ModelInput = Tensor | PackedSequence | Sequence[Any]
#: Steps of each series, where they are given.
Lengths = Int[Tensor, "series"] | Sequence[int] | None


@dataclass(frozen=True, eq=False)
class RecurrentCall:
    """One call of one recurrent layer, whatever the form of its arguments: time first, series in their own order.

    Parameters
    ----------
    name
        Where the model has the layer; its class for the model itself.
    number
        Which call of the layer, from 0.
    layer
        torch's or ours.
    form
        That of its input.
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
    form: InputForm
    x: Float[Tensor, "time series channel"]
    lengths: Int[Tensor, "series"]
    start: tuple[Float[Tensor, "layer_direction series _"], ...]
    given: Any

    @property
    def cell(self) -> CellSpec:
        """The layer's cell."""
        return cell_of(self.layer)

    @property
    def weights(self) -> dict[str, Float64[Tensor, "1 ..."]]:
        """The layer's weights by torch's names, with a member axis."""
        return {name: as_float64(getattr(self.layer, name))[None] for name in self.layer._flat_weights_names}

    @property
    def running(self) -> Bool[Tensor, "time series 1"]:
        """Whether a series has a step."""
        return (torch.arange(len(self.x), device=self.x.device)[:, None] < self.lengths).unsqueeze(-1)

    def label(self, layer: int, reverse: bool) -> str:
        """One direction of one of its layers, in words."""
        return place_label(self.name, self.number, layer, reverse)

    def in_float64(self) -> "RecurrentCall":
        """A copy on the CPU, out of every graph; what the layer was given and what it returned stay as they are."""
        start = tuple(as_float64(state) for state in self.start)
        return replace(self, x=as_float64(self.x), lengths=self.lengths.cpu(), start=start)


def recurrent_calls(model: nn.Module, x: ModelInput, *, lengths: Lengths = None) -> list[RecurrentCall]:
    """Call a model in evaluation mode, without gradients, and catch every call of its recurrent layers, in float64.

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
        For what the model does not take, and when a layer is given a value that is not finite; the layer, series and
        step are named.
    """
    with torch.inference_mode(False), torch.no_grad():
        return call_model(model, x, lengths=lengths)[1]


def call_model(model: nn.Module, x: ModelInput, *, lengths: Lengths = None) -> tuple[Any, list[RecurrentCall]]:
    """``recurrent_calls`` with gradients as they are, and what the model gave."""
    calls: list[RecurrentCall] = []
    layers = recurrent_layers(model)
    x = tuple(x) if isinstance(x, list) else x
    with evaluation(model):
        # copied at once, before the model can change in place what a layer was given
        output = run_model(model, x, lengths, layers, lambda call: calls.append(call.in_float64()))
    return output, calls


def run_model(
    model: nn.Module,
    x: ModelInput,
    lengths: Lengths,
    layers: Mapping[str, nn.Module],
    on_call: Callable[[RecurrentCall], Any],
) -> Any:
    """Call a model, and a function after every call of one of its recurrent layers.

    Parameters
    ----------
    layers
        By name.
    on_call
        What it returns takes the place of what the layer returned, ``None`` leaves that.

    Raises
    ------
    ParameterError
        For a model that calls no layer or does not take lengths.
    DataError
        For what the model does not take, and values in it that are not finite.
    """
    names = {name or type(layer).__name__: layer for name, layer in layers.items()}
    numbers = dict.fromkeys(names, 0)

    def catch(name: str, layer: Any, args: Sequence[Any], options: Mapping[str, Any], given: Any) -> Any:
        named = dict(zip(_ARGUMENTS, args, strict=False)) | dict(options)
        call = _call_of(name, numbers[name], layer, named, given)
        numbers[name] += 1
        return on_call(call)

    hooks = [layer.register_forward_hook(partial(catch, name), with_kwargs=True) for name, layer in names.items()]
    try:
        output = run_forward(model, x, lengths)
    finally:
        for hook in hooks:
            hook.remove()
    if not any(numbers.values()):
        raise ParameterError(
            f"model needs to call its recurrent layers ({', '.join(names)}), got none called in {type(model).__name__}"
        )
    return output


def run_forward(model: nn.Module, x: ModelInput, lengths: Lengths = None) -> Any:
    """Call a model.

    Raises
    ------
    ParameterError
        For lengths that the model does not take.
    DataError
        For anything else that it does not take.
    """
    given: list[Any] = list(x) if isinstance(x, tuple) and not isinstance(x, PackedSequence) else [x]
    named = {}
    with _refusing(model, given, lengths):
        if lengths is not None:
            lengths = torch.as_tensor(lengths)
            if isinstance(model, nn.RNNBase):
                given[0] = pack_padded_sequence(given[0], lengths.cpu(), model.batch_first, enforce_sorted=False)
            else:
                _check_takes_lengths(model)
                named = {"lengths": lengths}
        return model(*given, **named)


@contextmanager
def _refusing(model: nn.Module, given: Sequence[Any], lengths: Lengths) -> Iterator[None]:
    """Say of an error while a model runs what the model was given."""
    what = "x needs" if lengths is None else "x and lengths need"
    try:
        yield
    except (ValueError, RuntimeError, IndexError, TypeError) as error:
        if isinstance(error, ThroughtimeError | torch.OutOfMemoryError):
            raise
        shapes = ", ".join(str(tuple(part.shape)) for part in tensors_in(given))
        raise DataError(f"{what} to be what {type(model).__name__} takes, got {shapes}: {error}") from error


def detached(x: Any, dtype: torch.dtype | None = None) -> Any:
    """What a model is called with, its tensors out of every graph, those of real numbers in a format."""
    if isinstance(x, PackedSequence):
        return PackedSequence(detached(x.data, dtype), *x[1:])
    if isinstance(x, tuple | list):
        parts = [detached(part, dtype) for part in x]
        return type(x)(*parts) if hasattr(x, "_fields") else type(x)(parts)
    if not isinstance(x, Tensor):
        return x
    x = x.detach().clone() if x.is_inference() else x.detach()  # no graph can hold a tensor of inference mode
    return x.to(dtype) if dtype is not None and x.is_floating_point() else x


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors in what a model takes or gives."""
    if isinstance(value, PackedSequence):
        yield value.data
    elif isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from tensors_in(part)
    elif isinstance(value, dict):
        yield from tensors_in(list(value.values()))


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


def as_float64(tensor: Tensor) -> Float64[Tensor, "..."]:
    """A copy on the CPU, out of every graph."""
    return tensor.detach().to("cpu", torch.float64, copy=True)


def _check_takes_lengths(model: nn.Module) -> None:
    taken = inspect.signature(model.forward).parameters
    if "lengths" not in taken and all(each.kind != each.VAR_KEYWORD for each in taken.values()):
        raise ParameterError(
            f"lengths needs a model whose forward takes it by that name, got {type(model).__name__}; hand in a "
            "PackedSequence, or a tuple of the model's own arguments"
        )


def _call_of(name: str, number: int, layer: Any, named: Mapping[str, Any], given: Any) -> RecurrentCall:
    """What a layer was called with in one form, and all of it finite."""
    x, start, lengths = named["input"], named.get("hx"), named.get("lengths")
    form = InputForm(x, layer.batch_first)
    padded = form.padded(data_of(x))
    time, series, _ = padded.shape
    if not series:
        raise DataError(f"x needs at least one series of one step where {name} reads it, got 0 series of {time} steps")
    if isinstance(x, PackedSequence):
        lengths = pad_packed_sequence(x)[1]
    steps = torch.full((series,), time) if lengths is None else torch.as_tensor(lengths).reshape(-1).long()
    steps = steps.to(padded.device)
    start = () if start is None else (start,) if isinstance(start, Tensor) else tuple(start)
    if form.alone:
        start = tuple(state.unsqueeze(1) for state in start)
    call = RecurrentCall(name, number, layer, form, padded, steps, start, given)
    call = replace(call, x=torch.where(call.running, padded, 0))
    _check_finite(call)
    return call


def _check_finite(call: RecurrentCall) -> None:
    """Refuse what would make every gradient NaN, by series and step."""
    for state in call.start:
        if len(wrong := (~state.isfinite().all(-1)).nonzero()):
            series = int(wrong[0, 1])
            found = _nonfinite(state[:, series])
            raise DataError(
                f"x needs finite initial states where {call.name} reads them, got {found} in series {series}"
            )
    if len(wrong := (~call.x.isfinite().all(-1)).nonzero()):
        step, series = wrong[0].tolist()
        found = _nonfinite(call.x[step, series])
        raise DataError(
            f"x needs finite numbers where {call.name} reads it, got {found} at step {step} of series {series}"
        )


def _nonfinite(values: Tensor) -> str:
    return "NaN" if values.isnan().any() else "infinity"
