"""What the layers refuse, with torch's exceptions and in torch's words where torch has them."""

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, cast

import torch
from torch import Tensor

from throughtime.kernels import CELLS, CellSpec, is_hidden
from throughtime.nn.noise import NoiseRates
from throughtime.nn.unrolled import States

#: What of the noise acts inside a cell's step or on its c, by option: the field of ``StepNoise``.
_PLACES = {"recurrent_dropout": "recurrent", "candidate_dropout": "candidate", "zoneout": "zoneout_h",
           "cell_zoneout": "zoneout_c"}  # fmt: skip


def is_number(value: object) -> bool:
    """Whether a value is a finite real number."""
    try:
        return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # an int larger than any float
        return False


def misplaced_noise(cell: CellSpec, rates: Mapping[str, Any]) -> str | None:
    """What is wrong with rates of which one is above zero though the cell has no place for it."""
    for option, place in _PLACES.items():
        if rates.get(option) and place not in cell.noise:
            able = [other.name for other in CELLS.values() if place in other.noise]
            return f"{option} needs a cell with a place for it ({', '.join(able)})"
    return None


def check_rates(cell: CellSpec, name: str, rates: NoiseRates) -> None:
    """Refuse rates of noise that are none, or that the layer's cell has no place for."""
    for option, rate in rates.items():
        if option == "proj_size":
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        if option not in NoiseRates.__annotations__:
            raise TypeError(f"{name}.__init__() got an unexpected keyword argument {option!r}")
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= 1:
            raise ValueError(f"{option} needs a number from 0 to 1, got {rate!r}")
    if rule := misplaced_noise(cell, rates):
        raise ValueError(f"{rule}, got {name}")


def check_directions(bidirectional: object) -> None:
    """Refuse what torch refuses at the first call only."""
    if not isinstance(bidirectional, bool):
        raise TypeError(f"bidirectional should be of type bool, got: {type(bidirectional).__name__}")


def as_states(hx: Tensor | Sequence[Tensor], cell: CellSpec) -> States:
    """Initial states as a tuple: h, and a cell's c."""
    if "c" not in cell.states:
        return (cast(Tensor, hx),)
    if isinstance(hx, Tensor) or len(hx) != 2:
        found = "one tensor" if isinstance(hx, Tensor) else f"{len(hx)}"
        raise RuntimeError(f"{cell.name} expects two hidden states, (h_0, c_0), got {found}")
    return tuple(hx)


def check_axes(name: str, x: Tensor, start: States | None) -> None:
    """Refuse an input or initial states with the wrong number of axes."""
    axes = x.dim()
    if axes not in (2, 3):
        kind = " tensor" if name == "RNN" else ""
        raise ValueError(f"{name}: Expected input to be 2D or 3D, got {axes}D{kind} instead")
    if start is None or [state.dim() for state in start] == [axes] * len(start):
        return
    batched = f"{'batched' if axes == 3 else 'unbatched'} {axes}-D input"
    found = [state.dim() for state in start]
    if len(found) == 1:
        raise RuntimeError(f"For {batched}, hx should also be {axes}-D but got {found[0]}-D tensor")
    raise RuntimeError(f"For {batched}, hx and cx should also be {axes}-D but got ({found[0]}-D, {found[1]}-D) tensors")


def check_input(x: Tensor, axes: int, input_size: int, weight: Tensor) -> None:
    """Refuse an input that the weights cannot take; a packed one has two axes."""
    if x.dtype != weight.dtype and not torch.is_autocast_enabled(x.device.type):
        raise ValueError(
            f"RNN input dtype ({x.dtype}) does not match weight dtype ({weight.dtype}). "
            f"Convert input: input.to({weight.dtype}), or convert model: model.to({x.dtype})"
        )
    if x.dim() != axes:
        raise RuntimeError(f"input must have {axes} dimensions, got {x.dim()}")
    if x.shape[-1] != input_size:
        raise RuntimeError(f"input.size(-1) must be equal to input_size. Expected {input_size}, got {x.shape[-1]}")


def check_start(start: States, sizes: list[tuple[int, int, int]], x: Tensor) -> None:
    """Refuse initial states of other sizes, or that are not like the input."""
    for at, (state, size) in enumerate(zip(start, sizes, strict=True)):
        if state.shape != size:
            what = f"hidden[{at}]" if len(sizes) == 2 else "hidden"
            raise RuntimeError(f"Expected {what} size {size}, got {list(state.shape)}")
    for state in start:
        if state.device != x.device:
            raise RuntimeError(
                "Input and hidden tensors are not at the same device, found input tensor at "
                f"{x.device} and hidden tensor at {state.device}"
            )
        if state.dtype != x.dtype and not torch.is_autocast_enabled(x.device.type):
            raise RuntimeError(
                "Input and hidden tensors are not the same dtype, found input tensor with "
                f"{x.dtype} and hidden tensor with {state.dtype}"
            )


def check_weights(names: Sequence[str], weights: Sequence[Tensor], sizes: Sequence[tuple[int, ...]]) -> None:
    """Refuse weights of other shapes than the layer's: replaced, cut, or handed in by ``functional_call``."""
    for name, weight, size in zip(names, weights, sizes, strict=True):
        if not isinstance(weight, Tensor) or weight.shape != size:
            found = tuple(weight.shape) if isinstance(weight, Tensor) else weight
            raise RuntimeError(f"{name} needs shape {size}, got {found}")


def check_autocast(x: Tensor, start: States | None, weight: torch.dtype) -> None:
    """Refuse float64 beside another dtype, as torch's products do: autocast lets float64 be."""
    dtypes = [x.dtype, weight, *(state.dtype for state in start or ())]
    if torch.float64 in dtypes and len(set(dtypes)) > 1:
        found = ", ".join(map(str, dtypes))
        raise RuntimeError(f"input, weight and hidden need one dtype where one is float64, got {found} under autocast")


def check_time(x: Tensor, time: int, weight: Tensor) -> None:
    """Refuse what torch refuses last: another device, no steps."""
    if x.device != weight.device:
        raise RuntimeError(
            "Input and parameter tensors are not at the same device, found input tensor at "
            f"{x.device} and parameter tensor at {weight.device}"
        )
    if time == 0:
        raise RuntimeError("Expected sequence length to be larger than 0 in RNN")


def as_lengths(lengths: Tensor | None, time: int, batch: int, like: Tensor) -> Tensor:
    """Steps of each series, all of them by default."""
    if lengths is None:
        return torch.full((batch,), time, device=like.device)
    lengths = torch.as_tensor(lengths, device=like.device)
    if lengths.is_floating_point() or lengths.is_complex() or lengths.dtype == torch.bool:
        raise TypeError(f"lengths needs whole numbers, got {lengths.dtype}")
    wrong_shape = lengths.shape != (batch,)
    if wrong_shape or (not is_hidden(lengths) and bool(((lengths < 1) | (lengths > time)).any())):
        found = tuple(lengths.shape) if is_hidden(lengths) else lengths.tolist()
        raise ValueError(f"lengths needs 1 to {time} steps for each of {batch} series, got {found}")
    return lengths.long()
