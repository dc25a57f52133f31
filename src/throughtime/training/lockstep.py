"""The lockstep loop: all members of a group take each step together, each bit for bit as if alone.

The laws it keeps (``docs/decisions/0002-bits-in-company.md``): one thread of torch, sides of products padded to the
lane, sums in order, random streams keyed by the member's own seed, and nothing shared between members but the inputs.
Bits are kept on the CPU; on CUDA a library picks a product's way by the number of members.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

from throughtime.errors import DivergenceError
from throughtime.kernels import Pass, one_thread, ordered_sum, supports, train_steps
from throughtime.nn import Architecture, Net, forward, initial_weights, is_bias, weight_shapes
from throughtime.records import EpochProgress, EpochRecord
from throughtime.training.batches import (
    dropout_masks,
    epoch_order,
    gather,
    noise_masks,
    observations,
    padded_rows,
    row_by_row,
    training_data,
)
from throughtime.training.evaluation import evaluate
from throughtime.training.layout import Layout, copy_all
from throughtime.training.losses import elementwise, totals, weighted_totals
from throughtime.training.members import (
    Inputs,
    Member,
    Recipe,
    Sample,
    Trained,
    stack_samples,
    training_size,
)
from throughtime.training.optimizers import Optimizer
from throughtime.training.schedules import Schedule
from throughtime.training.streams import Purpose, derived_seed

#: Multiplications and additions that one call of the kernels should take, some tenths of a second; one step of all
#: members is the least.
CALL_WORK = 20_000_000_000


def train(
    net: Net,
    recipe: Recipe,
    inputs: Inputs,
    members: Sequence[Member],
    on_epoch: Callable[[EpochProgress], None] | None = None,
) -> list[Trained]:
    """Train all members together.

    Parameters
    ----------
    net, recipe
        What the members have in common.
    inputs
        The series that all of them take their samples from.
    on_epoch
        Told how the run stands after each epoch.

    Returns
    -------
    One result per member, in order. A member whose loss or weights are no longer finite ends with a ``DivergenceError``
    in ``failure``; the others do not notice.
    """
    with one_thread():
        group = _Group(net, recipe, inputs, members)
        results: dict[int, Trained] = {}
        most = max(member.max_epochs for member in members)
        epoch = 0
        while group.members:
            records = group.run_epoch(epoch)
            epoch += 1
            results |= group.retire(epoch)
            if on_epoch is not None:
                losses = [record.validation_loss for record in records if record.validation_loss is not None]
                on_epoch(
                    EpochProgress(
                        epoch=epoch,
                        max_epochs=most,
                        members=len(members),
                        running=len(group.members),
                        train_loss=float(np.mean([record.train_loss for record in records])),
                        validation_loss=float(np.mean(losses)) if losses else None,
                    )
                )
    return [results[m] for m in range(len(members))]


@dataclass
class _Progress:
    """What one member has to show so far."""

    place: int
    schedule: Schedule
    history: list[EpochRecord] = field(default_factory=list)
    best_loss: float = math.inf
    best_epoch: int | None = None
    best_weights: Tensor | None = None


class _Group:
    """The members still training: their weights, a row each, and what the loop keeps of them."""

    def __init__(self, net: Net, recipe: Recipe, inputs: Inputs, members: Sequence[Member]) -> None:
        self.net, self.recipe, self.inputs = net, recipe, inputs
        self.layout = Layout(weight_shapes(net))
        self.members = list(members)
        self.progress = [
            _Progress(place, Schedule(recipe.lr_schedule, member.lr, member.max_epochs))
            for place, member in enumerate(members)
        ]
        starts = [
            initial_weights(net, recipe.init, derived_seed(member.seed, Purpose.INITIAL_WEIGHTS), recipe.dtype)
            for member in members
        ]
        stacked = [torch.stack([start[name] for start in starts]).to(recipe.device) for name in self.layout.shapes]
        self.weights = self.layout.flatten(stacked)
        self.optimizer = Optimizer(recipe.optimizer, self._decay(), self._tensor([m.momentum for m in members]))
        self._settle()

    def run_epoch(self, epoch: int) -> list[EpochRecord]:
        """Take every member through its training series once, then measure."""
        rates = [progress.schedule.lr(epoch) for progress in self.progress]
        losses, norms, clipped = self._pass(epoch, self._tensor(rates))
        validation = self._losses("validation")
        watched = self._losses("watched")
        records = []
        for m, progress in enumerate(self.progress):
            record = EpochRecord(
                epoch=epoch,
                lr=rates[m],
                train_loss=float(losses[m]),
                validation_loss=validation[m],
                eval_loss=watched[m],
                gradient_norm=float(norms[m]),
                clipped=float(clipped[m]),
            )
            progress.history.append(record)
            judged = record.train_loss if record.validation_loss is None else record.validation_loss
            progress.schedule.observe(judged)
            if record.validation_loss is not None and judged < progress.best_loss:
                progress.best_loss, progress.best_epoch = judged, epoch
                progress.best_weights = self.weights[m].clone()
            records.append(record)
        return records

    def retire(self, epochs: int) -> dict[int, Trained]:
        """Take out the members that are done after so many epochs, by their place among all members."""
        finite = self.weights.isfinite().all(1).tolist()
        done: dict[int, Trained] = {}
        keep = []
        for m, (member, progress) in enumerate(zip(self.members, self.progress, strict=True)):
            last = progress.history[-1]
            failure = None
            if not (finite[m] and math.isfinite(last.train_loss)):
                failure = DivergenceError(
                    f"training needs finite losses and weights, got a loss of {last.train_loss:g} in epoch "
                    f"{last.epoch}; a smaller lr (now {member.lr:g}) or clip_norm (now {member.clip_norm:g}) is the "
                    "usual cure"
                )
            waited = epochs - 1 - (progress.best_epoch or 0)
            stopped = member.patience is not None and waited >= member.patience
            if not (failure or stopped or epochs >= member.max_epochs):
                keep.append(m)
                continue
            row = self.weights[m] if progress.best_weights is None else progress.best_weights
            named = self.layout.views(row[None])
            done[progress.place] = Trained(
                {name: value[0].clone() for name, value in named.items()},
                tuple(progress.history),
                progress.best_epoch,
                failure,
            )
        if done:
            self._take(keep)
        return done

    def _pass(self, epoch: int, rates: Float[Tensor, "member"]) -> tuple[Tensor, Tensor, Tensor]:
        """One pass over the training series: mean loss, mean gradient norm, share of steps clipped, one per member."""
        size = self.recipe.batch_size
        order = epoch_order(self.members, epoch)
        steps = -(-self.samples["train"].sizes // size)
        active = torch.from_numpy(np.arange(steps.max())[:, None] < steps).to(self.weights.device)
        if self.in_kernels:
            loss_sums, weight_sums, norms = self._whole_steps(order, int(steps.max()), rates)
        else:
            loss_sums, weight_sums, norms = self._steps_by_autograd(order, epoch, active, rates)
        taken = active.sum(0)
        norm_sums = ordered_sum(torch.where(active, norms.double(), 0), 0)
        clip_sums = ordered_sum((active & (norms > self.clip_norms)).double(), 0)
        return loss_sums / weight_sums, norm_sums / taken, clip_sums / taken

    @property
    def in_kernels(self) -> bool:
        """Whether C++ can take whole steps: one layer and one direction, an output per series, and no noise."""
        net = self.net
        return (
            isinstance(net, Architecture)
            and (net.num_layers, net.bidirectional, net.pooling) == (1, False, "last")
            and supports(self.weights)
            and not any(member.dropout or member.noise for member in self.members)
        )

    def _whole_steps(self, order: Int[ndarray, "member place"], steps: int, rates: Float[Tensor, "member"]) -> Pass:
        """The pass in C++, in calls between which Ctrl-C is heard."""
        net, size = self.net, self.recipe.batch_size
        assert isinstance(net, Architecture)
        samples, inputs = self.samples["train"], self.inputs
        step_work = 6 * self.weights.numel() * min(size, order.shape[1]) * int(inputs.lengths[samples.rows].max())
        at_once = max(1, CALL_WORK // step_work)
        sums = self.weights.new_zeros(2, len(self.members), dtype=torch.float64)
        result = Pass(sums[0], sums[1], self.weights.new_zeros(steps, len(self.members)))
        for first in range(0, steps, at_once):
            train_steps(
                net.kind,
                self.recipe.loss,
                net.hidden_size,
                net.n_outputs,
                list(self.layout.places.values()),
                self.optimizer.update(self.weights, rates, self.clip_norms),
                self.training_data,
                torch.from_numpy(order),
                size,
                range(first, min(first + at_once, steps)),
                result,
            )
        return result

    def _steps_by_autograd(
        self,
        order: Int[ndarray, "member place"],
        epoch: int,
        active: Bool[Tensor, "step member"],
        rates: Float[Tensor, "member"],
    ) -> Pass:
        """The pass of any network, on any device, all members a step at a time."""
        size = self.recipe.batch_size
        padded = 0 if row_by_row(self.net, self.weights) else min(size, self.recipe.padded_rows or size)
        loss_sums = torch.zeros(len(self.members), dtype=torch.float64, device=self.weights.device)
        weight_sums = torch.zeros_like(loss_sums)
        norms = []
        leaves = {name: view.detach().requires_grad_() for name, view in self.layout.views(self.weights).items()}
        flat = torch.zeros_like(self.weights)
        places = list(self.layout.views(flat).values())
        for step in range(len(active)):
            positions = order[:, step * size : (step + 1) * size]  # what the largest sample has there
            if padded:
                positions = padded_rows(positions, padded)
            samples, dtype = self.samples["train"], self.weights.dtype
            batch = gather(self.inputs, samples, positions, self.shift, self.scale, dtype)
            targets, weights = observations(samples, batch)
            drawn = epoch, step, batch.x.shape[1], size, self.weights, positions.shape[1]
            masks = dropout_masks(self.net, self.members, *drawn)
            noise = noise_masks(self.net, self.members, *drawn)
            outputs = forward(self.net, leaves, batch.x, batch.lengths, masks, *noise)
            losses = elementwise(self.recipe.loss, outputs, targets)

            weight = totals(weights)
            share = weights / weight.clamp(min=torch.finfo(torch.float64).tiny).view(-1, *[1] * (losses.dim() - 1))
            # Handing the shares to autograd keeps the batch mean, a sum whose order could change, out of the graph.
            weighted = share.to(losses.dtype)
            copy_all(torch.autograd.grad(losses, list(leaves.values()), weighted, materialize_grads=True), places)
            norms.append(self.optimizer.step(self.weights, flat, rates, self.clip_norms, active[step]))

            loss_sums += weighted_totals(losses.detach(), weights)
            weight_sums += weight
        return Pass(loss_sums, weight_sums, torch.stack(norms))

    def _losses(self, which: str) -> list[float | None]:
        """Every member's mean loss on its validation or watched sample; ``None`` where it has none."""
        samples = self.samples.get(which)
        if samples is None:
            return [None] * len(self.members)
        loss_sums = torch.zeros(len(self.members), dtype=torch.float64, device=self.weights.device)
        weight_sums = torch.zeros_like(loss_sums)
        noise = [member.noise for member in self.members]
        for batch, outputs in evaluate(
            self.net, self.layout.views(self.weights), self.inputs, samples, self.shift, self.scale, noise
        ):
            targets, weights = observations(samples, batch)
            loss_sums += weighted_totals(elementwise(self.recipe.loss, outputs, targets), weights)
            weight_sums += totals(weights)
        means = (loss_sums / weight_sums).tolist()
        return [mean if size else None for mean, size in zip(means, samples.sizes, strict=True)]

    def _decay(self) -> Float[Tensor, "member weight"]:
        """lambda/n on weights, nothing on biases; AdamW's value as it is."""
        rows = self.weights.new_zeros(self.weights.shape)
        for name, view in self.layout.views(rows).items():
            if not is_bias(name):
                view += 1
        sizes = [1.0 if self.recipe.optimizer == "adamw" else training_size(m.train, self.inputs) for m in self.members]
        return rows * self._tensor([m.weight_decay / n for m, n in zip(self.members, sizes, strict=True)])[:, None]

    def _take(self, keep: list[int]) -> None:
        at = torch.tensor(keep, dtype=torch.long, device=self.weights.device)
        self.members = [self.members[m] for m in keep]
        self.progress = [self.progress[m] for m in keep]
        self.weights = self.weights[at]
        self.optimizer = self.optimizer.take(at)
        if keep:
            self._settle()

    def _settle(self) -> None:
        """Stack what depends on who is still there."""
        source = self.inputs.values.dtype
        self.shift = self._tensor([member.shift for member in self.members], source)
        self.scale = self._tensor([member.scale for member in self.members], source)
        self.clip_norms = self._tensor([member.clip_norm for member in self.members])
        by_step = self.net.pooling == "steps"
        nothing = Sample(np.zeros(0, dtype=np.int64), self.members[0].train.targets[:0], np.zeros(0))
        self.samples = {"train": stack_samples([member.train for member in self.members], self.inputs, by_step)}
        for which in ("validation", "watched"):
            own = [getattr(member, which) for member in self.members]
            if any(sample is not None for sample in own):
                self.samples[which] = stack_samples([sample or nothing for sample in own], self.inputs, by_step)
        if self.in_kernels:
            self.training_data = training_data(self.inputs, self.samples["train"], self.shift, self.scale)

    def _tensor(self, values: Sequence[float] | Sequence[ndarray], dtype: torch.dtype | None = None) -> Tensor:
        return torch.from_numpy(np.array(values)).to(device=self.recipe.device, dtype=dtype or self.recipe.dtype)
