"""The dtypes of a recurrent layer's results under ``torch.autocast``.

They follow from where torch casts: products come out in autocast's dtype, what is added to a state in the wider one of
the two, and a call that goes to oneDNN or cuDNN whole in autocast's.
"""

import torch
from torch import Tensor


def autocast_dtypes(
    mode: str, x: Tensor, state: torch.dtype, *, packed: bool, projected: bool
) -> tuple[torch.dtype, torch.dtype]:
    """The dtypes of h, which is also the outputs', and of c.

    Parameters
    ----------
    mode
        torch's name of the cell, or ours of one that torch does not have: its steps are taken to add to a state.
    x
        The input.
    state
        The dtype of the initial state that a step adds to: the LSTM's c, else h.
    packed
        Whether the series came packed.
    projected
        Whether the layer has a projection.
    """
    if x.dtype == torch.float64:  # autocast lets it be
        return x.dtype, x.dtype
    low = torch.get_autocast_dtype(x.device.type)
    wide = torch.promote_types(low, state)
    if x.device.type != "cpu" or mode.startswith("RNN"):
        return low, low
    if mode != "LSTM":
        return wide, wide
    if projected:
        return low, wide
    return (low, low) if not packed and _takes_onednn(x) else (wide, wide)


def _takes_onednn(x: Tensor) -> bool:
    """Whether torch hands an LSTM's padded input to oneDNN."""
    if not (torch._C._has_mkldnn and torch.backends.mkldnn.enabled and x.numel()):
        return False
    if x.dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    if x.dtype == torch.float16:
        return not torch.is_grad_enabled() and bool(torch.ops.mkldnn._is_mkldnn_fp16_supported())
    return True
