"""Products and sums whose bits for one member do not depend on how many members there are.

What was measured with torch 2.13 and MKL (``docs/decisions/0002-bits-in-company.md``): ``bmm`` gives a matrix other
bits when its sides are not multiples of four, when it lies elsewhere in memory, or when it runs on several threads;
with sides padded to a multiple of eight and one thread, none of it matters.  A tree sum gives other bits when zeros
are appended; a running sum does not.  None of it holds on CUDA, where cuBLAS picks another way for a batch of one.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from throughtime.kernels.transforms import refuse_tracing

#: Every side of a matrix in a product is padded to a multiple of this.
LANE = 8


def pad_to_lane(x: Tensor, *dims: int) -> Tensor:
    """Append zeros so that each of the ``dims`` (negative) becomes a multiple of the lane."""
    room = [0] * (2 * x.dim())
    for dim in dims:
        room[2 * (-dim - 1) + 1] = -x.shape[dim] % LANE
    return pad(x, room) if any(room) else x


def linear(
    x: Float[Tensor, "member row input"],
    weight: Float[Tensor, "member output input"],
    bias: Float[Tensor, "member output"],
) -> Float[Tensor, "member row output"]:
    """``x @ weight.T + bias``, each member with its own weights."""
    rows, outputs = x.shape[1], weight.shape[1]
    padded = torch.baddbmm(
        pad_to_lane(bias, -1)[:, None],
        pad_to_lane(x, -1, -2),
        pad_to_lane(weight, -1, -2).transpose(1, 2),
    )
    return padded[:, :rows, :outputs]


def ordered_sum(x: Float[Tensor, "..."], dim: int) -> Float[Tensor, "..."]:
    """Sum one element after the other, so that zeros appended change no bit."""
    return x.cumsum(dim).select(dim, -1)


def linear_over_time(
    x: Float[Tensor, "member time batch input"],
    weight: Float[Tensor, "member output input"],
    bias: Float[Tensor, "member output"],
    chunk: int,
) -> Float[Tensor, "member time batch output"]:
    """``linear`` at every step, ``chunk`` steps a product: one of all steps would depend on the longest series."""
    refuse_tracing("a product over time in chunks")
    time = x.shape[1]
    whole = pad(x, (0, 0, 0, 0, 0, -time % chunk))
    products = [linear(part.flatten(1, 2), weight, bias) for part in torch.split(whole, chunk, 1)]
    return torch.cat(products, 1).view(*whole.shape[:3], weight.shape[1])[:, :time]
