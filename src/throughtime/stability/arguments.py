"""What the functions of the package are called with: what torch or numpy would trip over is refused by name.

Where the model is a recurrent layer itself, all of its input is looked at; what a layer inside another model is given
only that model's own ``forward`` decides.
"""

import inspect
import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, cast

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from throughtime.errors import DataError, ParameterError
from throughtime.stability.layers import is_known

#: The most that numpy's and torch's generators both take.
_LARGEST_SEED = 2**64 - 1


def check_whole(name: str, value: Any, least: int, most: int | None = None, of: str = "") -> int:
    """A whole number from ``least`` to ``most``, the latter those ``of`` something.

    Raises
    ------
    ParameterError
        For anything else: ``True`` is no number, nor is a text that reads as one.
    """
    fits = isinstance(value, Integral) and not isinstance(value, bool)
    if not fits or value < least or (most is not None and value > most):
        bounds = f"from {least}" + (" up" if most is None else f" to {most}") + (f", {of}" if of else "")
        raise ParameterError(f"{name} needs a whole number {bounds}, got {value!r}")
    return int(value)


def is_number(value: Any) -> bool:
    """Whether it is a real number; ``True`` is none."""
    return isinstance(value, Real) and not isinstance(value, bool)


def check_seed(seed: Any) -> int:
    """A seed that numpy's and torch's generators take."""
    return check_whole("seed", seed, 0, _LARGEST_SEED)


def check_lag(lag: Any, longest: int | None = None) -> None:
    """Refuse a lag that is no number of steps from 1 up, or that no series has: it need not be whole."""
    if not is_number(lag) or not 1 <= lag < math.inf:
        raise ParameterError(f"lag needs a finite number of steps of at least 1, got {lag!r}")
    if longest is not None and lag >= longest:
        raise ParameterError(f"lag needs to be below the {longest} steps of the longest series, got {lag:g}")


def check_record(name: str, record: Any, kind: type, maker: str) -> None:
    """Refuse what is not the record that a function works on; ``maker`` makes it."""
    if isinstance(record, kind):
        return
    several = isinstance(record, Sequence) and len(record) > 0 and isinstance(record[0], kind)
    got = f"{len(record)} of them; take one, such as the first, [0]" if several else _a(record)
    raise ParameterError(f"{name} needs one {kind.__name__}, as {maker} gives, got {got}")


def check_loss(loss: Any) -> None:
    """Refuse what cannot be called."""
    if not callable(loss):
        raise ParameterError(f"loss needs a function of the model's output, got {loss!r}")


def check_dtype(dtype: Any) -> None:
    """Refuse a format that no gradient is computed in."""
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise ParameterError(f"dtype needs a floating torch.dtype, such as torch.float64, got {dtype!r}")


def check_model(model: Any) -> None:
    """Refuse what is no module, an estimator's among them."""
    if isinstance(model, nn.Module):
        return
    cure = ""
    if hasattr(type(model), "fit") or hasattr(type(model), "module_"):
        cure = (
            "; of a fitted estimator pass its module_, or take gradient_flow_of or lag_curve_of of "
            "throughtime.estimators"
        )
    raise ParameterError(f"model needs a torch.nn.Module, got {_a(model)}{cure}")


def check_call(
    model: Any,
    x: Any,
    lengths: Any = None,
    *,
    dtype: torch.dtype | None = None,
    arguments: type | tuple[type, ...] = tuple,
) -> None:
    """Refuse a call of a model that it cannot be meant to take.

    Parameters
    ----------
    model, x, lengths
        The call.
    dtype
        What x is converted to before, if anything.
    arguments
        Types of x that hold all of the model's arguments, not its input alone.

    Raises
    ------
    ParameterError
        For what is no module, arguments that its ``forward`` has no place for, and lengths that are none.
    DataError
        For an input that is no tensor, that has no step, or whose axes, width or format a recurrent layer cannot take.
    """
    check_model(model)
    if dtype is not None:
        check_dtype(dtype)
    several = isinstance(x, arguments) and not isinstance(x, PackedSequence)  # which is a tuple
    given: list[Any] = list(cast(Any, x)) if several else [x]
    _check_arguments(model, given, lengths)
    layer = is_known(model)
    for value in given:
        arrays = isinstance(value, list) and any(isinstance(one, ndarray) for one in value)
        if arrays or isinstance(value, ndarray | str):
            raise DataError(f"x needs tensors, got {_a(value)}; torch.from_numpy makes one of an array")
    if not given or given[0] is None:
        raise DataError(f"x needs what the model is called with, got {x!r}")
    if layer:
        _check_input(model, given[0], dtype)
    if lengths is not None:
        _check_lengths(lengths, given[0], model if layer else None)


def _check_arguments(model: nn.Module, given: Sequence[Any], lengths: Any) -> None:
    try:
        signature = inspect.signature(model.forward)
    except (AttributeError, ValueError):  # of a scripted module, which has no signature of Python's
        return
    named = {} if lengths is None or "lengths" not in signature.parameters else {"lengths": lengths}
    try:
        signature.bind(*given, **named)
    except TypeError as error:
        taken = ", ".join(signature.parameters)
        raise ParameterError(
            f"x needs to be a tensor, a PackedSequence or all arguments of {type(model).__name__} ({taken}), got "
            f"{len(given)} of them: {error}; series side by side are one tensor, with their lengths as lengths="
        ) from None


def _check_input(layer: Any, x: Any, dtype: torch.dtype | None) -> None:
    name, width = type(layer).__name__, layer.input_size
    packed = isinstance(x, PackedSequence)
    data = x.data if packed else x
    if not isinstance(data, Tensor):
        raise DataError(f"x needs a tensor or a PackedSequence, got {_a(x)}")
    if not packed and data.dim() not in (2, 3):
        axes = "series, time, channel" if layer.batch_first else "time, series, channel"
        raise DataError(f"x needs the axes ({axes}), or (time, channel) of a single series, got {tuple(data.shape)}")
    if data.shape[-1] != width:
        raise DataError(f"x needs {width} channels, the input_size of {name}, got {data.shape[-1]}")
    if not packed and not data.shape[int(data.dim() == 3 and layer.batch_first)]:
        raise DataError(f"x needs at least one step, got {tuple(data.shape)}")
    own = next((weight.dtype for weight in layer.parameters()), data.dtype)
    converted = data.dtype if dtype is None or not data.is_floating_point() else dtype
    wanted = own if dtype is None else dtype
    if converted != wanted and not torch.is_autocast_enabled(data.device.type):
        raise DataError(f"x needs the format of the weights, {wanted}, got {data.dtype}; x.to({wanted}) converts it")


def _check_lengths(lengths: Any, x: Any, layer: Any) -> None:
    try:
        steps = np.asarray(lengths.cpu() if isinstance(lengths, Tensor) else lengths)
    except (ValueError, TypeError):  # rows of several lengths
        steps = np.array(None)
    if steps.dtype.kind not in "iu" or steps.ndim > 1 or not steps.size or steps.min() < 1:
        raise ParameterError(f"lengths needs a whole number of steps from 1 up for each series, got {lengths!r}")
    if layer is None or not isinstance(x, Tensor) or x.dim() != 3:
        return
    time, series = (x.shape[1], x.shape[0]) if layer.batch_first else x.shape[:2]
    if steps.shape != (series,) or steps.max() > time:
        raise ParameterError(f"lengths needs 1 to {time} steps for each of {series} series, got {steps.tolist()}")


def _a(value: Any) -> str:
    name = type(value).__name__
    if value is None:
        return "None"
    article = "an" if name[0] in "AEIOUaeiou" else "a"
    return f"{article} {name}" + (f" of {len(value)}" if isinstance(value, list | tuple) else "")
