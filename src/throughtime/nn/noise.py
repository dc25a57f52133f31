"""Noise inside a recurrence, drawn before its steps run.

Variational and recurrent dropout, one mask through time: Gal & Ghahramani (2016), https://arxiv.org/abs/1512.05287.
Candidate dropout: Semeniuta, Severyn & Barth (2016), https://arxiv.org/abs/1603.05118.
Zoneout: Krueger et al. (2017), https://arxiv.org/abs/1606.01305.
"""

from collections.abc import Callable
from typing import TypedDict

from torch import Tensor
from torch.nn.functional import dropout

#: Gives a dropout mask: like a tensor, of a shape, with a probability.
Draw = Callable[[Tensor, tuple[int, ...], float], Tensor]


class NoiseRates(TypedDict, total=False):
    """What the layers take beyond torch's ``dropout``; all zero by default.

    ``variational_dropout``: dropout probability of each layer's inputs, the same ones at every step.
    ``recurrent_dropout``: the same for the state where it enters the next step's product.
    ``candidate_dropout``: dropout probability of what a gated cell would write into its state, anew at every step.
    ``zoneout``, ``cell_zoneout``: probability that a unit of h, and of a cell's c, keeps its value of one step before.
    """

    variational_dropout: float
    recurrent_dropout: float
    candidate_dropout: float
    zoneout: float
    cell_zoneout: float


def draw_mask(like: Tensor, shape: tuple[int, ...], rate: float) -> Tensor:
    """Zeros, a fraction ``rate`` of all, among 1/(1-rate), from torch's own generator as torch would draw it."""
    return dropout(like.new_ones(shape), rate)


def draw_kept(draw: Draw, like: Tensor, shape: tuple[int, ...], rate: float) -> Tensor:
    """Ones, a fraction ``rate`` of all, among zeros."""
    return (draw(like, shape, rate) == 0).to(like.dtype)
