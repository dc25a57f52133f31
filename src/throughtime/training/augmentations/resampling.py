"""Series read at other steps than their own: whole ones, or between them."""

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from throughtime.training.perturbations import Series


def take_steps(series: Series, steps: Int[Tensor, "time batch"]) -> Series:
    """Each series' values, flags and targets at some of its own steps, in this order; as many steps as before."""

    def of_steps(values: Tensor) -> Tensor:
        return values.gather(0, steps[..., None].expand(-1, -1, values.shape[2]))

    parts = {"x": of_steps(series.x)}
    if series.missing is not None:
        parts["missing"] = of_steps(series.missing)
    if series.by_step:
        parts |= {"targets": series.targets.gather(0, steps), "weights": series.weights.gather(0, steps)}
    return replace(series, **parts)


def read_at(series: Series, places: Float[Tensor, "time batch"]) -> Series:
    """Each series between its steps, linearly; a value beside a missing one is missing, targets are the nearest step's.

    Parameters
    ----------
    places
        In steps, from 0 to those of the series less 1; beyond its end any.
    """
    last = series.lengths - 1
    places = torch.minimum(places.clamp(min=0), last.to(places))
    lower = places.floor().long()
    upper = torch.minimum(lower + 1, last)
    nearest = take_steps(series, (places + 0.5).floor().long().minimum(last))
    before, after = take_steps(series, lower), take_steps(series, upper)
    fraction = (places - lower)[..., None]
    x = before.x + fraction.to(series.x) * (after.x - before.x)
    if before.missing is None or after.missing is None:
        return replace(nearest, x=x)
    return replace(nearest, x=x, missing=before.missing | (after.missing & (fraction > 0)))
