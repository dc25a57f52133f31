"""How large gradients are at each lag, at one moment of training: what a flow monitor keeps of a member."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Float64, Int
from numpy import ndarray

from throughtime.errors import StorageError
from throughtime.records import Record, Records
from throughtime.stability.decay import FRACTION, first_crossings

#: What is measured: a unit direction of the last state pulled back before a step, the same with the weights that a
#: member ends with, or the gradients at the states in a step of training.
Kind = Literal["probe", "kept", "step"]
#: A curve holds every lag below this one, and of the further ones so many, each by the same ratio beyond the last.
EVERY_LAG_BELOW = 32
FURTHER_LAGS = 96


@dataclass(frozen=True, repr=False, eq=False)
class FlowRecord(Record):
    """One member's gradients by lag, at one moment of its training.

    Attributes
    ----------
    kind
        ``probe``: a random direction of norm 1 of the last state, pulled back from each series' end, without dropout
        or noise, before the step. ``kept``: the same, of the weights that the member ends with. ``step``: dL/dh_t of
        the step's own loss and batch.
    epoch, step
        What the member has behind it: whole epochs, and steps of the optimizer in all.
    layers
        Every layer and direction, in torch's order.
    lags
        Steps back from each series' end; of a reverse direction, steps on from its start.
    log_norms
        log10 of the norms at the states, ``sqrt(|dh|^2 + |dc|^2)``: the geometric mean over the series that are so
        long, ``-inf`` where nothing is left, NaN at lags that none of them has.
    horizons
        The lag at which 1 % of the norm at lag 0 is left, by layer; ``inf`` where it never falls so far, and NaN of a
        ``step``, whose loss may be read at many times.
    """

    kind: Kind
    epoch: int
    step: int
    layers: tuple[str, ...]
    lags: Int[ndarray, "lag"]
    log_norms: Float[ndarray, "layer lag"]
    horizons: tuple[float, ...]

    @property
    def gradient_horizon(self) -> float:
        """That of the first layer, for every way from an input to the loss leads through its states."""
        return self.horizons[0]


@lru_cache(maxsize=64)
def recorded_lags(longest: int) -> Int[ndarray, "lag"]:
    """The lags that records of series of so many steps hold: all near ones, further ones by ratio, and the longest."""
    near = np.arange(min(longest, EVERY_LAG_BELOW))
    further = np.geomspace(max(near[-1], 1), max(longest - 1, 1), FURTHER_LAGS).round().astype(int)
    lags = np.unique(np.concatenate([near, further[further < longest]]))
    lags.flags.writeable = False  # one array for all who ask
    return lags


def horizons_of(
    log_norms: Float[ndarray, "*shape lag"], lags: Int[ndarray, "*#shape lag"]
) -> Float64[ndarray, "*shape"]:
    """The first lag at which 1 % of the norm at lag 0 is left, between two by the logarithm; ``inf`` without one."""
    with np.errstate(invalid="ignore"):  # of curves that overflow from lag 0 on
        ratios = log_norms - log_norms[..., :1]
    return first_crossings(ratios, lags, np.log10(FRACTION))


#: A gradient explodes where it is so many powers of ten above that at lag 0: as far as 1 % is below.
EXPLODED = -np.log10(FRACTION)


def flow_to_arrays(records: Sequence[FlowRecord]) -> dict[str, ndarray]:
    """Records of one member as arrays; of none, no arrays."""
    if not records:
        return {}
    reverse = [name.endswith("reverse") for name in records[0].layers]
    return {
        "kind": np.array([get_args(Kind).index(record.kind) for record in records], dtype=np.uint8),
        "epoch": np.array([record.epoch for record in records], dtype=np.int64),
        "step": np.array([record.step for record in records], dtype=np.int64),
        "reverse": np.array(reverse, dtype=np.uint8),
        "lags": np.asarray(records[0].lags, dtype=np.int64),
        "log_norms": np.stack([record.log_norms for record in records]).astype(np.float32),
        "horizons": np.array([record.horizons for record in records], dtype=np.float64),
    }


def flow_from_arrays(arrays: Mapping[str, ndarray], source: str) -> Records[FlowRecord]:
    """The records that `flow_to_arrays` made them of.

    Raises
    ------
    StorageError
        For arrays that it did not make.
    """
    if not arrays:
        return Records()
    try:
        names = "kind", "epoch", "step", "reverse", "lags", "log_norms", "horizons"
        kind, epoch, step, reverse, lags, log_norms, horizons = (arrays[name] for name in names)
        count, places = len(kind), len(reverse)
        shapes = {
            "epoch": (epoch.shape, (count,)),
            "step": (step.shape, (count,)),
            "log_norms": (log_norms.shape, (count, places, len(lags))),
            "horizons": (horizons.shape, (count, places)),
        }
        for name, (found, expected) in shapes.items():
            if found != expected:
                raise ValueError(f"{name} of shape {expected}, got {found}")
        for array in (kind, epoch, step, reverse, lags):
            if array.ndim != 1 or array.dtype.kind not in "iu" or (array < 0).any():
                raise ValueError("rows of whole numbers from 0 up, got others")
        if any(array.dtype.kind != "f" for array in (log_norms, horizons)):
            raise ValueError("floats, got others")
        if lags[:1].tolist() != [0] or not (lags[1:] > lags[:-1]).all():
            raise ValueError("lags from 0 up, each larger than the one before, got others")
        layers = layer_names(reverse.astype(bool))
        kinds = get_args(Kind)
        at = zip((kinds[one] for one in kind), epoch.tolist(), step.tolist(), strict=True)
        measured = zip(log_norms, map(tuple, horizons.tolist()), strict=True)
        return Records(FlowRecord(*own, layers, lags, *found) for own, found in zip(at, measured, strict=True))
    except (KeyError, ValueError, IndexError, TypeError, AttributeError) as error:
        raise StorageError(
            f"{source} needs to hold records of gradients, got {type(error).__name__}: {error}"
        ) from error


def layer_names(reverse: Bool[ndarray, "place"] | Sequence[bool]) -> tuple[str, ...]:
    """Every layer and direction in words, in torch's order, which only of a bidirectional net has reverse ones."""
    directions = 1 + any(reverse)
    return tuple(f"layer {place // directions}{' reverse' if back else ''}" for place, back in enumerate(reverse))
