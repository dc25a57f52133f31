"""Values that stand for a missing one, such as -999 or 1e20, known by how far they are from all others."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from throughtime.records import Record

#: What programs and instruments write for a missing value: nines, the ends of integer types, fill values of netCDF,
#: GRIB and Fortran. See https://docs.unidata.ucar.edu/netcdf-c/current/file_format_specifications.html for netCDF's.
_CODES = np.array(
    [sign * (10.0**digits - 1) for digits in range(2, 10) for sign in (-1, 1)]
    + [-9.0, -999.9, -99.9, -9999.9, 999.9, 9999.9]
    + [-128.0, -32768.0, -32767.0, 32767.0, 65535.0, 2.0**31 - 1, -(2.0**31), 2.0**32 - 1]
    + [sign * fill for fill in (1e20, 1e30, 1e34, 1e35, 1e36, 1e37, 9.969209968386869e36) for sign in (-1, 1)]
)
#: A code is one where it is farther from the nearest other value than this fraction of the range of all others;
_CODE_GAP = 0.25
#: any value, where it is farther than their whole range: no distribution of measurements leaves a gap as wide as itself
#: before a value that it then takes several times over.
_GAP = 1.0
#: So often it is there at the least. An outlier is there once.
_CODE_TIMES, _TIMES = 2, 3
#: Of fewer different values, kinds are told apart, and one of them may be far from the rest.
_KINDS = 10


@dataclass(frozen=True)
class Sentinel(Record):
    """A value that looks like the mark of a missing one.

    Attributes
    ----------
    name
        Of the channel, static feature or target that holds it.
    value
        The lowest or highest of the channel.
    times
        How often it is there, a step that several windows share counted once.
    minimum, maximum
        Of the other values.
    """

    name: str
    value: float
    times: int
    minimum: float
    maximum: float


def sentinels_in(name: str, values: Float[ndarray, "value"]) -> list[Sentinel]:
    """The sentinels among some values, the farthest first; NaN is left out.

    Looked for are the lowest and the highest value, those that are left when one is found being looked at again. Zero
    is none: what is off or empty measures zero.
    """
    found: list[Sentinel] = []
    rest = values[~np.isnan(values)].astype(np.float64)
    while len(rest):
        low, high = float(rest.min()), float(rest.max())
        candidates = [_candidate(name, rest, value) for value in {low, high}]
        suspect = max((one for one in candidates if one is not None), key=_gap, default=None)
        if suspect is None:
            break
        found.append(suspect)
        rest = rest[rest != suspect.value]
    return found


def _candidate(name: str, values: Float[ndarray, "value"], value: float) -> Sentinel | None:
    """The value as a sentinel, if it is far enough from the others and there often enough."""
    others: Bool[ndarray, value] = values != value
    times = len(values) - int(np.count_nonzero(others))
    if value == 0 or times < _CODE_TIMES or times == len(values):
        return None
    rest = values[others]
    one = Sentinel(name, value, times, float(rest.min()), float(rest.max()))
    extent = one.maximum - one.minimum
    if np.isclose(value, _CODES, rtol=1e-6, atol=0).any() and _gap(one) > _CODE_GAP * extent:
        return one
    if times < _TIMES or _gap(one) <= _GAP * extent or len(np.unique(rest)) < _KINDS:
        return None
    return one


def _gap(one: Sentinel) -> float:
    return max(one.value - one.maximum, one.minimum - one.value)
