"""One pass of every member over its own training series: whole steps in C++, or one at a time through autograd.

The two give the same bits, so each member goes the way that it can, whatever its neighbors do.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int
from numpy import ndarray
from torch import Tensor

from throughtime.kernels import SEGMENT, FeatureMasks, InputNoise, Pass, RecurrentNet, StepNorms, backend_for
from throughtime.nn import Architecture, forward, layer_directions
from throughtime.training.batches import (
    dropout_masks,
    epoch_order,
    input_noise,
    load_batches,
    noise_masks,
    padded_places,
    row_by_row,
)
from throughtime.training.clipping import clip_by_value
from throughtime.training.group import Group
from throughtime.training.layout import copy_all
from throughtime.training.losses import elementwise, totals, weighted_totals
from throughtime.training.members import Batch
from throughtime.training.observers import StateGradientNorms, StepRecord, Watch
from throughtime.training.optimizers import Optimizer
from throughtime.training.perturbed_series import perturb_batch
from throughtime.training.perturbed_steps import add_penalties, perturb_masks
from throughtime.training.truncation import Drawn, ForwardPass, delta_norms_of, run_tail, run_windows

#: Multiplications and additions that one call of the kernels should take, some tenths of a second; one step of all
#: members is the least.
CALL_WORK = 20_000_000_000
#: Bytes of norms and masks that one call of the kernels should write or read; one step of all members is the least.
CALL_BYTES = 64 << 20
#: Hears nothing.
NOBODY = Watch()


class PassOfUpdates(NamedTuple):
    """What came of a pass, which of its updates each member took, and in which of them its gradient was clipped."""

    result: Pass
    taken: Bool[Tensor, "update member"]
    clipped: Bool[Tensor, "update member"]


def run_pass(
    group: Group,
    weights: Float[Tensor, "member weight"],
    optimizer: Optimizer,
    epoch: int,
    lr: Float[Tensor, "member"],
    watch: Watch = NOBODY,
) -> PassOfUpdates:
    """Take every member through its training series once, weights and optimizer in place.

    Parameters
    ----------
    watch
        Who gets a record of each step of the members that go the same way; where the backend takes whole steps, some
        of them behind. And who looks at members before some of the steps.

    Returns
    -------
    What came of the steps; of truncated BPTT with a target each step, of one for each window of a batch.
    """
    active = active_steps(group)
    if len(group.parts) == 1:
        return _run_part(group, weights, optimizer, epoch, active, lr, watch)
    sums = weights.new_zeros(2, len(group.members), dtype=torch.float64)
    result, clipped = Pass(sums[0], sums[1], weights.new_zeros(active.shape)), torch.zeros_like(active)
    for members, part in group.parts:
        at = torch.tensor(members, device=weights.device)
        own_weights, own_optimizer, own_active = weights[at], optimizer.take(at), active_steps(part)
        own, _, own_clipped = _run_part(part, own_weights, own_optimizer, epoch, own_active, lr[at], watch)
        weights[at] = own_weights
        for name, value in own_optimizer.state.items():
            optimizer.state[name][at] = value
        result.loss_sums[at], result.weight_sums[at] = own.loss_sums, own.weight_sums
        result.norms[: len(own.norms), at] = own.norms
        clipped[: len(own.norms), at] = own_clipped
    return PassOfUpdates(result, active, clipped)


def active_steps(group: Group) -> Bool[Tensor, "step member"]:
    """Which steps of a pass each member takes."""
    steps = -(-group.samples["train"].sizes // group.recipe.batch_size)
    return torch.from_numpy(np.arange(steps.max())[:, None] < steps).to(group.clip_norms.device)


def _run_part(
    group: Group,
    weights: Float[Tensor, "member weight"],
    optimizer: Optimizer,
    epoch: int,
    active: Bool[Tensor, "step member"],
    lr: Float[Tensor, "member"],
    watch: Watch,
) -> PassOfUpdates:
    """The pass of members that all go the same way."""
    given = group, weights, optimizer, epoch_order(group.members, epoch), epoch, active, lr, watch
    if group.fusible[0]:
        result = fused_pass(*given)
        return PassOfUpdates(result, active, active & (result.norms > group.clip_norms))
    return autograd_pass(*given)


def fused_pass(
    group: Group,
    weights: Float[Tensor, "member weight"],
    optimizer: Optimizer,
    order: Int[ndarray, "member place"],
    epoch: int,
    active: Bool[Tensor, "step member"],
    lr: Float[Tensor, "member"],
    watch: Watch = NOBODY,
) -> Pass:
    """The pass in the backend's whole steps, in calls between which Ctrl-C is heard."""
    net, layout = group.net, group.layout
    assert isinstance(net, RecurrentNet)
    backend = backend_for(weights.device, weights.dtype)
    steps, members, size = len(active), len(group.members), min(group.recipe.batch_size, order.shape[1])
    time = int(group.inputs.lengths[group.samples["train"].rows].max())
    needs, probes = watch.needs, watch.probes(group, epoch)
    with_c = "c" in net.spec.states
    sums = weights.new_zeros(2, members, dtype=torch.float64)
    result = Pass(sums[0], sums[1], weights.new_zeros(active.shape))
    of_tensors = None
    if "tensor_gradient_norms" in needs:
        of_tensors = sums.new_zeros(steps, members, len(layout.places))

    noisy = any(member.input_noise for member in group.members)
    by_step = max(2 * ("state_gradient_norms" in needs), noisy * group.inputs.n_channels)
    step_bytes = members * size * 8 * max(net.hidden_size, time * by_step)
    at_once = max(1, min(CALL_WORK // (6 * weights.numel() * size * time), CALL_BYTES // step_bytes))
    for call in _calls(steps, at_once, probes.steps):
        probes.before(call.start, weights)
        of_states: list[Tensor | None] = [None, None]
        if "state_gradient_norms" in needs:
            of_states = [sums.new_zeros(len(call), members, time, size) for _ in range(1 + with_c)] + [None]
        norms = StepNorms(of_tensors, *of_states[:2])
        backend.train_steps(
            net,
            group.recipe.loss,
            list(layout.places.values()),
            optimizer.update(weights, lr, group.clip_norms),
            group.training_data,
            torch.from_numpy(order),
            group.recipe.batch_size,
            call,
            result,
            _feature_masks(group, epoch, call, size, weights),
            norms,
            _input_noise(group, order, epoch, call, weights),
            group.label_smoothing,
        )
        if watch.listening:
            for record in _fused_records(group, order, epoch, call, active, result, norms):
                watch.on_step(record)
    return result


def _calls(steps: int, at_once: int, stops: Sequence[int]) -> Iterator[range]:
    """The steps of a pass in calls of so many at most, none of which goes on past a stop."""
    for begin, end in pairwise([*sorted({0, *stops}), steps]):
        for first in range(begin, end, at_once):
            yield range(first, min(first + at_once, end))


def _feature_masks(group: Group, epoch: int, steps: range, rows: int, like: Tensor) -> FeatureMasks | None:
    """What dropout of some steps multiplies the last states with, as ``autograd_pass`` draws it."""
    members = [member for member in group.members if member.dropout]
    if not members:
        return None
    of_member = np.full(len(group.members), -1)
    of_member[[m for m, member in enumerate(group.members) if member.dropout]] = np.arange(len(members))
    drawn = [
        dropout_masks(group.net, members, epoch, step, 1, group.recipe.batch_size, like, rows)[-1] for step in steps
    ]
    return FeatureMasks(torch.from_numpy(of_member), torch.stack([mask for mask in drawn if mask is not None], 1))


def _input_noise(
    group: Group, order: Int[ndarray, "member place"], epoch: int, call: range, like: Tensor
) -> InputNoise | None:
    """What is added to the inputs of some steps, as ``autograd_pass`` draws it."""
    if not any(member.input_noise for member in group.members):
        return None
    size = min(group.recipe.batch_size, order.shape[1])
    padded = np.pad(order, ((0, 0), (0, -order.shape[1] % size)), constant_values=-1)
    positions = padded.reshape(len(order), -1, size)[:, call.start : call.stop]
    rows = _rows_at(group.samples["train"].rows, positions.reshape(len(order), -1)).reshape(positions.shape)
    own_steps = np.where(positions < 0, 0, group.inputs.lengths[rows])
    return input_noise(group.members, epoch, call, own_steps, group.inputs.n_channels, like)


def _fused_records(
    group: Group,
    order: Int[ndarray, "member place"],
    epoch: int,
    call: range,
    active: Bool[Tensor, "step member"],
    result: Pass,
    norms: StepNorms,
) -> Iterator[StepRecord]:
    """What came of the steps of one call; views, which nobody writes to."""
    samples, size = group.samples["train"], group.recipe.batch_size
    begin = call.start * size
    positions = order[:, begin : call.stop * size]
    rows = _rows_at(samples.rows, positions)
    series = torch.from_numpy(np.where(positions < 0, -1, rows))
    own_steps = np.where(positions < 0, 1, group.inputs.lengths[rows])  # of padding, as the kernels ask for
    longest = np.maximum.reduceat(own_steps.max(0), range(0, positions.shape[1], size)).tolist()
    lengths = torch.from_numpy(own_steps)
    for number, step in enumerate(call):
        at = slice(number * size, (number + 1) * size)
        states = None
        if norms.h is not None:
            h, c = (
                None if whole is None else whole[number, :, : longest[number], : series[:, at].shape[1]]
                for whole in (norms.h, norms.c)
            )
            assert h is not None
            states = (StateGradientNorms(0, False, h, c),)
        yield StepRecord(
            epoch,
            step,
            group.places,
            active[step],
            series[:, at],
            lengths[:, at],
            result.norms[step],
            _by_name(group, None if norms.tensors is None else norms.tensors[step]),
            states,
        )


def _rows_at(
    rows: Int[ndarray, "member position"], positions: Int[ndarray, "member batch"]
) -> Int[ndarray, "member batch"]:
    """Where the series at some positions lie in the inputs; of padding, the first."""
    taken: ndarray = np.take_along_axis(rows, np.maximum(positions, 0), 1)
    return taken


def _by_name(group: Group, norms: Float64[Tensor, "member tensor"] | None) -> dict[str, Tensor] | None:
    return None if norms is None else dict(zip(group.layout.places, norms.unbind(1), strict=True))


def autograd_pass(
    group: Group,
    weights: Float[Tensor, "member weight"],
    optimizer: Optimizer,
    order: Int[ndarray, "member place"],
    epoch: int,
    active: Bool[Tensor, "step member"],
    lr: Float[Tensor, "member"],
    watch: Watch = NOBODY,
) -> PassOfUpdates:
    """The pass of any network, on any device, all members a step at a time; of truncated BPTT one window at a time.

    ``active`` says which of the batches each member has.
    """
    size, dtype = group.recipe.batch_size, weights.dtype
    backend = backend_for(weights.device, dtype)
    rows = size
    if not row_by_row(group.net, weights):
        rows = min(size, group.recipe.padded_rows or size)
        order = padded_places(order, size, rows)
    loss_sums = torch.zeros(len(group.members), dtype=torch.float64, device=weights.device)
    weight_sums = torch.zeros_like(loss_sums)
    norms: list[Tensor] = []
    taken: list[Tensor] = []
    clipped: list[Tensor] = []
    by_value = ~group.clip_values.isinf()
    clips_values = bool(by_value.any())
    leaves = {name: view.detach().requires_grad_() for name, view in group.layout.views(weights).items()}
    probes = watch.probes(group, epoch)
    flat = torch.zeros_like(weights)
    places = list(group.layout.views(flat).values())

    def noise_of(step: int, own_steps: Int[ndarray, "member batch"]) -> InputNoise | None:
        steps = range(step, step + 1)
        drawn = input_noise(group.members, epoch, steps, own_steps[:, None], group.inputs.n_channels, weights)
        return None if drawn is None else InputNoise(drawn.of_member, drawn.noise[:, 0])

    given = group.inputs, group.samples["train"], order, rows, group.shift, group.scale, dtype, noise_of
    batches = load_batches(*given)
    for step, loaded in enumerate(batches):
        probes.before(step, weights)
        batch = perturb_batch(group, loaded, epoch, step)
        for run in _forward_passes(group, leaves, batch, epoch, step, watch):
            losses = elementwise(group.recipe.loss, run.outputs, run.targets)
            objective = losses
            if group.label_smoothing is not None:
                objective = elementwise(group.recipe.loss, run.outputs, run.targets, group.label_smoothing)
            weight = totals(run.weights)
            least = torch.finfo(torch.float64).tiny
            fractions = run.weights / weight.clamp(min=least).view(-1, *[1] * (losses.dim() - 1))
            # Handing the fractions to autograd keeps the batch mean, a sum whose order could change, out of the graph.
            weighted = fractions.to(losses.dtype)
            copy_all(torch.autograd.grad(objective, list(leaves.values()), weighted, materialize_grads=True), places)
            taken.append(active[step] & run.active)
            add_penalties(group.members, leaves, places, taken[-1])
            of_tensors = None
            if "tensor_gradient_norms" in watch.needs:  # the step uses the gradients up
                of_tensors = backend.tensor_norms(flat, list(group.layout.places.values()))
            larger, before = clip_by_value(flat, group.clip_values) if clips_values else (by_value, None)
            of_step = optimizer.step(weights, flat, lr, group.clip_norms, taken[-1])
            clipped.append(taken[-1] & (larger | (of_step > group.clip_norms)))
            norms.append(of_step if before is None else torch.where(by_value, before, of_step))

            loss_sums += weighted_totals(losses.detach(), run.weights)
            weight_sums += weight
            if watch.listening:
                place = epoch, len(norms) - 1, taken[-1], batch
                watch.on_step(_record(group, *place, run, norms[-1], of_tensors))
    return PassOfUpdates(Pass(loss_sums, weight_sums, torch.stack(norms)), torch.stack(taken), torch.stack(clipped))


def _forward_passes(
    group: Group, leaves: Mapping[str, Tensor], batch: Batch, epoch: int, step: int, watch: Watch
) -> Iterator[ForwardPass]:
    """What the updates of one batch are made of: one, or with truncated BPTT and a target each step one per window."""
    net, recipe, members = group.net, group.recipe, group.members
    like = group.clip_norms
    measured = "state_gradient_norms" in watch.needs

    def draw(time: int, window: int) -> Drawn:
        drawn = epoch, step, time, recipe.batch_size, like, batch.x.shape[2], window
        return Drawn(dropout_masks(net, members, *drawn), *noise_masks(net, members, *drawn))

    if recipe.bptt == "truncated":
        assert isinstance(net, Architecture)
        assert recipe.k2 is not None
        if recipe.k1 is None:
            yield run_tail(net, leaves, batch, recipe.k2, draw, measured=measured)
        else:
            yield from run_windows(net, leaves, batch, recipe.k1, recipe.k2, draw, measured=measured)
        return
    drawn = draw(batch.x.shape[1], 0)
    masks = perturb_masks(net, members, batch, drawn.masks, epoch, step)
    deltas = delta_norms_of(net) if measured and isinstance(net, Architecture) else []
    segment = SEGMENT if recipe.bptt == "checkpointed" else None
    inside = drawn.input_masks, drawn.noise, deltas
    outputs = forward(net, leaves, batch.x, batch.lengths, masks, *inside, segment=segment)
    everybody = torch.ones_like(like, dtype=torch.bool)
    yield ForwardPass(outputs, batch.targets, batch.weights, batch.lengths, everybody, deltas)


def _record(
    group: Group,
    epoch: int,
    step: int,
    active: Bool[Tensor, "member"],
    batch: Batch,
    run: ForwardPass,
    norms: Float[Tensor, "member"],
    of_tensors: Float64[Tensor, "member tensor"] | None,
) -> StepRecord:
    """What came of one step through autograd."""
    states, net = None, group.net
    if run.deltas:
        assert isinstance(net, Architecture)
        found = []
        for (layer, reverse), own in zip(layer_directions(net.num_layers, net.bidirectional), run.deltas, strict=True):
            assert own.h is not None
            found.append(StateGradientNorms(layer, reverse, own.h, own.c))
        states = tuple(found)
    series = np.where(batch.positions < 0, -1, _rows_at(group.samples["train"].rows, batch.positions))
    place = group.places, active, torch.from_numpy(series).to(norms.device), run.lengths
    return StepRecord(epoch, step, *place, norms, _by_name(group, of_tensors), states)
