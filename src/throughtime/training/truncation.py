"""Truncated backpropagation through time: states are carried on without their history, gradients reach so far back.

Reference: Williams & Peng (1990), https://doi.org/10.1162/neco.1990.2.4.490, BPTT(h; h'), with h' = k1 and h = k2. What
it means here, and what else was considered: ``docs/decisions/0014-truncated-bptt.md``.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from throughtime.kernels import DeltaNorms, StepNoise, ordered_sum
from throughtime.nn import Architecture, layer_directions, pool, read_out, run_recurrence
from throughtime.training.members import Batch

#: Steps that run forward at a time where no gradient is wanted; a multiple of the steps that torch's products take
#: together, so that no bit depends on it.
HEAD_STEPS = 512


class Drawn(NamedTuple):
    """Noise of some steps of one batch, as `throughtime.nn.forward` takes it."""

    masks: Sequence[Tensor | None]
    input_masks: Sequence[Tensor]
    noise: Sequence[StepNoise]


#: Draws noise: of so many steps, of which window. Of window 0 that of a pass that is not truncated.
Draw = Callable[[int, int], Drawn]


@dataclass(frozen=True)
class ForwardPass:
    """A run of the network over some steps of a batch, which an update of the weights follows.

    Parameters
    ----------
    outputs, targets, weights
        What the loss is made of.
    lengths
        Steps of each series in it; 1 where there is none, which the kernels ask for.
    active
        Which members take the update.
    deltas
        Where they are measured, what takes the norms of each layer and direction.
    """

    outputs: Tensor
    targets: Tensor
    weights: Float[Tensor, "member ..."]
    lengths: Int[Tensor, "member batch"]
    active: Bool[Tensor, "member"]
    deltas: Sequence[DeltaNorms] = ()


def run_windows(
    net: Architecture,
    weights: Mapping[str, Float[Tensor, "member ..."]],
    batch: Batch,
    k1: int,
    k2: int,
    draw: Draw,
    *,
    measured: bool = False,
) -> Iterator[ForwardPass]:
    """A target each step: a pass for every ``k1`` steps, of whose losses the gradient reaches back up to ``k2`` steps.

    A window begins where ``k2`` steps fit in before its end, from the state that the one before had there; the weights
    may move in between. Members without a loss in it take no update.

    Parameters
    ----------
    measured
        Whether the norms of the gradients at the states are wanted.
    """
    time = batch.x.shape[1]
    start, state = 0, None
    for window, first in enumerate(range(0, time, k1)):
        stop = min(first + k1, time)
        following = min(max(0, first + 2 * k1 - k2), stop)
        drawn = draw(stop - start, window)
        deltas = delta_norms_of(net) if measured else []
        y, ends = _run_steps(net, weights, batch, start, stop, state, drawn, deltas)
        if following > start:
            if following < stop:  # again, as a cut in the run would change the order of its gradient's sums
                with torch.no_grad():
                    _, ends = _run_steps(net, weights, batch, start, following, state, drawn)
            state = tuple(part.detach() for part in ends)
        masks = [_steps(mask, first - start, stop - start) for mask in drawn.masks]
        of_targets = batch.weights[:, first:stop]
        yield ForwardPass(
            read_out(net, weights, y[:, first - start :], masks),
            batch.targets[:, first:stop],
            of_targets,
            (batch.lengths - start).clamp(1, stop - start),
            (of_targets > 0).flatten(1).any(1),
            deltas,
        )
        start = following


def _run_steps(
    net: Architecture,
    weights: Mapping[str, Float[Tensor, "member ..."]],
    batch: Batch,
    begin: int,
    end: int,
    state: Sequence[Tensor] | None,
    drawn: Drawn,
    deltas: Sequence[DeltaNorms] = (),
) -> tuple[Float[Tensor, "member time batch unit"], tuple[Tensor, ...]]:
    """Outputs and final states of some steps of a batch, from the states before them."""
    if state is not None:
        # A series that has ended takes the one step of padding, from zero: from its state it could overflow.
        running = (batch.lengths > begin)[:, None, :, None]
        state = [torch.where(running, part, 0) for part in state]
    return run_recurrence(
        net,
        weights,
        batch.x[:, begin:end],
        (batch.lengths - begin).clamp(1, end - begin),
        start=state,
        masks=[_steps(mask, 0, end - begin) for mask in drawn.masks],
        input_masks=drawn.input_masks,
        noise=[
            StepNoise(noise.recurrent, *(_steps(mask, 0, end - begin) for mask in noise[1:])) for noise in drawn.noise
        ],
        deltas=deltas,
    )


def run_tail(
    net: Architecture,
    weights: Mapping[str, Float[Tensor, "member ..."]],
    batch: Batch,
    k2: int,
    draw: Draw,
    *,
    measured: bool = False,
) -> ForwardPass:
    """One target per series: the gradient reaches the last ``k2`` steps of each; what comes before are constants."""
    head = (batch.lengths - k2).clamp(min=0)
    longest = int(head.max())
    x, state, pooled = batch.x, None, None
    if longest:
        state, pooled = _run_head(net, weights, batch.x, head, longest, draw)
        x = _last_steps(batch.x, head, min(k2, batch.x.shape[1]))
    drawn = draw(x.shape[1], 0)
    lengths = batch.lengths - head
    deltas = delta_norms_of(net) if measured else []
    y, (h_n, *_) = run_recurrence(
        net,
        weights,
        x,
        lengths,
        start=state,
        masks=drawn.masks,
        input_masks=drawn.input_masks,
        noise=drawn.noise,
        deltas=deltas,
    )
    if pooled is None or net.pooling == "last":
        features = pool(net.pooling, y, h_n, lengths, 1)
    elif net.pooling == "mean":
        features = (pooled + ordered_sum(y, 1)) / batch.lengths.unsqueeze(-1)
    else:
        features = torch.maximum(pool("max", y, h_n, lengths, 1), pooled)
    return ForwardPass(
        read_out(net, weights, features, drawn.masks),
        batch.targets,
        batch.weights,
        lengths,
        torch.ones(len(x), dtype=torch.bool, device=x.device),
        deltas,
    )


@torch.no_grad()
def _run_head(
    net: Architecture,
    weights: Mapping[str, Float[Tensor, "member ..."]],
    x: Float[Tensor, "member time batch channel"],
    lengths: Int[Tensor, "member batch"],
    longest: int,
    draw: Draw,
) -> tuple[tuple[Tensor, ...], Float[Tensor, "member batch unit"]]:
    """The states after the first steps of each series, none of some, and the sum or maximum of the outputs till there.

    A few hundred steps at a time, so that what it takes does not grow with the series.
    """
    members, _, batch, _ = x.shape
    layers = net.num_layers
    state = tuple(x.new_zeros(members, layers, batch, net.hidden_size) for _ in net.spec.states)
    pooled = x.new_full((members, batch, net.hidden_size), -torch.inf if net.pooling == "max" else 0.0)
    for chunk, begin in enumerate(range(0, longest, HEAD_STEPS)):
        end = min(begin + HEAD_STEPS, longest)
        drawn = draw(end - begin, 1 + chunk)
        own = (lengths - begin).clamp(0, end - begin)
        going = own > 0
        y, new = run_recurrence(
            net,
            weights,
            x[:, begin:end],
            own.clamp(min=1),
            start=state,
            masks=drawn.masks,
            input_masks=drawn.input_masks,
            noise=drawn.noise,
        )
        state = tuple(
            torch.where(going[:, None, :, None], after, before) for after, before in zip(new, state, strict=True)
        )
        if net.pooling == "mean":
            pooled = pooled + torch.where(going.unsqueeze(-1), ordered_sum(y, 1), 0)
        elif net.pooling == "max":
            found = pool("max", y, new[0], own.clamp(min=1), 1)
            pooled = torch.where(going.unsqueeze(-1), torch.maximum(pooled, found), pooled)
    return state, pooled


def _last_steps(
    x: Float[Tensor, "member time batch channel"], begins: Int[Tensor, "member batch"], count: int
) -> Float[Tensor, "member count batch channel"]:
    """So many steps from where each series' last ones begin; what lies beyond its end is not to be read."""
    steps = begins[:, None] + torch.arange(count, device=x.device)[:, None]
    steps = steps.clamp(max=x.shape[1] - 1).unsqueeze(-1)
    return x.gather(1, steps.expand(-1, -1, -1, x.shape[3]))


def _steps(mask: Tensor | None, begin: int, end: int) -> Tensor | None:
    return None if mask is None else mask[:, begin:end]


def delta_norms_of(net: Architecture) -> list[DeltaNorms]:
    """What takes the norms of each layer and direction."""
    return [DeltaNorms() for _ in layer_directions(net.num_layers, net.bidirectional)]
