"""Batches of every member at once: series gathered from the one shared copy, padded, standardized."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from throughtime.nn import Architecture, Net, standardize
from throughtime.training.members import Batch, Inputs, Member, Samples, observed
from throughtime.training.streams import Purpose, stream


def gather(
    inputs: Inputs,
    samples: Samples,
    positions: Int[ndarray, "member batch"],
    shift: Float[Tensor, "member channel"],
    scale: Float[Tensor, "member channel"],
) -> Batch:
    """The series at some positions of each member's sample; a position below 0 is padding."""
    padding = positions < 0
    rows = np.take_along_axis(samples.rows, np.maximum(positions, 0), 1)
    lengths = np.where(padding, 0, inputs.lengths[rows])
    steps = np.arange(lengths.max())[:, None]
    inside = steps < lengths[:, None]

    step_rows = np.where(inside, inputs.starts[rows][:, None] + steps, len(inputs.values) - 1)
    device = inputs.values.device
    x = inputs.values.index_select(0, torch.from_numpy(step_rows.ravel()).to(device)).view(*step_rows.shape, -1)
    if inputs.static is not None:
        static = inputs.static[torch.from_numpy(np.maximum(rows, 0)).to(device)]
        x = torch.cat([x, static[:, None].expand(-1, x.shape[1], -1, -1)], -1)
    # A padding row has the one step that the kernels ask for.
    padded_lengths = torch.from_numpy(np.where(padding, 1, lengths)).to(device)
    missing_beyond = inputs.static is None  # the steps taken there are
    x = standardize(x, None if missing_beyond else padded_lengths, shift, scale)
    return Batch(x, padded_lengths, positions, inside)


def observations(samples: Samples, batch: Batch) -> tuple[Tensor, Float[Tensor, "member ..."]]:
    """A batch's targets, and their weights in float64: zero for padding and for what was not observed."""
    at = np.maximum(batch.positions, 0)
    weights = np.where(batch.positions < 0, 0.0, np.take_along_axis(samples.weights, at, 1))
    if samples.target_starts is None:
        targets = np.take_along_axis(samples.targets, at, 1)
    else:
        begin = np.take_along_axis(samples.target_starts, at, 1)
        steps = np.arange(batch.inside.shape[1])[:, None]
        targets = samples.targets[np.where(batch.inside, begin[:, None] + steps, 0)]
        weights = np.where(batch.inside, weights[:, None], 0.0)
    seen = observed(targets)
    device = batch.x.device
    return (
        torch.from_numpy(np.where(seen, targets, 0)).to(device),
        torch.from_numpy(np.where(seen, weights, 0.0)).to(device),
    )


def dropout_masks(
    net: Net, members: Sequence[Member], epoch: int, step: int, time: int, batch: int, like: Tensor
) -> list[Tensor | None]:
    """One mask a layer, each member's from its own stream: 0 or 1/(1-p), the last on what the read-out is handed.

    A mask is drawn time first, so that padding to a longer series leaves what is drawn for the earlier steps.
    """
    if not isinstance(net, Architecture):  # draws its own, from a key of each member
        keys = [int(stream(member.seed, Purpose.DROPOUT, epoch, step).integers(2**62)) for member in members]
        return [torch.tensor(keys, device=like.device)]
    if not any(member.dropout for member in members):
        return []
    width = net.hidden_size * (1 + net.bidirectional)
    masks: list[Tensor | None] = []
    for layer in range(net.num_layers):
        by_step = layer < net.num_layers - 1 or net.pooling == "steps"
        shape = (time, batch, width) if by_step else (batch, width)
        mask = np.ones((len(members), *shape), dtype=np.float64 if like.dtype == torch.float64 else np.float32)
        for m, member in enumerate(members):
            if member.dropout:
                draws = stream(member.seed, Purpose.DROPOUT, epoch, step, layer).random(shape, dtype=np.float32)
                mask[m] = np.where(draws >= member.dropout, 1 / (1 - member.dropout), 0)
        masks.append(torch.from_numpy(mask).to(like))
    return masks


def epoch_order(members: Sequence[Member], epoch: int, batch_size: int) -> Int[ndarray, "member position"]:
    """Each member's own shuffle of its sample, filled with -1 to whole batches of the largest."""
    sizes = [len(member.train.rows) for member in members]
    order = np.full((len(members), -(-max(sizes) // batch_size) * batch_size), -1)
    for m, member in enumerate(members):
        order[m, : sizes[m]] = stream(member.seed, Purpose.SHUFFLE, epoch).permutation(sizes[m])
    return order
