"""Batches of every member at once: series gathered from the one shared copy, padded, standardized."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from numpy import ndarray
from torch import Tensor

from throughtime.kernels import InputNoise, StepNoise, TrainingData, backend_for
from throughtime.nn import Architecture, Net, NoiseRates, layer_directions
from throughtime.training.members import Batch, Inputs, Member, Samples, observed
from throughtime.training.streams import Purpose, first_rows, stream

#: Each kind's part of the key of its draws; the numbers are part of the result and never change.
_KINDS = {"variational_dropout": 0, "recurrent_dropout": 1, "candidate_dropout": 2, "zoneout": 3, "cell_zoneout": 4}
#: Those that are drawn anew at each step.
_BY_STEP = frozenset({"candidate_dropout", "zoneout", "cell_zoneout"})


def load_batches(
    inputs: Inputs,
    samples: Samples,
    positions: Int[ndarray, "member place"],
    size: int,
    shift: Float[Tensor, "member channel"],
    scale: Float[Tensor, "member channel"],
    dtype: torch.dtype | None = None,
    noise_of: Callable[[int, Int[ndarray, "member batch"]], InputNoise | None] | None = None,
) -> Iterator[Batch]:
    """The series at some positions of each member's sample, so many at a time; a position below 0 is padding.

    They are standardized in the inputs' own precision, which is that of shift and scale, and only then become what the
    network takes (``dtype``). What says where they lie is worked out and brought to the device before the first batch,
    so that none waits for it. ``noise_of`` gives what is added to a batch, from its number and the steps of its series.
    """
    values, device = inputs.values, inputs.values.device
    backend = backend_for(device, values.dtype)
    padding = positions < 0
    rows = _each(samples.rows, positions)
    own_steps = np.where(padding, 0, inputs.lengths[rows])
    begins, steps, series = (_on(device, numbers) for numbers in (inputs.starts[rows], own_steps, rows))
    lengths = steps.clamp(min=1)  # a padding row has the one step that the kernels ask for
    index = _TargetIndex(samples, positions, device)
    for step, first in enumerate(range(0, positions.shape[1], size)):
        part = slice(first, first + size)
        time = int(own_steps[:, part].max())
        places = begins[:, part].contiguous(), steps[:, part].contiguous(), series[:, part].contiguous()
        noise = None if noise_of is None else noise_of(step, own_steps[:, part])
        x = backend.gather(time, values, inputs.static, *places, shift, scale, dtype, noise)
        targets, weights = index.take(part, time, places[1])
        yield Batch(x, lengths[:, part].contiguous(), targets, weights, positions[:, part], own_steps[:, part])


class _TargetIndex:
    """Where the targets and weights of some positions lie: weight zero for padding and what was not observed."""

    def __init__(self, samples: Samples, positions: Int[ndarray, "member place"], device: torch.device) -> None:
        seen = observed(samples.targets)
        targets = np.where(seen, samples.targets, 0)
        weights = np.where(positions < 0, 0.0, _each(samples.weights, positions))
        self.starts = None
        if samples.target_starts is None:
            targets, weights = _each(targets, positions), np.where(_each(seen, positions), weights, 0.0)
        else:
            self.starts, self.seen = _on(device, _each(samples.target_starts, positions)), _on(device, seen)
        self.targets, self.weights = _on(device, targets), _on(device, weights)

    def take(self, part: slice, time: int, steps: Int[Tensor, "member batch"]) -> tuple[Tensor, Tensor]:
        """One batch's targets and weights, per series or per step."""
        weights = self.weights[:, part]
        if self.starts is None:
            return self.targets[:, part], weights
        at = torch.arange(time, device=steps.device)[:, None]
        inside = at < steps[:, None]
        places = torch.where(inside, self.starts[:, None, part] + at, 0)
        return self.targets[places], torch.where(inside & self.seen[places], weights[:, None], 0.0)


def _on(device: torch.device, numbers: ndarray) -> Tensor:
    return torch.from_numpy(numbers).to(device)


def training_data(
    inputs: Inputs,
    samples: Samples,
    shift: Float[Tensor, "member channel"],
    scale: Float[Tensor, "member channel"],
) -> TrainingData:
    """What the kernels train on where they take whole steps; one target per series."""
    seen = observed(samples.targets)
    return TrainingData(
        inputs.values,
        inputs.static,
        torch.tensor(inputs.starts),  # a copy: the arrays of a data set cannot be written to, and torch warns of it
        torch.tensor(inputs.lengths),
        torch.from_numpy(samples.rows),
        torch.from_numpy(np.where(seen, samples.targets, 0).astype(np.float64)),
        torch.from_numpy(np.where(seen, samples.weights, 0.0)),
        shift,
        scale,
    )


def _each(values: ndarray, positions: Int[ndarray, "member batch"]) -> Shaped[ndarray, "member batch"]:
    """What each member has at its own positions; for padding, what it has first."""
    own: ndarray = values[np.arange(len(values))[:, None], np.maximum(positions, 0)]
    return own


def row_by_row(net: Net, like: Tensor) -> bool:
    """Whether each sum over a batch takes its rows one after the other, so that padding can be left out.

    The C++ kernels do, where the cell has one. How torch's products add up depends on how many rows there are, zero or
    not.
    """
    return isinstance(net, Architecture) and backend_for(like.device, like.dtype).row_by_row(net.spec)


def padded_places(order: Int[ndarray, "member place"], size: int, rows: int) -> Int[ndarray, "member padded_place"]:
    """The positions of an epoch in steps of ``size``, each filled up to ``rows`` with -1, of which it has no more."""
    members, count = order.shape
    size = min(size, max(count, rows))  # a batch may be said to be of far more series than there are
    filled: ndarray = np.pad(order, ((0, 0), (0, -count % size)), constant_values=-1).reshape(members, -1, size)
    return filled[:, :, :rows].reshape(members, -1)


def dropout_masks(
    net: Net,
    members: Sequence[Member],
    epoch: int,
    step: int,
    time: int,
    batch: int,
    like: Tensor,
    rows: int | None = None,
    window: int = 0,
) -> list[Tensor | None]:
    """One mask per layer, each member's from its own stream: 0 or 1/(1-p), the last on what the output layer is handed.

    A mask is drawn time first, so that padding to a longer series leaves what is drawn for the earlier steps; and for
    a whole batch, of which a step may have only the first ``rows``. Each ``window`` of a batch has its own.
    """
    if not isinstance(net, Architecture):  # draws its own, from a key of each member
        keys = [int(stream(member.seed, Purpose.DROPOUT, epoch, step).integers(2**62)) for member in members]
        return [torch.tensor(keys, device=like.device)]
    rates = [member.dropout for member in members]
    if not any(rates):
        return []
    width = net.hidden_size * (1 + net.bidirectional)
    masks: list[Tensor | None] = []
    for layer in range(net.num_layers):
        by_step = layer < net.num_layers - 1 or net.pooling == "steps"
        shape = (time, batch, width) if by_step else (batch, width)
        masks.append(_masks(members, rates, like, shape, rows, Purpose.DROPOUT, epoch, step, layer, *_part(window)))
    return masks


def noise_masks(
    net: Net,
    members: Sequence[Member],
    epoch: int,
    step: int,
    time: int,
    batch: int,
    like: Tensor,
    rows: int | None = None,
    window: int = 0,
) -> tuple[list[Tensor], list[StepNoise]]:
    """What each layer's inputs are multiplied with, and what acts inside the steps of each layer and direction.

    As ``dropout_masks``, each member's from its own stream and time first; what is the same at every step is so in all
    windows. Without noise two empty lists.
    """
    if not isinstance(net, Architecture) or not any(member.noise for member in members):
        return [], []

    def drawn(name: str, place: int, *shape: int) -> Tensor | None:
        rates = _rates([member.noise for member in members], name)
        if not any(rates):
            return None
        part = _part(window) if name in _BY_STEP else ()
        return _masks(members, rates, like, shape, rows, Purpose.NOISE, epoch, step, _KINDS[name], place, *part)

    def kept(name: str, place: int) -> Tensor | None:
        mask = drawn(name, place, time, batch, units)
        return None if mask is None else (mask == 0).to(like)

    units, width = net.hidden_size, net.hidden_size * (1 + net.bidirectional)
    widths = [net.n_inputs] + [width] * (net.num_layers - 1)
    input_masks = [drawn("variational_dropout", layer, 1, batch, columns) for layer, columns in enumerate(widths)]
    inside = [
        StepNoise(
            recurrent=drawn("recurrent_dropout", place, batch, units),
            candidate=drawn("candidate_dropout", place, time, batch, units),
            zoneout_h=kept("zoneout", place),
            zoneout_c=kept("cell_zoneout", place),
        )
        for place, _ in enumerate(layer_directions(net.num_layers, net.bidirectional))
    ]
    return [mask for mask in input_masks if mask is not None], inside


def input_noise(
    members: Sequence[Member],
    epoch: int,
    steps: range,
    own_steps: Int[ndarray, "member step row"],
    n_channels: int,
    like: Tensor,
) -> InputNoise | None:
    """What is added to the channels at some steps of a pass, each member's from its own stream; none without noise.

    Parameters
    ----------
    own_steps
        Of each series; zero for padding, which lies behind a member's own rows.
    """
    noisy = [m for m, member in enumerate(members) if member.input_noise]
    if not noisy:
        return None
    dtype = np.float64 if like.dtype == torch.float64 else np.float32
    shape = len(noisy), len(steps), int(own_steps.max()), own_steps.shape[2], n_channels
    noise = np.zeros(shape, dtype=dtype)
    of_member = np.full(len(members), -1)
    for place, m in enumerate(noisy):
        of_member[m] = place
        for step, own in enumerate(own_steps[m]):
            # of the member's own shape: what its neighbors are padded to has no part in what is drawn
            time, rows = int(own.max()), int((own > 0).sum())
            generator = stream(members[m].seed, Purpose.INPUT_NOISE, epoch, steps[step])
            drawn = generator.standard_normal((time, rows, n_channels), dtype=dtype)
            noise[place, step, :time, :rows] = dtype(members[m].input_noise) * drawn
    return InputNoise(torch.from_numpy(of_member).to(like.device), torch.from_numpy(noise).to(like))


def expected_noise(
    net: Net, rates: Sequence[NoiseRates], x: Float[Tensor, "member time batch channel"]
) -> list[StepNoise]:
    """What stays of noise outside training: of each member's zoneout the expectation, its rate as the share kept."""
    if not isinstance(net, Architecture) or not any(rates):
        return []

    def share(name: str) -> Tensor | None:
        own = _rates(rates, name)
        return x.new_tensor(own).view(-1, 1, 1, 1).expand(*x.shape[:3], net.hidden_size) if any(own) else None

    inside = StepNoise(zoneout_h=share("zoneout"), zoneout_c=share("cell_zoneout"))
    return [inside for _ in layer_directions(net.num_layers, net.bidirectional)]


def _rates(noise: Sequence[NoiseRates], name: str) -> list[float]:
    return [cast(dict[str, float], own).get(name, 0.0) for own in noise]


def _masks(
    members: Sequence[Member],
    rates: Sequence[float],
    like: Tensor,
    shape: tuple[int, ...],
    rows: int | None,
    purpose: Purpose,
    *key: int,
) -> Tensor:
    """One mask per member, of zeros, a share of its own rate, among 1/(1-rate); of ones without a rate.

    Of a mask of some shape ``(..., batch, unit)``, the first ``rows``.
    """
    *outer, batch, width = shape
    kept = batch if rows is None else rows
    dtype = np.float64 if like.dtype == torch.float64 else np.float32
    mask = np.ones((len(members), *outer, kept, width), dtype=dtype)
    for m, (member, rate) in enumerate(zip(members, rates, strict=True)):
        if rate:
            draws = first_rows(stream(member.seed, purpose, *key), (math.prod(outer), batch, width), kept)
            mask[m] = np.where(draws.reshape(mask.shape[1:]) >= rate, 1 / (1 - rate), 0)
    return torch.from_numpy(mask).to(like)


def _part(window: int) -> tuple[int, ...]:
    """A window's part of the key of a draw; the first draws what a pass without windows would."""
    return (window,) if window else ()


def epoch_order(members: Sequence[Member], epoch: int) -> Int[ndarray, "member position"]:
    """Each member's own shuffle of its sample, filled with -1 to the size of the largest."""
    sizes = [len(member.train.rows) for member in members]
    order = np.full((len(members), max(sizes)), -1)
    for m, member in enumerate(members):
        order[m, : sizes[m]] = stream(member.seed, Purpose.SHUFFLE, epoch).permutation(sizes[m])
    return order
