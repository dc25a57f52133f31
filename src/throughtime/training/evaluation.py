"""Trained or not, every member run over series of its own without gradients."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from throughtime.kernels import LANE, one_thread
from throughtime.nn import Net, NoiseRates, forward
from throughtime.training.batches import expected_noise, load_batches, row_by_row
from throughtime.training.members import Batch, Inputs, Sample, Samples, stack_samples

#: The most rows of a batch that only runs forward; a row's bits do not depend on it.
EVALUATION_ROWS = 64


@torch.no_grad()
def evaluate(
    net: Net,
    weights: Mapping[str, Float[Tensor, "member ..."]],
    inputs: Inputs,
    samples: Samples,
    shift: Float[Tensor, "member channel"],
    scale: Float[Tensor, "member channel"],
    noise: Sequence[NoiseRates] = (),
) -> Iterator[tuple[Batch, Tensor]]:
    """Run every member over its own sample, batch by batch, without gradients or noise but zoneout's expectation."""
    most = int(samples.sizes.max())
    dtype = next(iter(weights.values())).dtype
    lane = 1 if row_by_row(net, next(iter(weights.values()))) else LANE
    rows = min(EVALUATION_ROWS, max(1, -(-most // lane)) * lane)
    places = np.arange(most if lane == 1 else -(-most // rows) * rows)
    positions = np.where(places < samples.sizes[:, None], places, -1)
    for batch in load_batches(inputs, samples, positions, rows, shift, scale, dtype):
        inside = expected_noise(net, noise, batch.x)
        yield batch, forward(net, weights, batch.x, batch.lengths, (), (), inside)


def predict(
    net: Net,
    weights: Mapping[str, Float[Tensor, "member ..."]],
    inputs: Inputs,
    rows: Sequence[Int[ndarray, "_"]],
    shift: Float[Tensor, "member channel"],
    scale: Float[Tensor, "member channel"],
    noise: Sequence[NoiseRates] = (),
) -> list[Float[ndarray, "_ output"]]:
    """Outputs of every member on series of its own: a row per series, or per step, the series one after the other.

    ``noise`` holds the rates that each member was trained with: zoneout acts as its expectation.
    """
    none = np.zeros(0)
    samples = stack_samples([Sample(own, np.zeros(len(own)), np.zeros(len(own))) for own in rows], inputs, False)
    parts: list[list[ndarray]] = [[none.reshape(0, net.n_outputs)] for _ in rows]
    with one_thread():
        for batch, outputs in evaluate(net, weights, inputs, samples, shift, scale, noise):
            found = outputs.cpu().numpy()
            if net.pooling == "steps":  # batch before time, so that a series' steps lie together
                found, own = found.swapaxes(1, 2), batch.inside.swapaxes(1, 2)
            else:
                own = batch.positions >= 0
            for m, part in enumerate(parts):
                part.append(found[m][own[m]])
    return [np.concatenate(own[1:] or own) for own in parts]
