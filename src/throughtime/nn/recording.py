"""The layers under ``torch.jit.trace`` and ``torch.fx``: what is recorded is torch's own op, or a call of the layer.

Our own ways would be recorded for the number of steps they happened to see, and the kernels not at all.
"""

from typing import Any

import torch
from torch import Tensor
from torch.fx import Proxy
from torch.fx.proxy import TraceError
from torch.nn.modules import rnn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

#: torch's classes as they were when this was loaded: a user may put ours in their place.
_TORCHS: dict[str, Any] = {"RNN": rnn.RNN, "GRU": rnn.GRU, "LSTM": rnn.LSTM}


def record_op(layer: Any, x: Tensor | PackedSequence, hx: Any, lengths: Tensor | None, plain: bool) -> tuple[Any, Any]:
    """A layer's outputs and final state by ``forward`` of torch's class, which a graph can hold for any sizes.

    Parameters
    ----------
    layer
        A ``RecurrentLayer``; its weights are torch's.
    x, hx, lengths
        As the layer takes them; of the values of lengths torch's own check is recorded.
    plain
        Whether nothing is asked that torch's layer cannot do.

    Raises
    ------
    RuntimeError
        If something is.
    """
    if not plain:
        raise RuntimeError(
            f"torch.jit.trace needs what torch's own layer can do, got noise or return_states of {layer}; use "
            "torch.compile or torch.export, or eval() where the noise is of training alone"
        )
    name = layer.mode.partition("_")[0]
    if name not in _TORCHS:
        raise RuntimeError(
            f"torch.jit.trace needs a layer that torch has too, got {layer} of cell {layer.spec.name}; use "
            "torch.compile or torch.export"
        )
    cls = _TORCHS[name]
    twin = cls.__new__(cls)
    weights = [getattr(layer, name) for name in layer.weight_names]
    twin.__dict__.update(
        vars(layer),
        _flat_weights_names=list(layer.weight_names),
        _flat_weights=weights,
        _flat_weight_refs=[None] * len(weights),
    )
    if lengths is None:
        found: tuple[Any, Any] = cls.forward(twin, x, hx)
        return found
    if isinstance(x, PackedSequence):
        raise ValueError("lengths needs a padded input, got a PackedSequence, which has its own")
    if not isinstance(lengths, Tensor) or lengths.is_floating_point() or lengths.dtype == torch.bool:
        raise TypeError(f"lengths needs a tensor of whole numbers under torch.jit.trace, got {lengths!r}")
    axis, alone = (0 if layer.batch_first else 1), x.dim() == 2
    if alone:
        x, hx = x.unsqueeze(axis), _each(hx, lambda state: state.unsqueeze(1))
    packed = pack_padded_sequence(x, lengths.reshape(-1).cpu(), layer.batch_first, enforce_sorted=False)
    outputs, end = cls.forward(twin, packed, hx)
    y, _ = pad_packed_sequence(outputs, layer.batch_first, total_length=x.size(1 - axis))
    return (y.squeeze(axis), _each(end, lambda state: state.squeeze(1))) if alone else (y, end)


def _each(states: Any, change: Any) -> Any:
    if states is None:
        return None
    return tuple(map(change, states)) if isinstance(states, tuple) else change(states)


def find_proxy(x: Any, hx: Any, lengths: Any) -> Proxy | None:
    """What ``torch.fx`` hands to a layer in the place of one of its arguments, if it records the call."""
    if isinstance(x, Proxy):
        return x
    if hx is None and lengths is None:
        return None
    states = hx if isinstance(hx, tuple | list) else (hx,)
    return next((given for given in (*states, lengths) if isinstance(given, Proxy)), None)


def record_call(layer: torch.nn.Module, proxy: Proxy, x: Any, **others: Any) -> Proxy:
    """Record a call of the layer as a whole, as ``torch.fx`` does of torch's layers."""
    tracer: Any = proxy.tracer
    if layer is tracer.root:
        raise TraceError(f"torch.fx needs a module that holds the {type(layer).__name__}, got the layer itself")
    given = {name: value for name, value in others.items() if value is not None and value is not False}
    call: Proxy = tracer.create_proxy("call_module", tracer.path_of_module(layer), (x,), given)
    return call
