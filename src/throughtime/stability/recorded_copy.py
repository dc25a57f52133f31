"""A model run on a copy whose recurrent layers record which gradients reach their states.

The copy shares the weights' memory and the model's hooks; gradients, buffers and torch's generators are its own, so
that the model is afterwards what it was before.
"""

import copy
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.rnn import PackedSequence

from throughtime.errors import DataError, ParameterError
from throughtime.kernels import DeltaNorms
from throughtime.nn import RecordedCall, RecurrentLayer, convert, layer_directions
from throughtime.stability.calls import place_label


@dataclass(frozen=True, eq=False)
class Place:
    """One direction of one layer of one call.

    Attributes
    ----------
    module
        Its name in the model; its class for a layer that is the model.
    call
        Which call of the module, from 0.
    layer, reverse
        Which of its layers, and whether the reverse direction.
    number
        Its place among the layers and directions of the module.
    recorded
        The call.
    """

    module: str
    call: int
    layer: int
    reverse: bool
    number: int
    recorded: RecordedCall

    @property
    def deltas(self) -> DeltaNorms:
        """What the backward pass fills in."""
        return self.recorded.deltas[self.number]

    @property
    def label(self) -> str:
        """In words."""
        return place_label(self.module, self.call, self.layer, self.reverse)


@dataclass(frozen=True, eq=False)
class RecordedRun:
    """A forward pass of the copy: what it gave, its parameters by name, and the places in the order of the calls."""

    output: Any
    parameters: dict[str, Tensor]
    places: list[Place]


@contextmanager
def recorded_run(model: nn.Module, x: Any, lengths: Tensor | None, dtype: torch.dtype | None) -> Iterator[RecordedRun]:
    """Run a model forward for a backward pass, which happens inside the block.

    Parameters
    ----------
    x
        What the model is called with: a tensor, a ``PackedSequence``, or a tuple of arguments.
    lengths
        Handed on by that name, where given.
    dtype
        What model and inputs are computed in; by default what they are in.

    Raises
    ------
    ParameterError
        For a model without recurrent layers, or that cannot be copied.
    DataError
        For NaN or infinity in what a recurrent layer reads.
    """
    devices = {tensor.device for tensor in model.parameters() if tensor.is_cuda} if isinstance(model, nn.Module) else ()
    # within inference_mode(False) gradients are recorded, whatever holds outside
    with torch.random.fork_rng(devices=list(devices)), torch.inference_mode(False):
        copied = _copied(model, dtype)
        layers = {
            name or type(part).__name__: part
            for name, part in copied.named_modules()
            if isinstance(part, RecurrentLayer)
        }
        if not layers:
            raise ParameterError(
                f"model needs a recurrent layer (RNN, GRU, LSTM, of torch or of throughtime.nn), got "
                f"{type(model).__name__} without one"
            )
        calls: list[tuple[str, RecordedCall]] = []
        for name, layer in layers.items():
            layer.recorded = _Calls(name, calls)
        inputs = [_cast(part, dtype) for part in (x if isinstance(x, tuple) and not _is_packed(x) else (x,))]
        named = {} if lengths is None else {"lengths": torch.as_tensor(lengths)}
        _check_named(copied, named)
        output = copied(*inputs, **named)
        places = []
        counts: dict[str, int] = {}
        for name, call in calls:
            number = counts.get(name, 0)
            counts[name] = number + 1
            _check_finite(name, call)
            pairs = layer_directions(layers[name].num_layers, layers[name].bidirectional)
            places += [Place(name, number, *pair, place, call) for place, pair in enumerate(pairs)]
        if not places:
            raise ParameterError(f"model needs to call a recurrent layer, got calls of none of {', '.join(layers)}")
        yield RecordedRun(output, dict(copied.named_parameters()), places)


class _Calls(list[RecordedCall]):
    """A layer's calls, which are also put in the order of all layers' calls."""

    def __init__(self, name: str, everyone: list[tuple[str, RecordedCall]]) -> None:
        super().__init__()
        self._name, self._everyone = name, everyone

    def append(self, call: RecordedCall) -> None:
        super().append(call)
        self._everyone.append((self._name, call))


def _copied(model: nn.Module, dtype: torch.dtype | None) -> nn.Module:
    """The model with parameters of its own on the same memory, and torch's recurrent layers converted."""
    if not isinstance(model, nn.Module):
        raise ParameterError(
            f"model needs a torch.nn.Module, got a {type(model).__name__}; throughtime.estimators has gradient_flow_of "
            "and lag_curve_of for fitted estimators"
        )
    memo: dict[int, Any] = {}
    for name, part in model.named_modules():
        where = f" at {name!r}" if name else ""
        if hasattr(part, "_orig_mod"):
            raise ParameterError(
                f"model needs to be the module itself, got one of torch.compile{where}; hand in what was compiled, "
                "its _orig_mod"
            )
        if isinstance(part, torch.jit.ScriptModule):
            raise ParameterError(f"model needs modules of Python, got a scripted one{where}; hand in what was scripted")
        # Hooks may be part of what is computed, as weight_norm's are, and may hold what cannot be copied.
        memo |= {id(value): value for key, value in vars(part).items() if key.endswith("_hooks")}
        memo |= {id(value): value.detach() for value in vars(part).values() if _has_graph(value)}
        for key, parameter in part.named_parameters(recurse=False):
            if is_lazy(parameter):
                raise ParameterError(f"model needs its weights, got {key}{where} without a shape; call the model once")
            memo[id(parameter)] = nn.Parameter(_cast(parameter, dtype), parameter.is_floating_point())
    try:
        copied = copy.deepcopy(model, memo)
    except Exception as error:
        raise ParameterError(
            f"model needs to be one that copy.deepcopy takes, got a {type(model).__name__}: {error}"
        ) from error
    converted: nn.Module = convert(copied)
    return converted if dtype is None else converted.to(dtype)


def _check_named(model: nn.Module, named: dict[str, Tensor]) -> None:
    """Refuse lengths for a model that would not take them."""
    taken = inspect.signature(model.forward).parameters
    if named and "lengths" not in taken and all(each.kind != each.VAR_KEYWORD for each in taken.values()):
        raise ParameterError(
            f"lengths needs a model whose forward takes it by that name, got {type(model).__name__}; hand in a "
            "PackedSequence, or a tuple of the model's own arguments"
        )


def _has_graph(value: Any) -> bool:
    return isinstance(value, Tensor) and value.grad_fn is not None


def _is_packed(x: Any) -> bool:
    return isinstance(x, PackedSequence)  # which is a tuple


def _cast(x: Any, dtype: torch.dtype | None) -> Any:
    if _is_packed(x):
        return x if dtype is None else x.to(dtype)
    if not isinstance(x, Tensor):
        return x
    x = x.detach().clone() if x.is_inference() else x.detach()  # no graph can hold a tensor of inference mode
    return x.to(dtype) if dtype is not None and x.is_floating_point() else x


def _check_finite(name: str, call: RecordedCall) -> None:
    """Refuse what would make every gradient NaN, by series and step."""
    steps = torch.arange(call.inputs.shape[0], device=call.lengths.device)[:, None]
    wrong = ~call.inputs.isfinite().all(-1) & (steps < call.lengths)
    if not wrong.any():
        return
    step, series = (int(place) for place in wrong.nonzero()[0])
    value = call.inputs[step, series]
    if call.order is not None:
        series = int((call.order == series).nonzero()[0])
    found = "NaN" if value.isnan().any() else "infinity"
    raise DataError(f"x needs finite numbers where {name} reads it, got {found} at series {series}, step {step}")
