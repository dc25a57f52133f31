"""A step of members whose training is perturbed: each one's own part is taken out, changed, and put back.

What a member's perturbations see has the size and the place in memory that it has where the member trains alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
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
            if not isinstance(key, int) or key < 0:
                raise ParameterError(
                    f"{type(perturbation).__name__} needs a key that is a whole number from 0 up, got {key!r}"
                )
        if len(set(keys)) < len(keys):
            raise ParameterError(f"perturbations of one member need keys that differ, got {keys}")


@torch.no_grad()
def perturb_batch(net: Net, members: Sequence[Member], batch: Batch, epoch: int, step: int) -> Batch:
    """The batch with each member's transformed inputs.

    Raises
    ------
    ParameterError
        For inputs or lengths that do not fit, and other lengths where every step has a target.
    """
    changed: dict[int, tuple[Tensor, Tensor]] = {}
    for m, member, rows in _perturbed(members, batch, "transform"):
        lengths = batch.lengths[m, :rows]
        x = batch.x[m, : int(lengths.max()), :rows].clone(memory_format=torch.contiguous_format)
        for perturbation in member.perturbations:
            generator = stream(member.seed, Purpose.PERTURBATION, perturbation.key, epoch, step)
            transformed = perturbation.transform(x, lengths, generator)
            if transformed is not None:
                _check_inputs(perturbation, transformed, x, lengths, net.pooling == "steps")
                x, lengths = changed[m] = transformed
    return _replaced(batch, changed) if changed else batch


def _replaced(batch: Batch, changed: Mapping[int, tuple[Tensor, Tensor]]) -> Batch:
    """The batch with other series and lengths of some members, as long as its longest."""
    lengths = batch.lengths.clone()
    for m, (_, own) in changed.items():
        lengths[m, : len(own)] = own
    time = int(lengths.max())
    padded = batch.x.new_zeros(len(lengths), time, *batch.x.shape[2:])
    for m, place in enumerate(padded):
        x = changed[m][0] if m in changed else batch.x[m]
        place[: len(x), : x.shape[1]] = x[:time]
    beyond = torch.arange(time, device=lengths.device)[:, None] >= lengths[:, None]
    padded.masked_fill_(beyond.unsqueeze(-1), 0)
    own_steps = np.where(batch.positions < 0, 0, lengths.cpu().numpy())
    return replace(batch, x=padded, lengths=lengths, own_steps=own_steps)


def perturb_masks(
    net: Net, members: Sequence[Member], batch: Batch, masks: list[Tensor | None], epoch: int, step: int
) -> list[Tensor | None]:
    """The masks of dropout, or none, times those of each member's perturbations.

    Raises
    ------
    ParameterError
        For a mask of another shape, and for a network of the user's own, which has no place for one.
    """
    masked = list(_perturbed(members, batch, "mask"))
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


def _perturbed(members: Sequence[Member], batch: Batch, method: str) -> list[tuple[int, Member, int]]:
    """Members with series in the batch that a method concerns, their places, and how many series they are."""
    sizes = [
        (m, member, int((batch.positions[m] >= 0).sum()))
        for m, member in enumerate(members)
        if _overrides(member, method)
    ]
    return [(m, member, size) for m, member, size in sizes if size]


def _check_inputs(perturbation: Perturbation, transformed: Any, x: Tensor, lengths: Tensor, by_step: bool) -> None:
    name = f"{type(perturbation).__name__}.transform"
    if not (
        isinstance(transformed, tuple) and len(transformed) == 2 and all(isinstance(t, Tensor) for t in transformed)
    ):
        raise ParameterError(f"{name} needs to give two tensors, x and lengths, got {type(transformed).__name__}")
    new_x, new_lengths = transformed
    if new_x.dim() != 3 or new_x.shape[1:] != x.shape[1:] or (new_x.dtype, new_x.device) != (x.dtype, x.device):
        raise ParameterError(
            f"{name} needs to give x of {tuple(x.shape[1:])} (batch, channel), {x.dtype} and {x.device}, behind any "
            f"number of steps, got {tuple(new_x.shape)}, {new_x.dtype} and {new_x.device}"
        )
    if (new_lengths.shape, new_lengths.dtype, new_lengths.device) != (lengths.shape, lengths.dtype, lengths.device):
        raise ParameterError(
            f"{name} needs to give lengths of shape {tuple(lengths.shape)}, {lengths.dtype} and {lengths.device}, got "
            f"{tuple(new_lengths.shape)}, {new_lengths.dtype} and {new_lengths.device}"
        )
    least, most = int(new_lengths.min()), int(new_lengths.max())
    if least < 1 or most > len(new_x):
        raise ParameterError(f"{name} needs lengths from 1 to the {len(new_x)} steps of x, got {least} to {most}")
    if by_step and not torch.equal(new_lengths, lengths):
        raise ParameterError(f"{name} needs to leave lengths as they are where each step has a target, got others")


def _check_mask(perturbation: Perturbation, mask: Any, shape: tuple[int, ...]) -> None:
    if not isinstance(mask, np.ndarray) or mask.shape != shape:
        found = mask.shape if isinstance(mask, np.ndarray) else type(mask).__name__
        raise ParameterError(f"{type(perturbation).__name__}.mask needs to give an array of shape {shape}, got {found}")
