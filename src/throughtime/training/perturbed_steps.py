"""Masks and penalties of members whose training is perturbed, each member's own put among those of the others."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from throughtime.errors import ParameterError
from throughtime.nn import Architecture, Net
from throughtime.training.members import Batch, Member, Recipe
from throughtime.training.perturbations import Perturbation
from throughtime.training.streams import Purpose, stream


def check_perturbations(members: Sequence[Member], recipe: Recipe) -> None:
    """Refuse perturbations whose streams would be one, and masks where series are not taken whole.

    Raises
    ------
    ParameterError
        For keys that are no whole numbers from 0 up, or that two perturbations of a member share; for a mask with
        truncated BPTT.
    """
    for member in members:
        if recipe.bptt == "truncated" and _overrides(member, "mask"):
            raise ParameterError("a perturbation's mask is of whole series and needs another bptt, got 'truncated'")
        keys = [getattr(perturbation, "key", None) for perturbation in member.perturbations]
        for key, perturbation in zip(keys, member.perturbations, strict=True):
            if isinstance(perturbation, type) or not isinstance(perturbation, Perturbation):
                given = repr(perturbation)
                raise ParameterError(f"perturbations of a member need to be a Perturbation each, got {given}")
            if not isinstance(key, int) or key < 0:
                raise ParameterError(
                    f"{type(perturbation).__name__} needs a key that is a whole number from 0 up, got {key!r}"
                )
        if len(set(keys)) < len(keys):
            raise ParameterError(f"perturbations of one member need keys that differ, got {keys}")


def perturb_masks(
    net: Net, members: Sequence[Member], batch: Batch, masks: list[Tensor | None], epoch: int, step: int
) -> list[Tensor | None]:
    """The masks of dropout, or none, times those of each member's perturbations.

    Raises
    ------
    ParameterError
        For a mask of another shape, and for a network of the user's own, which has no place for one.
    """
    masked = list(perturbed(members, batch, "mask"))
    if not masked:
        return masks
    if not isinstance(net, Architecture):
        raise ParameterError("masks need the built-in network's layers, got a module of your own: mask inside of it")
    masks = list(masks) or [None] * net.num_layers
    width = net.hidden_size * (1 + net.bidirectional)
    for layer in range(net.num_layers):
        by_step = layer < net.num_layers - 1 or net.pooling == "steps"
        whole = batch.x.new_ones(len(members), *batch.x.shape[1:3] if by_step else batch.x.shape[2:3], width)
        for m, member, rows in masked:
            place = whole[m, : int(batch.lengths[m, :rows].max()), :rows] if by_step else whole[m, :rows]
            for perturbation in member.perturbations:
                generator = stream(member.seed, Purpose.PERTURBATION, perturbation.key, epoch, step, 1 + layer)
                mask = perturbation.mask(layer, tuple(place.shape), generator)
                if mask is not None:
                    _check_mask(perturbation, mask, tuple(place.shape))
                    place *= torch.from_numpy(mask).to(place)
        before = masks[layer]
        masks[layer] = whole if before is None else before * whole
    return masks


def add_penalties(
    members: Sequence[Member],
    weights: Mapping[str, Float[Tensor, "member ..."]],
    gradients: Sequence[Float[Tensor, "member ..."]],
    active: Bool[Tensor, "member"],
) -> None:
    """Add the gradients of the members' penalties, in place, for those that take the step.

    Raises
    ------
    ParameterError
        For a penalty that is not one number.
    """
    for m, member in enumerate(members):
        if not _overrides(member, "penalty") or not active[m]:
            continue
        # apart from the other members' graph: adding a zero to their gradients would change the sign of theirs
        own = {name: weight[m].detach().clone().requires_grad_() for name, weight in weights.items()}
        for perturbation in member.perturbations:
            penalty = perturbation.penalty(own)
            if penalty is None:
                continue
            if not isinstance(penalty, Tensor) or penalty.shape != ():
                found = tuple(penalty.shape) if isinstance(penalty, Tensor) else type(penalty).__name__
                raise ParameterError(f"{type(perturbation).__name__}.penalty needs to give one number, got {found}")
            terms = torch.autograd.grad(penalty, list(own.values()), allow_unused=True)
            for gradient, term in zip(gradients, terms, strict=True):
                if term is not None:
                    gradient[m] += term


def _overrides(member: Member, method: str) -> bool:
    """Whether any of a member's perturbations does something in one of its methods."""
    return any(
        getattr(type(perturbation), method) is not getattr(Perturbation, method)
        for perturbation in member.perturbations
    )


def perturbed(members: Sequence[Member], batch: Batch, method: str) -> list[tuple[int, Member, int]]:
    """Members with series in the batch that a method concerns, their places, and how many series they are."""
    sizes = [
        (m, member, int((batch.positions[m] >= 0).sum()))
        for m, member in enumerate(members)
        if _overrides(member, method)
    ]
    return [(m, member, size) for m, member, size in sizes if size]


def _check_mask(perturbation: Perturbation, mask: Any, shape: tuple[int, ...]) -> None:
    if not isinstance(mask, np.ndarray) or mask.shape != shape:
        found = mask.shape if isinstance(mask, np.ndarray) else type(mask).__name__
        raise ParameterError(f"{type(perturbation).__name__}.mask needs to give an array of shape {shape}, got {found}")
    if not np.isfinite(mask).all():
        raise ParameterError(f"{type(perturbation).__name__}.mask needs to give finite numbers, got NaN or inf")
