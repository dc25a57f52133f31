"""Members as they are between two steps of the optimizer, or at their end: what a probe is handed, and when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

from throughtime.nn import Net
from throughtime.training.batches import load_batches
from throughtime.training.group import Group
from throughtime.training.members import Batch, Inputs, Sample, stack_samples
from throughtime.training.state import MemberState

#: Probes that a member's training has at least, where it takes so many steps: in a short one they lie closer.
LEAST_PROBES = 5


@dataclass(frozen=True)
class Probe:
    """Some members before a step of theirs, or once they have ended.

    Members of one run that go different ways (`Backend.can_fuse`) have probes of their own, as they have records.

    Parameters
    ----------
    members
        Each member's place in the list given to `train`.
    epochs, steps
        What each has behind it: whole epochs, and steps of the optimizer in all.
    series_between
        How many series each trains on between two of its probes.
    kept
        Whether these are the weights that the members end with, and not those before a step.
    net
        What the members have in common.
    weights
        By name; views of the loop's own, without gradient, which the next step changes. Not to be written to.
    seeds
        The members' own.
    train_rows
        Where the training series of each lie in the inputs.
    inputs
        The series, raw; `load` gives them as the members see them.
    shift, scale
        Of each member's standardization.
    """

    members: tuple[int, ...]
    epochs: tuple[int, ...]
    steps: tuple[int, ...]
    series_between: tuple[int, ...]
    kept: bool
    net: Net
    weights: Mapping[str, Float[Tensor, "member ..."]]
    seeds: tuple[int, ...]
    train_rows: tuple[Int[ndarray, "_"], ...]
    inputs: Inputs
    shift: Float[Tensor, "member channel"]
    scale: Float[Tensor, "member channel"]

    def take(self, members: Sequence[int]) -> "Probe":
        """The same of some of the members, by their positions in it."""
        if list(members) == list(range(len(self.members))):
            return self
        at = torch.tensor(members, dtype=torch.long, device=self.shift.device)
        own: dict[str, Any] = {
            name: tuple(getattr(self, name)[m] for m in members)
            for name in ("members", "epochs", "steps", "series_between", "seeds", "train_rows")
        }
        weights = {name: weight[at] for name, weight in self.weights.items()}
        return replace(self, **own, weights=weights, shift=self.shift[at], scale=self.scale[at])

    def load(self, rows: Sequence[Int[ndarray, "_"]]) -> Batch:
        """Some series of the inputs, each member's own, standardized and in its network's precision.

        Where a member has fewer than another, padding of one step follows: positions of -1. The targets are void.
        """
        samples = stack_samples(
            [Sample(own, np.zeros(len(own)), np.ones(len(own))) for own in rows], self.inputs, False
        )
        place = np.arange(samples.rows.shape[1])
        positions = np.where(place < samples.sizes[:, None], place, -1)
        dtype = next(iter(self.weights.values())).dtype
        (batch,) = load_batches(self.inputs, samples, positions, len(place), self.shift, self.scale, dtype)
        return batch


def probed_steps(group: Group, epoch: int, every: int) -> Bool[ndarray, "step member"]:
    """Before which steps of an epoch the members are probed, each by its own count of steps."""
    own = _steps_an_epoch(group)
    step = np.arange(own.max(initial=0))[:, None]
    due: ndarray = (step < own) & ((epoch * own + step) % _intervals(group, every) == 0)
    return due


def probe_before(group: Group, weights: Float[Tensor, "member weight"], epoch: int, step: int, every: int) -> Probe:
    """All members of a group before a step of an epoch, as one of an observer who asks for a probe so often."""
    epochs = np.full(len(group.members), epoch)
    steps = epochs * _steps_an_epoch(group) + step
    at = list(range(len(group.members)))
    return _probe(group, at, group.layout.views(weights), epochs, steps, _intervals(group, every), kept=False)


def probe_of_ended(group: Group, states: Sequence[MemberState]) -> Probe | None:
    """Those of a group's members that have ended well, with the weights they keep; ``None`` where there are none.

    Parameters
    ----------
    states
        Of all members of the group.
    """
    ended = [m for m, own in enumerate(states) if own.result is not None and own.result.failure is None]
    if not ended:
        return None
    results = [own.result for own in states if own.result is not None and own.result.failure is None]
    weights = {name: torch.stack([result.weights[name] for result in results]) for name in group.layout.shapes}
    epochs = [len(result.history) if result.best_epoch is None else result.best_epoch + 1 for result in results]
    steps = _steps_an_epoch(group)[ended] * epochs
    return _probe(group, ended, weights, np.array(epochs), steps, steps, kept=True)


def _steps_an_epoch(group: Group) -> Int[ndarray, "member"]:
    steps: ndarray = -(-group.samples["train"].sizes // group.recipe.batch_size)
    return steps


def _intervals(group: Group, every: int) -> Int[ndarray, "member"]:
    """Steps of each member from probe to probe."""
    in_all = _steps_an_epoch(group) * np.array([member.max_epochs for member in group.members], dtype=np.int64)
    return np.clip(in_all // LEAST_PROBES, 1, every)


def _probe(
    group: Group,
    at: list[int],
    weights: Mapping[str, Tensor],
    epochs: Int[ndarray, "_"],
    steps: Int[ndarray, "_"],
    between: Int[ndarray, "_"],
    *,
    kept: bool,
) -> Probe:
    """Some members of a group with their weights, and the steps behind them and between two probes."""
    members = [group.members[m] for m in at]
    rows = np.minimum(group.samples["train"].sizes[at], group.recipe.batch_size)
    return Probe(
        tuple(group.places[m] for m in at),
        tuple(epochs.tolist()),
        tuple(steps.tolist()),
        tuple((between * rows).tolist()),
        kept,
        group.net,
        weights,
        tuple(member.seed for member in members),
        tuple(member.train.rows for member in members),
        group.inputs,
        group.shift[at],
        group.scale[at],
    )
