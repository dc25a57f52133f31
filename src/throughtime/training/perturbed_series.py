"""Series of members whose training is perturbed: each one's own part of a batch is taken out, changed, and put back.

What a member's perturbations see has the size and the place in memory that it has where the member trains alone.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from throughtime.errors import ParameterError
from throughtime.training.group import Group
from throughtime.training.members import Batch
from throughtime.training.perturbations import Perturbation, Series
from throughtime.training.perturbed_steps import perturbed
from throughtime.training.streams import Purpose, stream


@torch.no_grad()
def perturb_batch(group: Group, batch: Batch, epoch: int, step: int) -> Batch:
    """The batch with each member's transformed series.

    Raises
    ------
    ParameterError
        For series that do not fit.
    """
    changed: dict[int, tuple[Tensor, Series]] = {}
    for m, member, rows in perturbed(group.members, batch, "transform"):
        x, before = _own_series(group, batch, m, rows)
        series = before
        for perturbation in member.perturbations:
            generator = stream(member.seed, Purpose.PERTURBATION, perturbation.key, epoch, step)
            transformed = perturbation.transform(series, generator)
            if transformed is not None:
                _check_series(perturbation, transformed, series, group.net.n_outputs)
                series = transformed
        if series is not before:
            changed[m] = _inputs_of(group, m, series, before, x), series
    return _replaced(batch, changed) if changed else batch


def _own_series(group: Group, batch: Batch, m: int, rows: int) -> tuple[Tensor, Series]:
    """A member's part of a batch in memory of its own: all its inputs, and the series that they are of."""
    lengths = batch.lengths[m, :rows]
    longest = int(lengths.max())
    x = batch.x[m, :longest, :rows].clone(memory_format=torch.contiguous_format)
    channels, flagged = _columns(group)
    missing = None
    if flagged:
        flags = slice(channels, 2 * channels)
        missing = x[..., flags] * group.scale[m, flags] + group.shift[m, flags] > 0.5
    n_static = x.shape[2] - group.inputs.values.shape[1]
    series = Series(
        x[..., :channels].contiguous(),
        lengths,
        _own_targets(batch.targets[m], longest, rows),
        _own_targets(batch.weights[m], longest, rows),
        missing,
        x[0, :, -n_static:].contiguous() if n_static else None,
    )
    return x, series


def _columns(group: Group) -> tuple[int, bool]:
    """How many channels the series have, and whether each brings two more columns that say where it is missing."""
    own, flagged = group.inputs.values.shape[1], group.inputs.flagged
    return own // 3 if flagged else own, flagged


def _own_targets(whole: Tensor, longest: int, rows: int) -> Tensor:
    own = whole[:longest, :rows] if whole.dim() == 2 else whole[:rows]
    return own.clone(memory_format=torch.contiguous_format)


def _inputs_of(group: Group, m: int, series: Series, before: Series, x: Tensor) -> Tensor:
    """All inputs that a network takes of series: flags, and steps since a value was seen, are made of what is missing.

    Those of ``x``, which were those of the series ``before``, stay where nothing else is missing.
    """
    channels, _ = _columns(group)
    parts = [series.x if series.missing is None else series.x.masked_fill(series.missing, 0)]
    if series.missing is not None and series.missing is before.missing:
        parts.append(x[..., channels : 3 * channels])
    elif series.missing is not None:
        steps = torch.arange(len(series.x), device=x.device)[:, None, None]
        since = steps - torch.where(series.missing, -1, steps).cummax(0).values
        columns = slice(channels, 3 * channels)
        raw = torch.cat([series.missing, since], 2).to(group.shift)
        parts.append(((raw - group.shift[m, columns]) / group.scale[m, columns]).to(x))
    if series.static is not None:
        parts.append(series.static.expand(len(series.x), -1, -1))
    return parts[0] if len(parts) == 1 else torch.cat(parts, 2)


def _replaced(batch: Batch, changed: Mapping[int, tuple[Tensor, Series]]) -> Batch:
    """The batch with other series, lengths and targets of some members, as long as its longest."""
    lengths = batch.lengths.clone()
    for m, (_, own) in changed.items():
        lengths[m, : len(own.lengths)] = own.lengths
    time = int(lengths.max())
    x = _stacked(batch.x, {m: own for m, (own, _) in changed.items()}, time)
    beyond = torch.arange(time, device=lengths.device)[:, None] >= lengths[:, None]
    x.masked_fill_(beyond.unsqueeze(-1), 0)
    targets = {m: own.targets for m, (_, own) in changed.items()}
    weights = {m: own.weights for m, (_, own) in changed.items()}
    if batch.targets.dim() == 3:
        of_targets = [_stacked(batch.targets, targets, time), _stacked(batch.weights, weights, time)]
        of_targets = [whole.masked_fill_(beyond, 0) for whole in of_targets]
    else:
        of_targets = [batch.targets.clone(), batch.weights.clone()]
        for whole, parts in zip(of_targets, (targets, weights), strict=True):
            for m, part in parts.items():
                whole[m, : len(part)] = part
    own_steps = np.where(batch.positions < 0, 0, lengths.cpu().numpy())
    return replace(batch, x=x, lengths=lengths, targets=of_targets[0], weights=of_targets[1], own_steps=own_steps)


def _stacked(whole: Tensor, changed: Mapping[int, Tensor], time: int) -> Tensor:
    """So many steps of each member, zero where it has none, with other ones of some members."""
    padded = whole.new_zeros(len(whole), time, *whole.shape[2:])
    for m, place in enumerate(padded):
        own = changed[m] if m in changed else whole[m]
        place[: len(own), : own.shape[1]] = own[:time]
    return padded


def _check_series(perturbation: Perturbation, new: Any, before: Series, n_outputs: int) -> None:
    """Refuse what the network, its loss or the next perturbation could not be given."""
    name = f"{type(perturbation).__name__}.transform"
    if not isinstance(new, Series):
        raise ParameterError(
            f"{name} needs to give a Series or None, got {type(new).__name__}; dataclasses.replace(series, x=...) "
            "makes one"
        )
    x, lengths = before.x, before.lengths
    if new.x.dim() != 3 or new.x.shape[1:] != x.shape[1:] or (new.x.dtype, new.x.device) != (x.dtype, x.device):
        raise ParameterError(
            f"{name} needs to give x of {tuple(x.shape[1:])} (batch, channel), {x.dtype} and {x.device}, behind any "
            f"number of steps, got {tuple(new.x.shape)}, {new.x.dtype} and {new.x.device}"
        )
    time = len(new.x)
    shapes = {
        "lengths": lengths.shape,
        "targets": (time, *before.targets.shape[1:]) if before.by_step else before.targets.shape,
        "weights": (time, *before.targets.shape[1:]) if before.by_step else before.targets.shape,
        "missing": None if before.missing is None else new.x.shape,
        "static": None if before.static is None else before.static.shape,
    }
    for part, shape in shapes.items():
        found, like = getattr(new, part), getattr(before, part)
        if _kind(found) != (None if shape is None else (tuple(shape), like.dtype, like.device)):
            raise ParameterError(f"{name} needs to give {part} {_in_words(like, shape)}, got {_in_words(found)}")
    least, most = int(new.lengths.min()), int(new.lengths.max())
    if least < 1 or most > time:
        raise ParameterError(f"{name} needs lengths from 1 to the {time} steps of x, got {least} to {most}")
    inside = torch.arange(time, device=x.device)[:, None] < new.lengths
    for part in ("x", "targets", "weights", "static"):
        own = getattr(new, part)
        if part == "x" or (new.by_step and part != "static"):
            own = own[inside]
        if own is not None and own.is_floating_point() and not own.isfinite().all():
            raise ParameterError(f"{name} needs to give finite {part} up to each series' end, got NaN or inf")
    if (new.weights < 0).any():
        raise ParameterError(f"{name} needs to give weights of at least 0, got {float(new.weights.min()):g}")
    classes = new.targets
    if not classes.is_floating_point() and not ((classes >= 0) & (classes < n_outputs)).all():
        found = int(classes.min()), int(classes.max())
        raise ParameterError(f"{name} needs to give classes from 0 to {n_outputs - 1}, got {found[0]} to {found[1]}")


def _kind(part: Any) -> Any:
    return (tuple(part.shape), part.dtype, part.device) if isinstance(part, Tensor) else part


def _in_words(part: Any, shape: Any = None) -> str:
    if part is None:
        return "as None"
    if not isinstance(part, Tensor):
        return type(part).__name__
    return f"of shape {tuple(part.shape if shape is None else shape)}, {part.dtype} and {part.device}"
