"""A direction of the last state pulled back through time: what a gradient from one loss time has left at every step.

A loss at every step would hide the decay: each step gets a fresh gradient. With one loss time the norm at a state is
that of a product of Jacobians, of all the steps between (Pascanu, Mikolov & Bengio 2013,
https://arxiv.org/abs/1211.5063, section 2).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from numpy import ndarray
from torch import Tensor

from throughtime.kernels import DeltaNorms
from throughtime.nn import Architecture, layer_directions, trace_layers
from throughtime.records import Record

#: What the unit direction is multiplied with, per dtype: float32 flushes below 1.2e-38, and a default LSTM is there
#: after 180 steps. A power of two changes no bit of what it leaves in range: 6e-58 to 1.8e19 in float32. A series that
#: goes beyond is pulled back once more without.
SEED_SCALES = {torch.float32: 2.0**64}


@dataclass(frozen=True, repr=False, eq=False)
class StateNorms(Record):
    """Norms of a pulled-back direction at the states of one layer and direction.

    Attributes
    ----------
    layer, reverse
        Which.
    total
        ``sqrt(|dh_t|^2 + |dc_t|^2)``, in float64, relative to a direction of norm 1; zero beyond a series' end.
    """

    layer: int
    reverse: bool
    total: Float64[Tensor, "member time batch"]


def pulled_back_norms(
    net: Architecture,
    weights: Mapping[str, Float[Tensor, "member ..."]],
    x: Float[Tensor, "member time batch channel"],
    lengths: Int[Tensor, "member batch"],
    *,
    seed: int,
    dtype: torch.dtype | None = None,
) -> list[StateNorms]:
    """Pull a random unit direction of every series' final h of the last layer back to all states.

    Of h alone, for no loss reads c; it reaches c on its way. The states of a forward direction are measured from the
    forward direction's end in the last layer, those of a reverse one from the reverse direction's: of both at once,
    the longest lag of the one would be the lag 0 of the other.

    Parameters
    ----------
    net
        The built-in network.
    weights
        Of all members, by the names of ``throughtime.nn.weight_shapes``.
    x
        Standardized, without missing values.
    lengths
        Steps of each series.
    seed
        Of the directions, which follow from it and a series' place in the batch: all members have the same.
    dtype
        In which is computed; by default the weights' own.

    Returns
    -------
    One for each layer and direction, in torch's order.
    """
    if not isinstance(net, Architecture):
        raise TypeError(f"net needs an Architecture, got a {type(net).__name__}; lag_curve takes any module")
    dtype = dtype or next(iter(weights.values())).dtype
    layers = {
        name.removeprefix("recurrent."): weight.detach().to(dtype)
        for name, weight in weights.items()
        if name.startswith("recurrent.")
    }
    members, _, batch, _ = x.shape
    places = list(layer_directions(net.num_layers, net.bidirectional))
    deltas = [DeltaNorms() for _ in places]
    # The initial state is what is differentiated for: no gradient of the inputs is asked for.
    h0 = x.new_zeros(members, len(places), batch, net.hidden_size, dtype=dtype).requires_grad_()
    with torch.inference_mode(False):  # under which gradients are recorded, whatever holds outside
        run = trace_layers(
            net.spec,
            layers,
            x.detach().to(dtype),
            lengths,
            num_layers=net.num_layers,
            bidirectional=net.bidirectional,
            start=(h0,),
            deltas=deltas,
        )
        directions = unit_directions(batch, 1 + net.bidirectional, net.hidden_size, seed).to(x.device)
        reverse = [place[1] for place in places]
        norms = pull_back(run.ends[0], directions.expand(members, -1, -1, -1), [h0], deltas, reverse)
    none = x.new_zeros(x.shape[:3], dtype=torch.float64)
    return [StateNorms(*place, none if total is None else total) for place, total in zip(places, norms, strict=True)]


def unit_directions(batch: int, ends: int, width: int, seed: int) -> Float64[Tensor, "end batch unit"]:
    """One direction per series and end, uniform on the sphere; a series keeps its own whatever follows it."""
    drawn: ndarray = np.random.default_rng(seed).standard_normal((batch, ends, width))
    return torch.from_numpy(drawn / np.linalg.norm(drawn, axis=-1, keepdims=True)).transpose(0, 1)


def pull_back(
    h_n: Float[Tensor, "member layer_direction batch unit"],
    directions: Float64[Tensor, "member end batch unit"],
    sources: Sequence[Tensor],
    deltas: Sequence[DeltaNorms],
    reverse: Sequence[bool],
) -> list[Float64[Tensor, "member time batch"] | None]:
    """Norms at all states of directions at the last layer's ends; ``None`` where nothing got.

    Parameters
    ----------
    h_n
        Final states with their graph.
    directions
        One end per direction of the last layer.
    sources
        Leaves that all states depend on, so that the backward pass goes through all of them.
    deltas, reverse
        Of every layer and direction that leads there, and whether it is a reverse one: it is measured from the reverse
        end, if there is one.
    """
    ends, places = directions.shape[1], h_n.shape[1]

    def pulled(end: int, scale: float, last: bool) -> dict[int, Tensor]:
        seeds = torch.zeros_like(h_n)
        seeds[:, places - ends + end] = (directions[:, end] * scale).to(h_n.dtype)
        torch.autograd.grad(h_n, sources, seeds, retain_graph=not last, allow_unused=True)
        return {
            place: (own.h if own.c is None else own.h + own.c).sqrt() / scale
            for place, own in enumerate(deltas)
            if own.h is not None and (ends == 1 or reverse[place] == bool(end))
        }

    scale = SEED_SCALES.get(h_n.dtype, 1.0)
    totals: list[Tensor | None] = [None] * len(deltas)
    for end in range(ends):
        found = pulled(end, scale, last=scale == 1 and end + 1 == ends)
        # a series may overflow by the scale alone; the others keep the range below that the scale gives them
        over = {place: ~total.isfinite().all(1, keepdim=True) for place, total in found.items()}
        if scale != 1 and any(bool(series.any()) for series in over.values()):
            again = pulled(end, 1.0, last=end + 1 == ends)
            found = {place: torch.where(over[place], again[place], total) for place, total in found.items()}
        for place, total in found.items():
            totals[place] = total
    return totals
