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
from torch import Tensor

from throughtime.errors import DivergenceError
from throughtime.kernels import one_thread, ordered_sum
from throughtime.nn import Net, initial_weights
from throughtime.records import EpochProgress, EpochRecord
from throughtime.training.batches import observations
from throughtime.training.evaluation import evaluate
from throughtime.training.group import stack_members
from throughtime.training.losses import elementwise, totals, weighted_totals
from throughtime.training.members import Inputs, Member, Recipe, Trained
from throughtime.training.optimizers import Optimizer
from throughtime.training.passes import run_pass
from throughtime.training.schedules import Schedule
from throughtime.training.streams import Purpose, derived_seed


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
        loop = _Loop(net, recipe, inputs, members)
        results: dict[int, Trained] = {}
        most = max(member.max_epochs for member in members)
        epoch = 0
        while loop.group.members:
            records = loop.run_epoch(epoch)
            epoch += 1
            results |= loop.retire(epoch)
            if on_epoch is not None:
                losses = [record.validation_loss for record in records if record.validation_loss is not None]
                on_epoch(
                    EpochProgress(
                        epoch=epoch,
                        max_epochs=most,
                        members=len(members),
                        running=len(loop.group.members),
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


class _Loop:
    """The members still training: their weights, a row each, and what the loop keeps of them."""

    def __init__(self, net: Net, recipe: Recipe, inputs: Inputs, members: Sequence[Member]) -> None:
        self.group = group = stack_members(net, recipe, inputs, members)
        self.progress = [
            _Progress(place, Schedule(recipe.lr_schedule, member.lr, member.max_epochs))
            for place, member in enumerate(members)
        ]
        starts = [
            initial_weights(net, recipe.init, derived_seed(member.seed, Purpose.INITIAL_WEIGHTS), recipe.dtype)
            for member in members
        ]
        stacked = [torch.stack([start[name] for start in starts]).to(recipe.device) for name in group.layout.shapes]
        self.weights = group.layout.flatten(stacked)
        self.optimizer = Optimizer(recipe.optimizer, group.decay(), group.tensor([m.momentum for m in members]))

    def run_epoch(self, epoch: int) -> list[EpochRecord]:
        """Take every member through its training series once, then measure."""
        rates = [progress.schedule.lr(epoch) for progress in self.progress]
        losses, norms, clipped = self._pass(epoch, rates)
        validation = self._losses("validation")
        evaluated = self._losses("eval")
        records = []
        for m, progress in enumerate(self.progress):
            record = EpochRecord(
                epoch=epoch,
                lr=rates[m],
                train_loss=float(losses[m]),
                validation_loss=validation[m],
                eval_loss=evaluated[m],
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
        for m, (member, progress) in enumerate(zip(self.group.members, self.progress, strict=True)):
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
            named = self.group.layout.views(row[None])
            done[progress.place] = Trained(
                {name: value[0].clone() for name, value in named.items()},
                tuple(progress.history),
                progress.best_epoch,
                failure,
            )
        if done:
            self._take(keep)
        return done

    def _pass(self, epoch: int, rates: Sequence[float]) -> tuple[Tensor, Tensor, Tensor]:
        """One pass: each member's mean loss, mean gradient norm and fraction of steps clipped."""
        group = self.group
        result, active = run_pass(group, self.weights, self.optimizer, epoch, group.tensor(rates))
        taken = active.sum(0)
        norm_sums = ordered_sum(torch.where(active, result.norms.double(), 0), 0)
        clip_sums = ordered_sum((active & (result.norms > group.clip_norms)).double(), 0)
        return result.loss_sums / result.weight_sums, norm_sums / taken, clip_sums / taken

    def _losses(self, which: str) -> list[float | None]:
        """Every member's mean loss on its validation or eval sample; ``None`` where it has none."""
        group = self.group
        samples = group.samples.get(which)
        if samples is None:
            return [None] * len(group.members)
        loss_sums = torch.zeros(len(group.members), dtype=torch.float64, device=self.weights.device)
        weight_sums = torch.zeros_like(loss_sums)
        noise = [member.noise for member in group.members]
        for batch, outputs in evaluate(
            group.net, group.layout.views(self.weights), group.inputs, samples, group.shift, group.scale, noise
        ):
            targets, weights = observations(samples, batch)
            loss_sums += weighted_totals(elementwise(group.recipe.loss, outputs, targets), weights)
            weight_sums += totals(weights)
        means = (loss_sums / weight_sums).tolist()
        return [mean if size else None for mean, size in zip(means, samples.sizes, strict=True)]

    def _take(self, keep: list[int]) -> None:
        at = torch.tensor(keep, dtype=torch.long, device=self.weights.device)
        self.progress = [self.progress[m] for m in keep]
        self.weights = self.weights[at]
        self.optimizer = self.optimizer.take(at)
        self.group = self.group.take(keep)
