"""Whether torch can compute on a device here."""

import torch

from throughtime.errors import ParameterError


def check_device(name: str) -> None:
    """Refuse a device that torch cannot compute on here.

    Raises
    ------
    ParameterError
        With what torch says of it.
    """
    try:
        torch.zeros(1, device=name).item()  # "meta" has tensors, but no numbers in them
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ParameterError(f"device needs one that torch has here, got {name!r}: {reason}") from error
