"""One pass of every member over its own training series: whole steps in C++, or one at a time through autograd.

The two give the same bits.
"""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

from throughtime.kernels import Pass, supports, train_steps
from throughtime.nn import Architecture, forward
from throughtime.training.batches import (
    dropout_masks,
    epoch_order,
    gather,
    noise_masks,
    observations,
    padded_rows,
    row_by_row,
)
from throughtime.training.group import Group
from throughtime.training.layout import copy_all
from throughtime.training.losses import elementwise, totals, weighted_totals
from throughtime.training.observers import Measurement, StepRecord
from throughtime.training.optimizers import Optimizer
from throughtime.training.perturbed_steps import add_penalties, perturb_batch, perturb_masks

#: Multiplications and additions that one call of the kernels should take, some tenths of a second; one step of all
#: members is the least.
CALL_WORK = 20_000_000_000


def run_pass(
    group: Group,
    weights: Float[Tensor, "member weight"],
    optimizer: Optimizer,
    epoch: int,
    lr: Float[Tensor, "member"],
    needs: frozenset[Measurement] = frozenset(),  # noqa: ARG001 - what of a step's record is optional is not there yet
    on_step: Callable[[StepRecord], None] | None = None,
) -> tuple[Pass, Bool[Tensor, "step member"]]:
    """Take every member through its training series once, weights and optimizer in place; then call ``on_step``.

    Returns
    -------
    What came of the steps, and which of them each member took.
    """
    order = epoch_order(group.members, epoch)
    steps = -(-group.samples["train"].sizes // group.recipe.batch_size)
    active = torch.from_numpy(np.arange(steps.max())[:, None] < steps).to(weights.device)
    if can_fuse(group, weights):
        result = fused_pass(group, weights, optimizer, order, int(steps.max()), lr)
    else:
        result = autograd_pass(group, weights, optimizer, order, epoch, active, lr)
    for step in range(len(active)) if on_step else ():
        assert on_step is not None
        positions = order[:, step * group.recipe.batch_size :][:, : group.recipe.batch_size]
        rows = np.where(positions < 0, -1, np.take_along_axis(group.samples["train"].rows, positions, 1))
        lengths = torch.from_numpy(np.where(rows < 0, 1, group.inputs.lengths[rows]))
        record = StepRecord(
            epoch, step, group.places, active[step], torch.from_numpy(rows), lengths, result.norms[step]
        )
        on_step(record)
    return result, active


def can_fuse(group: Group, weights: Tensor) -> bool:
    """Whether C++ can take whole steps: a kernel, one layer and direction, one output per series, and no noise."""
    net = group.net
    return (
        isinstance(net, Architecture)
        and net.kind is not None
        and (net.num_layers, net.bidirectional, net.pooling) == (1, False, "last")
        and supports(weights)
        and not any(member.dropout or member.noise or member.perturbations for member in group.members)
    )


def fused_pass(
    group: Group,
    weights: Float[Tensor, "member weight"],
    optimizer: Optimizer,
    order: Int[ndarray, "member place"],
    steps: int,
    lr: Float[Tensor, "member"],
) -> Pass:
    """The pass in C++, in calls between which Ctrl-C is heard."""
    net, size = group.net, group.recipe.batch_size
    assert isinstance(net, Architecture)
    assert net.kind is not None
    samples, inputs = group.samples["train"], group.inputs
    step_work = 6 * weights.numel() * min(size, order.shape[1]) * int(inputs.lengths[samples.rows].max())
    at_once = max(1, CALL_WORK // step_work)
    sums = weights.new_zeros(2, len(group.members), dtype=torch.float64)
    result = Pass(sums[0], sums[1], weights.new_zeros(steps, len(group.members)))
    for first in range(0, steps, at_once):
        train_steps(
            net.kind,
            group.recipe.loss,
            net.hidden_size,
            net.n_outputs,
            list(group.layout.places.values()),
            optimizer.update(weights, lr, group.clip_norms),
            group.training_data,
            torch.from_numpy(order),
            size,
            range(first, min(first + at_once, steps)),
            result,
        )
    return result


def autograd_pass(
    group: Group,
    weights: Float[Tensor, "member weight"],
    optimizer: Optimizer,
    order: Int[ndarray, "member place"],
    epoch: int,
    active: Bool[Tensor, "step member"],
    lr: Float[Tensor, "member"],
) -> Pass:
    """The pass of any network, on any device, all members a step at a time."""
    size = group.recipe.batch_size
    padded = 0 if row_by_row(group.net, weights) else min(size, group.recipe.padded_rows or size)
    loss_sums = torch.zeros(len(group.members), dtype=torch.float64, device=weights.device)
    weight_sums = torch.zeros_like(loss_sums)
    norms = []
    leaves = {name: view.detach().requires_grad_() for name, view in group.layout.views(weights).items()}
    flat = torch.zeros_like(weights)
    places = list(group.layout.views(flat).values())
    for step in range(len(active)):
        positions = order[:, step * size : (step + 1) * size]  # what the largest sample has there
        if padded:
            positions = padded_rows(positions, padded)
        samples, dtype = group.samples["train"], weights.dtype
        batch = gather(group.inputs, samples, positions, group.shift, group.scale, dtype)
        batch = perturb_batch(group.net, group.members, batch, epoch, step)
        targets, counts = observations(samples, batch)
        drawn = epoch, step, batch.x.shape[1], size, weights, positions.shape[1]
        masks = dropout_masks(group.net, group.members, *drawn)
        masks = perturb_masks(group.net, group.members, batch, masks, epoch, step)
        noise = noise_masks(group.net, group.members, *drawn)
        outputs = forward(group.net, leaves, batch.x, batch.lengths, masks, *noise)
        losses = elementwise(group.recipe.loss, outputs, targets)

        weight = totals(counts)
        fractions = counts / weight.clamp(min=torch.finfo(torch.float64).tiny).view(-1, *[1] * (losses.dim() - 1))
        # Handing the fractions to autograd keeps the batch mean, a sum whose order could change, out of the graph.
        weighted = fractions.to(losses.dtype)
        copy_all(torch.autograd.grad(losses, list(leaves.values()), weighted, materialize_grads=True), places)
        add_penalties(group.members, leaves, places, active[step])
        norms.append(optimizer.step(weights, flat, lr, group.clip_norms, active[step]))

        loss_sums += weighted_totals(losses.detach(), counts)
        weight_sums += weight
    return Pass(loss_sums, weight_sums, torch.stack(norms))
