"""The members of a group that are still training, stacked: what a pass over their series takes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from throughtime.kernels import TrainingData, backend_for
from throughtime.nn import Net, is_bias, weight_shapes
from throughtime.training.batches import training_data
from throughtime.training.layout import Layout
from throughtime.training.members import Inputs, Member, Recipe, Sample, Samples, stack_samples, training_size


@dataclass(frozen=True)
class Group:
    """Members of one network and recipe, and what each has of its own, the member axis first.

    Parameters
    ----------
    samples
        By what they are for: ``train``, and where any member has one ``validation`` and ``eval``.
    places
        What the caller calls each member by: its place in the list of `train`, or a number given there.
    shift, scale
        In the precision of the inputs.
    """

    net: Net
    recipe: Recipe
    inputs: Inputs
    layout: Layout
    members: list[Member]
    places: tuple[int, ...]
    samples: dict[str, Samples]
    shift: Float[Tensor, "member channel"]
    scale: Float[Tensor, "member channel"]
    clip_norms: Float[Tensor, "member"]
    clip_values: Float[Tensor, "member"]
    #: none where no member has any
    label_smoothing: Float[Tensor, "member"] | None

    @cached_property
    def training_data(self) -> TrainingData:
        """What the kernels train on where they take whole steps."""
        return training_data(self.inputs, self.samples["train"], self.shift, self.scale)

    @cached_property
    def fusible(self) -> list[bool]:
        """Which members' steps the backend can take whole: of full BPTT alone."""
        backend = backend_for(torch.device(self.recipe.device), self.recipe.dtype)
        full = self.recipe.bptt == "full"
        return [full and backend.can_fuse(self.net, self.recipe, member) for member in self.members]

    @cached_property
    def parts(self) -> list[tuple[list[int], "Group"]]:
        """Members that go the same way through a pass, and the group they are: itself where all do."""
        ways = [[m for m, fused in enumerate(self.fusible) if fused is way] for way in (True, False)]
        return [(way, self if len(way) == len(self.members) else self.take(way)) for way in ways if way]

    def tensor(self, values: Sequence[float] | Sequence[ndarray]) -> Tensor:
        """Numbers of each member, in the network's precision."""
        return _tensor(values, self.recipe, self.recipe.dtype)

    def decay(self) -> Float[Tensor, "member weight"]:
        """lambda/n on weights, nothing on biases; AdamW's value as it is."""
        rows = torch.zeros(len(self.members), self.layout.width, dtype=self.recipe.dtype, device=self.recipe.device)
        for name, view in self.layout.views(rows).items():
            if not is_bias(name):
                view += 1
        sizes = [1.0 if self.recipe.optimizer == "adamw" else training_size(m.train, self.inputs) for m in self.members]
        return rows * self.tensor([m.weight_decay / n for m, n in zip(self.members, sizes, strict=True)])[:, None]

    def take(self, keep: Sequence[int]) -> "Group":
        """Some of the members; of none only how many they are."""
        if not keep:
            return replace(self, members=[], places=())
        members, places = [self.members[m] for m in keep], [self.places[m] for m in keep]
        return stack_members(self.net, self.recipe, self.inputs, members, places)


def stack_members(
    net: Net, recipe: Recipe, inputs: Inputs, members: Sequence[Member], places: Sequence[int] | None = None
) -> Group:
    """Stack what each member brings; they are counted from 0 unless called by other ``places``."""
    by_step = net.pooling == "steps"
    nothing = Sample(np.zeros(0, dtype=np.int64), members[0].train.targets[:0], np.zeros(0))
    samples = {"train": stack_samples([member.train for member in members], inputs, by_step)}
    for purpose in ("validation", "eval"):
        own = [getattr(member, purpose) for member in members]
        if any(sample is not None for sample in own):
            samples[purpose] = stack_samples([sample or nothing for sample in own], inputs, by_step)
    source = inputs.values.dtype
    return Group(
        net,
        recipe,
        inputs,
        Layout(weight_shapes(net)),
        list(members),
        tuple(range(len(members)) if places is None else places),
        samples,
        shift=_tensor([member.shift for member in members], recipe, source),
        scale=_tensor([member.scale for member in members], recipe, source),
        clip_norms=_tensor([member.clip_norm for member in members], recipe, recipe.dtype),
        clip_values=_tensor([member.clip_value for member in members], recipe, recipe.dtype),
        label_smoothing=_tensor([member.label_smoothing for member in members], recipe, recipe.dtype)
        if any(member.label_smoothing for member in members)
        else None,
    )


def _tensor(values: Sequence[float] | Sequence[ndarray], recipe: Recipe, dtype: torch.dtype) -> Tensor:
    return torch.from_numpy(np.array(values)).to(device=recipe.device, dtype=dtype)
