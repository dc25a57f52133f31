"""Two samples as one, and who is on which side: as measured, and permuted."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from numpy import ndarray

from throughtime.errors import DataError, DataWarning, ParameterError, warn
from throughtime.shift.arguments import check_seed
from throughtime.shift.permutations import assignments
from throughtime.shift.records import Embedding, plural_of

#: With fewer no p-value can be .05.
LEAST_PERMUTATIONS = 19

#: An embedding, or numbers with a row per series.
Sample = Embedding | Shaped[ndarray, "_ ..."]
#: Of the reference, and of the deployed series.
Groups = tuple[Any, Any]


@dataclass(frozen=True, eq=False)
class Sides:
    """The assignments of the series of both samples, the reference's first.

    Attributes
    ----------
    deployed
        Which series are on the deployed side: row 0 as measured, the others permuted.
    units
        The number of what each series changes sides with.
    unit
        What that is: "series", "group" or "block".
    n_reference, n_deployed
        Units on either side.
    """

    deployed: Bool[ndarray, "permutation series"]
    units: Shaped[ndarray, "series"]
    unit: str
    n_reference: int
    n_deployed: int


def sides_of(
    reference: Sample,
    deployed: Sample,
    permutations: int,
    random_state: int | None,
    *,
    groups: Groups | None = None,
    strata: ndarray | None = None,
) -> Sides:
    """Assign the series of two samples to sides.

    Parameters
    ----------
    groups
        What changes sides as a whole; those of embeddings by default, else each series.
    strata
        Series change sides within their stratum only.

    Raises
    ------
    DataError
        For a side of fewer than two units, of which no permutation can tell anything, or a group on both sides.
    ParameterError
        For fewer than 19 permutations, or what is no seed.
    """
    check_seed(random_state)
    if isinstance(permutations, bool) or not isinstance(permutations, Integral) or permutations < LEAST_PERMUTATIONS:
        raise ParameterError(
            f"permutations needs a whole number of at least {LEAST_PERMUTATIONS}, with which p can be .05, got "
            f"{permutations!r}"
        )
    n_reference, n_deployed = len(reference), len(deployed)
    samples = [sample for sample in (reference, deployed) if isinstance(sample, Embedding)]
    own = groups or tuple(sample.groups if isinstance(sample, Embedding) else None for sample in (reference, deployed))
    unit = "series"
    if any(labels is not None for labels in own):
        unit = "block" if groups is None and any(sample.unit == "block" for sample in samples) else "group"
    units = np.concatenate(_numbered(own, (n_reference, n_deployed)))
    counts = len(np.unique(units[:n_reference])), len(np.unique(units[n_reference:]))
    for side, count in zip(("reference", "deployed"), counts, strict=True):
        if count < 2:
            cure = (
                "; windows of one long series can change sides by stretches of it: reference_of(block=)"
                if unit == "group"
                else ""
            )
            raise DataError(f"shift tests need at least two {plural_of(unit)} on the {side} side, got {count}{cure}")
    is_deployed = np.arange(n_reference + n_deployed) >= n_reference
    masks = assignments(is_deployed, int(permutations), random_state, groups=units, strata=strata)
    return Sides(masks, units, unit, *counts)


def warn_of_groups(reference: Embedding, deployed: Embedding) -> None:
    """Say where one side alone has groups: each series of the other counts as one of its own, which nothing tells."""
    if (reference.groups is None) == (deployed.groups is None):
        return
    bare, unit = ("reference", deployed.unit) if reference.groups is None else ("deployed", reference.unit)
    warn(
        f"a comparison needs {unit}s on both sides or on neither, got none of the {bare} series: each of them counts "
        f"as a {unit} of its own, and where some belong together chance passes for a shift, or for a gain; give both "
        f"sides their {unit}s",
        DataWarning,
    )


def _numbered(groups: tuple[Any, ...], sizes: tuple[int, int]) -> list[Int[ndarray, "series"]]:
    """Groups of either side as whole numbers, each series without a group as one of its own.

    Labels of two sides may be of two kinds, such as text and numbers, which no array holds as they are.
    """
    found: list[ndarray] = []
    seen: dict[object, int] = {}
    for own, size in zip(groups, sizes, strict=True):
        before = len(seen)
        labels = [object() for _ in range(size)] if own is None else np.asarray(own).tolist()
        if len(labels) != size:
            raise DataError(f"groups need one value for each of {size} series, got {len(labels)}")
        numbers = np.array([seen.setdefault(label, len(seen)) for label in labels], np.int64)
        if (numbers < before).any():
            shared = labels[int((numbers < before).argmax())]
            raise DataError(
                f"shift tests need each group on one side, got {shared!r} among reference and deployed series; give "
                "the deployed series' groups names of their own, or leave groups out"
            )
        found.append(numbers)
    return found


def joined(reference: ndarray, deployed: ndarray, what: str) -> Float[ndarray, "series column"]:
    """The rows of both samples, the reference's first, in float64.

    Raises
    ------
    DataError
        For other columns, and for values that are not finite.
    """
    parts = []
    for side, values in (("reference", reference), ("deployed", deployed)):
        array = np.asarray(values)
        if array.dtype.kind not in "biuf":
            raise DataError(f"{what} need real numbers, got {array.dtype} on the {side} side")
        if array.ndim == 1:
            array = array[:, None]
        if array.ndim != 2:
            raise DataError(
                f"{what} need two axes, (series, column), got shape {array.shape} on the {side} side; of series "
                "summarize(X)[0] has them"
            )
        finite = np.isfinite(array)
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            raise DataError(
                f"{what} need finite values, got {array[row, column]} in row {row}, column {column} of the {side} "
                "side; summaries of series are finite where a channel misses values"
            )
        parts.append(array.astype(np.float64))
    if parts[0].shape[1] != parts[1].shape[1]:
        raise DataError(f"{what} need the same columns on both sides, got {parts[0].shape[1]} and {parts[1].shape[1]}")
    return np.concatenate(parts)
