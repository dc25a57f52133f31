"""Members as they are between two steps of the optimizer, or at their end: what a probe is handed, and when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

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
        own = {
            name: tuple(getattr(self, name)[m] for m in members)
            for name in ("members", "epochs", "steps", "seeds", "train_rows")
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
    own = steps_an_epoch(group)
    in_all = own * np.array([member.max_epochs for member in group.members])
    interval = np.clip(in_all // LEAST_PROBES, 1, every)
    step = np.arange(own.max(initial=0))[:, None]
    due: ndarray = (step < own) & ((epoch * own + step) % interval == 0)
    return due


def steps_an_epoch(group: Group) -> Int[ndarray, "member"]:
    """Steps of each member from epoch to epoch."""
    steps: ndarray = -(-group.samples["train"].sizes // group.recipe.batch_size)
    return steps


def probe_before(group: Group, weights: Float[Tensor, "member weight"], epoch: int, step: int) -> Probe:
    """All members of a group before a step of an epoch."""
    counts = epoch * steps_an_epoch(group) + step
    return _probe(group, group.layout.views(weights), [epoch] * len(counts), counts.tolist(), kept=False)


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
    counts = steps_an_epoch(group)[ended] * epochs
    return _probe(group, weights, epochs, counts.tolist(), kept=True, at=ended)


def _probe(
    group: Group,
    weights: Mapping[str, Tensor],
    epochs: Sequence[int],
    steps: Sequence[int],
    *,
    kept: bool,
    at: Sequence[int] | None = None,
) -> Probe:
    """What the weights of some members belong to: of all by default."""
    at = range(len(group.members)) if at is None else at
    members = [group.members[m] for m in at]
    return Probe(
        tuple(group.places[m] for m in at),
        tuple(epochs),
        tuple(steps),
        kept,
        group.net,
        weights,
        tuple(member.seed for member in members),
        tuple(member.train.rows for member in members),
        group.inputs,
        group.shift[list(at)],
        group.scale[list(at)],
    )
